"""New agents in a host's table: where its own columns need values the error says which, and all others are written."""

from __future__ import annotations

import asyncio
import logging

import pytest

from automagik_prompts.declaring.decorators import prompt
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.edits import SyncResult
from automagik_prompts.domain.served import Source, State
from automagik_prompts.editing import commands
from automagik_prompts.editing.sync import seed
from automagik_prompts.exceptions import SchemaError
from automagik_prompts.storage.database import Database
from tests.conftest import MakePlugin
from tests.hosts import Host, fill_agents, make_agents, upgrade
from tests.operator import Operator
from tests.waiting import wait_until

COLUMNS = r"'newcomer' cannot be added: .* its columns type, model must have a value in each row\..*INSERT INTO agents"


@pytest.fixture
def host(empty_url: str) -> Host:
    """An adopted table whose columns `type` and `model` have no default."""
    host = Host(empty_url)
    make_agents(host)
    fill_agents(host, {"plain": "You are kind."})
    upgrade(host.url)
    return host


def declare(registry: Registry) -> None:
    """Declare a text of an agent that is there, and one of an agent that is not."""
    prompt("You are kind and brief.", agent="plain", registry=registry)
    prompt("I am new.", agent="newcomer", registry=registry)


def seeded(host: Host, registry: Registry) -> tuple[SyncResult, ...]:
    """Write what the code declares."""

    async def work() -> tuple[SyncResult, ...]:
        async with Database(host.url) as database:
            return await seed(database, registry.agents)

    return asyncio.run(work())


def test_the_error_names_the_columns_and_the_others_are_seeded(host: Host, registry: Registry) -> None:
    """Seeding writes the texts of agents that are there, and then says what the new one lacks and what to do."""
    declare(registry)
    with pytest.raises(SchemaError, match=COLUMNS):
        seeded(host, registry)
    assert host.rows("SELECT name FROM agents") == [("plain",)]
    assert host.one("SELECT prompt_text FROM prompts WHERE is_active = true") == "You are kind and brief."
    # As the message says: once the row is there, nothing else is needed.
    host.run("INSERT INTO agents (name, type, model) VALUES ('newcomer', 'simple', 'x')")
    assert [(item.agent, item.outcome) for item in seeded(host, registry)] == [("newcomer", "created")]


def test_a_default_is_enough(empty_url: str, registry: Registry) -> None:
    """Where the host's columns have defaults, new agents are added as in a table of ours."""
    host = Host(empty_url)
    host.run("CREATE TABLE agents (id {id}, name TEXT NOT NULL UNIQUE, type TEXT NOT NULL DEFAULT 'simple')")
    upgrade(host.url, adopt=True)
    declare(registry)
    assert [(item.agent, item.outcome) for item in seeded(host, registry)] == [
        ("newcomer", "created"),
        ("plain", "created"),
    ]


def test_people_are_told_as_well(host: Host, tmp_path_factory: pytest.TempPathFactory) -> None:
    """`create --new-agent` gives the same message, in one line."""
    operator = Operator(tmp_path_factory.mktemp("operator"), host.url)
    outcome = operator.run("create", "newcomer", "default", "--text", "Hello.", "--new-agent")
    assert (outcome.code, outcome.err.count("\n")) == (1, 1)
    assert "its columns type, model must have a value in each row" in outcome.err
    assert host.rows("SELECT name FROM agents") == [("plain",)]

    async def create() -> None:
        async with Database(host.url) as database:
            await commands.create(database, "plain", "VIP", "For you.", activate=True, new_status=True)

    asyncio.run(create())


def test_a_process_serves_all_of_them(
    host: Host, registry: Registry, make_plugin: MakePlugin, caplog: pytest.LogCaptureFixture
) -> None:
    """A running process serves the new agent from code and the others from the database, and says why, once."""
    declare(registry)
    with caplog.at_level(logging.WARNING), make_plugin(host.url, startup_timeout=30.0, poll_interval=0.05) as plugin:
        plugin.resolve("plain")
        wait_until(lambda: plugin.resolve("plain").version == 2, "the text from code became a version")
        assert plugin.state is State.LIVE
        assert (plugin.resolve("plain").source, plugin.resolve("newcomer").source) == (Source.DATABASE, Source.CODE)
        assert plugin.resolve("newcomer").text == "I am new."
        wait_until(lambda: "its columns type, model must have a value" in caplog.text, "the reason was logged")
    assert caplog.text.count("its columns type, model must have a value") == 1


def test_another_unique_column(empty_url: str, registry: Registry) -> None:
    """A row that a column of the host's own takes for a duplicate is not passed over in silence."""
    host = Host(empty_url)
    host.run(
        "CREATE TABLE agents (id {id}, name TEXT NOT NULL UNIQUE, slot INTEGER DEFAULT 1 UNIQUE)",
        "INSERT INTO agents (name) VALUES ('plain')",
    )
    upgrade(host.url, adopt=True)
    declare(registry)
    with pytest.raises(SchemaError, match=r"'newcomer' cannot be added .*takes something else of them for a dupli"):
        seeded(host, registry)


def test_a_check_of_the_host(empty_url: str, registry: Registry) -> None:
    """A rule of the host's own that refuses the row is passed on, with the agents' names."""
    host = Host(empty_url)
    host.run("CREATE TABLE agents (id {id}, name TEXT NOT NULL UNIQUE CHECK (name <> 'newcomer'))")
    upgrade(host.url, adopt=True)
    declare(registry)
    with pytest.raises(SchemaError, match=r"'newcomer', 'plain' cannot be added to the table agents.*[Cc]heck|CHECK"):
        seeded(host, registry)
