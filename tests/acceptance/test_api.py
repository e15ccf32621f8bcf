from __future__ import annotations

import automagik_prompts
from tests.acceptance import api


def test_the_page_is_current() -> None:
    """`docs/api.md` is what the docstrings say."""
    assert api.PAGE.read_text(encoding="utf-8") == api.page(), "run: make docs"


def test_every_public_name_is_on_the_page() -> None:
    """No public name is missing, and none is there that is not public."""
    listed = [name for module, names in api.GROUPS.values() for name in names if module == "automagik_prompts"]
    assert sorted(listed) == sorted(automagik_prompts.__all__)
