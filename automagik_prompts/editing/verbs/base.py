"""What all verbs of the edit service have: who acts, what the policy says, and where it is done."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from automagik_prompts.declaring.declared import DeclaredAgent
from automagik_prompts.domain.edits import EditResult, Intent
from automagik_prompts.domain.keys import PromptKey, Status, folded, new_key
from automagik_prompts.domain.policy import CODE, Actor, Operation, Policy, TextState
from automagik_prompts.domain.review import ApprovalRequest
from automagik_prompts.domain.validation import normalized
from automagik_prompts.exceptions import ConfigurationError, InvalidPromptError, NotAllowedError, PromptNotFoundError
from automagik_prompts.later import Later

if TYPE_CHECKING:
    from automagik_prompts.editing.review import authorizing, seeing
    from automagik_prompts.storage.database import Database
else:
    authorizing = Later("automagik_prompts.editing.review.authorizing")
    seeing = Later("automagik_prompts.editing.review.seeing")

T = TypeVar("T")


class Verbs(ABC):
    """Who acts, under which policy, and where it is done; the verbs themselves are in the classes that inherit this."""

    @property
    def policy(self) -> Policy | None:
        """What decides who may do what; without one, everybody may do everything."""
        return None

    @property
    def actor(self) -> Actor | None:
        """Who acts; `None` where each call names its author."""
        return None

    @abstractmethod
    async def _edit(self, function: Callable[[Database], Coroutine[Any, Any, T]]) -> T:
        """Call a function that writes with the open database."""

    @abstractmethod
    async def _read(self, function: Callable[[Database], Coroutine[Any, Any, T]]) -> T:
        """Call a function that reads with the open database."""

    @property
    @abstractmethod
    def _declared(self) -> Mapping[str, DeclaredAgent]:
        """What the code declares, as far as it is here."""

    @property
    def _default_author(self) -> str | None:
        """Who edits where a call does not say."""
        return None

    @abstractmethod
    async def _announce(self, request: ApprovalRequest) -> None:
        """Tell those who want to know of a new request, or of an emergency; it is written already."""

    def _intent(
        self,
        author: str | None = None,
        note: str | None = None,
        expected_revision: int | None = None,
        *,
        emergency: bool = False,
    ) -> Intent:
        """Return what is recorded with an edit.

        Raises:
            ConfigurationError: An author is named although it is known who acts.
            InvalidPromptError: The author or the note cannot be kept, or an emergency has no reason.
        """
        actor = self.actor
        if author is not None and (actor is not None or self.policy is not None):
            raise ConfigurationError(
                "With a policy the author of a change is who acts, so author=... (--author) is refused. Say who acts: "
                "plugin.acting_as(Actor(...)), or AUTOMAGIK_PROMPTS_AUTHOR for the command line."
            )
        name = author or self._default_author
        if folded((actor.id if actor is not None else name) or "").strip() == CODE:
            raise InvalidPromptError(f"{CODE!r} is how the code's own changes are kept. Act under another name.")
        if actor is None and self.policy is not None and name is not None:
            actor = Actor(name)
        return Intent(name, note, expected_revision, actor, emergency)

    async def _cleared(
        self,
        intent: Intent,
        operation: Operation,
        agent: str,
        status: Status,
        see: Callable[[Database], Coroutine[Any, Any, seeing.Seen]] | None = None,
        after: TextState | None = None,
    ) -> Intent:
        """Ask the policy, if there is one, and return the intent with what it has decided.

        Args:
            intent: By whom and why.
            operation: What is asked for.
            agent: The agent's name.
            status: The status.
            see: Looks up what the policy sees; by default the active version.
            after: The text that would be written.

        Raises:
            NotAllowedError: The policy does not allow it.
        """
        policy = self.policy
        if policy is None:
            return intent
        key = PromptKey(normalized(agent), new_key(status))
        try:
            key, before, instead = await self._read(see or (lambda database: seeing.active(database, key)))
        except PromptNotFoundError:
            # Who may not even look is not told what there is.
            await authorizing.authorize(policy, intent.actor, operation, key, None, after)
            raise
        decision = await authorizing.authorize(policy, intent.actor, operation, key, before, after or instead)
        if intent.emergency:
            await authorizing.authorize(policy, intent.actor, Operation.EMERGENCY, key, before, after or instead)
        return authorizing.cleared(intent, decision, before, instead)

    async def _allowed(self, intent: Intent, operation: Operation, agent: str = "", status_key: str = "") -> None:
        """Ask the policy about what changes no version.

        Raises:
            NotAllowedError: It does not allow it.
        """
        if (policy := self.policy) is not None:
            await authorizing.authorize(policy, intent.actor, operation, PromptKey(normalized(agent), status_key))

    async def _look_at(self, agent: str) -> None:
        await self._allowed(self._intent(), Operation.VIEW, agent)

    async def _sees(self, agent: str, known: dict[str, bool]) -> bool:
        """Return whether the policy shows an agent."""
        if self.policy is None:
            return True
        if agent not in known:
            try:
                await self._look_at(agent)
            except NotAllowedError:
                known[agent] = False
            else:
                known[agent] = True
        return known[agent]

    async def _switch(self, function: Callable[[Database], Coroutine[Any, Any, EditResult]]) -> EditResult:
        """Do what may become a request, and tell of it if it does."""
        done = await self._edit(function)
        if done.request is not None and done.is_new_request:
            await self._announce(done.request)
        return done

    def _exposed(self, agent: str) -> frozenset[str] | None:
        declared = self._declared.get(normalized(agent))
        return declared.exposed if declared is not None else None

    def _statuses(self, agent: str) -> tuple[str, ...]:
        declared = self._declared.get(normalized(agent))
        return tuple(declared.prompts) if declared is not None else ()
