"""Which versions a conversation may go on with: those that are active or once were, on each engine."""

from __future__ import annotations

import pytest

from automagik_prompts.agent import plugins
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.editing import commands, finding
from automagik_prompts.editing import sync as seeding
from automagik_prompts.following.version_cache import VersionStore
from automagik_prompts.storage import repository
from automagik_prompts.storage.database import Database
from tests.contract.history import rows


async def write(database: Database, agent: str, text: str, status_key: str = "A", *, activate: bool = False) -> None:
    """Write a version."""
    await commands.create(database, agent, status_key, text, activate=activate, new_agent=True, new_status=True)


async def found(database: Database, agent: str, version: int | None = None) -> list[tuple[str, int]]:
    """Return what is active or was it once, newest first."""
    info = await finding.find_agent(database, agent)
    once = await database.run(repository.get_activated_versions, info.id, version=version)
    versions = await database.run(repository.get_newest_versions, info.id, limit=200)
    return [
        (prompt.status_key, prompt.version)
        for prompt in versions
        if (prompt.is_active and version in {None, prompt.version}) or (prompt.status_key, prompt.version) in once
    ]


async def test_drafts_are_not_among_them(database: Database, agent: str) -> None:
    """What was activated counts, also after it was superseded, rolled back or deactivated; a draft does not."""
    for text, activate in (("one", True), ("draft", False), ("three", True), ("four", True), ("draft five", False)):
        await write(database, agent, text, activate=activate)
    await write(database, agent, "other", "B")
    assert await found(database, agent) == [("A", 4), ("A", 3), ("A", 1)]
    await commands.rollback(database, agent, "A")
    await commands.deactivate(database, agent, "A")
    assert await found(database, agent) == [("A", 4), ("A", 3), ("A", 1)]
    await commands.activate(database, agent, "A", 2)
    await commands.activate(database, agent, "B", 1)
    assert await found(database, agent) == [("B", 1), ("A", 4), ("A", 3), ("A", 2), ("A", 1)]
    assert await found(database, agent, version=2) == [("A", 2)]
    assert await found(database, agent, version=5) == []


async def test_what_plain_sql_activated(database: Database, agent: str) -> None:
    """A version that plain SQL made the active one counts while it is, and after an edit of the library followed."""
    await write(database, agent, "one", activate=True)
    await write(database, agent, "two")
    info = await finding.find_agent(database, agent)

    async def swap(value: int) -> None:
        for version, active in ((3 - value, "false"), (value, "true")):
            await database.transaction(
                rows,
                f"UPDATE prompts SET is_active = {active} WHERE agent_id = {info.id} AND version = {version}",
            )

    await swap(2)
    assert await found(database, agent) == [("A", 2), ("A", 1)]
    await write(database, agent, "three", activate=True)
    assert await found(database, agent) == [("A", 3), ("A", 2), ("A", 1)]


async def test_what_code_brought(database: Database, agent: str) -> None:
    """Seeding activates the first text; a text that only drifts was never active."""
    for text in ("first", "drifting"):
        registry = Registry()
        registry.declare(agent, {"A": text}, where="here", primary="A")
        await seeding.seed(database, registry.agents)
        if text == "first":
            await write(database, agent, "by hand", activate=True)
    assert await found(database, agent) == [("A", 2), ("A", 1)]


@pytest.fixture
def pinned(agent: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The only agent of which versions are kept."""
    monkeypatch.setattr(plugins, "pinned", {agent})
    return agent


async def test_they_are_read_ahead(database: Database, pinned: str) -> None:
    """A process that starts has the versions of its pinning agents with their hashes, and no draft."""
    for text, activate in (("one {{today}}", True), ("draft", False), ("three", True)):
        await write(database, pinned, text, activate=activate)
    store = VersionStore(Registry())
    await store.read_ahead(database)
    kept = [store.find_pinned(None, pinned, "A", version) for version in (1, 2, 3)]
    assert [prompt.text if prompt is not None else None for prompt in kept] == ["one {{today}}", None, "three"]
    assert kept[0] is not None
    assert len(kept[0].content_hash) == 64


async def test_one_is_read_later(database: Database, pinned: str) -> None:
    """One version is read by its number, if it was once active and this process can serve it."""
    await write(database, pinned, "one", activate=True)
    await write(database, pinned, "draft")
    store = VersionStore(Registry())
    await store.asking((pinned, "A", 1))(database)
    assert store.find_pinned(None, pinned, "A", 1) is not None
    for key in ((pinned, "A", 2), (pinned, "A", 99), (pinned, "B", 1), ("nobody", "A", 1)):
        await store.asking(key)(database)
        assert store.absent[key]
    assert store.find_pinned(None, pinned, "A", 2) is None
    await store.load(database, pinned, "A", 2)
    assert store.find(None, pinned, "A", 2) is not None
    assert store.find_pinned(None, pinned, "A", 2) is None
