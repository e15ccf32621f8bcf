"""What users write type-checks, and what cannot work does not, under mypy and under pyright."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ACCEPTED = ROOT / "tests" / "typing" / "accepted.py"
REFUSED = ROOT / "tests" / "typing" / "refused.py"


def mypy(file: Path, folder: Path) -> set[int]:
    """Return the lines with errors."""
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", str(ROOT / "pyproject.toml")]
    done = subprocess.run(
        [*command, "--cache-dir", str(folder), "--no-error-summary", str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert not done.stderr
    return {int(number) for number in re.findall(rf"{file.name}:(\d+): error", done.stdout)}


def pyright(file: Path, folder: Path) -> set[int]:
    """Return the lines with errors."""
    del folder
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson", str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    report = json.loads(done.stdout)
    assert report["summary"]["filesAnalyzed"] == 1
    return {one["range"]["start"]["line"] + 1 for one in report["generalDiagnostics"] if one["severity"] == "error"}


@pytest.mark.parametrize("checker", [mypy, pyright])
def test_what_type_checks(checker: type, tmp_path: Path) -> None:
    """Every way of the documentation is accepted, and the wrong ones are refused where they are wrong."""
    assert checker(ACCEPTED, tmp_path) == set()
    lines = REFUSED.read_text(encoding="utf-8").splitlines()
    assert checker(REFUSED, tmp_path) == {number for number, line in enumerate(lines, 1) if line.endswith("# refused")}
