"""Drafts: what somebody is typing, saved as they type; nobody else sees it, and it is never served."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

from automagik_prompts.domain.edits import Intent
from automagik_prompts.domain.keys import Status
from automagik_prompts.domain.review import Draft
from automagik_prompts.domain.validation import (
    MAX_NOTE_LENGTH,
    Format,
    check_format,
    check_optional,
    check_text,
    is_number,
)
from automagik_prompts.editing.finding import find_agent, find_target
from automagik_prompts.exceptions import ConflictError, InvalidPromptError, NotAllowedError, PromptNotFoundError
from automagik_prompts.storage import repository
from automagik_prompts.storage.connection import Client
from automagik_prompts.storage.database import Database


async def save(
    database: Database,
    agent: str,
    status: Status,
    text: str,
    *,
    format: Format,
    note: str | None,
    base_version: int | None,
    counter: int | None,
    statuses: Collection[str],
    intent: Intent,
) -> Draft:
    """Save somebody's draft over the one that they saw last."""
    actor_id = owner(intent, agent)
    known = await find_agent(database, agent)
    target = await find_target(database, agent, status, new_agent=False, new_status=False, statuses=statuses)
    status_key = target.status_key
    check_text(text, agent=agent, status_key=status_key, may_be_blank=True)
    check_optional(note, "note", limit=MAX_NOTE_LENGTH)
    for number in (base_version, counter):
        if number is not None and not is_number(number):
            raise InvalidPromptError(f"{number!r:.40} is no number of a version, or of a draft.", agent=agent)
    wanted = Draft(
        agent=known.name,
        status_key=status_key,
        actor_id=actor_id,
        text=text,
        format=check_format(format),
        note=note,
        base_version=base_version,
        counter=counter or 0,
        updated_at=datetime.now(UTC),
    )

    async def write(db: Client) -> Draft | None:
        if counter is None:
            await repository.add_draft(db, known.id, status_key, wanted)
        else:
            await repository.save_draft(db, known.id, status_key, wanted)
        return await repository.get_draft(db, known.id, status_key, actor_id)

    found = await database.transaction(write)
    # The same text saved twice at once is the same draft.
    is_mine = found is not None and (found.text, found.format, found.note) == (text, wanted.format, note)
    is_next = found is not None and (counter is None or found.counter == counter + 1)
    if found is None or not is_next or not is_mine:
        saved = f"it was saved {found.counter} times" if found is not None else "it is gone"
        raise ConflictError(
            f"Your draft of {agent}/{status_key} was changed elsewhere, in another window for instance: {saved}. "
            "Nothing was lost: read it, and save again with its counter.",
            expected=wanted.counter,
            actual=found.counter if found is not None else 0,
            agent=agent,
        )
    return found


async def get(
    database: Database, agent: str, status: Status, *, statuses: Collection[str], intent: Intent
) -> Draft | None:
    """Return one's own draft for a status, or `None`."""
    known = await find_agent(database, agent)
    target = await find_target(database, agent, status, new_agent=False, new_status=False, statuses=statuses)
    return await database.run(repository.get_draft, known.id, target.status_key, owner(intent, agent))


async def get_all(database: Database, *, intent: Intent) -> tuple[Draft, ...]:
    """Return one's own drafts, the one that was saved last first."""
    return tuple(await database.run(repository.get_drafts, owner(intent, None)))


async def discard(database: Database, agent: str, status: Status, *, statuses: Collection[str], intent: Intent) -> None:
    """Delete one's own draft for a status."""
    found = await get(database, agent, status, statuses=statuses, intent=intent)
    if found is None:
        raise PromptNotFoundError(f"You have no draft of {agent}/{status}.", agent=agent)
    known = await find_agent(database, agent)
    await database.transaction(repository.discard_draft, known.id, found.status_key, found.actor_id)


def owner(intent: Intent, agent: str | None) -> str:
    """Return whose drafts are meant.

    Raises:
        NotAllowedError: Nobody said.
    """
    if intent.actor_id is None:
        raise NotAllowedError(
            "A draft belongs to a person. Say who acts: author=..., or plugin.acting_as(Actor(...)).",
            actor=None,
            operation="draft",
            agent=agent,
        )
    return intent.actor_id
