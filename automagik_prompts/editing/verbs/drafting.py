"""Verbs of drafts: what somebody is typing, and nobody else sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from automagik_prompts.domain.keys import Status
from automagik_prompts.domain.policy import Operation
from automagik_prompts.domain.review import Draft
from automagik_prompts.domain.validation import Format
from automagik_prompts.editing.review.rights import takes
from automagik_prompts.editing.verbs.base import Verbs
from automagik_prompts.later import Later

if TYPE_CHECKING:
    from automagik_prompts.editing.review import drafts
else:
    drafts = Later("automagik_prompts.editing.review.drafts")


class DraftVerbs(Verbs):
    """Saving, reading and discarding one's own drafts."""

    @takes(Operation.DRAFT)
    async def save_draft(
        self,
        agent: str,
        status_key: Status,
        text: str,
        *,
        format: Format = "handlebars",
        note: str | None = None,
        base_version: int | None = None,
        counter: int | None = None,
        author: str | None = None,
    ) -> Draft:
        """Save what somebody is typing: their own draft for a status, which nobody else sees and which is never served.

        Args:
            agent: The agent's name.
            status_key: The status, a string or an enum member.
            text: The text, which need not be a template yet, nor have any words.
            format: How it will be read.
            note: What changed and why, as far as it is written.
            base_version: The version that it was begun from.
            counter: The counter of the draft that was seen last; `None` for the first save.
            author: Whose it is, where there is no policy.

        Raises:
            InvalidPromptError: The text holds what no database can keep, or is too long.
            PromptNotFoundError: There is no such agent or status.
            NotAllowedError: The policy does not allow it, or nobody said whose it is.
            ConflictError: It was saved elsewhere meanwhile; that text is kept.
            DatabaseUnavailableError: The database cannot be written now.
        """
        intent = self._intent(author)
        await self._cleared(intent, Operation.DRAFT, agent, status_key)
        return await self._edit(
            lambda database: drafts.save(
                database,
                agent,
                status_key,
                text,
                format=format,
                note=note,
                base_version=base_version,
                counter=counter,
                statuses=self._statuses(agent),
                intent=intent,
            )
        )

    @takes(Operation.DRAFT)
    async def get_draft(self, agent: str, status_key: Status, *, author: str | None = None) -> Draft | None:
        """Return one's own draft for a status, or `None`.

        Args:
            agent: The agent's name.
            status_key: The status, a string or an enum member.
            author: Whose it is, where there is no policy.

        Raises:
            PromptNotFoundError: There is no such agent or status.
            NotAllowedError: The policy does not allow it, or nobody said whose it is.
            DatabaseUnavailableError: The database cannot be read now.
        """
        intent = self._intent(author)
        await self._cleared(intent, Operation.DRAFT, agent, status_key)
        statuses = self._statuses(agent)
        return await self._read(
            lambda database: drafts.get(database, agent, status_key, statuses=statuses, intent=intent)
        )

    @takes(Operation.DRAFT)
    async def drafts(self, *, author: str | None = None) -> tuple[Draft, ...]:
        """Return one's own drafts, the one that was saved last first.

        Args:
            author: Whose they are, where there is no policy.

        Raises:
            NotAllowedError: Nobody said whose they are.
            DatabaseUnavailableError: The database cannot be read now.
        """
        intent = self._intent(author)
        return await self._read(lambda database: drafts.get_all(database, intent=intent))

    @takes(Operation.DRAFT)
    async def discard_draft(self, agent: str, status_key: Status, *, author: str | None = None) -> None:
        """Delete one's own draft for a status; its text is lost.

        Args:
            agent: The agent's name.
            status_key: The status, a string or an enum member.
            author: Whose it is, where there is no policy.

        Raises:
            PromptNotFoundError: There is no such agent, status or draft.
            NotAllowedError: The policy does not allow it, or nobody said whose it is.
            DatabaseUnavailableError: The database cannot be written now.
        """
        intent = self._intent(author)
        await self._cleared(intent, Operation.DRAFT, agent, status_key)
        statuses = self._statuses(agent)
        await self._edit(lambda database: drafts.discard(database, agent, status_key, statuses=statuses, intent=intent))
