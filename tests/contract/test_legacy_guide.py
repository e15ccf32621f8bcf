"""The guide to moving a legacy database: every block runs, in the order of the page, and prints what stands there."""

from __future__ import annotations

import doctest
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.hosts import Host
from tests.operator import PATIENCE, Operator

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "migrating.md"
BASH = shutil.which("bash") or "/bin/bash"


def same(expected: str, printed: str) -> bool:
    """Compare what the page says with what was printed; three dots stand for anything, ages differ."""
    said, done = (re.sub(r" +\b\d+s\b", " <age>", text) for text in (expected, printed))
    return doctest.OutputChecker().check_output(said, done, doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)


def test_every_block_runs(tmp_path: Path) -> None:
    """The commands do what the page says, the query finds nothing, and the way back leads where it says."""
    environment = Operator(tmp_path, "").environment
    printed = ""

    def run(*command: str) -> tuple[int, str, str]:
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    for kind, block in re.findall(r"^```(\w*)\n(.*?)^```$", GUIDE.read_text(encoding="utf-8"), re.M | re.S):
        if kind == "python":
            name = block.splitlines()[0].removeprefix("# ")
            (tmp_path / name).write_text(block, encoding="utf-8")
            code, printed, error = run(sys.executable, name)
            assert code == 0, error
        elif kind == "text":
            assert same(block, printed), printed
        elif kind == "sql":
            assert Host(f"sqlite://{tmp_path / 'old.db'}").rows(block) == []
        else:
            assert kind == "console"
            for example in re.split(r"^\$ ", block, flags=re.M)[1:]:
                line, _, expected = example.partition("\n")
                if line.startswith("export "):
                    environment |= dict(pair.split("=", 1) for pair in line.split()[1:])
                    continue
                code, out, error = run(BASH, "-c", line)
                assert code == expected.startswith("Error:"), f"{line}: {error}"
                told = error if code else out
                assert same(expected, told), f"{line}\nprinted:\n{told}\nthe page says:\n{expected}"
