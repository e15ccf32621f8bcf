"""From code to database, row by row of the design's table; `sync`; several releases and many processes at once."""

from __future__ import annotations

from collections.abc import Collection

import pytest
from tortoise.backends.base.client import BaseDBAsyncClient

from automagik_prompts.declaring.decorators import prompt
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.edits import Intent
from automagik_prompts.domain.validation import Format
from automagik_prompts.editing import commands, finding, queries
from automagik_prompts.editing import sync as seeding
from automagik_prompts.exceptions import DatabaseUnavailableError, PromptNotFoundError, UnexposedVariableError
from automagik_prompts.storage.database import Database
from tests.contract.history import active_text, check_history, events_of, rows, standing, told
from tests.processes import Launcher


async def release(
    database: Database,
    agent: str,
    *,
    sync: bool = False,
    primary: str | None = None,
    variables: Collection[str] = (),
    format: Format = "handlebars",
    **texts: str,
) -> list[tuple[str, int | None, str]]:
    """Start a process whose code declares texts, or run `sync` with it, and return what that did."""
    registry = Registry()
    registry.declare(agent, texts, where="here", primary=primary, variables=variables, format=format)
    done = await seeding.seed(database, registry.agents, exact=sync)
    assert all(item.agent == agent for item in done)
    return [(item.status_key, item.version, item.outcome) for item in done]


async def person(database: Database, agent: str, text: str, status_key: str = "default") -> None:
    """Write and activate a text as a person does."""
    await commands.create(database, agent, status_key, text, activate=True, intent=Intent("ann"), new_status=True)


# The table.


async def test_never_seen_and_none_ever(database: Database, agent: str) -> None:
    """The first text becomes version 1, is activated, and says that it came from code."""
    assert await release(database, agent, default="Hello") == [("default", 1, "created")]
    (prompt,) = await queries.versions(database, agent)
    assert (prompt.version, prompt.is_active, prompt.is_default_from_code, prompt.author) == (1, True, True, "code")
    assert await told(database, agent) == [("created", 1, None), ("activated", 1, None)]
    await check_history(database, agent)


async def test_never_seen_beside_a_persons_draft(database: Database, agent: str) -> None:
    """A draft that was never active decides nothing: the code's first text is activated."""
    await commands.create(database, agent, "default", "a draft", new_agent=True, new_status=True)
    assert await release(database, agent, default="code") == [("default", 2, "created")]
    assert await standing(database, agent) == [(1, False), (2, True)]
    await check_history(database, agent)


async def test_never_seen_and_a_code_version_is_active(database: Database, agent: str) -> None:
    """A new release's text takes over."""
    await release(database, agent, default="one")
    assert await release(database, agent, default="two") == [("default", 2, "created")]
    assert await standing(database, agent) == [(1, False), (2, True)]
    assert (await told(database, agent))[-1] == ("activated", 2, 1)
    await check_history(database, agent)


async def test_never_seen_and_a_persons_version_is_active(database: Database, agent: str) -> None:
    """A person's version stays; the new text is written, and the drift recorded."""
    await release(database, agent, default="one")
    await person(database, agent, "by hand")
    assert await release(database, agent, default="two") == [("default", 3, "drift")]
    assert await standing(database, agent) == [(1, False), (2, True), (3, False)]
    assert (await told(database, agent))[-2:] == [("created", 3, None), ("drift", 3, 2)]
    await check_history(database, agent)


async def test_never_seen_and_a_person_deactivated(database: Database, agent: str) -> None:
    """A status that a person left without a version stays without one."""
    await release(database, agent, default="one")
    await commands.deactivate(database, agent, "default")
    assert await release(database, agent, default="two") == [("default", 2, "drift")]
    assert await standing(database, agent) == [(1, False), (2, False)]
    assert (await told(database, agent))[-1] == ("drift", 2, None)
    await check_history(database, agent)


async def test_never_seen_where_a_person_deactivated_and_deleted(database: Database, agent: str) -> None:
    """To delete what was deactivated does not undo the decision."""
    await commands.create(database, agent, "default", "by hand", activate=True, new_agent=True, new_status=True)
    await commands.deactivate(database, agent, "default")
    await commands.delete(database, agent, "default", 1)
    assert await release(database, agent, default="code") == [("default", 2, "drift")]
    assert await standing(database, agent) == [(2, False)]


async def test_all_versions_deleted_by_sql(database: Database, agent: str) -> None:
    """Whoever empties the table wants to begin anew."""
    await release(database, agent, default="one")
    info = await finding.find_agent(database, agent)
    await database.run(rows, f"DELETE FROM prompts WHERE agent_id = {info.id}")  # a number
    assert await release(database, agent, default="one") == [("default", 1, "created")]
    assert await active_text(database, agent) == "one"


@pytest.mark.parametrize("active", ["code", "older code", "person", "none"])
async def test_seen_before(database: Database, agent: str, active: str) -> None:
    """A text that equals any earlier code version writes nothing, whatever is active: no version, event or revision."""
    await release(database, agent, default="one")
    await release(database, agent, default="two")
    if active == "older code":
        await commands.rollback(database, agent, "default")
    elif active == "person":
        await person(database, agent, "by hand")
    elif active == "none":
        await commands.deactivate(database, agent, "default")
    before = (await finding.find_agent(database, agent), await events_of(database, agent))
    standing_before = await standing(database, agent)
    for text in ("one", "two", "one"):
        assert await release(database, agent, default=text) == []
    assert (await finding.find_agent(database, agent), await events_of(database, agent)) == before
    assert await standing(database, agent) == standing_before


async def test_a_persons_text_that_equals_the_codes(database: Database, agent: str) -> None:
    """Only code versions count as seen: what a person wrote stays the person's."""
    await commands.create(database, agent, "default", "same", activate=True, new_agent=True, new_status=True)
    assert await release(database, agent, default="same") == [("default", 2, "drift")]
    assert await standing(database, agent) == [(1, True), (2, False)]


async def test_another_format_is_another_text(database: Database, agent: str) -> None:
    """The same characters read in another way are new."""
    await release(database, agent, default="plain")
    assert await release(database, agent, default="plain", format="text") == [("default", 2, "created")]
    assert await release(database, agent, default="plain") == []


async def test_statuses_are_independent(database: Database, agent: str) -> None:
    """Each status has a list of its own."""
    await release(database, agent, primary="A", A="a", B="b", C="c")
    await person(database, agent, "by hand", "B")
    assert await release(database, agent, primary="A", A="a2", B="b2", C="c", D="d") == [
        ("A", 2, "created"),
        ("B", 3, "drift"),
        ("D", 1, "created"),
    ]
    assert await active_text(database, agent, "B") == "by hand"
    await check_history(database, agent)


async def test_details_are_written_with_the_text(database: Database, agent: str) -> None:
    """Name and note of the declaration come along."""
    registry = Registry()

    prompt("text", agent=agent, name="Name", note="Note", format="text", registry=registry)
    await seeding.seed(database, registry.agents)
    (written,) = await queries.versions(database, agent)
    assert (written.name, written.note, written.format) == ("Name", "Note", "text")


async def test_nothing_declared_writes_nothing(database: Database) -> None:
    """A process without prompts does not touch the database."""
    assert await seeding.seed(database, {}) == ()
    assert await seeding.seed(database, {}, exact=True) == ()


async def test_many_agents(database: Database, agent: str) -> None:
    """More agents than one transaction takes are seeded all the same."""
    registry = Registry()
    names = [f"{agent}-{number:03}" for number in range(120)]
    for name in names:
        registry.declare(name, {"A": f"a of {name}", "B": "b"}, where="here", primary="A")
    done = await seeding.seed(database, registry.agents)
    assert [(item.agent, item.status_key, item.version) for item in done] == [
        (name, key, 1) for name in names for key in ("A", "B")
    ]
    assert await active_text(database, names[77], "A") == f"a of {names[77]}"
    assert await seeding.seed(database, registry.agents) == ()
    await check_history(database, names[119])


# `sync`: a release step that is run on purpose.


async def test_sync_of_a_reverted_release(database: Database, agent: str) -> None:
    """Where an older code version equals the code and a code version is active, it is activated; a start never does."""
    await release(database, agent, default="one")
    await release(database, agent, default="two")
    assert await release(database, agent, default="one") == []
    assert await release(database, agent, default="one", sync=True) == [("default", 1, "activated")]
    assert await standing(database, agent) == [(1, True), (2, False)]
    assert await release(database, agent, default="one", sync=True) == []
    newest = (await events_of(database, agent))[0]
    assert (newest.action.value, newest.version, newest.from_version, newest.author) == ("activated", 1, 2, "code")
    await check_history(database, agent)


async def test_sync_that_finds_nothing_to_do_writes_nothing(database: Database, agent: str) -> None:
    """Not even the revision is raised, which would be a conflict for a person who is editing; orphans are reported."""
    await release(database, agent, default="one", A="a", sync=True)
    await person(database, agent, "by hand", "A")
    before = (await finding.find_agent(database, agent), await events_of(database, agent))
    assert await release(database, agent, default="one", A="a", sync=True) == []
    assert await release(database, agent, default="one", sync=True) == [("A", 1, "orphan")]
    assert (await finding.find_agent(database, agent), await events_of(database, agent)) == before
    await release(database, agent, default="two", sync=True)
    assert (await finding.find_agent(database, agent)).revision == before[0].revision + 1
    await commands.rollback(database, agent, "default")
    before = (await finding.find_agent(database, agent), await events_of(database, agent))
    assert await release(database, agent, default="two", sync=True) == [("A", 1, "orphan")]
    assert (await finding.find_agent(database, agent), await events_of(database, agent)) == before


async def test_sync_of_a_release_that_came_back(database: Database, agent: str) -> None:
    """A text that was reverted by `sync` and is released again is activated again."""
    await release(database, agent, default="one")
    await release(database, agent, default="two")
    await release(database, agent, default="one", sync=True)
    assert await release(database, agent, default="two") == []
    assert await release(database, agent, default="two", sync=True) == [("default", 2, "activated")]
    await check_history(database, agent)


async def test_an_operators_rollback_stands(database: Database, agent: str) -> None:
    """Neither a start nor `sync` of the same release overrides a person who went back to the older version."""
    await release(database, agent, default="one")
    await release(database, agent, default="two")
    await commands.rollback(database, agent, "default", intent=Intent("ann"))
    assert await release(database, agent, default="two") == []
    assert await release(database, agent, default="two", sync=True) == []
    assert await active_text(database, agent) == "one"
    assert await release(database, agent, default="three") == [("default", 3, "created")]
    assert await active_text(database, agent) == "three"


@pytest.mark.parametrize("decision", ["person", "none"])
async def test_sync_leaves_a_persons_decision(database: Database, agent: str, decision: str) -> None:
    """`sync` activates only where a code version is active."""
    await release(database, agent, default="one")
    await release(database, agent, default="two")
    if decision == "person":
        await person(database, agent, "by hand")
    else:
        await commands.deactivate(database, agent, "default")
    before = await standing(database, agent)
    assert await release(database, agent, default="one", sync=True) == []
    assert await standing(database, agent) == before
    assert [outcome for _, _, outcome in await release(database, agent, default="three", sync=True)] == ["drift"]


async def test_sync_reports_orphans(database: Database, agent: str) -> None:
    """A status that the code mentions no more is reported, and nothing of it is deleted or deactivated."""
    await release(database, agent, primary="A", A="a", B="b")
    await commands.create(database, agent, "OWN", "a person's status", activate=True, new_status=True)
    assert await release(database, agent, A="a") == []
    assert await release(database, agent, A="a", sync=True) == [("B", 1, "orphan")]
    assert await standing(database, agent, "B") == [(1, True)]
    assert await standing(database, agent, "OWN") == [(1, True)]


# What the code says besides texts.


async def facts(database: Database, agent: str) -> tuple[str, tuple[str, ...]]:
    """Return primary status and exposed names as the database has them."""
    info = await finding.find_agent(database, agent)
    return info.default_status_key, info.variables


async def test_exposed_names_are_added_by_a_start_and_set_by_sync(database: Database, agent: str) -> None:
    """A starting process only adds names, so that old and new releases run side by side; `sync` sets them exactly."""
    await release(database, agent, default="{{name}}", variables=["contact.*"])
    assert await facts(database, agent) == ("default", ("contact.*", "name"))
    await release(database, agent, default="{{tax_id}}")
    assert await facts(database, agent) == ("default", ("contact.*", "name", "tax_id"))
    await release(database, agent, default="{{name}}")
    assert await facts(database, agent) == ("default", ("contact.*", "name", "tax_id"))
    await release(database, agent, default="{{tax_id}}", sync=True)
    assert await facts(database, agent) == ("default", ("tax_id",))


async def test_a_name_without_a_new_text_is_added_too(database: Database, agent: str) -> None:
    """A declaration that only exposes another name is news."""
    await release(database, agent, default="text")
    with pytest.raises(UnexposedVariableError):
        await commands.create(database, agent, "default", "{{vip}}", new_status=True)
    await release(database, agent, default="text", variables=["vip"])
    assert (await commands.create(database, agent, "default", "{{vip}}", new_status=True)).prompt is not None


async def test_the_primary_status_is_set_by_sync(database: Database, agent: str) -> None:
    """The first process sets it, a start leaves it, `sync` sets it; the pointer follows."""
    await release(database, agent, primary="A", A="a", B="b")
    assert await facts(database, agent) == ("A", ())
    await release(database, agent, primary="B", A="a", B="b", C="c")
    assert await facts(database, agent) == ("A", ())
    await check_history(database, agent)
    await release(database, agent, primary="B", A="a", B="b", C="c", sync=True)
    assert await facts(database, agent) == ("B", ())
    await check_history(database, agent)


async def test_an_agent_that_a_person_added(database: Database, agent: str) -> None:
    """Code that comes later takes it over; its primary status comes with `sync`."""
    await commands.create(database, agent, "MINE", "by hand", activate=True, new_agent=True, new_status=True)
    await release(database, agent, primary="A", A="a", MINE="code")
    assert await facts(database, agent) == ("MINE", ())
    await check_history(database, agent)
    await release(database, agent, primary="A", A="a", MINE="code", sync=True)
    assert await facts(database, agent) == ("A", ())
    assert await active_text(database, agent, "MINE") == "by hand"
    await check_history(database, agent)


# Several releases and many processes.


async def test_old_and_new_release_side_by_side(database: Database, agent: str) -> None:
    """However often processes of either release start, nothing flaps and no version is written twice."""
    await release(database, agent, default="old {{a}}")
    await release(database, agent, default="new {{b}}")
    settled = (await standing(database, agent), await told(database, agent), await facts(database, agent))
    for _ in range(3):
        await release(database, agent, default="old {{a}}")
        await release(database, agent, default="new {{b}}")
    assert (await standing(database, agent), await told(database, agent), await facts(database, agent)) == settled
    assert settled[0] == [(1, False), (2, True)]
    assert settled[2][1] == ("a", "b")
    await person(database, agent, "by hand {{a}}{{b}}")
    await release(database, agent, default="old {{a}}")
    await release(database, agent, default="newer {{b}}")
    assert await active_text(database, agent) == "by hand {{a}}{{b}}"


async def test_many_processes_declare_the_same(
    shared_url: str, database: Database, agent: str, launcher: Launcher
) -> None:
    """Any number of processes may seed at once: one version of each text results, and its events once."""
    texts = {agent: {"A": "a {{name}}", "B": "b"}, f"{agent}-2": {"default": "text"}}
    children = [launcher.fork("tests.member:serve", shared_url, texts) for _ in range(24)]
    for child in children:
        child.tell("seed_alone")
    outcomes = [outcome for child in children for outcome in child.answer()]
    for child in children:
        assert child.close() == 0
    assert outcomes == ["created"] * 3
    for status_key in ("A", "B"):
        assert await standing(database, agent, status_key) == [(1, True)]
    assert await standing(database, f"{agent}-2") == [(1, True)]
    assert len(await told(database, agent)) == 4
    await check_history(database, agent)


async def test_seeding_is_all_or_nothing(database: Database, agent: str) -> None:
    """A process that fails at its last statement leaves nothing, and the next one does it all."""
    await commands.create(database, agent, "MINE", "by hand", new_agent=True, new_status=True)
    await database.run(_refuse, database.dialect, agent)
    with pytest.raises(DatabaseUnavailableError, match="refused for the test"):
        await release(database, agent, default="text {{name}}")
    assert len(await queries.versions(database, agent)) == 1
    assert await told(database, agent) == [("created", 1, None)]
    drop = "DROP TRIGGER refuse" + (" ON agents" if database.dialect == "postgres" else "")
    await database.run(rows, drop)
    assert await release(database, agent, default="text {{name}}") == [("default", 1, "created")]
    await check_history(database, agent)


async def _refuse(db: BaseDBAsyncClient, dialect: str, agent: str) -> None:
    """Have the database refuse to write an agent's exposed names, which is what seeding does last."""
    if dialect == "sqlite":
        await rows(
            db,
            f"CREATE TRIGGER refuse BEFORE UPDATE OF variables ON agents WHEN NEW.name = '{agent}' "
            "BEGIN SELECT RAISE(ABORT, 'refused for the test'); END",
        )
        return
    await rows(
        db,
        "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger AS "
        "$$ BEGIN RAISE EXCEPTION 'refused for the test'; END $$ LANGUAGE plpgsql",
    )
    await rows(
        db,
        f"CREATE TRIGGER refuse BEFORE UPDATE OF variables ON agents FOR EACH ROW WHEN (NEW.name = '{agent}') "
        "EXECUTE FUNCTION refuse()",
    )


async def test_seeding_an_agent_that_is_deleted_meanwhile(database: Database, agent: str) -> None:
    """An agent that somebody deletes is simply new the next time."""
    await release(database, agent, default="text")
    info = await finding.find_agent(database, agent)
    await database.run(rows, f"DELETE FROM agents WHERE id = {info.id}")  # a number
    with pytest.raises(PromptNotFoundError):
        await queries.versions(database, agent)
    assert await release(database, agent, default="text") == [("default", 1, "created")]
