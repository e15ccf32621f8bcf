"""Tokens for programs: made, found by what a program sends, and revoked; the secret is kept nowhere, only its hash."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from automagik_prompts.domain.policy import Actor, NewToken, Token
from automagik_prompts.domain.text import nearest
from automagik_prompts.domain.validation import MAX_NAME_LENGTH, check_name
from automagik_prompts.exceptions import InvalidPromptError, PromptNotFoundError
from automagik_prompts.storage import repository
from automagik_prompts.storage.database import Database

PREFIX = "amp_"
"""What each secret begins with, so that people and programs that look for leaked ones recognise it."""

LONGEST_LIFETIME = timedelta(days=3650)
"""How long a token may hold, if not for ever."""

_BYTES = 32
_SECRET = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}")
_ACTOR = "token:{}"


async def create(
    database: Database,
    name: str,
    roles: Sequence[str],
    agents: Sequence[str],
    expires: timedelta | None,
    *,
    author: str | None,
) -> NewToken:
    """Make a token.

    Args:
        database: An open database.
        name: The program's name.
        roles: Its roles.
        agents: The agents for which they hold, as names or patterns.
        expires: How long it holds; `None` for ever.
        author: Who makes it.

    Raises:
        InvalidPromptError: The name, a role, an agent or the time cannot be.
        DatabaseUnavailableError: The database cannot be written now.
    """
    name = check_name(name, "token's name", limit=MAX_NAME_LENGTH - len(_ACTOR))
    if name.isdecimal():
        raise InvalidPromptError(f"A token's name is no number, as {name} would be: by that a token is revoked.")
    if not roles or not agents:
        raise InvalidPromptError("A token without a role, or for no agent, could do nothing. Give it at least one.")
    if expires is not None and not timedelta(0) < expires <= LONGEST_LIFETIME:
        raise InvalidPromptError(f"A token holds for {LONGEST_LIFETIME.days} days at most, or for ever.")
    for one in roles:
        check_name(one, "role")
    for one in agents:
        check_name(one, "agent's name")
    actor = Actor(_ACTOR.format(name), None, tuple(roles), tuple(agents))
    secret = PREFIX + secrets.token_urlsafe(_BYTES)
    ends = datetime.now(UTC) + expires if expires is not None else None
    return NewToken(
        await database.transaction(repository.add_token, name, digest_of(secret), actor, author, ends), secret
    )


async def find_all(database: Database) -> tuple[Token, ...]:
    """Return all tokens, the newest first.

    Raises:
        DatabaseUnavailableError: The database cannot be read now.
    """
    return tuple(await database.run(repository.get_tokens))


async def revoke(database: Database, which: int | str) -> Token:
    """Revoke a token by its number, or by a name that only one usable token has.

    Raises:
        PromptNotFoundError: There is no such token.
        InvalidPromptError: Several have that name.
        DatabaseUnavailableError: The database cannot be written now.
    """
    known, now = await find_all(database), datetime.now(UTC)
    is_number = not isinstance(which, str) or which.isdecimal()
    meant = [one for one in known if (one.id == int(which) if is_number else one.name == which)]
    if not meant:
        names = {one.name for one in known}
        raise PromptNotFoundError(
            f"There is no token {which if is_number else repr(which)}. {nearest(str(which), names, 'tokens')}"
        )
    usable = [one for one in meant if one.is_usable(now)]
    if len(usable) > 1:
        numbers = " and ".join(str(one.id) for one in reversed(usable))
        raise InvalidPromptError(f"{len(usable)} tokens are called {which}: revoke {numbers} by their numbers.")
    chosen = (usable or meant)[0]
    await database.transaction(repository.revoke_token, chosen.id)
    return next(one for one in await find_all(database) if one.id == chosen.id)


async def find(database: Database, digest: str) -> Token | None:
    """Return the token with a hash, usable or not; `None` if there is none.

    Raises:
        DatabaseUnavailableError: The database cannot be read now.
    """
    return await database.run(repository.find_token, digest)


async def note_use(database: Database, token_id: int, seconds: float) -> None:
    """Write that a token is used now, unless that was written within so many seconds.

    Raises:
        DatabaseUnavailableError: The database cannot be written now.
    """
    await database.transaction(repository.note_token_use, token_id, seconds)


def is_secret(given: str) -> bool:
    """Return whether something looks like a token's secret."""
    return _SECRET.fullmatch(given) is not None


def digest_of(secret: str) -> str:
    """Return what is kept of a secret. It is random and long, so nobody can guess one that has a given hash."""
    return hashlib.sha256(secret.encode()).hexdigest()
