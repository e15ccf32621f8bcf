"""In a process: the status that an application gives is the one that is served, however it gives it."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from enum import Enum, IntEnum, StrEnum
from typing import Any

import pytest
from pydantic_ai import Agent, RunContext
from tortoise.backends.base.client import BaseDBAsyncClient

from automagik_prompts import ActivePrompt, DeclarationError, PromptNotFoundError, Source, prompt_used, testing
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain import keys
from automagik_prompts.domain.records import PromptCreate
from automagik_prompts.editing import commands, finding
from automagik_prompts.exceptions import InvalidPromptError, NoActivePromptError
from automagik_prompts.plugin import PromptPlugin
from automagik_prompts.replaying import prompt_version, replay
from automagik_prompts.schema.migrate import upgrade
from automagik_prompts.storage import repository
from automagik_prompts.storage.database import Database
from tests.conftest import MakePlugin
from tests.listening import Listener, call
from tests.tampering import unkeep
from tests.waiting import until


class Status(Enum):
    """An application's statuses, whose names are the keys."""

    NEW = "new"
    APPROVED = "approved"
    NOBODY = None


class Code(IntEnum):
    """Statuses as an application's database has them."""

    NEW = 1
    APPROVED = 2


class Words(StrEnum):
    """Statuses whose values are other words."""

    NEW = "fresh"
    APPROVED = "welcome"


@dataclass
class Contact:
    """Whom the agent talks to."""

    status: Any = Status.NEW


@pytest.fixture
async def plugin(empty_url: str, registry: Registry, make_plugin: MakePlugin) -> PromptPlugin:
    """A plugin that serves a seller's prompts, on each engine."""
    texts = {"NEW": "To a new one, {{status_key}}.", "APPROVED": "To an approved one, {{status_key}}."}
    registry.declare("seller", texts, where="here", primary="NEW")
    plugin = make_plugin(empty_url, disk_snapshot=False, poll_interval=0.01)
    async with Database(empty_url) as database:
        await upgrade(database)
    await plugin.ready()
    return plugin


def agent_of(listener: Listener, plugin: PromptPlugin, **arguments: Any) -> Agent[Contact, str]:
    """Return an agent whose tool approves the contact."""
    arguments.setdefault("status", lambda ctx: ctx.deps.status)
    own: ActivePrompt[Contact] = ActivePrompt("seller", plugin=plugin, **arguments)
    agent = Agent(listener.model, deps_type=Contact, capabilities=[own])

    @agent.tool
    def approve(ctx: RunContext[Contact]) -> str:
        ctx.deps.status = type(ctx.deps.status).APPROVED
        return "done"

    return agent


def told(listener: Listener) -> list[str]:
    """Return the system prompt of each request."""
    return [heard.system[0] for heard in listener.heard]


APPROVED = "To an approved one, APPROVED."


@pytest.mark.parametrize(
    "status", [Status.APPROVED, Code.APPROVED, Words.APPROVED, "APPROVED", "approved", "Approved"], ids=str
)
async def test_a_run_is_told_the_prompt_of_its_status(plugin: PromptPlugin, status: Any) -> None:
    """By a value or by a function, as a string in any case or as a member; histories hold the key as it is kept."""
    listener = Listener()
    result = await agent_of(listener, plugin).run("hi", deps=Contact(status))
    await agent_of(listener, plugin, status=status).run("hi", deps=Contact())
    assert told(listener) == [APPROVED, APPROVED]
    [[used]] = prompt_used(result).requests
    assert (used.status_key, used.asked_status_key, used.source) == ("APPROVED", "APPROVED", Source.DATABASE)
    for given in (status, used.status_key):
        testing.assert_prompt_used(result, "seller", given)
    with pytest.raises(AssertionError, match="status_key=new"):
        testing.assert_prompt_used(result, "seller", Status.NEW)
    assert plugin.render("seller", status) == APPROVED
    assert plugin.resolve("seller", status).status_key == "APPROVED"
    explained = plugin.explain("seller", status)
    assert (explained.status_key, explained.served_status_key, explained.notes) == ("APPROVED", "APPROVED", ())


@pytest.mark.parametrize("kind", [Status, Code, Words])
async def test_a_status_that_changes_within_a_run(plugin: PromptPlugin, kind: Any) -> None:
    """A tool that approves the contact changes the prompt of the same run; no member is taken for another."""
    listener = Listener(call("approve"), "done")
    await agent_of(listener, plugin).run("hi", deps=Contact(kind.NEW))
    assert told(listener) == ["To a new one, NEW.", APPROVED]


async def test_members_that_equal_strings_are_not_mixed_up(plugin: PromptPlugin) -> None:
    """A string that equals a member's value and is no status is not told what the member is, whichever comes first."""
    listener = Listener()
    agent = agent_of(listener, plugin)
    for status in ("welcome", Words.APPROVED, "welcome", Words.APPROVED):
        await agent.run("hi", deps=Contact(status))
    assert told(listener) == ["To a new one, welcome.", APPROVED] * 2


async def test_a_member_without_a_value_means_the_primary_status(plugin: PromptPlugin) -> None:
    """As `None` itself does."""
    listener = Listener()
    await agent_of(listener, plugin).run("hi", deps=Contact(Status.NOBODY))
    assert told(listener) == ["To a new one, NEW."]


async def test_an_exact_status_costs_a_look(plugin: PromptPlugin, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run whose status is given as it is kept folds nothing, and looks through no list."""

    def no_time(_name: str) -> str:
        raise AssertionError

    monkeypatch.setattr(keys, "folded", no_time)
    monkeypatch.setattr(keys, "normalized", no_time)
    listener = Listener()
    await agent_of(listener, plugin).run("hi", deps=Contact("APPROVED"))
    assert told(listener) == [APPROVED]


async def test_the_plugins_verbs(plugin: PromptPlugin) -> None:
    """Each takes what a status function may return."""
    version = 1
    for status in (Status.APPROVED, Code.APPROVED, Words.APPROVED, "approved"):
        change = await plugin.create("seller", status, f"Text {version}.", activate=True)
        version += 1
        assert (change.status_key, change.active_version) == ("APPROVED", version)
        assert (await plugin.rollback("seller", status)).active_version == version - 1
        assert (await plugin.activate("seller", status, version)).previous_version == version - 1
        assert (await plugin.deactivate("seller", status)).status_key == "APPROVED"
        assert (await plugin.activate("seller", status, version)).active_version == version
        assert len(await plugin.history("seller", status)) == version
        assert await plugin.diff("seller", status, 1, version)
        assert (await plugin.reader.find_version("seller", status, 1)).version == 1
    assert plugin.reader.status_keys("seller") == ("APPROVED", "NEW")


async def test_the_plugin_knows_the_codes_statuses(empty_url: str, registry: Registry, make_plugin: MakePlugin) -> None:
    """A status that is declared and was never written needs no word, and gets the code's spelling; another one does."""
    registry.declare("seller", {"NEW": "New.", "APPROVED": "Approved."}, where="here", primary="NEW")
    async with Database(empty_url) as database:
        await upgrade(database)
    plugin = make_plugin(empty_url, disk_snapshot=False, seed=False)
    with pytest.raises(PromptNotFoundError):
        await plugin.create("seller", "APROVED", "text", new_agent=True)
    change = await plugin.create("seller", Status.APPROVED, "text", new_agent=True, activate=True)
    assert change.status_key == "APPROVED"
    assert (await plugin.create("seller", "VIP", "text", new_status=True)).status_key == "VIP"
    assert plugin.resolve("seller", "approved").text == "text"


async def test_explain_says_what_the_code_does_not_know(plugin: PromptPlugin) -> None:
    """A status that only the database has is served, and the nearest declared one is named."""
    await plugin.create("seller", "APROVED", "Misspelt.", activate=True, new_status=True)
    (note,) = plugin.explain("seller", "APROVED").notes
    assert note == "the code does not declare the status 'APROVED'. Did you mean 'APPROVED'?"
    assert plugin.explain("seller", "APPROVED").notes == ()


async def test_a_cold_start_of_an_agent_that_only_the_database_knows(
    plugin: PromptPlugin, make_plugin: MakePlugin
) -> None:
    """What a member means is known when the database has been read: its first run waits for that, bounded."""
    listener = Listener()
    cold = make_plugin(plugin.settings.database_url, registry=Registry(), disk_snapshot=False)
    await agent_of(listener, cold).run("hi", deps=Contact(Words.APPROVED))
    assert told(listener) == [APPROVED]
    other = make_plugin(plugin.settings.database_url, registry=Registry(), disk_snapshot=False)
    assert await asyncio.to_thread(other.render, "seller", Words.APPROVED) == APPROVED


# Overrides and previews.


async def test_an_override_is_for_a_status_that_exists(plugin: PromptPlugin, registry: Registry) -> None:
    """It is found however it is given; one that does not exist is refused, unless it is said to be new."""
    listener = Listener()
    agent = agent_of(listener, plugin)
    for status in (Status.APPROVED, Code.APPROVED, "approved", "APPROVED"):
        with testing.override("seller", status, "Overridden.", registry=registry) as served:
            assert served.status_key == "APPROVED"
            await agent.run("hi", deps=Contact(Words.APPROVED))
            assert plugin.explain("seller", "Approved").source is Source.OVERRIDE
    assert told(listener) == ["Overridden."] * 4
    with pytest.raises(InvalidPromptError, match=r"no status 'APROVED', .*Did you mean 'APPROVED'\?.*new_status=True"):
        testing.begin_override("seller", "APROVED", "Overridden.", registry=registry)
    with testing.override("seller", "vip", "For a new one.", new_status=True, registry=registry):
        assert plugin.render("seller", "VIP") == "For a new one."


async def test_an_override_knows_what_the_default_plugin_serves(registry: Registry) -> None:
    """A status that only the database of the test has can be overridden; so can any of an agent that nobody knows."""
    registry.declare("seller", {"NEW": "New."}, where="here")
    with testing.memory_plugin(registry) as plugin:
        await plugin.create("seller", "VIP", "For you.", activate=True, new_status=True)
        await plugin.create("by-hand", "ONE", "By hand.", activate=True, new_agent=True)
        for agent, status in (("seller", "vip"), ("by-hand", "one"), ("nobody", "default")):
            with testing.override(agent, status, "Overridden.", registry=registry):
                assert plugin.render(agent, status) == "Overridden."
        with pytest.raises(InvalidPromptError, match="Known statuses: ONE"):
            testing.begin_override("by-hand", "TWO", "Overridden.", registry=registry)
    with testing.override("nobody", "DEFAULT", "Overridden.", registry=registry), testing.memory_plugin() as other:
        assert other.render("nobody") == "Overridden."
        assert other.render("nobody", "default") == "Overridden."


async def test_versions_and_replays_take_any_status(plugin: PromptPlugin) -> None:
    """A preview of a version, a pinned conversation, and a replay of it."""
    await plugin.create("seller", "APPROVED", "Draft.")
    listener = Listener()
    agent = agent_of(listener, plugin, pin="conversation")
    first = await agent.run("hi", deps=Contact(Code.APPROVED))
    async with prompt_version("seller", Status.APPROVED, 2, plugin=plugin) as served:
        assert served.status_key == "APPROVED"
        assert plugin.render("seller", "approved") == "Draft."
    await plugin.activate("seller", Status.APPROVED, 2)
    await agent.run("hi", deps=Contact(Status.APPROVED), message_history=first.all_messages())
    assert told(listener) == [APPROVED, APPROVED], "it goes on with its version, whatever the member is"
    await replay(first.all_messages(), agent=agent, version=2, status_key=Words.APPROVED, deps=Contact("approved"))
    assert told(listener)[2:] == ["Draft."]
    with pytest.raises(PromptNotFoundError, match="no prompts for the status 'aproved'"):
        await plugin.reader.find_version("seller", "aproved", 1)


# Two spellings.


def clashes(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return which statuses the log says clash."""
    words = [record.getMessage() for record in caplog.records]
    return [line.split("'")[1] for line in words if "differ only in case" in line]


async def test_a_clash_of_spellings_is_a_problem(
    plugin: PromptPlugin, make_plugin: MakePlugin, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is written; log, health and explain say so once, also where the other spelling has no active version."""
    await plugin.create("seller", "vip", "By hand.", activate=True, new_status=True)
    await plugin.create("seller", "later", "A draft.", new_status=True)
    changed = Registry()
    texts = {"NEW": "New.", "APPROVED": "Approved.", "VIP": "The code's.", "LATER": "The code's."}
    changed.declare("seller", texts, where="here", primary="NEW")
    with caplog.at_level(logging.WARNING, "automagik_prompts"):
        other = make_plugin(plugin.settings.database_url, registry=changed, disk_snapshot=False, poll_interval=0.01)
        await other.ready()
        assert other.render("seller", Status.APPROVED) == "Approved."
        assert other.render("seller", "VIP") == other.render("seller", "vip") == "By hand."
        problems = other.health().problems
        assert [problem.split("'")[1] for problem in problems] == ["LATER", "VIP"]
        assert "the status 'VIP' and the database 'vip', which differ only in case" in problems[1]
        assert set(problems) <= set(other.explain("seller", "VIP").notes)
        follower = make_plugin(
            plugin.settings.database_url, registry=changed, disk_snapshot=False, seed=False, poll_interval=0.01
        )
        await follower.ready()
        assert follower.health().problems == problems[1:]
        await until(lambda: len(clashes(caplog)) >= 3, "each process has told each clash")
    assert sorted(clashes(caplog)) == ["LATER", "VIP", "VIP"]
    async with Database(plugin.settings.database_url) as database:
        await commands.deactivate(database, "seller", "vip")
        for key in ("vip", "later"):
            await commands.delete(database, "seller", key, 1)
    await until(lambda: not other.health().problems, "the code's texts were written")
    await until(lambda: other.render("seller", "vip") == "The code's.", "and are served")


async def test_pairs_from_before_are_served_as_they_are_spelt(plugin: PromptPlugin) -> None:
    """A run's own spelling decides, and no run is told less than before."""
    async with Database(plugin.settings.database_url) as database:
        info = await finding.find_agent(database, "seller")

        async def write(db: BaseDBAsyncClient) -> None:
            await repository.lock_agent(db, info.id)
            written = await repository.create_prompt(db, PromptCreate(info.id, "The dead one.", "x"))
            await db.execute_query(f"UPDATE prompts SET status_key = 'approved' WHERE id = {written.id}")
            await repository.set_prompt_active(db, info.id, written.id, "approved")

        await unkeep(database)
        await database.transaction(write)
    await until(lambda: plugin.reader.status_keys("seller") == ("APPROVED", "NEW", "approved"), "it is seen")
    listener = Listener()
    agent = agent_of(listener, plugin)
    for status in ("APPROVED", "approved", Status.APPROVED, Code.APPROVED):
        await agent.run("hi", deps=Contact(status))
    assert told(listener) == [APPROVED, "The dead one.", "The dead one.", APPROVED]
    assert plugin.health().problems == ()


# Names.


async def test_an_agent_is_found_in_either_form(registry: Registry, make_plugin: MakePlugin) -> None:
    """A name with its accents apart is the same name: for capabilities, installed ones, and lookups."""
    composed, apart = "caf\u00e9", "cafe\u0301"
    registry.declare(apart, {"default": "Coffee."}, where="here")
    plugin = make_plugin("sqlite://:memory:").install()
    await plugin.ready()
    for name in (composed, apart):
        assert plugin.resolve(name).agent == composed
        assert plugin.explain(name).agent == composed
        listener = Listener()
        await Agent(listener.model, name=name).run("hi")
        await Agent(listener.model, capabilities=[ActivePrompt(name, plugin=plugin)]).run("hi")
        await Agent(listener.model, name=name, capabilities=[ActivePrompt(plugin=plugin)]).run("hi")
        assert told(listener) == ["Coffee."] * 3
    with pytest.raises(NoActivePromptError):
        plugin.resolve("cafe")
    with pytest.raises(DeclarationError, match="two different ActivePrompt"):
        Agent(
            "test",
            name=apart,
            capabilities=[ActivePrompt(plugin=plugin), ActivePrompt(composed, inject="instructions", plugin=plugin)],
        )
