"""Verbs that go back to a moment."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING

from automagik_prompts.domain.edits import EditResult, RestorePlan
from automagik_prompts.domain.keys import PromptKey
from automagik_prompts.domain.policy import Operation
from automagik_prompts.editing.review.rights import explained
from automagik_prompts.editing.verbs.base import Verbs
from automagik_prompts.exceptions import MissingRightError
from automagik_prompts.later import Later

if TYPE_CHECKING:
    from automagik_prompts.editing.past import restoring
    from automagik_prompts.editing.review import seeing
else:
    restoring = Later("automagik_prompts.editing.past.restoring")
    seeing = Later("automagik_prompts.editing.review.seeing")


class RestoreVerbs(Verbs):
    """Going back to what was active at a moment."""

    async def plan_restore(self, as_of: datetime, *, agent: str | None = None) -> RestorePlan:
        """Compare what is active with what was active at a moment; nothing is written.

        Which versions are active is compared, and nothing else: the primary status, the exposed names and what is
        protected are the code's. Agents that were not there yet are left alone, and named.

        Args:
            as_of: The moment, with its zone.
            agent: Only this agent; by default all that the policy shows.

        Raises:
            InvalidPromptError: The moment has no zone, or is yet to come.
            PromptNotFoundError: There is no such agent, or it was not there yet.
            NotAllowedError: The policy does not show the agent.
            DatabaseUnavailableError: The database cannot be read now.
        """
        if agent is not None:
            await self._look_at(agent)
        declared = self._declared
        plan = await self._read(lambda database: restoring.plan_restore(database, as_of, agent, declared))
        seen: dict[str, bool] = {}
        steps = tuple([step for step in plan.steps if await self._sees(step.agent, seen)])
        return replace(plan, steps=steps, added=tuple([name for name in plan.added if await self._sees(name, seen)]))

    async def restore(
        self, plan: RestorePlan, *, emergency: bool = False, author: str | None = None, note: str | None = None
    ) -> tuple[EditResult, ...]:
        """Make active again what was active at a moment, as it was planned.

        Each agent is one transaction. What cannot come back is passed over; `RestoreStep.blocker` says why.

        Args:
            plan: What `plan_restore` has found; what was written since is a conflict.
            emergency: Whether to change protected statuses without approval; the note says why, and the events keep
                the mark.
            author: By whom, where there is no policy.
            note: Why; by default the moment.

        Returns:
            What was done, in the order of the plan. Where a status is protected, nothing is active that was not before,
            and `request` is what waits for approval.

        Raises:
            NotAllowedError: The policy does not allow one of the changes; nothing was written.
            InvalidPromptError: A version was withdrawn, or can no longer be served.
            PromptNotFoundError: A version was deleted meanwhile.
            ConflictError: Somebody else wrote first; agents before that one in the plan are back already, and a new
                plan has the rest.
            MissingRightError: The database's user may not; agents before that one in the plan are back already.
            DatabaseUnavailableError: The database cannot be written now.
        """
        intent = self._intent(author, note or f"as of {restoring.shown(plan.as_of)}", emergency=emergency)
        cleared = []
        for step in plan.work:
            operation = Operation.DEACTIVATE if step.version is None else Operation.ACTIVATE
            decided = await self._cleared(
                replace(intent, expected_revision=step.revision),
                operation,
                step.agent,
                step.status_key,
                lambda database: seeing.target(database, step.agent, step.status_key, step.version),  # noqa: B023  # at once
            )
            cleared.append((step, decided))
        done: list[EditResult] = []
        for agent, steps in groupby(cleared, key=lambda one: one[0].agent):
            mine, exposed = list(steps), self._exposed(agent)
            try:
                changes = await self._edit(
                    lambda database: restoring.restore_agent(database, mine, exposed)  # noqa: B023  # as above
                )
            except MissingRightError as error:
                raise explained(error, PromptKey(agent, mine[0][0].status_key), Operation.ACTIVATE) from error
            for change in changes:
                if change.request is not None and change.is_new_request:
                    await self._announce(change.request)
                done.append(change)
        return tuple(done)
