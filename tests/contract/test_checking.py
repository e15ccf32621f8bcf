"""What a check finds between code, database and files, on each engine."""

from __future__ import annotations

from pathlib import Path

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.edits import Intent
from automagik_prompts.editing import checks, commands, sync
from automagik_prompts.editing.files import exporting
from automagik_prompts.editing.files.checks import check_files
from automagik_prompts.editing.findings import Kind
from automagik_prompts.storage.database import Database
from tests.tampering import unkeep


async def kinds(database: Database, agent: str, registry: Registry) -> list[tuple[Kind, str | None]]:
    """What a check finds for one agent."""
    found = await checks.check_database(database, registry.agents, {agent})
    return [(finding.kind, finding.status_key) for finding in found]


async def test_a_check_of_what_fits_finds_nothing(database: Database, agent: str, registry: Registry) -> None:
    """Code that was seeded, and a person's better version of it, are as they should be."""
    registry.declare(agent, {"A": "one {{name}}", "B": "two"}, where="here", primary="A")
    assert await kinds(database, agent, registry) == [(Kind.UNSYNCED, "A"), (Kind.UNSYNCED, "B")]
    await sync.seed(database, registry.agents)
    await commands.create(database, agent, "A", "better {{name}}", activate=True)
    assert await kinds(database, agent, registry) == []
    assert await kinds(database, agent, Registry()) == []


async def test_a_check_finds_drift_before_and_after_it_was_seeded(
    database: Database, agent: str, registry: Registry
) -> None:
    """Drift is found in a release that is about to go out, and in one that is out, until somebody decides."""
    registry.declare(agent, {"default": "one"}, where="here")
    await sync.seed(database, registry.agents)
    await commands.create(database, agent, "default", "a person's", activate=True, intent=Intent("ann"))
    changed = Registry()
    changed.declare(agent, {"default": "two"}, where="/code/prompts.py:12")
    (coming,) = await checks.check_database(database, changed.agents, {agent})
    assert (coming.kind, coming.version, coming.command) == (
        Kind.DRIFT,
        2,
        f"automagik-prompts diff {agent} default --code",
    )
    assert coming.place is not None
    assert (str(coming.place.path), coming.place.line) == ("/code/prompts.py", 12)
    await sync.seed(database, changed.agents)
    (seeded,) = await checks.check_database(database, changed.agents, {agent})
    assert (seeded.kind, seeded.command) == (Kind.DRIFT, f"automagik-prompts diff {agent} default 2 3")
    assert await kinds(database, agent, Registry()) == [(Kind.DRIFT, "default")]
    await commands.create(database, agent, "default", "both", activate=True)
    assert await kinds(database, agent, changed) == []


async def test_a_check_finds_new_texts_statuses_without_a_version_and_orphans(
    database: Database, agent: str, registry: Registry
) -> None:
    """Whatever is not as the code says is found, each as its kind."""
    registry.declare(agent, {"A": "one", "B": "two", "C": "three"}, where="here", primary="A")
    await sync.seed(database, registry.agents)
    await commands.deactivate(database, agent, "B")
    changed = Registry()
    changed.declare(agent, {"A": "new", "B": "two"}, where="here", primary="B")
    assert sorted(await kinds(database, agent, changed)) == [
        (Kind.INACTIVE, "B"),
        (Kind.ORPHAN, "C"),
        (Kind.UNSYNCED, "A"),
        (Kind.UNSYNCED, "B"),
    ]


async def test_a_check_finds_what_cannot_be_served(database: Database, agent: str, registry: Registry) -> None:
    """A template that uses what the code no longer exposes, and one that plain SQL broke, are found."""
    registry.declare(agent, {"A": "Hi {{name}}", "B": "b"}, where="here", primary="A")
    await sync.seed(database, registry.agents)
    await unkeep(database)
    await database.run(
        lambda db: db.execute_query(
            "UPDATE prompts SET prompt_text = '{{#if' WHERE status_key = 'B' AND agent_id = "
            f"(SELECT id FROM agents WHERE name = '{agent}')"
        )
    )
    changed = Registry()
    changed.declare(agent, {"A": "Hi", "B": "b"}, where="here", primary="A")
    found = await checks.check_database(database, changed.agents, {agent})
    assert {finding.kind for finding in found} == {Kind.UNSYNCED, Kind.UNEXPOSED, Kind.INVALID}
    assert not any("Hi {{name}}" in finding.message for finding in found)


async def test_a_check_compares_files_with_code_and_database(
    database: Database, agent: str, registry: Registry, tmp_path: Path
) -> None:
    """Files that are changed, broken, doubled or missing are found, with the line where the text is wrong."""
    registry.declare(agent, {"A": "a {{name}}", "B": "b", "C": "c", "D": "d"}, where="here", primary="A")
    await sync.seed(database, registry.agents)
    exporting.export(await exporting.read_prompts(database, [agent]), tmp_path, agents=[agent])
    folder = tmp_path / agent
    assert await check_files(tmp_path, registry.agents, database, {agent}) == []
    (folder / "A.md").write_bytes((folder / "A.md").read_bytes().replace(b"{{name}}", b"{{secret}}"))
    (folder / "B.md").write_bytes((folder / "B.md").read_bytes() + b"\n{{#if\n")
    (folder / "C.md").unlink()
    (folder / "copy.md").write_bytes((folder / "D.md").read_bytes())
    (folder / "broken.md").write_text("---\nagent: x\n---\n")
    found = await check_files(tmp_path, registry.agents, database, {agent})
    seen = {(finding.kind, finding.status_key, finding.place.path.name if finding.place else None) for finding in found}
    assert seen == {
        (Kind.UNEXPOSED, "A", "A.md"),
        (Kind.FILE_DIFFERS, "A", "A.md"),
        (Kind.INVALID, "B", "B.md"),
        (Kind.FILE_DIFFERS, "B", "B.md"),
        (Kind.FILE_MISSING, "C", None),
        (Kind.INVALID, "D", "copy.md"),
        (Kind.INVALID, None, "broken.md"),
    }
    broken = next(finding for finding in found if finding.kind is Kind.INVALID and finding.status_key == "B")
    assert broken.place is not None
    assert (folder / "B.md").read_text().split("\n")[broken.place.line - 1] == "{{#if"
    alone = await check_files(tmp_path, registry.agents, None, {agent})
    assert {finding.kind for finding in alone} == {Kind.UNEXPOSED, Kind.INVALID}
