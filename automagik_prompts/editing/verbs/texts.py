"""Verbs about texts: writing, copying and deleting them, filling them to look at, and comparing them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from automagik_prompts.domain.edits import EditResult, Target
from automagik_prompts.domain.keys import Status
from automagik_prompts.domain.policy import Operation, TextState
from automagik_prompts.domain.records import Prompt
from automagik_prompts.domain.summaries import Preview
from automagik_prompts.domain.validation import Format
from automagik_prompts.editing.review.rights import takes
from automagik_prompts.editing.verbs.base import Verbs
from automagik_prompts.later import Later

if TYPE_CHECKING:
    from automagik_prompts.editing import commands, previewing, queries
    from automagik_prompts.editing.review import seeing
else:
    commands, previewing, queries, seeing = (
        Later(f"automagik_prompts.editing.{name}") for name in ("commands", "previewing", "queries", "review.seeing")
    )


class TextVerbs(Verbs):
    """Writing new versions, and deleting those that nobody needs."""

    @takes(Operation.CREATE)
    async def create(
        self,
        agent: str,
        status_key: Status,
        text: str,
        *,
        format: Format = "handlebars",
        name: str | None = None,
        activate: bool = False,
        new_agent: bool = False,
        new_status: bool = False,
        allow_invisible: bool = False,
        based_on: int | None = None,
        draft: int | None = None,
        emergency: bool = False,
        author: str | None = None,
        note: str | None = None,
        expected_revision: int | None = None,
    ) -> EditResult:
        """Write a new version of an agent's text for a status.

        Args:
            agent: The agent's name.
            status_key: The status, a string or an enum member.
            text: The text, kept byte for byte.
            format: `"handlebars"`, `"simple"` to fill nothing but the tags of exposed names, or `"text"` to serve it
                verbatim.
            name: A name for people.
            activate: Whether to activate it at once.
            new_agent: Whether an unknown agent may be added; otherwise a misspelt name would make one.
            new_status: Whether a status may be added that neither the code nor the database knows, likewise.
            allow_invisible: Whether the text may hold invisible characters that nothing in it explains.
            based_on: The version of the code that the text was merged with, which ends a drift once it is active; by
                default the one that the active version has taken into account.
            draft: The counter of one's own draft that this text was; it is discarded, unless it was saved again since.
            emergency: Whether to activate a protected status without approval; the note says why, and the events keep
                the mark.
            author: By whom, where there is no policy.
            note: Why.
            expected_revision: The agent's revision that the decision rests on; `None` to write in any case.

        Returns:
            What was written. Where the status is protected, `request` is what waits for approval.

        Raises:
            InvalidPromptError: The text, a name or the template is refused.
            PromptNotFoundError: There is no such agent or status, and none is to be added.
            NotAllowedError: The policy does not allow it.
            ConflictError: Somebody else wrote first: to this status, or to the agent's facts.
            DatabaseUnavailableError: The database cannot be written now.
        """
        intent = self._intent(author, note, expected_revision, emergency=emergency)
        state = TextState(text, format)
        intent = await self._cleared(intent, Operation.CREATE, agent, status_key, after=state)
        if activate:
            intent = await self._cleared(intent, Operation.ACTIVATE, agent, status_key, after=state)
        return await self._switch(
            lambda database: commands.create(
                database,
                agent,
                status_key,
                text,
                format=format,
                name=name,
                activate=activate,
                new_agent=new_agent,
                new_status=new_status,
                statuses=self._statuses(agent),
                exposed=self._exposed(agent),
                allow_invisible=allow_invisible,
                based_on=based_on,
                draft=draft,
                intent=intent,
            )
        )

    async def check(
        self,
        agent: str,
        status_key: Status,
        text: str,
        *,
        format: Format = "handlebars",
        name: str | None = None,
        new_agent: bool = False,
        new_status: bool = False,
        allow_invisible: bool = False,
    ) -> Target:
        """Check a text as `create` does, and write nothing.

        Returns:
            What would be written to, and what may be meant otherwise in the text.

        Raises:
            PromptsError: As `create` raises.
        """
        await self._cleared(self._intent(), Operation.CREATE, agent, status_key, after=TextState(text, format))
        return await self._read(
            lambda database: commands.check(
                database,
                agent,
                status_key,
                text,
                format=format,
                name=name,
                new_agent=new_agent,
                new_status=new_status,
                statuses=self._statuses(agent),
                exposed=self._exposed(agent),
                allow_invisible=allow_invisible,
            )
        )

    async def copy(
        self,
        source: Prompt,
        agent: str,
        status_key: Status,
        *,
        activate: bool = False,
        new_agent: bool = False,
        new_status: bool = False,
        emergency: bool = False,
        author: str | None = None,
        note: str | None = None,
        expected_revision: int | None = None,
    ) -> EditResult:
        """Write a version's text as a new version of another agent or status.

        Args:
            source: The version to copy; it may come from another database.
            agent: The agent that gets it.
            status_key: The status that gets it.
            activate: Whether to activate it at once.
            new_agent: Whether an unknown agent may be added.
            new_status: Whether an unknown status may be added.
            emergency: As for `create`.
            author: By whom, where there is no policy.
            note: Why.
            expected_revision: As for `create`.

        Raises:
            InvalidPromptError: The text uses variables that the agent does not expose.
            PromptNotFoundError: There is no such agent or status, and none is to be added.
            NotAllowedError: The policy does not allow it.
            ConflictError: Somebody else wrote first.
            DatabaseUnavailableError: The database cannot be written now.
        """
        return await self.create(
            agent,
            status_key,
            source.prompt_text,
            format=source.format,
            name=source.name,
            activate=activate,
            new_agent=new_agent,
            new_status=new_status,
            allow_invisible=True,  # it was allowed when the version was written
            emergency=emergency,
            author=author,
            note=note,
            expected_revision=expected_revision,
        )

    @takes(Operation.DELETE)
    async def delete(
        self,
        agent: str,
        status_key: Status,
        version: int,
        *,
        author: str | None = None,
        note: str | None = None,
        expected_revision: int | None = None,
    ) -> EditResult:
        """Delete a version that a person wrote and that is not active; what was done to it stays in the events.

        Its number is never given again, so that no event can mean another text.

        Args:
            agent: The agent's name.
            status_key: The status, a string or an enum member.
            version: The version's number.
            author: By whom, where there is no policy.
            note: Why.
            expected_revision: As for `create`.

        Raises:
            InvalidPromptError: The version is active or came from code.
            PromptNotFoundError: There is no such agent, status or version.
            NotAllowedError: The policy does not allow it.
            ConflictError: Somebody else wrote first.
            DatabaseUnavailableError: The database cannot be written now.
        """
        intent = self._intent(author, note, expected_revision)
        # What would change is this version, which is not active: so the active one is not what was seen.
        await self._cleared(
            intent,
            Operation.DELETE,
            agent,
            status_key,
            lambda database: seeing.concerned(database, agent, status_key, version),
        )
        return await self._edit(lambda database: commands.delete(database, agent, status_key, version, intent=intent))

    async def preview(
        self,
        agent: str,
        status_key: Status,
        values: Mapping[str, object] | None = None,
        *,
        version: int | None = None,
        text: str | None = None,
        format: Format = "handlebars",
    ) -> Preview:
        """Fill a version, or a text that is no version yet, with values to look at; nothing is written.

        Args:
            agent: The agent's name.
            status_key: The status, a string or an enum member.
            values: The values by name, as `deps` would have them.
            version: The version's number; by default the active one.
            text: A text to fill instead.
            format: How that text is read.

        Raises:
            InvalidPromptError: The text is refused, as `create` would.
            PromptNotFoundError: There is no such agent, status or version, or none is active.
            RenderError: A value is too large, or makes too much work.
            NotAllowedError: The policy does not show the agent.
            DatabaseUnavailableError: The database cannot be read now.
        """
        await self._look_at(agent)
        exposed, statuses = self._exposed(agent), self._statuses(agent)
        return await self._read(
            lambda database: previewing.preview(
                database,
                agent,
                status_key,
                values or {},
                version=version,
                text=text,
                format=format,
                exposed=exposed,
                statuses=statuses,
            )
        )

    async def diff(self, agent: str, status_key: Status, old: int, new: int) -> str:
        """Return the difference between two versions as a unified diff; empty if their texts are equal.

        Args:
            agent: The agent's name.
            status_key: The status.
            old: The number of one version.
            new: The number of the other.

        Raises:
            PromptNotFoundError: There is no such agent, status or version.
            NotAllowedError: The policy does not show the agent.
            DatabaseUnavailableError: The database cannot be read now.
        """
        await self._look_at(agent)
        return await self._read(lambda database: queries.diff(database, agent, status_key, old, new))
