"""The one way to edit and to look: whoever asks, the policy is asked first, the text is checked, written and recorded.

The plugin, the command line and every other front door inherit or use it, so that an edit means the same everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from automagik_prompts.declaring.declared import DeclaredAgent
from automagik_prompts.domain.edits import SyncResult
from automagik_prompts.domain.policy import Actor, Operation, Policy, TextState
from automagik_prompts.domain.review import ApprovalRequest
from automagik_prompts.domain.text import word
from automagik_prompts.editing.review.rights import takes
from automagik_prompts.editing.verbs.activation import ActivationVerbs
from automagik_prompts.editing.verbs.drafting import DraftVerbs
from automagik_prompts.editing.verbs.drifting import DriftVerbs
from automagik_prompts.editing.verbs.looking import LookingVerbs
from automagik_prompts.editing.verbs.restoring import RestoreVerbs
from automagik_prompts.editing.verbs.review import ReviewVerbs
from automagik_prompts.editing.verbs.texts import TextVerbs
from automagik_prompts.editing.verbs.tokens import TokenVerbs
from automagik_prompts.exceptions import DriftError
from automagik_prompts.later import Later

if TYPE_CHECKING:
    from automagik_prompts.editing import sync
    from automagik_prompts.storage.database import Around, Database
else:
    sync = Later("automagik_prompts.editing.sync")

T = TypeVar("T")


class EditService(
    TextVerbs, ActivationVerbs, RestoreVerbs, ReviewVerbs, DriftVerbs, DraftVerbs, LookingVerbs, TokenVerbs
):
    """What can be done to prompts; where it is done is a subclass' matter."""

    def acting_as(self, actor: Actor) -> EditService:
        """Return the same service for somebody: all that is done through it is done by them, with their rights.

        Args:
            actor: Who acts. An application makes one of whoever is signed in, and never of what a form says.
        """
        return _ActingService(self, actor)

    def around(self, around: Around) -> EditService:
        """Return the same service, in whose transactions something more is done.

        Args:
            around: As `Database.around` takes it.
        """
        return _ActingService(self, self.actor, around)

    async def look(self, function: Callable[[Database], Coroutine[Any, Any, T]]) -> T:
        """Call a function that reads with the open database; the policy is the caller's matter.

        Raises:
            DatabaseUnavailableError: The database cannot be read now.
        """
        return await self._read(function)

    async def write(self, function: Callable[[Database], Coroutine[Any, Any, T]]) -> T:
        """Call a function that writes with the open database, as `look` reads.

        Raises:
            DatabaseUnavailableError: The database cannot be written now.
        """
        return await self._edit(function)

    async def may_see(self, agent: str) -> bool:
        """Return whether the policy shows an agent.

        Args:
            agent: The agent's name; `""` for all of them.
        """
        return await self._sees(agent, {})

    async def authorize(
        self, operation: Operation, agent: str = "", status_key: str = "", after: TextState | None = None
    ) -> bool:
        """Ask the policy whether something may be done, without doing it: for a page that offers only what may be.

        Args:
            operation: What.
            agent: For which agent; `""` for all of them.
            status_key: For which status; `""` for no single one.
            after: The text that would be written or active.

        Returns:
            Whether the policy has another person approve it first; what a protected status needs comes on top.

        Raises:
            NotAllowedError: It may not be done; the message says why.
        """
        intent = self._intent()
        if status_key:
            cleared = await self._cleared(intent, operation, agent, status_key, after=after)
            return cleared.clearance.needs_approval
        await self._allowed(intent, operation, agent)
        return False

    @takes(Operation.SYNC)
    async def sync(self) -> tuple[SyncResult, ...]:
        """Write what the code declares, exactly, as a release step does.

        Returns:
            What was done, in the order of agents and statuses.

        Raises:
            DriftError: All was written, and nobody has decided a drift of a status with `on_drift="fail"`.
            NotAllowedError: The policy does not allow it.
            SchemaError: The table `agents` is the application's and does not let a new agent be added.
            DatabaseUnavailableError: The database cannot be written now.
        """
        intent = self._intent()
        for agent in self._declared:
            await self._allowed(intent, Operation.SYNC, agent)
        done = await self._edit(lambda database: sync.seed(database, self._declared, exact=True))
        for item in done:
            if item.request is not None:
                await self._announce(item.request)
        if undecided := [item for item in done if item.outcome == "undecided"]:
            names = ", ".join(f"{item.agent}/{item.status_key}" for item in undecided)
            first = f"{word(undecided[0].agent)} {word(undecided[0].status_key)}"
            raise DriftError(
                f"{names}: a person's version is active, and the code has changed since. All else was written. Keep "
                f"the person's version (automagik-prompts keep {first}), activate the code's, or write one that has "
                "both (create --based-on).",
                results=done,
            )
        return done


class _ActingService(EditService):
    """A service on behalf of somebody."""

    def __init__(self, service: EditService, actor: Actor | None, around: Around | None = None) -> None:
        self._service = service
        self._actor = actor
        self._around = around

    @property
    def policy(self) -> Policy | None:
        """The policy of the service."""
        return self._service.policy

    @property
    def actor(self) -> Actor | None:
        """Who acts."""
        return self._actor

    @property
    def _declared(self) -> Mapping[str, DeclaredAgent]:
        return self._service._declared  # noqa: SLF001  # the same class

    async def _edit(self, function: Callable[[Database], Coroutine[Any, Any, T]]) -> T:
        around = self._around
        if around is None:
            return await self._service._edit(function)  # noqa: SLF001  # as above
        return await self._service._edit(lambda database: function(database.around(around)))  # noqa: SLF001  # as above

    async def _read(self, function: Callable[[Database], Coroutine[Any, Any, T]]) -> T:
        return await self._service._read(function)  # noqa: SLF001  # as above

    async def _announce(self, request: ApprovalRequest) -> None:
        await self._service._announce(request)  # noqa: SLF001  # as above
