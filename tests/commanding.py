"""The command `automagik-prompts` in a fork of a process that has imported everything, for suites of hundreds."""

from __future__ import annotations

import importlib
import os
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

from automagik_prompts.cli import main
from automagik_prompts.cli.app import COMMANDS
from tests.launcher import end

for _name in (
    *sorted({f"automagik_prompts.cli.commands.{entry.module}" for entry in COMMANDS.values()}),
    "automagik_prompts.plugin",
    "tortoise.backends.asyncpg",
    "tortoise.backends.sqlite",
):
    importlib.import_module(_name)


def run_command(
    _connections: list[Connection],
    arguments: list[str],
    folder: str,
    environment: dict[str, str],
    streams: tuple[str, str, str],
) -> None:
    """Be the command: end with its exit code.

    Args:
        arguments: Its arguments.
        folder: Its working directory.
        environment: Its variables.
        streams: The files that are its standard input, output and error.
    """
    for number, path in enumerate(streams):
        opened = os.open(path, os.O_RDONLY if number == 0 else os.O_WRONLY)
        os.dup2(opened, number)
        os.close(opened)
    for name in set(os.environ) - set(environment):
        del os.environ[name]
    os.environ.update(environment)
    time.tzset()
    os.chdir(folder)
    sys.path[:0] = [part for part in environment.get("PYTHONPATH", "").split(os.pathsep) if part]
    sys.argv = [str(Path(sys.executable).parent / "automagik-prompts"), *arguments]
    try:
        main()
    except SystemExit as ended:
        end(ended.code if isinstance(ended.code, int) else int(ended.code is not None))
    end(0)
