"""The one way to edit: whoever asks, the policy is asked first, the text is checked, written and recorded.

The plugin, the command line and every other front door inherit or use it, so that an edit means the same everywhere.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from automagik_prompts.declaring.declared import DeclaredAgent
from automagik_prompts.domain.edits import Actor, EditResult, Intent, Policy, Request, SyncResult, allow_all
from automagik_prompts.domain.keys import PromptKey, Status, new_key
from automagik_prompts.domain.records import Action, Prompt
from automagik_prompts.domain.validation import Format, normalized
from automagik_prompts.exceptions import InvalidPromptError
from automagik_prompts.later import Later

if TYPE_CHECKING:
    from automagik_prompts.editing import commands, sync, withdrawing
    from automagik_prompts.storage.database import Database
else:
    commands, sync, withdrawing = (
        Later(f"automagik_prompts.editing.{name}") for name in ("commands", "sync", "withdrawing")
    )

T = TypeVar("T")


class EditService(ABC):
    """What can be done to prompts; where it is done is a subclass' matter.

    Attributes:
        policy: Decides whether an edit may be made; by default every edit may.
    """

    policy: Policy = staticmethod(allow_all)

    @abstractmethod
    async def _edit(self, function: Callable[[Database], Coroutine[Any, Any, T]]) -> T:
        """Call a function with the open database."""

    @property
    @abstractmethod
    def _declared(self) -> Mapping[str, DeclaredAgent]:
        """What the code declares, as far as it is here."""

    @property
    def _default_author(self) -> str | None:
        """Who edits where a call does not say."""
        return None

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
            author: By whom.
            note: Why.
            expected_revision: The agent's revision that the decision rests on; `None` to write in any case.

        Raises:
            InvalidPromptError: The text, a name or the template is refused.
            PromptNotFoundError: There is no such agent or status, and none is to be added.
            ConflictError: Somebody else wrote first.
            DatabaseUnavailableError: The database cannot be written now.
        """
        intent = self._intent(Action.CREATED, agent, status_key, author, note, expected_revision)
        return await self._edit(
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
                intent=intent,
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
            author: By whom.
            note: Why.
            expected_revision: As for `create`.

        Raises:
            InvalidPromptError: The text uses variables that the agent does not expose.
            PromptNotFoundError: There is no such agent or status, and none is to be added.
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
            author=author,
            note=note,
            expected_revision=expected_revision,
        )

    async def activate(
        self,
        agent: str,
        status_key: Status,
        version: int,
        *,
        author: str | None = None,
        note: str | None = None,
        expected_revision: int | None = None,
    ) -> EditResult:
        """Make a version the active one of its agent and status; every process follows.

        Args:
            agent: The agent's name.
            status_key: The status, a string or an enum member.
            version: The version's number.
            author: By whom.
            note: Why.
            expected_revision: As for `create`.

        Raises:
            InvalidPromptError: The version could not be served: it is blank, no template, or uses unexposed variables.
            PromptNotFoundError: There is no such agent, status or version.
            ConflictError: Somebody else wrote first.
            DatabaseUnavailableError: The database cannot be written now.
        """
        intent = self._intent(Action.ACTIVATED, agent, status_key, author, note, expected_revision)
        exposed = self._exposed(agent)
        return await self._edit(
            lambda database: commands.activate(database, agent, status_key, version, exposed=exposed, intent=intent)
        )

    async def rollback(
        self,
        agent: str,
        status_key: Status,
        *,
        author: str | None = None,
        note: str | None = None,
        expected_revision: int | None = None,
    ) -> EditResult:
        """Activate the version that was active before the present one; called again, it goes back further.

        After a deactivation it brings back the version that was deactivated.

        Args:
            agent: The agent's name.
            status_key: The status, a string or an enum member.
            author: By whom.
            note: Why.
            expected_revision: As for `create`.

        Raises:
            InvalidPromptError: The earlier version could not be served.
            PromptNotFoundError: There is no such agent or status, or no version was active before.
            ConflictError: Somebody else wrote first.
            DatabaseUnavailableError: The database cannot be written now.
        """
        intent = self._intent(Action.ROLLED_BACK, agent, status_key, author, note, expected_revision)
        exposed = self._exposed(agent)
        return await self._edit(
            lambda database: commands.rollback(database, agent, status_key, exposed=exposed, intent=intent)
        )

    async def deactivate(
        self,
        agent: str,
        status_key: Status,
        *,
        author: str | None = None,
        note: str | None = None,
        expected_revision: int | None = None,
    ) -> EditResult:
        """Leave a status without an active version; its agents are served the primary status' text instead.

        Args:
            agent: The agent's name.
            status_key: The status, a string or an enum member.
            author: By whom.
            note: Why.
            expected_revision: As for `create`.

        Raises:
            PromptNotFoundError: There is no such agent or status, or no active version.
            ConflictError: Somebody else wrote first.
            DatabaseUnavailableError: The database cannot be written now.
        """
        intent = self._intent(Action.DEACTIVATED, agent, status_key, author, note, expected_revision)
        return await self._edit(lambda database: commands.deactivate(database, agent, status_key, intent=intent))

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
            author: By whom.
            note: Why.
            expected_revision: As for `create`.

        Raises:
            InvalidPromptError: The version is active or came from code.
            PromptNotFoundError: There is no such agent, status or version.
            ConflictError: Somebody else wrote first.
            DatabaseUnavailableError: The database cannot be written now.
        """
        intent = self._intent(Action.DELETED, agent, status_key, author, note, expected_revision)
        return await self._edit(lambda database: commands.delete(database, agent, status_key, version, intent=intent))

    async def withdraw(
        self,
        agent: str,
        status_key: Status,
        version: int,
        *,
        activate: int | None = None,
        undo: bool = False,
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
            author: By whom.
            note: Why.
            expected_revision: As for `create`.

        Raises:
            InvalidPromptError: The version is active and none takes its place, the one that would cannot be served, or
                there is no withdrawal to take back.
            PromptNotFoundError: There is no such agent, status or version.
            ConflictError: Somebody else wrote first.
            DatabaseUnavailableError: The database cannot be written now.
        """
        action = Action.REINSTATED if undo else Action.WITHDRAWN
        intent = self._intent(action, agent, status_key, author, note, expected_revision)
        if undo:
            if activate is not None:
                raise InvalidPromptError("undo takes a withdrawal back and activates nothing. Use activate afterwards.")
            return await self._edit(
                lambda database: withdrawing.reinstate(database, agent, status_key, version, intent=intent)
            )
        declared = self._declared.get(normalized(agent))
        code = {prompt.content_hash for prompt in declared.prompts.values()} if declared is not None else ()
        exposed = self._exposed(agent)
        return await self._edit(
            lambda database: withdrawing.withdraw(
                database, agent, status_key, version, activate=activate, exposed=exposed, code=code, intent=intent
            )
        )

    async def sync(self) -> tuple[SyncResult, ...]:
        """Write what the code declares, exactly, as a release step does.

        Returns:
            What was done, in the order of agents and statuses.

        Raises:
            SchemaError: The table `agents` is the application's and does not let a new agent be added.
            DatabaseUnavailableError: The database cannot be written now.
        """
        return await self._edit(lambda database: sync.seed(database, self._declared, exact=True))

    def _intent(
        self,
        action: Action,
        agent: str,
        status: Status,
        author: str | None,
        note: str | None,
        expected_revision: int | None,
    ) -> Intent:
        """Ask the policy, and return what is recorded with the edit.

        Raises:
            AccessDeniedError: The policy does not allow it.
            InvalidPromptError: The author or the note cannot be kept.
        """
        intent = Intent(author or self._default_author, note, expected_revision)
        self.policy(Request(Actor(intent.author), action, PromptKey(agent, new_key(status)), note))
        return intent

    def _exposed(self, agent: str) -> frozenset[str] | None:
        declared = self._declared.get(normalized(agent))
        return declared.exposed if declared is not None else None

    def _statuses(self, agent: str) -> tuple[str, ...]:
        declared = self._declared.get(normalized(agent))
        return tuple(declared.prompts) if declared is not None else ()
