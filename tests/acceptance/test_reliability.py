"""What docs/reliability.md says can be found in the tests and in the code."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from automagik_prompts.following import follower, listening
from automagik_prompts.settings import Settings
from automagik_prompts.storage.dialects import postgres
from tests.acceptance.commands import REPOSITORY

PAGE = REPOSITORY / "docs" / "reliability.md"
TEXT = PAGE.read_text(encoding="utf-8")
ROW = re.compile(r"^\| \[`fault_(\d\d)`\]\(([^)]+)\) \|", re.MULTILINE)
FAULTS = [f"{number:02}" for number in (*range(1, 60), *range(61, 72), 73, 74, 75)]


def test_every_fault_has_a_row_and_tests() -> None:
    """The table has each fault once and in order, and leads to the one file that holds its tests."""
    rows = ROW.findall(TEXT)
    assert [number for number, _ in rows] == FAULTS
    found: dict[str, set[Path]] = {number: set() for number in FAULTS}
    for path in (REPOSITORY / "tests").glob("**/test_*.py"):
        for number in re.findall(r"^(?:async )?def test_fault_(\d\d)_", path.read_text(encoding="utf-8"), re.MULTILINE):
            found[number].add(path)
    assert {number: {(PAGE.parent / link).resolve()} for number, link in rows} == found


def test_a_row_can_be_run_alone() -> None:
    """The name in the table, given to `-k`, selects the tests of that row: nothing else has it in its name."""
    (row,) = re.findall(r"^\$ \.venv/bin/python -m pytest -k (\w+)$", TEXT, re.MULTILINE)
    assert row.removeprefix("fault_") in FAULTS
    for path in (REPOSITORY / "tests").glob("**/*.py"):
        for line in path.read_text(encoding="utf-8").splitlines():
            if re.search(r"fault_\d", line):
                # Not in a parameter either, which `-k` would look at.
                assert re.match(r"(async )?def test_fault_\d\d_\w+\(", line), f"{path.name}: {line}"


def _said_in_code() -> str:
    """Return all that the code may say, as one text."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in (REPOSITORY / "automagik_prompts").glob("**/*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    return "\n".join(node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))


def test_the_log_lines_are_so() -> None:
    """Each line that somebody who is paged may look up is one that the code can write."""
    said = _said_in_code()
    section = TEXT.partition("## When you are paged")[2].partition("\n## ")[0]
    quoted = [
        line for row in re.findall(r"^\| (`.+?) \|", section, re.MULTILINE) for line in re.findall(r"`([^`]+)`", row)
    ]
    assert len(quoted) > 10
    for line in quoted:
        words = re.sub(r"Meanwhile the (last known good|code's) prompts", "Meanwhile the %s prompts", line)
        assert words in said, f"nothing in the code says {line!r}"


def _logged() -> dict[str, str]:
    """Return what the code logs as a warning or an error, or tells once per process, with its place."""
    found: dict[str, str] = {}
    for path in (REPOSITORY / "automagik_prompts").glob("**/*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
                continue
            owner, verb = ast.unparse(node.func.value), node.func.attr
            if (owner == "logger" and verb in {"warning", "error"}) or owner.endswith("notices"):
                parts = [one for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)]
                words = "\N{WHITE SMALL SQUARE}".join(str(part.value) for part in parts)
                if len(re.sub(r"%\w|\W", "", words)) > 15 and verb not in {"drop", "note"}:
                    found[words] = f"{path.name}, line {node.lineno}"
    return found


def test_every_line_that_can_be_logged_has_a_row() -> None:
    """Whoever finds a line in a log finds what it means and what helps."""
    section = TEXT.partition("## When you are paged")[2].partition("\n## ")[0]
    quoted = [
        line for row in re.findall(r"^\| (`.+?) \|", section, re.MULTILINE) for line in re.findall(r"`([^`]+)`", row)
    ]
    known = [
        re.sub(r"Meanwhile the (last known good|code's) prompts", "Meanwhile the %s prompts", line) for line in quoted
    ]
    missing = {place: words for words, place in _logged().items() if not any(line in words for line in known)}
    assert not missing, "docs/reliability.md, *When you are paged*, needs a row for each of these"


def _bounds() -> list[str]:
    """Return what the table says, with the numbers of the code."""
    first = Settings.model_fields["startup_timeout"].default
    file, server = (Settings(database_url=url).interval for url in ("sqlite://a", "postgresql://a/b"))
    wait, denied = follower.BACKOFF[1], follower.BACKOFF_DENIED[1]
    most, share = postgres.POOL_SIZE + 1, listening.CROWDED * 100
    return [
        f"waits `startup_timeout` ({first:.0f} s) at most; no later run waits, but for `pin=`",
        f"waits `pin_timeout` ({Settings.model_fields['pin_timeout'].default} s) at most, once for each version",
        f"one poll interval: {file} s for SQLite, {server:.0f} s for a server",
        f"{wait:.0f} s, the longest wait between two attempts; {denied:.0f} s where the password was refused",
        f"{most} at most; none is kept where the server has given away more than {share:.0f} %",
    ]


@pytest.mark.parametrize("words", _bounds())
def test_the_bounds_are_so(words: str) -> None:
    """The numbers in the table of promises are those of the code."""
    assert f"| {words}" in TEXT
