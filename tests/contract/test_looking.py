"""Looking in Python: pages that neither miss nor repeat anything, and exports."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from automagik_prompts.domain.edits import Page
from automagik_prompts.domain.policy import Actor
from automagik_prompts.domain.roles import Roles
from automagik_prompts.editing.direct import DatabaseEdits
from automagik_prompts.exceptions import InvalidPromptError, NotAllowedError, PromptNotFoundError
from automagik_prompts.storage.database import Database
from tests.reviewing import ANA, as_, declared, seed

Look = Callable[..., Coroutine[Any, Any, Page[Any]]]


async def everything(look: Look, *args: Any, limit: int, **kwargs: Any) -> list[Any]:
    """Read page after page, until there is no next one."""
    found: list[Any] = []
    after: str | None = None
    for _ in range(1000):
        page = await look(*args, after=after, limit=limit, **kwargs)
        assert len(page.items) <= limit
        found += page.items
        after = page.next
        if after is None:
            return found
        assert len(page.items) == limit
    raise AssertionError("the pages do not end")


@pytest.fixture
async def names(database: Database, agent: str) -> list[str]:
    """Five agents with a few versions and requests each; other tests have agents of their own beside them."""
    found = [f"{agent}-{letter}" for letter in "aBcDe"]
    for name in found:
        await seed(database, declared(name))
        ana = as_(database, ANA)
        await ana.create(name, "NEW", "find the needle\nand the needle", activate=True)
        await ana.create(name, "APPROVED", "needle, third")
        await ana.activate(name, "APPROVED", 2)
    return found


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 1000])
async def test_pages(database: Database, names: list[str], limit: int) -> None:
    """However long a page is, all pages together are the whole, once and in order."""
    ana = DatabaseEdits(database, policy=Roles(), actor=Actor("ana", roles=("viewer",), agents=tuple(names)))
    assert [one.name for one in await everything(ana.agents, limit=limit)] == sorted(names)
    statuses = await everything(ana.statuses, limit=limit)
    assert [(one.agent, one.status_key) for one in statuses] == [
        (name, key) for name in sorted(names) for key in ("APPROVED", "NEW")
    ]
    events = await everything(ana.events, limit=limit)
    assert len(events) == len({one.id for one in events}) == 5 * 9
    assert [one.id for one in events] == sorted((one.id for one in events), reverse=True)
    assert {one.agent for one in events} == set(names)
    requests = await everything(ana.requests, limit=limit)
    assert [one.agent for one in requests] == names[::-1]
    matches = await everything(ana.search, "needle", limit=limit)
    assert [(one.agent, one.prompt.status_key, one.line) for one in matches] == [
        (name, "NEW", line) for name in sorted(names) for line in (1, 2)
    ]
    every = await everything(ana.search, "needle", every_version=True, limit=limit)
    assert len(every) == 15
    for name in names[:2]:
        versions = await everything(ana.versions, name, limit=limit)
        assert [(one.status_key, one.version) for one in versions] == [
            *(("APPROVED", 2), ("APPROVED", 1), ("NEW", 2), ("NEW", 1))
        ]
        mine = await everything(ana.statuses, name, limit=limit)
        assert [one.status_key for one in mine] == ["APPROVED", "NEW"]
        assert len(await everything(ana.events, name, "NEW", limit=limit)) == 4


async def test_what_is_said_of_a_status(database: Database, names: list[str]) -> None:
    """A status says whether it is protected, and a version what it is based on."""
    ana = as_(database, ANA)
    approved, new = (await ana.statuses(names[0])).items
    assert approved.protection is not None
    assert (approved.protection.approvals, new.protection) == (1, None)
    newest = (await ana.versions(names[0], "new", limit=1)).items[0]
    assert (newest.version, newest.based_on, newest.is_active) == (2, 1, True)


@pytest.mark.parametrize("cursor", ["x", "1\t2\t3", "a\tb", "-1", "9" * 40])
async def test_what_is_no_cursor(database: Database, names: list[str], cursor: str) -> None:
    """A cursor that no page has given is refused where it cannot be one."""
    ana = as_(database, ANA)
    for look in (
        lambda: ana.events(after=cursor),
        lambda: ana.requests(after=cursor),
        lambda: ana.versions(names[0], after=cursor),
        lambda: ana.search("needle", after=cursor),
    ):
        with pytest.raises(InvalidPromptError, match="This is no `next` of a page"):
            await look()


@pytest.mark.parametrize("limit", [0, -1, 1001])
async def test_how_long_a_page_may_be(database: Database, names: list[str], limit: int) -> None:
    """A page has from 1 to 1000 items."""
    ana = as_(database, ANA)
    for look in (
        lambda: ana.agents(limit=limit),
        lambda: ana.statuses(limit=limit),
        lambda: ana.events(limit=limit),
        lambda: ana.requests(limit=limit),
        lambda: ana.versions(names[0], limit=limit),
        lambda: ana.search("needle", limit=limit),
    ):
        with pytest.raises(InvalidPromptError, match="A page has from 1 to 1000 items"):
            await look()


async def test_export(database: Database, names: list[str], tmp_path: Path) -> None:
    """What the policy shows is written, and written again it is unchanged."""
    ana = as_(database, Actor("ana", roles=("viewer",), agents=(names[0], names[1])), Roles())
    files = await ana.export(tmp_path)
    assert {(file.agent, file.status_key, file.outcome) for file in files} == {
        (name, key, "written") for name in names[:2] for key in ("NEW", "APPROVED")
    }
    assert {file.outcome for file in await ana.export(str(tmp_path), agents=[names[0]])} == {"unchanged"}
    with pytest.raises(NotAllowedError):
        await ana.export(tmp_path, agents=[names[2]])
    with pytest.raises(PromptNotFoundError):
        await as_(database, ANA).export(tmp_path, agents=["nobody at all"])
