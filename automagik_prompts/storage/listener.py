"""A connection that only listens for notifications, and whether its server is short of connections.

It is a connection of its own: one from a pool would lose its listeners.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from automagik_prompts.storage.dialects.postgres import connect_parameters
from automagik_prompts.storage.repository import CHANNEL

if TYPE_CHECKING:
    import asyncpg  # type: ignore[import-untyped]  # it has no types

NOTICE = "crowded"
"""What is sent to those who listen when connections are short, so that they look too, and give theirs back."""

# One statement proves that notifications arrive, looks, and tells: an idle process asks it once a minute. The columns
# are those that every user may see; `pg_stat_activity` hides from most what others' connections are for.
_LOOK = """\
WITH crowd AS MATERIALIZED (SELECT GREATEST(
    (SELECT SUM(numbackends) FROM pg_stat_database)
    / (current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int)::float8,
    (SELECT s.numbackends / d.datconnlimit::float8 FROM pg_database d JOIN pg_stat_database s ON s.datid = d.oid
    WHERE d.datname = current_database() AND d.datconnlimit > 0),
    (SELECT COUNT(*) / r.rolconnlimit::float8 FROM pg_roles r JOIN pg_stat_activity a ON a.usesysid = r.oid
    WHERE r.rolname = current_user AND r.rolconnlimit > 0 GROUP BY r.rolconnlimit)
) AS share)
SELECT share, pg_notify($1, $2), CASE WHEN share > $3::float8 THEN pg_notify($1, $4) END FROM crowd
"""


class Listener:
    """Listens on one connection.

    Args:
        connection: The driver's connection.
        notified: Called with the payload of each notification that is no proof of this listener's.
        lost: Called when the connection ends.
    """

    def __init__(
        self, connection: asyncpg.Connection[Any], notified: Callable[[str], None], lost: Callable[[], None]
    ) -> None:
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
        import asyncpg  # an optional dependency, needed for servers only

        async with asyncio.timeout(seconds * 2):
            connection = await asyncpg.connect(
                **connect_parameters(url), server_settings={"application_name": "automagik-prompts listener"}
            )
        listener = cls(connection, notified, lost)
        try:
            async with asyncio.timeout(seconds):
                await connection.add_listener(CHANNEL, listener._received)
        except BaseException:
            listener.terminate()
            raise
        return listener

    @property
    def is_closed(self) -> bool:
        """Whether the connection has ended."""
        return bool(self._connection.is_closed())

    async def prove(self, seconds: float, limit: float) -> bool:
        """Send a notification to oneself and wait for it; return whether the server is short of connections.

        Args:
            seconds: Seconds within which it must arrive.
            limit: The share of the connections in use from which on they are short.

        Raises:
            TimeoutError: It did not arrive.
        """
        proof = uuid.uuid4().hex
        arrived = self._proofs[proof] = asyncio.Event()
        try:
            async with asyncio.timeout(seconds):
                is_short = await self._look(proof, limit)
                await arrived.wait()
        finally:
            del self._proofs[proof]
        return is_short

    def terminate(self) -> None:
        """End the connection at once."""
        self._connection.terminate()

    async def _look(self, proof: str, limit: float) -> bool:
        import asyncpg  # as above

        try:
            share = await self._connection.fetchval(_LOOK, CHANNEL, proof, limit, NOTICE)
        except asyncpg.PostgresError:
            # Something that only resembles PostgreSQL does not know how many there are.
            await self._connection.execute("SELECT pg_notify($1, $2)", CHANNEL, proof)
            return False
        return float(share) > limit

    def _received(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        if (proof := self._proofs.get(str(payload))) is not None:
            proof.set()
        else:
            self._notified(str(payload))
