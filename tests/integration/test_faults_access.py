"""Faults 43 and 44, and what is told: a password that stops working, prompts given twice, and logs without secrets."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from pydantic_ai import Agent

from automagik_prompts.agent.capability import ActivePrompt
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.served import Source, State
from automagik_prompts.exceptions import AccessDeniedError, DatabaseUnavailableError, DeclarationError
from automagik_prompts.following import follower, listening
from automagik_prompts.schema.migrate import upgrade
from automagik_prompts.storage.database import Database
from tests.conftest import MakePlugin
from tests.faults import assert_follows, assert_silent, execute, lines, notification, told
from tests.listening import Listener
from tests.proxy import PASSWORD, Proxy
from tests.servers import OwnServer
from tests.tampering import unkept
from tests.waiting import until

ROLE = "app"


@pytest.fixture
def guarded(server_folder: Path) -> Iterator[OwnServer]:
    """A server that asks one of its users for a password."""
    server = OwnServer(server_folder)
    rules = server_folder / "pg_hba.conf"
    rules.write_text(f"local all {ROLE} scram-sha-256\n" + rules.read_text(encoding="utf-8"), encoding="utf-8")
    server.execute("SELECT pg_reload_conf()")
    server.execute(f"CREATE ROLE {ROLE} LOGIN SUPERUSER PASSWORD '{PASSWORD}'")
    yield server
    server.stop()


async def test_fault_43_password_stops_working(
    guarded: OwnServer,
    registry: Registry,
    make_plugin: MakePlugin,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The last good text is served, it is tried for ever and seldom, and it heals when the password works again."""
    waits: list[tuple[float, float]] = []

    def soon(_attempt: int, first: float, longest: float) -> float:
        waits.append((first, longest))
        return 0.02

    async with Database(guarded.url) as database:
        await upgrade(database)
    registry.declare("a", {"default": "first"}, where="here")
    caplog.set_level(logging.DEBUG)
    parts = urlsplit(guarded.url)
    with Proxy(guarded.url) as proxy:
        url = proxy.url(urlunsplit(parts._replace(netloc=f"{ROLE}@{parts.netloc.rpartition('@')[2]}")))
        plugin = make_plugin(url)
        await plugin.ready()
        await plugin.create("a", "default", "second", activate=True)
        # The waits are real ones, made short; how long each would have been is noted.
        monkeypatch.setattr(follower, "backoff", soon)
        monkeypatch.setattr(listening, "backoff", soon)
        await execute(
            guarded.url,
            f"ALTER ROLE {ROLE} PASSWORD 'another-one'",
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{ROLE}'",
        )
        await until(lambda: "refuses the user or the password" in (plugin.health().error or ""), "it is refused")
        waits.clear()
        # Where a look has failed in another way, as by taking too long, that wait is another one, too.
        denied = {follower.BACKOFF_DENIED, listening.RETRY}
        await until(lambda: waits[20:] and set(waits[-8:]) <= denied, "it was tried many times, and seldom")
        assert follower.BACKOFF_DENIED in waits
        assert plugin.state is State.STALE
        assert await told(plugin, "a") == "second"
        explained, health = plugin.explain("a"), plugin.health()
        assert (explained.version, explained.source, explained.state) == (2, Source.DATABASE, State.STALE)
        assert (health.ready, health.state, health.listening) == (True, State.STALE, False)
        with pytest.raises(AccessDeniedError, match="Correct the password"):
            await plugin.rollback("a", "default")
        # A process that starts now has the texts from disk.
        other = make_plugin(url)
        assert await told(other, "a") == "second"
        assert other.explain("a").source is Source.DISK
        other.close()
        assert len(lines(caplog, logging.WARNING)) <= 4
        await execute(guarded.url, f"ALTER ROLE {ROLE} PASSWORD '{PASSWORD}'")
        await until(lambda: plugin.state is State.LIVE, "the password works again")
        assert_follows(plugin, "a", 2)
        assert (await plugin.rollback("a", "default")).active_version == 1
    assert_silent(caplog, PASSWORD, "another-one")


async def test_fault_44_installed_twice_and_given_twice(
    database_url: str, registry: Registry, make_plugin: MakePlugin
) -> None:
    """The prompt is told once, a collision is reported when the agent is built, and no text replaces another later."""
    registry.declare("stan", {"default": "You are Stan."}, where="here")
    registry.declare("rules", {"default": "Be kind."}, where="here")
    plugin = make_plugin(database_url)
    await plugin.ready()
    plugin.install().install()
    listener = Listener()
    # Installed twice, and given explicitly besides; a second agent of the same name.
    one = Agent(listener.model, name="stan", capabilities=[ActivePrompt("stan", plugin=plugin)])
    two = Agent(listener.model, name="stan")
    for agent in (one, two):
        result = await agent.run("hello")
        await agent.run("again", message_history=result.all_messages())
    assert [heard.system for heard in listener.heard] == [["You are Stan."]] * 4
    # Two prompts on one agent: both are told, on the second turn too.
    both = Agent(
        listener.model,
        name="both",
        capabilities=[ActivePrompt("stan", plugin=plugin), ActivePrompt("rules", plugin=plugin)],
    )
    result = await both.run("hello")
    await plugin.create("rules", "default", "Be very kind.", activate=True)
    await both.run("again", message_history=result.all_messages())
    first, second = (sorted(heard.system) for heard in listener.heard[-2:])
    assert first == ["Be kind.", "You are Stan."]
    assert second == ["Be very kind.", "You are Stan."]
    assert_follows(plugin, "stan", 1)
    assert_follows(plugin, "rules", 2)
    with pytest.raises(DeclarationError, match="stan"):
        Agent(
            listener.model,
            name="twice",
            capabilities=[
                ActivePrompt("stan", "default", plugin=plugin),
                ActivePrompt("stan", "OTHER", plugin=plugin),
            ],
        )


async def test_logs_hold_no_prompt_and_no_password(
    database_url: str,
    registry: Registry,
    make_plugin: MakePlugin,
    caplog: pytest.LogCaptureFixture,
    request: pytest.FixtureRequest,
) -> None:
    """With every logger at DEBUG, through writing, an outage and rows by SQL, no text and no password is logged."""
    secret, other = "The prompt that no log may hold.", "A second one, as secret."
    logging.getLogger("aiosqlite").setLevel(logging.NOTSET)
    caplog.set_level(logging.DEBUG)
    registry.declare("a", {"default": secret + " {{name}}"}, where="here")
    url = database_url
    if url.startswith("postgres"):
        proxy: Proxy = request.getfixturevalue("proxy")
        url = proxy.url(url)
    plugin = make_plugin(url, poll_interval=0.05)
    await plugin.ready()
    await plugin.create("a", "default", other, activate=True, note=f"Why: {secret}")
    assert await told(plugin, "a") == other
    await plugin.history("a")
    assert secret in await plugin.diff("a", "default", 1, 2)
    await plugin.rollback("a", "default")
    # A write that the database itself refuses, with the row in the server's message.
    await execute(database_url, _one_more_column(database_url))
    with pytest.raises(DatabaseUnavailableError) as refused:
        await plugin.create("a", "default", other)
    assert other not in refused.value.message
    # A text by SQL that cannot be served.
    await execute(
        database_url,
        *unkept(database_url),
        "UPDATE prompts SET is_active = false",
        f"UPDATE prompts SET prompt_text = '{other} {{{{#each}}}}', is_active = true WHERE version = 2",
        "UPDATE agents SET revision = revision + 1",
        *notification(database_url),
    )
    await until(lambda: plugin.health().problems, "the broken text was read")
    assert other not in str(plugin.health())
    assert other not in str(plugin.explain("a"))
    if url != database_url:
        proxy.refuse()
        await until(lambda: plugin.state is State.STALE, "the outage is noticed")
        assert PASSWORD not in str(plugin.health())
        assert PASSWORD not in str(plugin.explain("a"))
    assert caplog.records
    assert_silent(caplog, secret, other, PASSWORD)


def _one_more_column(url: str) -> str:
    if url.startswith("sqlite"):
        return "CREATE TRIGGER refuse BEFORE INSERT ON prompts BEGIN SELECT RAISE(ABORT, 'refused'); END"
    return "ALTER TABLE prompts ADD CONSTRAINT refuse CHECK (version < 3)"
