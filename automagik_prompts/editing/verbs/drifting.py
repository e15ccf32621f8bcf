"""Verbs of drift: looking at it three ways, and keeping what a person wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

from automagik_prompts.domain.edits import EditResult
from automagik_prompts.domain.keys import Status
from automagik_prompts.domain.policy import Operation
from automagik_prompts.domain.review import Drift
from automagik_prompts.editing.review.rights import takes
from automagik_prompts.editing.verbs.base import Verbs
from automagik_prompts.later import Later

if TYPE_CHECKING:
    from automagik_prompts.editing.review import drift, seeing
else:
    drift, seeing = (Later(f"automagik_prompts.editing.review.{name}") for name in ("drift", "seeing"))


class DriftVerbs(Verbs):
    """What people do when the code has changed under their version."""

    @takes(Operation.KEEP)
    async def keep(
        self,
        agent: str,
        status_key: Status,
        *,
        code_version: int | None = None,
        author: str | None = None,
        note: str | None = None,
        expected_revision: int | None = None,
    ) -> EditResult:
        """Keep the person's version that is active although the code has changed, until it changes again.

        Args:
            agent: The agent's name.
            status_key: The status, a string or an enum member.
            code_version: The code's version that the decision rests on; `None` for the newest one.
            author: By whom, where there is no policy.
            note: Why.
            expected_revision: As for `create`.

        Raises:
            InvalidPromptError: It has not drifted.
            PromptNotFoundError: There is no such agent or status.
            NotAllowedError: The policy does not allow it.
            ConflictError: Somebody else wrote first, or the code has changed again.
            DatabaseUnavailableError: The database cannot be written now.
        """
        intent = self._intent(author, note, expected_revision)
        intent = await self._cleared(
            intent,
            Operation.KEEP,
            agent,
            status_key,
            lambda database: seeing.target(database, agent, status_key, None),
        )
        return await self._edit(
            lambda database: drift.keep(database, agent, status_key, code_version=code_version, intent=intent)
        )

    async def drift(self, agent: str, status_key: Status) -> Drift | None:
        """Return how a status has drifted, three ways: what the code said, says now, and what a person made of it.

        Args:
            agent: The agent's name.
            status_key: The status, a string or an enum member.

        Returns:
            The three texts; `None` where nothing is to be decided.

        Raises:
            PromptNotFoundError: There is no such agent or status.
            NotAllowedError: The policy does not show the agent.
            DatabaseUnavailableError: The database cannot be read now.
        """
        await self._look_at(agent)
        return await self._read(lambda database: drift.find_drift(database, agent, status_key))
