"""Verbs that change which version is active, and which may be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from automagik_prompts.domain.edits import EditResult
from automagik_prompts.domain.keys import Status
from automagik_prompts.domain.policy import Operation
from automagik_prompts.domain.validation import normalized
from automagik_prompts.editing.review.rights import takes
from automagik_prompts.editing.verbs.running import RunningVerbs, check_wait
from automagik_prompts.exceptions import InvalidPromptError
from automagik_prompts.later import Later

if TYPE_CHECKING:
    from automagik_prompts.editing import commands, withdrawing
    from automagik_prompts.editing.review import seeing
else:
    commands, withdrawing, seeing = (
        Later(f"automagik_prompts.editing.{name}") for name in ("commands", "withdrawing", "review.seeing")
    )


class ActivationVerbs(RunningVerbs):
    """Activating, going back, and taking out of use."""

    @takes(Operation.ACTIVATE)
    async def activate(
        self,
        agent: str,
        status_key: Status,
        version: int,
        *,
        emergency: bool = False,
        author: str | None = None,
        note: str | None = None,
        expected_revision: int | None = None,
        wait: float | None = None,
    ) -> EditResult:
        """Make a version the active one of its agent and status; every process follows.

        Args:
            agent: The agent's name.
            status_key: The status, a string or an enum member.
            version: The version's number.
            emergency: Whether to change a protected status without approval; the note says why, and the events
                keep the mark.
            author: By whom, where there is no policy.
            note: Why.
            expected_revision: As for `create`.
            wait: Seconds to wait until every living process serves it, at most; `followers` of the result says which
                ones do not. By default nobody waits.

        Returns:
            What was done. Where the status is protected, nothing is active that was not before, and `request` is what
            waits for approval; once it is approved, the same call carries it out.

        Raises:
            InvalidPromptError: The version could not be served: it is blank, no template, or uses unexposed variables.
            PromptNotFoundError: There is no such agent, status or version.
            NotAllowedError: The policy does not allow it.
            ConflictError: Somebody else wrote first.
            DatabaseUnavailableError: The database cannot be written now.
        """
        check_wait(wait)
        intent = self._intent(author, note, expected_revision, emergency=emergency)
        intent = await self._cleared(
            intent,
            Operation.ACTIVATE,
            agent,
            status_key,
            lambda database: seeing.target(database, agent, status_key, version),
        )
        exposed = self._exposed(agent)
        done = await self._switch(
            lambda database: commands.activate(database, agent, status_key, version, exposed=exposed, intent=intent)
        )
        return await self.follow(done, wait)

    @takes(Operation.ROLLBACK)
    async def rollback(
        self,
        agent: str,
        status_key: Status,
        *,
        emergency: bool = False,
        author: str | None = None,
        note: str | None = None,
        expected_revision: int | None = None,
        wait: float | None = None,
    ) -> EditResult:
        """Activate the version that was active before the present one; called again, it goes back further.

        After a deactivation it brings back the version that was deactivated.

        Args:
            agent: The agent's name.
            status_key: The status, a string or an enum member.
            emergency: Whether to change a protected status without approval; the note says why, and the events
                keep the mark.
            author: By whom, where there is no policy.
            note: Why.
            expected_revision: As for `create`.
            wait: Seconds to wait until every living process serves it, at most; `followers` of the result says which
                ones do not. By default nobody waits.

        Returns:
            What was done. Where the status is protected, nothing is active that was not before, and `request` is what
            waits for approval; once it is approved, the same call carries it out.

        Raises:
            InvalidPromptError: The earlier version could not be served.
            PromptNotFoundError: There is no such agent or status, or no version was active before.
            NotAllowedError: The policy does not allow it.
            ConflictError: Somebody else wrote first.
            DatabaseUnavailableError: The database cannot be written now.
        """
        check_wait(wait)
        intent = self._intent(author, note, expected_revision, emergency=emergency)
        intent = await self._cleared(
            intent, Operation.ROLLBACK, agent, status_key, lambda database: seeing.earlier(database, agent, status_key)
        )
        exposed = self._exposed(agent)
        done = await self._switch(
            lambda database: commands.rollback(database, agent, status_key, exposed=exposed, intent=intent)
        )
        return await self.follow(done, wait)

    @takes(Operation.DEACTIVATE)
    async def deactivate(
        self,
        agent: str,
        status_key: Status,
        *,
        emergency: bool = False,
        author: str | None = None,
        note: str | None = None,
        expected_revision: int | None = None,
        wait: float | None = None,
    ) -> EditResult:
        """Leave a status without an active version; its agents are served the primary status' text instead.

        Args:
            agent: The agent's name.
            status_key: The status, a string or an enum member.
            emergency: Whether to change a protected status without approval; the note says why, and the events
                keep the mark.
            author: By whom, where there is no policy.
            note: Why.
            expected_revision: As for `create`.
            wait: Seconds to wait until every living process serves it, at most; `followers` of the result says which
                ones do not. By default nobody waits.

        Returns:
            What was done. Where the status is protected, nothing is active that was not before, and `request` is what
            waits for approval; once it is approved, the same call carries it out.

        Raises:
            PromptNotFoundError: There is no such agent or status, or no active version.
            NotAllowedError: The policy does not allow it.
            ConflictError: Somebody else wrote first.
            DatabaseUnavailableError: The database cannot be written now.
        """
        check_wait(wait)
        intent = self._intent(author, note, expected_revision, emergency=emergency)
        intent = await self._cleared(
            intent,
            Operation.DEACTIVATE,
            agent,
            status_key,
            lambda database: seeing.target(database, agent, status_key, None),
        )
        done = await self._switch(lambda database: commands.deactivate(database, agent, status_key, intent=intent))
        return await self.follow(done, wait)

    @takes(Operation.WITHDRAW)
    async def withdraw(
        self,
        agent: str,
        status_key: Status,
        version: int,
        *,
        activate: int | None = None,
        undo: bool = False,
        emergency: bool = False,
        author: str | None = None,
        note: str | None = None,
        expected_revision: int | None = None,
    ) -> EditResult:
        """Withdraw a version: nobody is sent it any more, also no conversation that began with it.

        A run under way keeps its text. Versions of the status with the same text are withdrawn, too. Seeding and
        `sync` do not activate it, though it may still be a constant in code, and then stands in where nothing else is
        there.

        Args:
            agent: The agent's name.
            status_key: The status, a string or an enum member.
            version: The version's number.
            activate: The version that takes its place, if it is the active one.
            undo: Whether to take the withdrawal back; nothing is activated.
            emergency: Whether to change a protected status without approval; the note says why, and the events
                keep the mark.
            author: By whom, where there is no policy.
            note: Why.
            expected_revision: As for `create`.

        Raises:
            InvalidPromptError: The version is active and none takes its place, the one that would cannot be served, or
                there is no withdrawal to take back.
            PromptNotFoundError: There is no such agent, status or version.
            NotAllowedError: The policy does not allow it.
            ConflictError: Somebody else wrote first.
            DatabaseUnavailableError: The database cannot be written now.
        """
        if undo and activate is not None:
            raise InvalidPromptError("undo takes a withdrawal back and activates nothing. Use activate afterwards.")
        intent = self._intent(author, note, expected_revision, emergency=emergency)
        operation = Operation.REINSTATE if undo else Operation.WITHDRAW
        await self._cleared(
            intent,
            operation,
            agent,
            status_key,
            lambda database: seeing.concerned(database, agent, status_key, version),
        )
        if activate is not None:
            intent = await self._cleared(
                intent,
                Operation.ACTIVATE,
                agent,
                status_key,
                lambda database: seeing.target(database, agent, status_key, activate),
            )
        if undo:
            return await self._edit(
                lambda database: withdrawing.reinstate(database, agent, status_key, version, intent=intent)
            )
        declared = self._declared.get(normalized(agent))
        code = {prompt.content_hash for prompt in declared.prompts.values()} if declared is not None else ()
        exposed = self._exposed(agent)
        return await self._switch(
            lambda database: withdrawing.withdraw(
                database, agent, status_key, version, activate=activate, exposed=exposed, code=code, intent=intent
            )
        )
