"""What processes say of themselves, and what is read of that, on each engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from automagik_prompts.domain.running.fleet import Beat, Following, FollowingProcess, Unserved
from automagik_prompts.domain.running.usage import DayCount, Usage
from automagik_prompts.domain.summaries import Position
from automagik_prompts.editing import commands
from automagik_prompts.editing.direct import DatabaseEdits
from automagik_prompts.editing.running import fleet
from automagik_prompts.exceptions import InvalidPromptError
from automagik_prompts.storage import repository
from automagik_prompts.storage.database import Database
from automagik_prompts.storage.repository.running import processes, usage
from tests.faults import execute

TODAY = datetime.now(UTC).date()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A database of this test alone: what runs is about all of it."""
    async with Database(database_url) as database:
        await commands.create(database, "stan", "default", "One.", activate=True, new_agent=True, new_status=True)
        await commands.create(database, "lea", "default", "One.", activate=True, new_agent=True, new_status=True)
        yield database


def beat(name: str = "p1", **changes: Any) -> Beat:
    """Return what a process says for the first time."""
    return replace(
        Beat(
            id=name,
            is_first=True,
            host="web",
            pid=7,
            release=None,
            code_hash=None,
            state="live",
            position=None,
            follows=None,
            problems=(),
            age=5.0,
            seconds=150.0,
        ),
        **changes,
    )


async def say(database: Database, said: Beat) -> bool:
    """Say something by itself."""
    return await database.transaction(repository.write_beat, said)


async def position(database: Database) -> Position:
    """Return where the log of changes stands now."""
    return (await database.run(repository.get_changes, None)).position


async def rows(database: Database) -> list[tuple[Any, ...]]:
    """Return what is counted, by version, days ago and process."""
    found = await execute(database.url, "SELECT prompt_id, day, process_id, runs FROM prompt_usage")
    days = [(one[0], (TODAY - datetime.fromisoformat(str(one[1])).date()).days, one[2], one[3]) for one in found]
    return sorted(days)


async def test_a_word_is_one_row(database: Database) -> None:
    """The first word makes the row, later ones change it; one that nobody knows any more is told so, and makes none."""
    there = await position(database)
    assert await say(database, beat(position=there, release="r1", code_hash="c", follows=("stan",)))
    assert await say(database, beat())  # the first one, whose answer got lost
    again = beat(is_first=False, position=there, problems=(Unserved("stan", "default", 3, "no"),))
    assert await say(database, again)
    (found,) = await database.run(repository.get_processes)
    assert (found.id, found.name, found.release, found.is_alive, found.behind) == ("p1", "web:7", "r1", True, 0)
    assert found.problems == (Unserved("stan", "default", 3, "no"),)
    assert timedelta(seconds=4) < found.seen_at - found.started_at < timedelta(seconds=60)
    assert not await say(database, beat("p2", is_first=False, runs=(DayCount(1, TODAY, 3),)))
    assert len(await database.run(repository.get_processes)) == 1
    assert await rows(database) == []


async def test_the_look_can_carry_it(database: Database) -> None:
    """On a server the statement that looks writes it as well, and says whether it did; a file is written by itself."""
    carried = beat(runs=(DayCount(1, TODAY, 3),))
    found = await database.run(repository.get_changes, None, 0, 100, carried)
    assert len(found.slice) == 2
    if database.is_embedded:
        assert found.is_seen is None
        return
    assert found.is_seen is True
    assert await rows(database) == [(1, 0, "p1", 3)]
    more = replace(carried, is_first=False, runs=(DayCount(1, TODAY, 4),))
    assert (await database.run(repository.get_changes, found.position, 0, 0, more)).is_seen is True
    assert await rows(database) == [(1, 0, "p1", 4)]
    gone = replace(more, id="p2")
    assert (await database.run(repository.get_changes, found.position, 0, 0, gone)).is_seen is False
    assert await rows(database) == [(1, 0, "p1", 4)]
    assert (await database.run(repository.get_changes, found.position)).unable is None


async def test_totals_said_again_count_once(database: Database) -> None:
    """However often a process says the same total, and however many say theirs."""
    for _ in range(3):
        await say(database, beat(runs=(DayCount(1, TODAY, 5), DayCount(2, TODAY, 1))))
    await say(database, beat("p2", runs=(DayCount(1, TODAY, 2), DayCount(1, TODAY - timedelta(days=6), 10))))
    await say(database, beat("p2", runs=(DayCount(1, TODAY - timedelta(days=7), 100),)))
    assert await database.run(repository.get_usage) == {1: Usage(117, 17, TODAY), 2: Usage(1, 1, TODAY)}
    assert await database.run(repository.get_usage, [2, 3]) == {2: Usage(1, 1, TODAY)}


async def test_who_leaves_is_summed_up(database: Database) -> None:
    """A process that ends says its last totals, which are added to those of others that are gone, once."""
    for name, runs in (("p1", 5), ("p2", 7)):
        await say(database, beat(name, runs=(DayCount(1, TODAY, 1),)))
        await database.transaction(repository.leave, beat(name, is_first=False, runs=(DayCount(1, TODAY, runs),)))
        await database.transaction(repository.leave, beat(name, is_first=False, runs=(DayCount(1, TODAY, runs),)))
    assert await database.run(repository.get_processes) == []
    assert await rows(database) == [(1, 0, "", 12)]


async def test_the_dead_and_the_old_are_summed_up(database: Database) -> None:
    """What is gone has one row for each version and day, what is long ago one for each version; nothing is lost."""
    long_ago = (TODAY - usage.LONG_AGO).days
    counts = tuple(
        DayCount(number, TODAY - timedelta(days=days), 1) for number in (1, 2) for days in (0, 8, 9, 89, 90, 200)
    )
    for name, seconds in (("alive", 150.0), ("dying", -processes.GONE / 2), ("dead", -processes.GONE * 2)):
        await say(database, beat(name, seconds=seconds, runs=counts))
    for _ in range(3):
        await database.transaction(repository.forget_dead)
    assert {one.id for one in await database.run(repository.get_processes)} == {"alive", "dying"}
    by_process = [(1, days, name, 1) for days in (0, 8) for name in ("alive", "dying")]
    summed = [(1, 0, "", 1), (1, 8, "", 1), (1, 9, "", 3), (1, 89, "", 3), (1, long_ago, "", 6)]
    assert [row for row in await rows(database) if row[0] == 1] == sorted(by_process + summed)
    assert (await database.run(repository.get_usage))[1] == Usage(18, 3, TODAY)
    await execute(database.url, "DELETE FROM prompts WHERE id = 2")
    await database.transaction(repository.forget_dead)
    assert {row[0] for row in await rows(database) if not row[2]} == {1}


async def test_who_has_taken_a_change(database: Database) -> None:
    """A process has followed where what it serves has the agent's last change, and it can serve that."""
    await say(database, beat("reads", position=await position(database)))
    edit = DatabaseEdits(database)
    await edit.create("stan", "default", "Two.", activate=True)
    now = await position(database)
    await say(database, beat("serves", position=now))
    await say(database, beat("refuses", position=now, problems=(Unserved("stan", "default", 2, "no {{name}}"),)))
    await say(database, beat("apart", position=now, follows=("lea",)))
    await say(database, beat("elsewhere", position=Position("another", now.number)))
    await say(database, beat("nowhere"))
    await say(database, beat("dead", position=now, seconds=-1.0))
    found = await fleet.followers(database, "stan", "default")
    assert found.version == 2
    assert {one.process.id: one.following for one in found.processes} == {
        "reads": Following.BEHIND,
        "serves": Following.SERVES,
        "refuses": Following.REFUSES,
        "apart": Following.APART,
        "elsewhere": Following.UNKNOWN,
        "nowhere": Following.UNKNOWN,
    }
    assert {one.process.id for one in found.late} == {"reads", "refuses", "elsewhere", "nowhere"}
    assert {one.following for one in (await fleet.followers(database, "lea", "default")).processes} == {
        Following.SERVES,
        Following.UNKNOWN,
    }
    behind = {one.id: one.behind for one in (await edit.fleet()).processes}
    assert behind == {
        "reads": 1,
        "serves": 0,
        "refuses": 0,
        "apart": 0,
        "dead": 0,
        "elsewhere": None,
        "nowhere": None,
    }
    assert [one.id for one in (await edit.fleet()).processes][-1] == "dead"
    await execute(database.url, f"UPDATE prompts SET note = 'x' WHERE id = {2}")  # nothing that is served
    assert {one.id: one.behind for one in (await edit.fleet()).processes} == behind


async def test_waiting_is_bounded_and_names_who_does_not_follow(database: Database) -> None:
    """An edit that waits is done in any case; the result says who has not followed in time."""
    edit = DatabaseEdits(database)
    await say(database, beat("late", position=await position(database)))
    await edit.create("stan", "default", "Two.")
    done = await edit.activate("stan", "default", 2, wait=0.3)
    assert done.active_version == 2
    assert done.followers is not None
    (late,) = done.followers.late
    assert isinstance(late, FollowingProcess)
    assert str(late).startswith("web:7 has not read it, seen ")
    await say(database, beat("late", position=await position(database)))
    back = await edit.rollback("stan", "default")
    assert back.followers is None
    with pytest.raises(InvalidPromptError, match="wait takes seconds, from 0 to 3600; -1 is none"):
        await edit.deactivate("stan", "default", wait=-1)
    assert (await edit.statuses("stan")).items[0].active == 1


async def test_usage_of_an_agents_versions(database: Database) -> None:
    """Each version says how often it was sent, also that it never was."""
    edit = DatabaseEdits(database)
    await edit.create("stan", "default", "Two.")
    await say(database, beat(runs=(DayCount(1, TODAY, 5),)))
    assert await edit.usage("stan") == {("default", 1): Usage(5, 5, TODAY), ("default", 2): Usage(0, 0, None)}


async def test_who_may_not_look_has_activated_all_the_same(database: Database) -> None:
    """An edit is done before anybody waits: where the fleet cannot be read, the result says so."""
    edit = DatabaseEdits(database)
    await edit.create("stan", "default", "Two.")
    await execute(database.url, "ALTER TABLE prompt_processes RENAME TO elsewhere")
    done = await edit.activate("stan", "default", 2, wait=5)
    assert done.active_version == 2
    assert done.followers is not None
    assert "prompt_processes" in (done.followers.error or "")
    assert done.followers.processes == ()
