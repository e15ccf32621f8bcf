"""One part of the benchmark, in a process of its own: it writes what it measured to a file, as JSON."""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.report import as_json
from benchmarks.sections import SECTIONS


def main() -> None:
    """Measure one part."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.section", description=__doc__)
    parser.add_argument("name", choices=SECTIONS)
    parser.add_argument("out", type=Path)
    parser.add_argument("--scale", type=float, default=1.0)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), arguments.scale, _tell)
        try:
            arguments.out.write_text(as_json(SECTIONS[arguments.name](bench)), encoding="utf-8")
        finally:
            bench.close()


def _tell(words: str) -> None:
    sys.stderr.write(f"{words}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
