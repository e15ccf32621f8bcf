"""What the documents say about the repository is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from automagik_prompts.settings import ENVIRONMENT_PREFIX, Settings
from tests.acceptance.commands import REPOSITORY

ARCHITECTURE = REPOSITORY / "docs" / "architecture.md"
DOCUMENTS = [
    REPOSITORY / "README.md",
    REPOSITORY / "CHANGELOG.md",
    REPOSITORY / "CONTRIBUTING.md",
    *sorted((REPOSITORY / "docs").glob("**/*.md")),
]


def test_architecture_lists_every_module() -> None:
    """The architecture names each module of the package with its job, and none that is not there."""
    package = REPOSITORY / "automagik_prompts"
    modules = {path.stem for path in package.glob("*.py") if not path.stem.startswith("_")}
    folders = {path.parent.name for path in package.glob("*/__init__.py")}
    listed = re.findall(r"^\| \[(\w+)\]", ARCHITECTURE.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(listed) - modules - folders == set(), "these rows have no module"
    assert (modules | folders) - set(listed) == set(), "these modules have no row in docs/architecture.md"


def test_settings_are_listed() -> None:
    """The page of settings has a row for each, with its variable, and none besides."""
    text = (REPOSITORY / "docs" / "settings.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| `(\w+)` \|", text, re.MULTILINE))
    assert rows == {name: f"{ENVIRONMENT_PREFIX}{name.upper()}" for name in Settings.model_fields}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links(document: Path) -> None:
    """Every link to a file or folder of the repository leads to one."""
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text(encoding="utf-8"))
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_nothing_outside_is_needed(document: Path) -> None:
    """No document points out of the repository by path."""
    text = document.read_text(encoding="utf-8")
    assert "shared/" not in text
    assert not re.search(r"(?<!\w)/(work|home|tmp|root)/", text)
