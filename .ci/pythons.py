"""Prints, for each version of Python named as an argument, one that works here; what is not here is said aloud."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path


def candidates(version: str) -> Iterator[str]:
    """Yield where a version may be: on the path, then among pyenv's."""
    if (found := shutil.which(f"python{version}")) is not None:
        yield found
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    yield from map(str, sorted(root.glob(f"{version}.*/bin/python{version}")))


def works(python: str) -> bool:
    """Return whether an interpreter starts: pyenv puts commands on the path that only say which version is missing."""
    try:
        done = subprocess.run([python, "-c", "import ssl, sqlite3, venv"], capture_output=True, timeout=60, check=False)  # noqa: S603  # an interpreter that was found
    except OSError:
        return False
    return done.returncode == 0


def main(versions: list[str]) -> None:
    """Print one interpreter a line."""
    for version in versions:
        found = next(filter(works, candidates(version)), None)
        if found is None:
            print(f"SKIPPED: Python {version} is not installed, so nothing is tested with it.", file=sys.stderr)
        else:
            print(found)


if __name__ == "__main__":
    main(sys.argv[1:])
