"""Running other processes: scripts, examples and the installed command, in a folder and an environment of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
COMMAND = Path(sysconfig.get_path("scripts")) / "automagik-prompts"

_OURS = "AUTOMAGIK_PROMPTS_"


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Return an environment in which nothing of this machine's settings counts and nothing is kept outside a folder.

    The first load may take long on a busy machine; a process that gave up on it would serve the code's text.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith((_OURS, "PYTHON"))}
    return {
        **inherited,
        f"{_OURS}CACHE_DIR": str(folder / "cache"),
        f"{_OURS}STARTUP_TIMEOUT": "30",
        "PYTHONIOENCODING": "utf-8",
        "PYTHONWARNINGS": "error",
        "NO_COLOR": "1",
        "COLUMNS": "100",
        **more,
    }


def run(
    *command: str | Path,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    code: int | None = 0,
    stdin: str | None = None,
    seconds: float = 120,
) -> str:
    """Run a command, make sure of its exit code, and return what it printed on both streams.

    Args:
        command: The program and its arguments.
        cwd: The working directory.
        env: The environment; by default `environment(cwd)`.
        code: The exit code that it must end with; `None` for any but 0.
        stdin: What it can read.
        seconds: How long it may take.
    """
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=dict(env) if env is not None else environment(cwd),
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=seconds,
        check=False,
    )
    as_wanted = done.returncode != 0 if code is None else done.returncode == code
    assert as_wanted, f"{command} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


def run_script(script: str, *arguments: str, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    """Run a Python script in a process of its own and return what it printed."""
    file = cwd / "script.py"
    file.write_text(script, encoding="utf-8")
    return run(sys.executable, file, *arguments, cwd=cwd, env=env)
