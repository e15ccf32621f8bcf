"""A connection that only listens for notifications, and whether its server is short of connections.

It is a connection of its own: one from a pool would lose its listeners. Nothing here is sent as a prepared statement,
which a connection pooler may lose.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Self

from automagik_prompts.storage.dialects.postgres import LISTENER, ask_for_life, connect_parameters, is_direct
from automagik_prompts.storage.repository import CHANNEL

if TYPE_CHECKING:
    import asyncpg  # type: ignore[import-untyped]  # it has no types

NOTICE = "crowded"
"""What is sent to those who listen when connections are short, so that they look too, and give theirs back."""

# One statement proves that notifications arrive, looks, and tells: an idle process asks it once a minute. It returns
# two rows where connections are short. The columns are those that every user may see; `pg_stat_activity` hides from
# most what others' connections are for.
_LOOK = """\
WITH crowd AS MATERIALIZED (SELECT GREATEST(
    (SELECT SUM(numbackends) FROM pg_stat_database)
    / (current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int)::float8,
    (SELECT s.numbackends / d.datconnlimit::float8 FROM pg_database d JOIN pg_stat_database s ON s.datid = d.oid
    WHERE d.datname = current_database() AND d.datconnlimit > 0),
    (SELECT COUNT(*) / r.rolconnlimit::float8 FROM pg_roles r JOIN pg_stat_activity a ON a.usesysid = r.oid
    WHERE r.rolname = current_user AND r.rolconnlimit > 0 GROUP BY r.rolconnlimit)
) AS share)
SELECT pg_notify('{channel}', '{proof}') FROM crowd
UNION ALL SELECT pg_notify('{channel}', '{notice}') FROM crowd WHERE share > {limit}
"""
_SHORT = "SELECT 2"


class UndeliveredError(Exception):
    """A notification was sent, and did not arrive.

    Args:
        direct: Whether the listening connection goes to the server itself, past any pooler.
    """

    def __init__(self, *, direct: bool) -> None:
        super().__init__("A notification was sent and did not arrive.")
        self.direct = direct


class Listener:
    """Listens on one connection.

    Args:
        connection: The driver's connection.
        notified: Called with the payload of each notification that is no proof of this listener's.
        lost: Called when the connection ends.
        direct: Whether the connection goes to the server itself, past any pooler.
    """

    def __init__(
        self,
        connection: asyncpg.Connection[Any],
        notified: Callable[[str], None],
        lost: Callable[[], None],
        *,
        direct: bool = True,
    ) -> None:
        self.is_direct = direct
        self._connection = connection
        self._notified = notified
        self._proofs: dict[str, asyncio.Event] = {}
        connection.add_termination_listener(lambda _connection: lost())

    @classmethod
    async def connect(cls, url: str, seconds: float, notified: Callable[[str], None], lost: Callable[[], None]) -> Self:
        """Connect and listen.

        Args:
            url: The database URL.
            seconds: Seconds that listening may take; connecting may take twice as long.
            notified: Called with the payload of each notification that is no proof of this listener's.
            lost: Called when the connection ends.

        Raises:
            TimeoutError: The server did not answer in time.
        """
        connection = await _connect(url, seconds, LISTENER)
        try:
            async with asyncio.timeout(seconds):
                listener = cls(connection, notified, lost, direct=await is_direct(connection))
                await connection.add_listener(CHANNEL, listener._received)
        except BaseException:
            connection.terminate()
            raise
        return listener

    @property
    def is_closed(self) -> bool:
        """Whether the connection has ended."""
        return bool(self._connection.is_closed())

    async def prove(self, seconds: float, limit: float, sender: str | None = None) -> bool:
        """Have a notification sent and wait for it; return whether the server is short of connections.

        Args:
            seconds: Seconds within which it must be sent, and then arrive.
            limit: The share of the connections in use from which on they are short.
            sender: The URL of the database that sends it, on a connection for this only. Without, it is sent on the
                listening connection, which proves nothing behind a pooler: that delivers it to its sender.

        Raises:
            TimeoutError: The server did not answer in time.
            UndeliveredError: It was sent and did not arrive.
        """
        proof = uuid.uuid4().hex
        arrived = self._proofs[proof] = asyncio.Event()
        try:
            if sender is None:
                is_short = await _look(self._connection, seconds, proof, limit)
            else:
                async with _sending(sender, seconds) as connection:
                    is_short = await _look(connection, seconds, proof, limit)
            try:
                async with asyncio.timeout(seconds):
                    await arrived.wait()
            except TimeoutError:
                raise UndeliveredError(direct=self.is_direct) from None
        finally:
            del self._proofs[proof]
        return is_short

    async def check_alive(self, seconds: float) -> None:
        """Make sure that the connection answers: its packets may vanish without a word.

        Raises:
            TimeoutError: It does not.
        """
        await ask_for_life(self._connection, seconds)

    def terminate(self) -> None:
        """End the connection at once."""
        self._connection.terminate()

    def _received(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        if (proof := self._proofs.get(str(payload))) is not None:
            proof.set()
        else:
            self._notified(str(payload))


async def _connect(url: str, seconds: float, name: str) -> asyncpg.Connection[Any]:
    import asyncpg  # an optional dependency, needed for servers only

    # Where a pooler gives each transaction another connection, a prepared statement would be lost.
    parameters = connect_parameters(url, application_name=name)
    async with asyncio.timeout(seconds * 2):
        return await asyncpg.connect(**{"command_timeout": seconds, **parameters, "statement_cache_size": 0})


@asynccontextmanager
async def _sending(url: str, seconds: float) -> AsyncIterator[asyncpg.Connection[Any]]:
    """Give a connection to send one notification through."""
    connection = await _connect(url, seconds, "automagik-prompts proof")
    try:
        yield connection
        await connection.close(timeout=seconds)
    finally:
        connection.terminate()


async def _look(connection: asyncpg.Connection[Any], seconds: float, proof: str, limit: float) -> bool:
    """Send a proof, and return whether connections are short; then those who listen are told."""
    import asyncpg  # as above

    statement = _LOOK.format(channel=CHANNEL, proof=proof, notice=NOTICE, limit=float(limit))
    try:
        return bool(await connection.execute(statement, timeout=seconds) == _SHORT)
    except asyncpg.PostgresError:
        # Something that only resembles PostgreSQL does not know how many there are.
        await connection.execute(f"SELECT pg_notify('{CHANNEL}', '{proof}')", timeout=seconds)
        return False
