"""A real connection pooler for the tests: PgBouncer, in front of the PostgreSQL server that they use."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
"""The program; Debian has it in the package of that name."""

STARTING = 20.0
"""Seconds within which it must take connections."""

Mode = Literal["transaction", "session"]

_USER = "nobody"
"""Whom it runs as where the tests run as root, which it refuses, and the server has no user of its own here."""


class Pooler:
    """A PgBouncer on 127.0.0.1, with a process of its own.

    Args:
        folder: Where its configuration and its log are kept.
        server_url: A database URL of the server, by socket or by TCP.
        mode: When a connection of the server's is given to somebody else: after each transaction, or session.
    """

    def __init__(self, folder: Path, server_url: str, mode: Mode) -> None:
        assert PROGRAM is not None
        parts = urlsplit(server_url)
        host = dict(parse_qsl(parts.query)).get("host") or parts.hostname or "127.0.0.1"
        with socket.socket() as reserved:
            reserved.bind(("127.0.0.1", 0))
            self.port: int = reserved.getsockname()[1]
        configuration = folder / "pgbouncer.ini"
        user = parts.username or "postgres"
        password = f" password={parts.password}" if parts.password else ""
        configuration.write_text(
            f"""\
[databases]
* = host={host} port={parts.port or 5432} user={user}{password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self.port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = 5
max_client_conn = 200
logfile = {folder / "pgbouncer.log"}
""",
            encoding="utf-8",
        )
        as_root = os.geteuid() == 0
        if as_root:
            # It must be able to write its log, and to reach the server's socket, which may be in its owner's folder.
            where = Path(host) / f".s.PGSQL.{parts.port or 5432}"
            uid = where.stat().st_uid if where.exists() else pwd.getpwnam(_USER).pw_uid
            owner = pwd.getpwuid(uid or pwd.getpwnam(_USER).pw_uid)
            for path in (folder, configuration):
                os.chown(path, owner.pw_uid, owner.pw_gid)
        self._process = subprocess.Popen(
            [PROGRAM, "-q", str(configuration)],
            user=owner.pw_uid if as_root else None,
            group=owner.pw_gid if as_root else None,
            extra_groups=[] if as_root else None,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._log = folder / "pgbouncer.log"
        try:
            self._wait_until_open()
        except BaseException:
            self.stop()
            raise

    def url(self, database_url: str, options: str = "") -> str:
        """Return the URL of one of the server's databases through this pooler."""
        parts = urlsplit(database_url)
        return f"postgresql://{parts.username or 'postgres'}@127.0.0.1:{self.port}{parts.path}{options}"

    def stop(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.wait(STARTING)

    def _wait_until_open(self) -> None:
        deadline = time.monotonic() + STARTING
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                log = self._log.read_text(encoding="utf-8") if self._log.exists() else ""
                assert self._process.poll() is None, f"PgBouncer has ended: {log}"
                assert time.monotonic() < deadline, f"PgBouncer takes no connections: {log}"
                time.sleep(0.01)
            else:
                return
