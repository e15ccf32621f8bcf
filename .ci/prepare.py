"""Makes the virtual environment that `make` works in, and shows that it gets on: `prepare.py FOLDER PIP-ARGUMENTS...`.

It needs nothing but a Python of at least 3.11. What pip says goes to a log in the folder, and is shown if pip fails.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

NEEDED = (3, 11)
STEPS = re.compile(r"^\s*(Collecting|Downloading|Building wheel for|Installing collected packages)", re.MULTILINE)


def main(folder: Path, arguments: list[str]) -> int:
    """Create the environment if it is not there, and install into it.

    Args:
        folder: The environment.
        arguments: What pip shall install.
    """
    if sys.version_info < NEEDED:
        found, needed = (".".join(map(str, version[:2])) for version in (sys.version_info, NEEDED))
        print(f"This is Python {found}; {needed} or later is needed. Say which one: make PYTHON=python{needed}")
        return 1
    begun = time.monotonic()
    if not (folder / "pyvenv.cfg").exists():
        say(f"Preparing {folder}, once: an environment, ")
        try:
            venv.create(folder, with_pip=True, symlinks=True)
        except (subprocess.CalledProcessError, OSError) as error:
            shutil.rmtree(folder, ignore_errors=True)
            say(f"which failed: {error}. Does `{sys.executable} -m venv` work? Debian has it in python3-venv.\n")
            return 1
    else:
        say(f"Preparing {folder}: ")
    say("packages ")
    # `--group` came with pip 25.1; the one that Python brings may be older.
    for packages in (["--upgrade", "pip>=25.1"], arguments):
        if code := install(folder, packages):
            return code
    say(f" done in {time.monotonic() - begun:.0f} s\n")
    return 0


def install(folder: Path, arguments: list[str]) -> int:
    """Run pip with a dot for every step; its whole output only if it fails."""
    log = folder / "pip.log"
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    command = [str(python), "-m", "pip", "install", "--progress-bar", "off", "--disable-pip-version-check", *arguments]
    with log.open("w", encoding="utf-8") as file, log.open(encoding="utf-8") as shown:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)  # noqa: S603  # pip of that folder
        while (code := process.poll()) is None:
            time.sleep(0.2)
            say("." * len(STEPS.findall(shown.read())))
    if code:
        say(f"\n{log.read_text(encoding='utf-8')}\npip ended with {code}; the above is {log}.\n")
    return code


def say(text: str) -> None:
    """Print at once."""
    print(text, end="", flush=True)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
