"""Whom a token lets in: asked of the database once in a while, and remembered for less than a second in between."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from automagik_prompts.domain.log import logger
from automagik_prompts.domain.policy import Actor, Token
from automagik_prompts.exceptions import PromptsError
from automagik_prompts.later import Later
from automagik_prompts.runtime.lifecycle import Lifecycle

if TYPE_CHECKING:
    from automagik_prompts.editing.access import tokens
    from automagik_prompts.storage.database import Database
else:
    tokens = Later("automagik_prompts.editing.access.tokens")

BELIEVED = 0.5
"""Seconds for which a token is believed to be usable still; revoking it takes effect within a second."""

NOTED = 60.0
"""Seconds between two times that the use of a token is written."""


@dataclass(slots=True)
class _Known:
    token: Token
    until: float
    noted: float


class TokenDoor:
    """Tells whom a secret lets in, in one process.

    Args:
        life: The plugin's thread, which notes uses without anybody waiting.
        read: Reads on that thread.
    """

    def __init__(
        self,
        life: Lifecycle,
        read: Callable[[Callable[[Database], Coroutine[Any, Any, Token | None]]], Awaitable[Token | None]],
    ) -> None:
        self._life = life
        self._read = read
        self._known: dict[str, _Known] = {}

    async def actor(self, authorization: str | None) -> Actor | None:
        """Return who is let in; `None` for nobody.

        Args:
            authorization: The header `Authorization` of a request, such as `Bearer amp_...`.

        Raises:
            DatabaseUnavailableError: The database cannot be asked now, so nobody can be let in.
        """
        scheme, _, secret = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not tokens.is_secret(secret := secret.strip()):
            return None
        # What is compared from here on is the hash, which says nothing about secrets that are nearly right.
        digest = tokens.digest_of(secret)
        known = self._known.get(digest)
        if known is None or time.monotonic() >= known.until:
            known = await self._asked(digest)
        if known is None or not known.token.is_usable(datetime.now(UTC)):
            return None
        self._note(known)
        return known.token.actor

    async def _asked(self, digest: str) -> _Known | None:
        """Ask the database, and remember what it says of a token that there is."""
        asked = time.monotonic()
        found = await self._read(lambda database: tokens.find(database, digest))
        before = self._known.pop(digest, None)
        if found is None:
            return None
        noted = before.noted if before is not None else float("-inf")
        known = self._known[digest] = _Known(found, asked + BELIEVED, noted)
        return known

    def _note(self, known: _Known) -> None:
        """Have the use written soon, once in a while; nobody waits for it."""
        now = time.monotonic()
        if now - known.noted < NOTED:
            return
        known.noted = now
        self._life.submit(lambda database: _note_use(database, known.token))


async def _note_use(database: Database, token: Token) -> None:
    try:
        await tokens.note_use(database, token.id, NOTED)
    except PromptsError as error:
        logger.debug("That the token %s was used is not written now: %s", token.id, error)
