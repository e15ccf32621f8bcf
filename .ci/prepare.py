"""Makes the virtual environment that `make` works in, and shows that it gets on: `prepare.py FOLDER PIP-ARGUMENTS...`.

It needs nothing but a Python of at least 3.11. What pip says goes to a log in the folder, and is shown if pip fails.
For the tests it installs the connection pooler PgBouncer besides, where it may and where Debian has it; without it the
tests of poolers are skipped.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

NEEDED = (3, 11)
TESTING = {"dev", "test"}
"""The groups of packages with which tests are run."""

POOLER = "pgbouncer"
SYSTEM_TIMEOUT = 180.0
"""Seconds that the system's package manager may take for one step."""

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
    if TESTING.intersection(arguments):
        install_pooler()
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


def install_pooler() -> None:
    """Install PgBouncer where it is missing, as root on a Debian; where that fails, go on without it."""
    apt = shutil.which("apt-get")
    found = shutil.which(POOLER, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found or apt is None or os.name != "posix" or os.geteuid() != 0:
        return
    # Tests start one of their own: with this the system does not start its service.
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    install = ["install", "--yes", "--no-install-recommends", POOLER]
    # A new machine may not know its packages yet.
    for step in (install, ["update"], install):
        try:
            done = subprocess.run(  # noqa: S603  # the system's own program
                [apt, "--quiet", *step], env=environment, capture_output=True, check=False, timeout=SYSTEM_TIMEOUT
            )
        except (OSError, subprocess.TimeoutExpired):
            return
        if step is install and done.returncode == 0:
            return


def say(text: str) -> None:
    """Print at once."""
    print(text, end="", flush=True)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
