"""Whom a token lets in: at once, nobody whose token has ended, and at no cost of a request that notes its use."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import pytest
from starlette.requests import Request

from automagik_prompts.api.tokens import by_token
from automagik_prompts.domain.policy import Actor, Identity
from automagik_prompts.domain.roles import Roles
from automagik_prompts.editing.access import tokens
from automagik_prompts.exceptions import ConfigurationError, DatabaseUnavailableError, NotAllowedError
from automagik_prompts.plugin import PromptPlugin
from automagik_prompts.runtime.tokens import BELIEVED
from automagik_prompts.schema.migrate import upgrade
from automagik_prompts.storage.database import Database
from tests.conftest import MakePlugin
from tests.proxy import Proxy
from tests.waiting import DEADLINE

ADA = Actor("ada", roles=("admin",))


async def until(holds: Callable[[], Awaitable[object]]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(DEADLINE):
        while True:
            if await holds():
                return
            await asyncio.sleep(0.01)


async def let_in(plugin: PromptPlugin, secret: str, scheme: str = "Bearer") -> Actor | None:
    """Return whom a secret lets in."""
    return await plugin.token_actor(f"{scheme} {secret}")


async def last_used(plugin: PromptPlugin, name: str) -> datetime | None:
    """Return when a token was used last, as far as it is written."""
    return next(one.last_used_at for one in await plugin.acting_as(ADA).tokens() if one.name == name)


@pytest.fixture
def plugin(database_url: str, make_plugin: MakePlugin) -> PromptPlugin:
    """A plugin whose policy goes by roles."""
    return make_plugin(database_url, policy=Roles())


async def test_who_is_let_in(plugin: PromptPlugin, caplog: pytest.LogCaptureFixture) -> None:
    """The token's own actor, however the scheme is spelt; nothing that is only nearly right, and no log names any."""
    caplog.set_level(logging.DEBUG)
    made = await plugin.acting_as(ADA).create_token("ci", roles=["editor"], agents=["sales*"])
    secret = made.secret
    for scheme in ("Bearer", "bearer", "BEARER "):
        assert await let_in(plugin, secret, scheme) == made.token.actor
    nearly = [secret[:-1], secret + "A", secret.upper(), secret.removeprefix("amp_"), tokens.digest_of(secret), ""]
    for wrong in (*nearly, secret[:-1] + ("A" if secret[-1] != "A" else "B")):
        assert await let_in(plugin, wrong) is None, wrong
    for header in (None, "", secret, f"Basic {secret}", "Bearer"):
        assert await plugin.token_actor(header) is None
    assert secret not in caplog.text


async def test_its_roles_are_obeyed(plugin: PromptPlugin) -> None:
    """What it does is done by `token:NAME`, and what its roles do not allow, or not for that agent, is refused."""
    admin = plugin.acting_as(ADA)
    await admin.create("sales", "NEW", "Sell.", new_agent=True)
    await admin.create("billing", "NEW", "Bill.", new_agent=True)
    made = await admin.create_token("ci", roles=["editor"], agents=["sales*"])
    actor = await let_in(plugin, made.secret)
    assert actor is not None
    ci = plugin.acting_as(actor)
    done = await ci.create("sales", "NEW", "Sell more.")
    assert done.prompt is not None
    assert done.prompt.author == "token:ci"
    with pytest.raises(NotAllowedError, match="token:ci may not activate sales/NEW"):
        await ci.activate("sales", "NEW", 2)
    with pytest.raises(NotAllowedError, match="token:ci may not create billing/NEW"):
        await ci.create("billing", "NEW", "Bill more.")
    with pytest.raises(NotAllowedError, match="tokens for all agents"):
        await ci.create_token("more", roles=["admin"])


async def test_revoked_in_every_server(database_url: str, make_plugin: MakePlugin) -> None:
    """Each of several servers that know a token refuses it soon after one of them has revoked it, and for good."""
    servers = [make_plugin(database_url, policy=Roles()) for _ in range(3)]
    made = await servers[0].acting_as(ADA).create_token("ci", roles=["viewer"])
    for server in servers:
        assert await let_in(server, made.secret) == made.token.actor
    await servers[0].acting_as(ADA).revoke_token("ci")
    for server in servers:

        async def is_refused(server: PromptPlugin = server) -> bool:
            return await let_in(server, made.secret) is None

        await until(is_refused)
    # How long asking takes is a matter of the machine; each server asks anew before a second is over.
    assert BELIEVED <= 0.5
    assert [await let_in(server, made.secret) for server in servers] == [None] * 3


async def test_expired(plugin: PromptPlugin) -> None:
    """When its time is over a token that a server has just believed is refused."""
    made = await plugin.acting_as(ADA).create_token("ci", roles=["viewer"], expires=timedelta(seconds=1.5))
    assert await let_in(plugin, made.secret) == made.token.actor

    async def is_refused() -> bool:
        return await let_in(plugin, made.secret) is None

    await until(is_refused)


async def test_a_use_costs_no_request(plugin: PromptPlugin, monkeypatch: pytest.MonkeyPatch) -> None:
    """A use is noted once a minute, and a request does not wait for that: here it never ends."""
    made = await plugin.acting_as(ADA).create_token("ci", roles=["viewer"])
    noted, write = [], tokens.note_use

    async def slow(database: Database, token_id: int, seconds: float) -> None:
        noted.append(token_id)
        await write(database, token_id, seconds)
        await asyncio.Event().wait()

    monkeypatch.setattr(tokens, "note_use", slow)
    answers = await asyncio.gather(*(let_in(plugin, made.secret) for _ in range(100)))
    assert set(answers) == {made.token.actor}

    async def is_noted() -> bool:
        return await last_used(plugin, "ci") is not None

    await until(is_noted)
    assert noted == [made.token.id]


async def test_in_an_outage_nobody_is_let_in(proxy: Proxy, postgres_url: str, make_plugin: MakePlugin) -> None:
    """Whether a token still holds cannot be known then; that is said, and is no refusal."""
    async with Database(postgres_url) as database:
        await upgrade(database)
    plugin = make_plugin(proxy.url(postgres_url), policy=Roles())
    made = await plugin.acting_as(ADA).create_token("ci", roles=["viewer"])
    assert await let_in(plugin, made.secret) == made.token.actor
    proxy.refuse()
    said: list[str] = []

    async def is_unknown() -> bool:
        try:
            await let_in(plugin, made.secret)
        except DatabaseUnavailableError as error:
            said.append(str(error))
            return True
        return False

    await until(is_unknown)
    assert made.secret not in said[0]
    proxy.open()

    async def is_let_in() -> bool:
        try:
            return await let_in(plugin, made.secret) is not None
        except DatabaseUnavailableError:
            return False

    await until(is_let_in)


async def test_without_a_policy(database_url: str, make_plugin: MakePlugin) -> None:
    """Where nothing decides who may do what, a token would be a key to everything: nobody is let in."""
    plugin = make_plugin(database_url)
    made = await plugin.create_token("ci", roles=["viewer"])
    with pytest.raises(ConfigurationError, match=r"PromptPlugin\(policy=Roles\(\)\)"):
        await let_in(plugin, made.secret)
    with pytest.raises(ConfigurationError, match="whoever has one could do everything"):
        by_token(plugin)


async def test_as_an_identify(plugin: PromptPlugin) -> None:
    """`by_token` reads the header of a request; another policy than the roles is asked with the same actor."""
    made = await plugin.acting_as(ADA).create_token("ci", roles=["viewer"])
    identify = by_token(plugin)

    def request(**headers: str) -> Request:
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        return Request({"type": "http", "headers": raw})

    assert await identify(request(authorization=f"Bearer {made.secret}")) == Identity(made.token.actor)
    assert await identify(request()) is None
