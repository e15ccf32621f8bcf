"""Between database and files: what an export writes, an import reads back, on each engine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.editing import commands, finding, queries, sync
from automagik_prompts.editing.direct import DatabaseEdits
from automagik_prompts.editing.files import exporting, importing
from automagik_prompts.editing.files.folder import FoundFile, find_files, read_folder
from automagik_prompts.editing.files.text import PromptFile
from automagik_prompts.exceptions import InvalidPromptError, PromptNotFoundError, UnexposedVariableError
from automagik_prompts.storage.database import Database
from tests.contract.history import active_text, standing


async def versions(database: Database, agent: str, *texts: str, status_key: str = "default") -> None:
    """Write versions, each one activated."""
    for text in texts:
        await commands.create(database, agent, status_key, text, activate=True, new_agent=True, new_status=True)


def imported(folder: Path) -> list[FoundFile]:
    """Read the files of a folder."""
    return read_folder(folder)[0]


async def test_an_export_and_an_import_of_it_change_nothing(
    database: Database, agent: str, registry: Registry, tmp_path: Path
) -> None:
    """The round trip is empty: files of what is active, and no version from them, whatever the texts are."""
    texts = {"A": "one\r\ntwo\n", "B": "{{name}}\n\n", "C": "no line feed"}
    registry.declare(agent, texts, where="here", primary="B")
    await sync.seed(database, registry.agents)
    prompts = await exporting.read_prompts(database, [agent])
    written = exporting.export(prompts, tmp_path, agents=[agent])
    assert [(file.status_key, file.outcome) for file in written] == [(key, "written") for key in texts]
    assert {file.prompt.status_key: file.prompt.text for file in imported(tmp_path)} == texts
    plan = await importing.plan_import(database, imported(tmp_path), activate=True)
    assert (plan.work, plan.new_agents) == ((), ())
    again = exporting.export(await exporting.read_prompts(database, [agent]), tmp_path, agents=[agent])
    assert {file.outcome for file in again} == {"unchanged"}


async def test_an_import_writes_what_differs_once(database: Database, agent: str, tmp_path: Path) -> None:
    """A changed file is a new version; imported again it is known; with `activate` it becomes the active one."""
    await versions(database, agent, "one", status_key="A")
    exporting.export(await exporting.read_prompts(database, [agent]), tmp_path, agents=[agent])
    (file,) = imported(tmp_path)
    changed = [FoundFile(file.path, replace(file.prompt, text="two", name="Second"))]

    async def carry_out(*, activate: bool) -> list[tuple[str, int | None]]:
        plan = await importing.plan_import(database, changed, activate=activate)
        done = await importing.carry_out(
            database,
            DatabaseEdits(database, author="ann"),
            plan,
            activate=activate,
            note=None,
            progress=lambda step: seen.append(step.version),
        )
        return [(step.action, step.version) for step in done.steps]

    seen: list[int | None] = []
    assert await carry_out(activate=False) == [("create", 2)]
    assert await carry_out(activate=False) == [("exists", 2)]
    assert await standing(database, agent, "A") == [(1, True), (2, False)]
    assert await carry_out(activate=True) == [("activate", 2)]
    assert await carry_out(activate=True) == [("unchanged", 2)]
    assert (await active_text(database, agent, "A"), seen) == ("two", [2, 2])
    newest = await queries.get(database, agent, "A", 2)
    assert (newest.author, newest.name, newest.note) == ("ann", "Second", f"imported from {file.path.name}")


async def test_an_import_adds_agents_as_their_files_describe_them(
    database: Database, agent: str, registry: Registry, tmp_path: Path
) -> None:
    """In a database that does not know the agent it gets its primary status and its variables, and the texts work."""
    registry.declare(agent, {"A": "Hi {{name}}", "B": "b"}, where="here", primary="B", variables=["vip?"])
    await sync.seed(database, registry.agents)
    exporting.export(await exporting.read_prompts(database, [agent]), tmp_path, agents=[agent])
    other = f"{agent}-copy"
    files = [FoundFile(file.path, replace(file.prompt, agent=other)) for file in imported(tmp_path)]
    plan = await importing.plan_import(database, files, activate=True)
    await importing.carry_out(
        database, DatabaseEdits(database), plan, activate=True, note=None, progress=lambda _step: None
    )
    info = await finding.find_agent(database, other)
    assert (info.default_status_key, info.variables) == ("B", ("name", "vip?"))
    assert info.active_default_prompt_id is not None
    assert await active_text(database, other, "A") == "Hi {{name}}"


async def test_an_import_is_checked_before_anything_is_written(database: Database, agent: str, tmp_path: Path) -> None:
    """One text that is refused, named by its file, keeps all others from being written; so does a missing primary."""
    await versions(database, agent, "one")
    good = FoundFile(tmp_path / "good.md", PromptFile(agent, "A", "fine"))
    bad = FoundFile(tmp_path / "bad.md", PromptFile(agent, "B", "{{secret}}"))
    with pytest.raises(PromptNotFoundError, match=r"good\.md: .* has no status 'A'"):
        await importing.plan_import(database, [good], activate=False)
    with pytest.raises(UnexposedVariableError, match=r"bad\.md: .*secret"):
        await importing.plan_import(database, [good, bad], activate=False, new_status=True)
    strangers = [
        FoundFile(tmp_path / f"{key}.md", PromptFile(f"{agent}-new", key, "text", primary=primary))
        for key, primary in (("A", False), ("B", False))
    ]
    with pytest.raises(InvalidPromptError, match="which status is its primary one"):
        await importing.plan_import(database, strangers, activate=False)
    both = [FoundFile(file.path, replace(file.prompt, primary=True)) for file in strangers]
    with pytest.raises(InvalidPromptError, match="Two files say"):
        await importing.plan_import(database, both, activate=False)
    assert await queries.summaries(database, agent) == [
        one for one in await queries.summaries(database, agent) if one.status_key == "default"
    ]


async def test_an_export_tells_and_removes_files_that_are_stale(database: Database, agent: str, tmp_path: Path) -> None:
    """A file whose prompt is not active any more is told, and removed on demand; other people's files never are."""
    await versions(database, agent, "a", status_key="A")
    await versions(database, agent, "b", status_key="B")
    exporting.export(await exporting.read_prompts(database, [agent]), tmp_path, agents=[agent])
    foreign = tmp_path / agent / "notes.md"
    foreign.write_text("---\ntitle: mine\n---\n")
    await commands.deactivate(database, agent, "B")
    prompts = await exporting.read_prompts(database, [agent])
    stale = exporting.export(prompts, tmp_path, agents=[agent])
    assert [(file.status_key, file.outcome) for file in stale] == [("A", "unchanged"), ("B", "stale")]
    assert exporting.export(prompts, tmp_path, agents=["somebody else"])[1:] == []
    removed = exporting.export(prompts, tmp_path, agents=[agent], prune=True)
    assert [(file.status_key, file.outcome) for file in removed] == [("A", "unchanged"), ("B", "removed")]
    assert sorted(path.name for path in find_files(tmp_path)) == ["A.md", "notes.md"]
