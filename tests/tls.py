"""A door in front of a database server that speaks TLS, as the server of the tests cannot, and certificates for it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, urlsplit

_SSL_REQUEST = bytes((0, 0, 0, 8, 4, 210, 22, 47))
"""How a client asks for TLS: https://www.postgresql.org/docs/current/protocol-flow.html"""


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files of an authority and of what it has signed.

    Attributes:
        authority: The authority's certificate.
        stranger: Another authority's.
        server: The server's certificate, for `localhost`.
        server_key: Its key.
        client: A client's certificate.
        client_key: Its key.
    """

    authority: Path
    stranger: Path
    server: Path
    server_key: Path
    client: Path
    client_key: Path


def make_certificates(folder: Path) -> Certificates:
    """Make them with the command `openssl`."""
    folder.mkdir()

    def run(*arguments: str) -> None:
        command = ["openssl", *arguments]
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=60)  # constants

    for name in ("authority", "stranger"):
        run(
            *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"),
            *("-addext", "basicConstraints=critical,CA:TRUE", "-keyout", f"{name}.key", "-out", f"{name}.crt"),
        )
    (folder / "names").write_text("subjectAltName=DNS:localhost")
    for name in ("server", "client"):
        run("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", "asked")
        signed = ("-CA", "authority.crt", "-CAkey", "authority.key", "-CAcreateserial", "-days", "2")
        run("x509", "-req", "-in", "asked", *signed, "-extfile", "names", "-out", f"{name}.crt")
        (folder / f"{name}.key").chmod(0o600)
    return Certificates(
        authority=folder / "authority.crt",
        stranger=folder / "stranger.crt",
        server=folder / "server.crt",
        server_key=folder / "server.key",
        client=folder / "client.crt",
        client_key=folder / "client.key",
    )


class TlsDoor:
    """Lets connections to a server in on 127.0.0.1, with TLS where the client asks for it.

    Args:
        server_url: A database URL of the server, by socket.
        certificates: What the door shows.
        client: Whether a client must show a certificate of the same authority.

    Attributes:
        port: The port.
        encrypted: How many connections were encrypted.
        plain: How many were not.
    """

    def __init__(self, server_url: str, certificates: Certificates, *, client: bool = False) -> None:
        self.port = self.encrypted = self.plain = 0
        parts = urlsplit(server_url)
        self._socket = f"{dict(parse_qsl(parts.query))['host']}/.s.PGSQL.{parts.port or 5432}"
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(certificates.server, certificates.server_key)
        if client:
            self._context.verify_mode = ssl.CERT_REQUIRED
            self._context.load_verify_locations(certificates.authority)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tls door", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(20)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(20)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)
        self._loop.close()

    def url(self, database_url: str, options: str = "", host: str = "localhost") -> str:
        """Return the URL of a database through the door."""
        parts = urlsplit(database_url)
        return f"postgresql://{parts.username or 'postgres'}@{host}:{self.port}{parts.path}{options}"

    async def _open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self._server.close()
        mine = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in mine:
            task.cancel()
        await asyncio.gather(*mine, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            first = await reader.readexactly(len(_SSL_REQUEST))
            if first == _SSL_REQUEST:
                writer.write(b"S")
                await writer.start_tls(self._context)
                self.encrypted += 1
                first = b""
            else:
                self.plain += 1
            inner, outer = await asyncio.open_unix_connection(self._socket)
            outer.write(first)
            pumps = [asyncio.ensure_future(_pump(reader, outer)), asyncio.ensure_future(_pump(inner, writer))]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
                await _closed(outer)
        await _closed(writer)


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError, ssl.SSLError, TimeoutError):
        async with asyncio.timeout(2):
            await writer.wait_closed()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
