"""The pages on observing, testing and comparing do what they say: every block is run, what it prints is compared."""

from __future__ import annotations

import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.acceptance.commands import COMMAND, REPOSITORY, environment, run
from tests.acceptance.test_readme import run_console, same

PAGES = ("observability", "testing", "evals", "durable", "roles", "fleet", "rest", "console")


@pytest.mark.parametrize("page", PAGES)
def test_blocks(page: str, tmp_path: Path) -> None:
    """Every block runs in the order of the page, in one folder, and prints what stands there."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{COMMAND.parent}{os.pathsep}{os.environ['PATH']}"
    # The examples run agents without an event loop of their own, which Pydantic AI makes and leaves open.
    env = environment(tmp_path, PATH=path, PYTHONWARNINGS="error,ignore::ResourceWarning")
    text = (REPOSITORY / "docs" / f"{page}.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert blocks
    printed = ""
    for kind, block in blocks:
        if kind == "py" and find_spec("prefect") is None:
            continue  # it brings seventy packages, and is not among what developing needs
        if kind in {"python", "py"}:
            assert printed == "", "what the block before prints stands below it"
            name = re.match(r"# (\w+\.py)\n", block)
            assert name, "the first line of a Python block says which file it is"
            (tmp_path / name[1]).write_text(block, encoding="utf-8")
            printed = run(sys.executable, name[1], cwd=tmp_path, env=env)
        elif kind == "text":
            assert same(printed) == same(block)
            printed = ""
        else:
            assert kind == "console", f"nothing runs a block of the kind {kind!r}"
            run_console(block, tmp_path, {**env, "PYTHONWARNINGS": "ignore", "COLUMNS": "80"})
    assert printed == ""


def test_compare_versions(tmp_path: Path) -> None:
    """The example compares two versions and shows the scores of each, and leaves nothing behind."""
    printed = run(sys.executable, REPOSITORY / "examples" / "compare_versions.py", cwd=tmp_path)
    lines = [line.split() for line in printed.splitlines()]
    assert lines == [
        ["right", "team", "one", "word", "wrong"],
        ["version", "1", "67%", "100%", "quote,", "refund"],
        ["version", "2", "100%", "100%", "none"],
    ]
    assert not list(tmp_path.glob("*.db"))
