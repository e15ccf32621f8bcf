"""Starting and controlling other processes, with a bound on every wait."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self

from tests.launcher import MAX_CONNECTIONS, MESSAGE

ROOT = Path(__file__).resolve().parents[1]
ANSWER_TIMEOUT = 60.0
"""Seconds within which a child must answer; machines are noisy."""


class Child:
    """A child of the launcher, which does what it is asked to, one thing at a time.

    Args:
        pid: Its process id; 0 where the launcher does not know it, as it is another child's child.
        connection: Where it is asked.
        launcher: Who waits for its end.
        spares: The test's ends of the connections that it can hand to children of its own.
    """

    def __init__(
        self, pid: int, connection: Connection, launcher: Launcher | None = None, spares: tuple[Connection, ...] = ()
    ) -> None:
        self.pid = pid
        self._connection = connection
        self._launcher = launcher
        self._spares = spares

    def ask(self, name: str, *arguments: object) -> Any:
        """Have it call a method and return what that returned.

        Raises:
            AssertionError: The method failed, or the child did not answer or ended.
        """
        self.tell(name, *arguments)
        return self.answer()

    def tell(self, name: str, *arguments: object) -> None:
        """Have it call a method; `answer` waits for what that returns."""
        self._connection.send((name, arguments))

    def answer(self, seconds: float = ANSWER_TIMEOUT) -> Any:
        """Return what the method returned that it was told to call."""
        assert self._connection.poll(seconds), f"process {self.pid} did not answer"
        try:
            ok, value = self._connection.recv()
        except EOFError:
            raise AssertionError(f"process {self.pid} ended instead of answering") from None
        assert ok, value
        return value

    def has_answered(self) -> bool:
        """Return whether `answer` would return at once."""
        return self._connection.poll()

    def forked(self) -> tuple[Child, ...]:
        """Have it fork a child for each connection that it was given to spare."""
        pids = self.ask("fork")
        return tuple(Child(pid, connection) for pid, connection in zip(pids, self._spares, strict=True))

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def hang_up(self) -> None:
        """Let it end; `close` waits for that."""
        if not self._connection.closed:
            self._connection.close()

    def close(self) -> int | None:
        """Let it end, wait for it and return its exit code; `None` for another child's child."""
        self.hang_up()
        return self._launcher.exit_code(self.pid) if self._launcher is not None else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class Launcher:
    """The process from which children are forked: one import for all of them.

    Args:
        folder: Where what they print is kept.
    """

    def __init__(self, folder: Path) -> None:
        self._output = folder / "launcher.txt"
        self._control, other = socket.socketpair()
        with self._output.open("wb") as output, other:
            self._process = subprocess.Popen(
                [sys.executable, "-W", "error", "-m", "tests.launcher", str(other.fileno())],
                cwd=ROOT,
                pass_fds=[other.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self._control.settimeout(ANSWER_TIMEOUT)

    def fork(self, function: str, *arguments: object, spares: int = 0) -> Child:
        """Fork a child that calls a function.

        Args:
            function: `module:name`; it takes its connections and the arguments, and returns when the first is closed.
            arguments: What can be pickled.
            spares: How many more connections to give it, for children of its own.
        """
        assert spares < MAX_CONNECTIONS
        with ExitStack() as opened:
            pairs = [socket.socketpair() for _ in range(spares + 1)]
            for ours, theirs in pairs:
                opened.enter_context(ours)
                opened.enter_context(theirs)
            socket.send_fds(self._control, [MESSAGE.pack(b"f", 0)], [theirs.fileno() for _, theirs in pairs])
            _, pid = MESSAGE.unpack(self._receive())
            first, *others = [Connection(ours.detach()) for ours, _ in pairs]
        first.send(function)
        first.send(arguments)
        return Child(pid, first, self, tuple(others))

    def exit_code(self, pid: int) -> int:
        """Wait for the end of a child and return its exit code."""
        self._control.sendall(MESSAGE.pack(b"w", pid))
        _, code = MESSAGE.unpack(self._receive())
        return int(code)

    def output(self) -> str:
        """Return what the launcher and its children have printed."""
        return self._output.read_text(encoding="utf-8")

    def close(self) -> None:
        """End the launcher; children see their connections closed and end too."""
        self._control.close()
        self._process.wait(ANSWER_TIMEOUT)

    def _receive(self) -> bytes:
        data = b""
        while len(data) < MESSAGE.size:
            more = self._control.recv(MESSAGE.size - len(data))
            assert more, f"the launcher ended: {self.output()}"
            data += more
        return data
