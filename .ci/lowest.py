"""Prints the lowest versions that `pyproject.toml` allows of the libraries that the package needs, as pins for pip."""

from __future__ import annotations

import re
import tomllib
from itertools import chain
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"
REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(?P<extras>\[[\w,-]+\])?>=(?P<floor>[\w.]+)")


def main() -> None:
    """Print one pin for each requirement, those of the optional parts too."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    needed = chain(project["dependencies"], *project["optional-dependencies"].values())
    for requirement in needed:
        found = REQUIREMENT.match(requirement)
        if found is None:
            raise SystemExit(f"{requirement!r} has no lower bound to test with.")
        print(f"{found['name']}{found['extras'] or ''}=={found['floor']}")


if __name__ == "__main__":
    main()
