"""Tokens on each engine: made once, found by their hash alone, ended by time or by somebody."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from automagik_prompts.domain.policy import ALLOW, Actor, Operation
from automagik_prompts.domain.roles import Roles
from automagik_prompts.editing.access import tokens
from automagik_prompts.editing.direct import DatabaseEdits
from automagik_prompts.exceptions import InvalidPromptError, NotAllowedError, PromptNotFoundError
from automagik_prompts.storage import repository
from automagik_prompts.storage.connection import Client, Connection
from automagik_prompts.storage.database import Database

ADA = Actor("ada", "Ada Lima", roles=("admin",))


def edits(database: Database, actor: Actor | None = ADA) -> DatabaseEdits:
    """Return what edits on behalf of somebody, by roles."""
    return DatabaseEdits(database, policy=Roles(), actor=actor)


async def test_what_is_kept_of_a_token(database: Database, agent: str) -> None:
    """All that was said is kept and found by the secret's hash; the secret itself is nowhere in the table."""
    before = datetime.now(UTC)
    made = await edits(database).create_token(agent, roles=["editor", "publisher"], agents=["sales*", agent])
    kept = made.token
    assert kept.actor == Actor(f"token:{agent}", None, ("editor", "publisher"), tuple(sorted(["sales*", agent])))
    assert (kept.name, kept.created_by, kept.revoked_at, kept.last_used_at) == (agent, "Ada Lima", None, None)
    assert kept.expires_at is not None
    assert kept.expires_at - before >= timedelta(days=90)
    assert await tokens.find(database, tokens.digest_of(made.secret)) == kept
    assert (await edits(database).tokens())[0] == kept
    assert tokens.is_secret(made.secret)
    assert len(made.secret) == len(tokens.PREFIX) + 43
    assert made.secret not in repr(made)

    async def rows(db: Client) -> str:
        return repr(await Connection(db).rows("SELECT * FROM prompt_tokens"))

    everything = await database.run(rows)
    assert made.secret not in everything
    assert made.secret.removeprefix(tokens.PREFIX) not in everything
    assert hashlib.sha256(made.secret.encode()).hexdigest() in everything


async def test_no_two_secrets_are_alike(database: Database, agent: str) -> None:
    """A name may be had twice, while one token takes the place of another; each has a secret of its own."""
    first, second = [await edits(database).create_token(agent, roles=["viewer"]) for _ in range(2)]
    assert first.secret != second.secret
    assert first.token.actor == second.token.actor
    with pytest.raises(InvalidPromptError, match=f"revoke {first.token.id} and {second.token.id} by their numbers"):
        await edits(database).revoke_token(agent)
    assert (await edits(database).revoke_token(first.token.id)).id == first.token.id
    assert (await edits(database).revoke_token(agent)).id == second.token.id


async def test_a_token_ends(database: Database, agent: str) -> None:
    """It lets in until its time, or until somebody revokes it; revoking it again changes nothing."""
    made = (await edits(database).create_token(agent, roles=["viewer"], expires=timedelta(hours=1))).token
    now = datetime.now(UTC)
    assert (made.is_usable(now), made.is_usable(now + timedelta(hours=2))) == (True, False)
    revoked = await edits(database).revoke_token(agent)
    assert revoked.revoked_at is not None
    assert not revoked.is_usable(now)
    assert await edits(database).revoke_token(str(made.id)) == revoked
    assert await edits(database).revoke_token(agent) == revoked
    for_ever = (await edits(database).create_token(agent, roles=["viewer"], expires=None)).token
    assert for_ever.is_usable(now + timedelta(days=36500))
    with pytest.raises(PromptNotFoundError, match=r"There is no token 'nobody-has-it'\."):
        await edits(database).revoke_token("nobody-has-it")
    with pytest.raises(PromptNotFoundError, match=r"There is no token 2147483647\."):
        await edits(database).revoke_token(2**31 - 1)


async def test_a_use_is_noted_once_a_minute(database: Database, agent: str) -> None:
    """Many servers that note it at once write it once; after the minute it is written again."""
    made = await edits(database).create_token(agent, roles=["viewer"])

    async def used() -> datetime | None:
        found = await tokens.find(database, tokens.digest_of(made.secret))
        assert found is not None
        return found.last_used_at

    await tokens.note_use(database, made.token.id, 60)
    first = await used()
    assert first is not None
    await tokens.note_use(database, made.token.id, 60)
    assert await used() == first
    await tokens.note_use(database, made.token.id, 0)
    last = await used()
    assert last is not None
    assert last > first


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"name": "12"}, "is no number"),
        ({"name": " ci"}, "begins or ends with a blank"),
        ({"name": "c" * 250}, "at most 247"),
        ({"roles": []}, "without a role"),
        ({"agents": []}, "for no agent"),
        ({"roles": ["editr"]}, "Did you mean 'editor'?"),
        ({"expires": timedelta(0)}, "holds for 3650 days at most"),
        ({"expires": timedelta(days=4000)}, "holds for 3650 days at most"),
    ],
)
async def test_what_cannot_be_is_refused(database: Database, given: dict[str, object], words: str) -> None:
    """What could never let anybody in is refused, and nothing is written."""
    before = await edits(database).tokens()
    wanted: dict[str, object] = {"name": "ci", "roles": ["editor"], **given}
    with pytest.raises(InvalidPromptError) as told:
        await edits(database).create_token(wanted.pop("name"), **wanted)  # type: ignore[arg-type]  # what is refused
    assert words in str(told.value)
    assert await edits(database).tokens() == before


async def test_another_policy_may_have_roles_of_its_own(database: Database, agent: str) -> None:
    """It is asked whether somebody may make tokens, and what its roles mean is its own matter."""
    asked: list[tuple[object, ...]] = []

    def policy(actor: Actor | None, operation: Operation, name: str, *_: object) -> object:
        asked.append((actor, operation, name))
        return ALLOW

    own = DatabaseEdits(database, policy=policy, actor=ADA)  # type: ignore[arg-type]  # as a policy is called
    assert (await own.create_token(agent, roles="translator")).token.actor.roles == ("translator",)
    assert asked == [(ADA, Operation.TOKENS, "")]


@pytest.mark.parametrize(
    "actor", [None, Actor("eva", roles=("editor", "publisher", "approver")), Actor("bo", None, ("admin",), ("sales*",))]
)
async def test_only_an_admin_for_all_agents(database: Database, actor: Actor | None) -> None:
    """Nobody else makes, sees or revokes any."""
    made = (await edits(database).create_token("for-admins", roles=["viewer"])).token
    theirs = edits(database, actor)
    for refused in (theirs.create_token("mine", roles=["admin"]), theirs.tokens(), theirs.revoke_token(made.id)):
        with pytest.raises(NotAllowedError, match="may not make, see or revoke tokens for all agents"):
            await refused
    found = {one.id: one for one in await edits(database).tokens()}
    assert found[made.id] == made
    assert "mine" not in {one.name for one in found.values()}


async def test_a_row_that_sql_has_made_unreadable(database: Database, agent: str) -> None:
    """It lets in for nothing, and keeps nobody from seeing the others."""
    made = await edits(database).create_token(agent, roles=["viewer"])

    async def spoil(db: Client) -> None:
        await Connection(db).run("UPDATE prompt_tokens SET roles = '7', agents = '{}' WHERE id = ?", made.token.id)

    await database.transaction(spoil)
    found = await tokens.find(database, tokens.digest_of(made.secret))
    assert found is not None
    assert (found.actor.roles, found.actor.agents) == ((), ())
    assert not found.actor.covers(agent)
    await database.run(repository.revoke_token, made.token.id)
