"""A process that has imported everything and started nothing, from which tests fork light and clean children.

Run as `python -m tests.launcher FD`; `tests.processes` talks to it.
"""

from __future__ import annotations

import atexit
import importlib
import os
import socket
import struct
import sys
import time
import traceback
from multiprocessing.connection import Connection
from typing import NoReturn

# What children use is imported here once; after a fork it costs nothing.
_PRELOAD = ("tests.commanding", "tests.member", "tests.upgrader", "asyncpg")

MESSAGE = struct.Struct("!ci")
"""A command (`f`: fork, `w`: wait for an exit) and a number."""

MAX_CONNECTIONS = 26
"""Connections that a child gets, at most."""

_WAIT = 30.0

NOT_ENDED = -1000
"""In the place of the exit code of a child that has not ended in time."""


def main() -> int:
    """Fork and wait on command, until the other side is gone; in a child, do what it is told."""
    for name in _PRELOAD:
        importlib.import_module(name)
    with socket.socket(fileno=int(sys.argv[1])) as control:
        while True:
            data, descriptors, _, _ = socket.recv_fds(control, MESSAGE.size, MAX_CONNECTIONS)
            if not data:
                return 0
            command, number = MESSAGE.unpack(data)
            if command == b"w":
                control.sendall(MESSAGE.pack(b"w", _exit_code(number)))
                continue
            pid = os.fork()
            if pid == 0:
                control.close()
                _child([Connection(descriptor) for descriptor in descriptors])
            for descriptor in descriptors:
                os.close(descriptor)
            control.sendall(MESSAGE.pack(b"f", pid))


def _child(connections: list[Connection]) -> NoReturn:
    code = 1
    try:
        module, _, function = connections[0].recv().partition(":")
        arguments = connections[0].recv()
        getattr(importlib.import_module(module), function)(connections, *arguments)
        code = 0
    except Exception:  # noqa: BLE001  # printed, which fails the test session
        traceback.print_exc()
    end(code)


def end(code: int) -> NoReturn:
    """End this process as the interpreter does, without taking down the many modules, which takes long."""
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _exit_code(pid: int) -> int:
    """Return the exit code of a child, negative for a signal, or `NOT_ENDED`."""
    deadline = time.monotonic() + _WAIT
    while time.monotonic() < deadline:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    return NOT_ENDED


if __name__ == "__main__":
    sys.exit(main())
