"""A TCP door in front of a database server that a test can shut, jam, slow down, slam, or have swallow what comes."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Self, TypeVar
from urllib.parse import parse_qsl, urlsplit

T = TypeVar("T")

PASSWORD = "pw-zebra-4711"  # noqa: S105  # no log line may show it; the test server asks for none
_CHUNK = 65536
_GREETING = 1024
_CALL_TIMEOUT = 20.0


@dataclass(eq=False)
class _Link:
    """One connection through the door.

    Attributes:
        greeting: How the client began, with the name that it gave itself.
        swallowed: Whether nothing gets through any more, and neither side is told.
    """

    greeting: bytes = b""
    swallowed: bool = False


class Proxy:
    """Forwards connections on 127.0.0.1 to a server's socket, on an event loop and a thread of its own.

    Args:
        server_url: A database URL of the server, by socket or by TCP.

    Attributes:
        port: The port on 127.0.0.1; it stays the same while the proxy refuses.
        accepted: How many connections were accepted.
        received: How many bytes came from clients.
    """

    def __init__(self, server_url: str) -> None:
        self._target = server_url
        self.port = 0
        self.accepted = 0
        self.received = 0
        self.delay = 0.0
        self.rate = float("inf")
        self._listener: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._links: set[_Link] = set()
        self._last_words: bytes | None = None
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._call(self._listen)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def url(self, database_url: str) -> str:
        """Return the URL of one of the server's databases through this proxy, with a password that must not leak."""
        parts = urlsplit(database_url)
        return f"postgresql://{parts.username or 'postgres'}:{PASSWORD}@127.0.0.1:{self.port}{parts.path}"

    def open(self) -> None:
        """Forward everything, also what was held back."""
        self.delay = 0.0
        self.rate = float("inf")
        self._call(self._open)

    def refuse(self) -> None:
        """Cut every connection and refuse new ones, as a server that is not running does."""
        self._call(self._refuse)

    def hang(self) -> None:
        """Accept connections and hold everything back, on the present ones too."""
        self._call(self._hang)

    def slow(self, seconds: float) -> None:
        """Hold back each piece of data for a while."""
        self.delay = seconds

    def narrow(self, bytes_per_second: float) -> None:
        """Let only so much of what the server sends through, as a slow link does."""
        self.rate = bytes_per_second

    def cut(self) -> int:
        """Reset the present connections and return how many there were; new ones are served."""
        return self._call(self._cut)

    def swallow(self, chosen: Callable[[bytes], bool] = lambda _greeting: True) -> int:
        """Let nothing through on present connections, without a word to either side; new ones are served.

        Args:
            chosen: Whether a connection is meant, by how its client began.

        Returns:
            How many they are.
        """
        return self._call(lambda: self._swallow(chosen))

    def swallow_after(self, last_words: bytes) -> None:
        """Have the next connection on which a client says this swallow everything after it, as above."""
        self._last_words = last_words

    @property
    def swallowed(self) -> int:
        """How many connections that let nothing through are still held by their clients."""
        return sum(link.swallowed for link in tuple(self._links))

    def close(self) -> None:
        """End everything."""
        self._call(self._refuse)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_CALL_TIMEOUT)
        self._loop.close()

    def _call(self, function: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return asyncio.run_coroutine_threadsafe(function(), self._loop).result(_CALL_TIMEOUT)

    async def _open(self) -> None:
        self._flowing.set()
        await self._listen()

    async def _hang(self) -> None:
        self._flowing.clear()
        await self._listen()

    async def _refuse(self) -> None:
        if self._listener is not None:
            listener, self._listener = self._listener, None
            for listening in listener.sockets:
                self._loop.remove_reader(listening.fileno())
            # A connection that was just accepted reaches `_accepted` when asyncio's own task for it has ended. Where
            # the listener was closed before that task has begun, asyncio drops the connection without closing it.
            await asyncio.gather(*map(asyncio.shield, _being_accepted()), return_exceptions=True)
            listener.close()
        await self._cut()
        # A transport that was aborted closes its socket in the next turn.
        await asyncio.sleep(0)

    async def _listen(self) -> None:
        if self._listener is None:
            self._listener = await asyncio.start_server(self._accepted, "127.0.0.1", self.port, backlog=256)
            self.port = self._listener.sockets[0].getsockname()[1]

    async def _swallow(self, chosen: Callable[[bytes], bool]) -> int:
        meant = [link for link in self._links if chosen(link.greeting)]
        for link in meant:
            link.swallowed = True
        return len(meant)

    async def _cut(self) -> int:
        cut = sum(not writer.is_closing() for writer in self._writers) // 2
        for writer in self._writers:
            writer.transport.abort()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return cut

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        # Here and not in the task, which may be cancelled before it begins.
        self._writers.add(writer)
        task = self._loop.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _task: self._writers.discard(writer))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        link = _Link()
        self._links.add(link)
        try:
            await self._flowing.wait()
            server_reader, server_writer = await self._connect()
            writers.append(server_writer)
            self._writers.add(server_writer)
            pumps = [
                asyncio.ensure_future(self._pump(reader, server_writer, link, from_client=True)),
                asyncio.ensure_future(self._pump(server_reader, writer, link, from_client=False)),
            ]
            try:
                # Whichever side ends first ends the other.
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
        except OSError:
            pass  # the server is not there: the client sees its connection end
        finally:
            self._links.discard(link)
            for each in writers:
                each.close()
                self._writers.discard(each)
                with contextlib.suppress(OSError):
                    await each.wait_closed()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, link: _Link, *, from_client: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                if from_client:
                    self.received += len(data)
                    link.greeting += data[: _GREETING - len(link.greeting)]
                if self.delay:
                    await asyncio.sleep(self.delay)
                if not from_client:
                    await asyncio.sleep(len(data) / self.rate)
                await self._flowing.wait()
                if link.swallowed:
                    continue
                if from_client and self._last_words is not None and self._last_words in data:
                    self._last_words, link.swallowed = None, True
                writer.write(data)
                await writer.drain()
        if link.swallowed and not from_client:
            await asyncio.Event().wait()  # the client is not told that the server has closed it, either

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        parts = urlsplit(self._target)
        host = dict(parse_qsl(parts.query)).get("host") or parts.hostname or "127.0.0.1"
        port = parts.port or 5432
        if host.startswith("/"):
            return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        return await asyncio.open_connection(host, port)


def _being_accepted() -> list[asyncio.Task[Any]]:
    """Return asyncio's own tasks for connections that have no handler yet."""
    return [task for task in asyncio.all_tasks() if "_accept_connection" in repr(task.get_coro())]
