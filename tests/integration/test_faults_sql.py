"""Faults 7, 8, 18, 19 and 20: what plain SQL puts into the tables or takes out of them, and statuses nobody defined."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg  # type: ignore[import-untyped]  # it has no types
import pytest

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.records import Action
from automagik_prompts.domain.served import Explanation, Health, Source, State
from automagik_prompts.editing import checks, queries
from automagik_prompts.editing.findings import Kind
from automagik_prompts.exceptions import (
    DeclarationError,
    InvalidPromptError,
    NoActivePromptError,
    UnexposedVariableError,
)
from automagik_prompts.plugin import PromptPlugin
from automagik_prompts.storage.database import Database
from tests.conftest import MakePlugin
from tests.faults import assert_silent, execute, lines, notification, told
from tests.processes import Launcher
from tests.servers import credentials
from tests.tampering import unkept
from tests.waiting import DEADLINE, until

CODE = "From code, zebra."
GOOD = "From a person, okapi."
MARK = "quagga"
BROKEN = f"{MARK} {{{{#if vip}}}} never closed"
UNEXPOSED = f"{MARK} {{{{api_key}}}}"
BLANKS = ("", " \n\t")


async def _activate_by_sql(url: str, version: int, text: str | None = None) -> None:
    """Make a version the active one behind the library's back, with another text if one is given."""
    agent = "agent_id = (SELECT id FROM agents WHERE name = 'a') AND status_key = 'default'"
    quoted = "" if text is None else ", prompt_text = '" + text.replace("'", "''") + "'"
    await execute(
        url,
        "BEGIN",
        f"UPDATE prompts SET is_active = false WHERE {agent}",
        f"UPDATE prompts SET is_active = true{quoted} WHERE {agent} AND version = {version}",
        *notification(url),
        "COMMIT",
    )


async def _recorded(url: str) -> list[str]:
    """Return what the history says of versions that could not be served, as soon as it says anything."""
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        rows = await execute(url, f"SELECT note FROM prompt_events WHERE action = '{Action.RENDER_FAILED.value}'")
        if rows:
            return [str(row[0]) for row in rows]
        await asyncio.sleep(0.02)
    pytest.fail("nothing was recorded")


def _assert_last_good(explained: Explanation, health: Health) -> None:
    """Version 3 is active and cannot be served; version 2 was before, and everybody is told so."""
    assert (explained.version, explained.source, explained.state) == (2, Source.DATABASE, State.LIVE)
    assert "the active version 3 cannot be served here; version 2, the last good one, is served" in explained.reason
    assert any("version 3" in note for note in explained.notes)
    assert (health.state, len(health.problems)) == (State.LIVE, 1)
    assert health.problems[0].startswith("a/default, version 3: ")
    assert MARK not in f"{explained} {health}"


@asynccontextmanager
async def _held_back(url: str, writers: int) -> AsyncIterator[None]:
    """Hold back what is written to the history until so many want to; an SQLite file lets in one at a time anyway."""
    if url.startswith("sqlite"):
        yield
        return
    holder = await asyncpg.connect(**credentials(url))
    try:
        async with holder.transaction():
            await holder.execute("LOCK TABLE prompt_events IN SHARE ROW EXCLUSIVE MODE")
            yield
            waiting = 0
            deadline = time.monotonic() + DEADLINE
            while waiting < writers and time.monotonic() < deadline:
                await asyncio.sleep(0.02)
                waiting = await holder.fetchval(
                    "SELECT COUNT(*) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
                )
            assert waiting == writers
    finally:
        await holder.close()


async def _assert_survived(
    url: str, plugin: PromptPlugin, make_plugin: MakePlugin, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    """Have SQL make a bad text active, and see it told, recorded, survived and rolled back."""
    await plugin.ready()
    await plugin.create("a", "default", GOOD, activate=True)
    await plugin.create("a", "default", "a draft")
    await execute(url, *unkept(url))
    await _activate_by_sql(url, 3, text)
    await until(lambda: plugin.health().problems, "the bad version is noticed")
    assert await told(plugin, "a") == GOOD
    _assert_last_good(plugin.explain("a"), plugin.health())

    # A process that starts now has no last good version.
    cold = make_plugin(url, startup_timeout=30, disk_snapshot=False)
    await cold.ready()
    assert await told(cold, "a") == CODE
    explained = cold.explain("a")
    assert (explained.version, explained.source, explained.state) == (None, Source.CODE, State.LIVE)
    assert "the active version 3 cannot be served here" in explained.reason
    assert len(cold.health().problems) == 1

    (note,) = await _recorded(url)
    assert MARK not in note
    await until(lambda: len(lines(caplog, logging.WARNING)) == 2, "each of the two has told")
    told_lines = lines(caplog, logging.WARNING)
    assert all("a/default: version 3" in line and "automagik-prompts rollback a default" in line for line in told_lines)

    await plugin.rollback("a", "default")
    await until(lambda: cold.resolve("a").version == 2, "the other process follows")
    for each in (plugin, cold):
        assert await told(each, "a") == GOOD
        assert each.health().problems == ()
        assert each.explain("a").reason == "it is the active version of this status"
    assert len(lines(caplog, logging.WARNING)) == 2
    assert len(await _recorded(url)) == 1
    assert_silent(caplog, MARK, GOOD, CODE)


async def test_fault_07_template_that_does_not_parse(
    database_url: str, registry: Registry, make_plugin: MakePlugin, caplog: pytest.LogCaptureFixture
) -> None:
    """By SQL: the last good version, else the code's text, and the event; by `create`: refused with line and column."""
    registry.declare("a", {"default": CODE}, where="here", variables=["vip"])
    plugin = make_plugin(database_url, disk_snapshot=False)
    await _assert_survived(database_url, plugin, make_plugin, caplog, BROKEN)
    with pytest.raises(InvalidPromptError, match=r"line 1, column \d+") as refused:
        await plugin.create("a", "default", BROKEN)
    assert MARK not in str(refused.value)
    assert len(await plugin.history("a")) == 3


async def test_fault_07_event_is_recorded_once_by_many_processes(
    database_url: str, registry: Registry, make_plugin: MakePlugin, launcher: Launcher
) -> None:
    """Eight processes see the same bad version at once; the history gets one line, and no process asks for more."""
    registry.declare("a", {"default": CODE}, where="here", variables=["vip"])
    plugin = make_plugin(database_url, disk_snapshot=False)
    await plugin.ready()
    await plugin.create("a", "default", GOOD, activate=True)
    await plugin.create("a", "default", "a draft")
    members = [launcher.fork("tests.member:serve", database_url, {"a": {"default": CODE}}) for _ in range(7)]
    try:
        for member in members:
            member.ask("start")
            member.ask("until_version", "a", "default", 2)
        await execute(database_url, *unkept(database_url))  # it would wait for the lock
        async with _held_back(database_url, writers=len(members) + 1):
            await _activate_by_sql(database_url, 3, BROKEN)
            for member in members:
                member.ask("until_lines", "ERROR", 1)
        await until(lambda: plugin.health().problems, "the bad version is noticed")
        for member in members:
            assert member.ask("run", "a") == GOOD
            _assert_last_good(member.ask("explain", "a"), member.ask("health"))
        assert len(await _recorded(database_url)) == 1
        for member in members:
            (warning,) = member.ask("until_lines", "ERROR", 1)
            assert MARK not in warning
            # What it saw it has recorded by the time that it closes.
            member.ask("close")
    finally:
        for member in members:
            member.close()
    assert len(await _recorded(database_url)) == 1


async def test_fault_52_text_changed_in_place(database_url: str, registry: Registry, make_plugin: MakePlugin) -> None:
    """A text that SQL changes under its number is served by no process; one command keeps it as a new version."""
    registry.declare("a", {"default": CODE}, where="here")
    plugin = make_plugin(database_url, disk_snapshot=False)
    await plugin.ready()
    await plugin.create("a", "default", "Written by a person.", activate=True)
    await plugin.create("b", "default", "Another agent's.", activate=True, new_agent=True)
    await execute(database_url, *unkept(database_url), f"UPDATE prompts SET prompt_text = '{GOOD}' WHERE version = 2")
    await until(lambda: plugin.health().problems, "the change is found")
    assert await told(plugin, "a") == "Written by a person."
    assert any("was changed in place" in note for note in plugin.explain("a").notes)
    fresh = make_plugin(database_url, disk_snapshot=False)
    await fresh.ready()
    assert await told(fresh, "a") == CODE
    assert plugin.render("b") == fresh.render("b") == "Another agent's."
    async with Database(database_url) as database:
        found = await checks.check_database(database, {})
        assert [one.kind for one in found if one.agent == "a"] == [Kind.CHANGED]
        source = await queries.get(database, "a", "default", 2)
    with pytest.raises(InvalidPromptError, match="changed in place"):
        await plugin.activate("a", "default", 2)
    kept = await plugin.copy(source, "a", "default", activate=True)
    assert kept.active_version == 3
    await until(lambda: fresh.resolve("a").version == 3, "it is followed")
    assert await told(plugin, "a") == await told(fresh, "a") == GOOD
    assert not plugin.health().problems


async def test_fault_52_format_changed_in_place(database_url: str, registry: Registry, make_plugin: MakePlugin) -> None:
    """A verbatim text that SQL makes a template goes on being served verbatim where it was seen before."""
    registry.declare("a", {"default": CODE}, where="here")
    plugin = make_plugin(database_url)
    await plugin.ready()
    await plugin.create("a", "default", "The key is {{run_id}}.", format="text", activate=True)
    await execute(database_url, *unkept(database_url), "UPDATE prompts SET format = 'handlebars' WHERE version = 2")
    await until(lambda: plugin.health().problems, "the change is found")
    assert await told(plugin, "a") == "The key is {{run_id}}."


async def test_fault_08_name_that_the_code_does_not_expose(
    database_url: str, registry: Registry, make_plugin: MakePlugin, caplog: pytest.LogCaptureFixture
) -> None:
    """By SQL: as a template that does not parse; by `create`: refused, naming it and what may be used."""
    registry.declare("a", {"default": CODE}, where="here", variables=["vip"])
    plugin = make_plugin(database_url, disk_snapshot=False)
    await _assert_survived(database_url, plugin, make_plugin, caplog, UNEXPOSED)
    with pytest.raises(UnexposedVariableError, match="api_key") as refused:
        await plugin.create("a", "default", UNEXPOSED)
    assert refused.value.names == ("api_key",)
    assert "vip" in str(refused.value)
    assert MARK not in str(refused.value)
    assert len(await plugin.history("a")) == 3


@pytest.mark.parametrize("text", BLANKS)
async def test_fault_19_blank_text(
    text: str, database_url: str, registry: Registry, make_plugin: MakePlugin, caplog: pytest.LogCaptureFixture
) -> None:
    """By SQL: as a template that does not parse; in code and by `create`: refused, saying what to do instead."""
    with pytest.raises(DeclarationError, match="blank"):
        registry.declare("a", {"default": text}, where="here")
    registry.declare("a", {"default": CODE}, where="here")
    plugin = make_plugin(database_url, disk_snapshot=False)
    await _assert_survived(database_url, plugin, make_plugin, caplog, text)
    with pytest.raises(InvalidPromptError, match="deactivate instead"):
        await plugin.create("a", "default", text)
    assert len(await plugin.history("a")) == 3


async def test_fault_18_active_row_deleted_or_deactivated(
    database_url: str, registry: Registry, make_plugin: MakePlugin, caplog: pytest.LogCaptureFixture
) -> None:
    """The primary status stands in, then the code's text; a model is never told an empty prompt."""
    registry.declare("a", {"NEW": CODE, "KNOWN": "known, from code"}, where="here", primary="NEW")
    plugin = make_plugin(database_url)
    await plugin.ready()
    await plugin.create("a", "NEW", GOOD, activate=True)
    await plugin.create("a", "KNOWN", "known, from a person", activate=True)
    assert await told(plugin, "a", "KNOWN") == "known, from a person"

    # Deactivated by a person: the primary status stands in.
    await plugin.deactivate("a", "KNOWN")
    assert await told(plugin, "a", "KNOWN") == GOOD
    explained = plugin.explain("a", "KNOWN")
    assert (explained.served_status_key, explained.version, explained.source) == ("NEW", 2, Source.DATABASE)
    assert explained.reason == "the status 'KNOWN' has no active version; the primary status 'NEW' stands in"

    # The same by SQL, which deletes the row.
    await plugin.activate("a", "KNOWN", 2)
    assert await told(plugin, "a", "KNOWN") == "known, from a person"
    await execute(
        database_url,
        "DELETE FROM prompts WHERE is_active = true AND status_key = 'KNOWN'",
        *notification(database_url),
    )
    await until(lambda: plugin.resolve("a", "KNOWN").text == GOOD, "the deletion is noticed")
    assert plugin.explain("a", "KNOWN").reason == explained.reason
    assert await told(plugin, "a", "KNOWN") == GOOD

    # Nothing at all is left: the code's own texts.
    await execute(database_url, "DELETE FROM prompts", *notification(database_url))
    await until(lambda: plugin.resolve("a", "NEW").source is Source.CODE, "the deletion is noticed")
    assert await told(plugin, "a") == CODE
    assert await told(plugin, "a", "KNOWN") == "known, from code"
    assert plugin.explain("a").state is State.LIVE
    assert "the code's text is served" in plugin.explain("a").reason
    assert plugin.health().problems == ()
    assert_silent(caplog, GOOD, CODE)


async def test_fault_20_status_that_nobody_defined(
    database_url: str, registry: Registry, make_plugin: MakePlugin, caplog: pytest.LogCaptureFixture
) -> None:
    """The fallback, with its reason in `explain`; where there is none, an error that says what exists."""
    registry.declare("a", {"NEW": CODE, "KNOWN": "known"}, where="here", primary="NEW")
    plugin = make_plugin(database_url)
    await plugin.ready()
    assert await told(plugin, "a", "NOBODY") == CODE
    explained = plugin.explain("a", "NOBODY")
    assert (explained.status_key, explained.served_status_key, explained.version) == ("NOBODY", "NEW", 1)
    assert (explained.source, explained.state) == (Source.DATABASE, State.LIVE)
    assert "has no prompt of its own" in explained.reason
    assert "'NEW' stands in" in explained.reason
    with pytest.raises(NoActivePromptError, match="Did you mean 'a'"):
        plugin.explain("aa", "NOBODY")
    await until(lambda: plugin.health().problems, "it is told")
    (problem,) = plugin.health().problems
    assert "The status 'NOBODY' of a has no prompt" in problem
    assert [line for line in lines(caplog, logging.WARNING) if "NOBODY" not in line] == []
