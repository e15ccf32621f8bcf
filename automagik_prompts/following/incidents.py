"""Logging what goes wrong, once: in the log, and in the events of the version that it is about."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path

from automagik_prompts.domain.invisible import described, suspicious
from automagik_prompts.domain.keys import SpellingClash
from automagik_prompts.domain.log import Lines, logger
from automagik_prompts.domain.records import Action, EventCreate
from automagik_prompts.domain.text import word
from automagik_prompts.exceptions import PromptsError
from automagik_prompts.following.memory.choosing import Problem
from automagik_prompts.following.memory.packing import Packed, texts_of, unpack
from automagik_prompts.following.memory.snapshot import Snapshot
from automagik_prompts.storage import repository
from automagik_prompts.storage.connection import Client
from automagik_prompts.storage.database import Database

RECORD_TIMEOUT = 10.0
"""Seconds that writing an event may take."""


class IncidentLog:
    """Logs what goes wrong in one process, each thing once.

    Args:
        writable: Gives the database, open for writing.
        recording: Whether this process may write events by itself.
    """

    def __init__(self, writable: Callable[[], AbstractAsyncContextManager[Database]], *, recording: bool) -> None:
        self._writable = writable
        self._recording = recording
        self._unexpected: set[str] = set()
        self._recorded: set[int] = set()
        self._clashes: set[SpellingClash] = set()
        self._looked_at: set[int] = set()

    def unexpected(self, error: BaseException, effect: str) -> str:
        """Log an error that is a bug, once for each place, and return it in words.

        Its own message is left out: it may repeat a prompt.

        Args:
            error: The error.
            effect: What it does, as the end of a sentence.
        """
        frames = traceback.extract_tb(error.__traceback__)
        place = f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else "an unknown place"
        words = f"An unexpected {type(error).__name__} in {place} {effect}."
        if words not in self._unexpected:
            self._unexpected.add(words)
            logger.error(
                "%s Report it with these lines:\n%s", words, Lines("".join(traceback.format_list(frames[-20:])))
            )
        return words

    def words_for(self, error: BaseException, where: str, seconds: float) -> str:
        """Return what keeps a database from being followed, in words.

        Args:
            error: The error.
            where: The database, as it may be shown.
            seconds: Seconds that an answer may take.
        """
        if isinstance(error, TimeoutError):
            return f"The database {where} did not answer within {seconds:.0f} s."
        if isinstance(error, PromptsError):
            return error.message
        return self.unexpected(error, "keeps the database from being followed")

    def note_invisible(self, read: Mapping[str, Packed | None]) -> None:
        """Log, once for each version, which active texts hold what nobody sees; they are served as they are."""
        for agent, packed in read.items():
            is_plain = packed is None or all(text.isascii() for _, text in texts_of(packed))
            for version in unpack(packed).active if packed is not None and not is_plain else ():
                text = version.prompt_text
                if text.isascii() or version.prompt_id in self._looked_at:
                    continue
                self._looked_at.add(version.prompt_id)
                if found := list(suspicious(text)):
                    where = f"{agent}/{version.status_key}, version {version.version}"
                    logger.warning("%s contains invisible characters: %s.", where, described(found))

    async def note(self, snapshot: Snapshot, clashes: Iterable[SpellingClash]) -> None:
        """Log, once for each, what cannot be served, and the statuses that code and database spell otherwise."""
        found = {*snapshot.clashes, *clashes}
        for clash in sorted(found - self._clashes):
            logger.warning("%s", clash)
        self._clashes |= found
        for problem in snapshot.problems:
            await self.unservable(problem)

    async def unservable(self, problem: Problem) -> None:
        """Log and record that an active version cannot be served."""
        prompt = problem.prompt
        if prompt.prompt_id in self._recorded:
            return
        logger.error(
            "%s/%s: version %s is active but cannot be served: %s Run: automagik-prompts rollback %s %s",
            *(prompt.agent, prompt.status_key, prompt.version, problem.reason),
            *map(word, (prompt.agent, prompt.status_key)),
        )
        await self.record(prompt.agent, prompt.status_key, prompt.prompt_id, prompt.version, problem.reason)

    async def record(self, agent: str, status_key: str, prompt_id: int, version: int | None, reason: str) -> None:
        """Append an event that a version could not be rendered; never raises.

        Args:
            agent: The agent's name.
            status_key: The status.
            prompt_id: The version's id.
            version: Its number.
            reason: Why not.
        """
        if prompt_id in self._recorded:
            return
        self._recorded.add(prompt_id)
        if not self._recording:
            return
        try:
            async with self._writable() as database:
                info = await database.run(repository.get_agent, agent)
                if info is None:
                    return
                event = EventCreate(
                    agent_id=info.id,
                    status_key=status_key,
                    action=Action.RENDER_FAILED,
                    revision=info.revision,
                    prompt_id=prompt_id,
                    version=version,
                    note=reason,
                )
                async with asyncio.timeout(RECORD_TIMEOUT):
                    if not await database.run(_is_recorded, event):
                        await database.transaction(_record_once, event)
        except (PromptsError, TimeoutError) as error:
            words = str(error) or "the database did not answer"
            logger.warning("%s/%s: the event could not be recorded: %s", agent, status_key, words)
        except Exception as error:  # noqa: BLE001  # reported there; what is served does not depend on it
            self.unexpected(error, "keeps an event from being recorded")


async def _is_recorded(db: Client, event: EventCreate) -> bool:
    found = await repository.get_events(db, event.agent_id, actions=(event.action,), prompt_id=event.prompt_id, limit=1)
    return bool(found)


async def _record_once(db: Client, event: EventCreate) -> None:
    """Append an event, unless another process has; the agent is locked, as many processes see the same at once."""
    if await repository.hold_agent(db, event.agent_id) is not None and not await _is_recorded(db, event):
        # Nothing that is served has changed: nobody's expected revision is passed by it.
        revision = await repository.get_status_revision(db, event.agent_id, event.status_key)
        await repository.add_events(db, [replace(event, revision=revision)])
