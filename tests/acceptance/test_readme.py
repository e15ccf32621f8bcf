"""The README does what it says: every block is run, and what it prints is compared."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.commands import COMMAND, REPOSITORY, environment, run

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def same(printed: str) -> list[str]:
    """Return lines as they are compared: how long ago something was, how often sent, and blanks do not count."""
    aged = [re.sub(r"\b\d+(\.\d+)?s\b", "Ns", line.rstrip()) for line in printed.rstrip().splitlines()]
    # Runs that came before the first load were sent the code's text, which is not counted. Where all of them were,
    # as on a fast machine, no column says how often.
    counted = [re.sub(r"(Ns) +(never sent|\d+)$", r"\1", line) for line in aged]
    return [re.sub(r" +runs \(7d\)$", "", line) for line in counted]


def commands(block: str) -> Iterator[tuple[str, str]]:
    """Yield each command of a console block, and what it is said to print."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, printed = part.partition("\n")
        yield command, printed


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """The environment of a reader who has installed the package: nothing more is fetched."""
    path = f"{COMMAND.parent}{os.pathsep}{os.environ['PATH']}"
    return environment(tmp_path, PATH=path, PIP_NO_INDEX="1", PIP_QUIET="1", PYTHONWARNINGS="ignore")


def test_blocks(tmp_path: Path, env: dict[str, str]) -> None:
    """Every block runs in the order of the page, in one folder, and prints what stands there."""
    assert BLOCKS
    printed: str | None = None
    for kind, block in BLOCKS:
        if kind == "python":
            name = re.match(r"# (\w+\.py)\n", block)
            assert name, "the first line of a Python block says which file it is"
            (tmp_path / name[1]).write_text(block, encoding="utf-8")
            printed = run(sys.executable, name[1], cwd=tmp_path, env=env)
        elif kind == "text":
            assert printed is not None, "a block of text is what the Python block before it prints"
            assert same(printed) == same(block)
            printed = None
        elif kind == "console":
            run_console(block, tmp_path, env)
        else:
            pytest.fail(f"nothing runs a block of the kind {kind!r}")


def run_console(block: str, folder: Path, env: dict[str, str]) -> None:
    """Run the commands of a console block in one shell after the other; what one exports holds for the next."""
    exported: list[str] = []
    for command, expected in commands(block):
        if command.startswith("export "):
            exported.append(command)
            continue
        fails = expected.startswith("Error:")
        printed = run("sh", "-c", "\n".join([*exported, command]), cwd=folder, env=env, code=None if fails else 0)
        assert same(printed) == same(expected), command


def test_example_is_short() -> None:
    """The example of the README has fewer than 25 lines."""
    block = next(block for kind, block in BLOCKS if kind == "python")
    assert len(block.splitlines()) < 25
