"""What a policy is shown: the version that is active or concerned, and the one that would be active."""

from __future__ import annotations

from automagik_prompts.domain.keys import PromptKey, Status, StatusKeys
from automagik_prompts.domain.records import Prompt
from automagik_prompts.editing.finding import find_agent, find_named, find_status, find_version, get_agent
from automagik_prompts.editing.past.earlier import version_before
from automagik_prompts.editing.review.requesting import find_request
from automagik_prompts.storage import repository
from automagik_prompts.storage.database import Database

Seen = tuple[PromptKey, Prompt | None, Prompt | None]
"""Which prompt is meant, the version that is active or concerned, and the one that would be active."""


async def active(database: Database, key: PromptKey) -> Seen:
    """Return the active version of a status; `None` also where the agent or the status is new."""
    known = await get_agent(database, key.agent)
    if known is None:
        return key, None, None
    keys = StatusKeys(await database.run(repository.get_status_keys, known.id))
    status_key = keys.find(key.status_key) or key.status_key
    found = await database.run(repository.get_active_prompt, known.id, status_key)
    return PromptKey(known.name, status_key), found, None


async def target(database: Database, agent: str, status: Status, version: int | None) -> Seen:
    """Return the active version of a status, and another one that would take its place."""
    if version is None:
        known = await find_agent(database, agent)
        wanted, status_key = None, await find_status(database, known, status)
    else:
        known, wanted = await find_named(database, agent, status, version)
        status_key = wanted.status_key
    found = await database.run(repository.get_active_prompt, known.id, status_key)
    return PromptKey(known.name, status_key), found, wanted


async def earlier(database: Database, agent: str, status: Status) -> Seen:
    """Return the active version of a status, and the one that was active before."""
    known = await find_agent(database, agent)
    status_key = await find_status(database, known, status)
    found = await database.run(repository.get_active_prompt, known.id, status_key)
    before = await database.run(lambda db: version_before(db, known, status_key, found))
    return PromptKey(known.name, status_key), found, before


async def concerned(database: Database, agent: str, status: Status, version: int) -> Seen:
    """Return a version that something is to be done to."""
    known = await find_agent(database, agent)
    found = await find_version(database, known, status, version)
    return PromptKey(known.name, found.status_key), found, None


async def requested(database: Database, request_id: int) -> Seen:
    """Return what a request is about: the active version, and the one that would take its place."""
    found = await find_request(database, request_id)
    known = await find_agent(database, found.agent)
    key = PromptKey(known.name, found.status_key)
    present = await database.run(repository.get_active_prompt, known.id, found.status_key)
    wanted = None
    if found.version is not None:  # it may have been deleted since
        wanted = await database.run(repository.get_version, known.id, found.status_key, found.version)
    return key, present, wanted
