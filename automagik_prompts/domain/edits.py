"""Edits as values: who asks for what, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from automagik_prompts.domain.keys import SpellingClash
from automagik_prompts.domain.policy import Actor
from automagik_prompts.domain.records import AgentInfo, Prompt
from automagik_prompts.domain.review import ApprovalRequest
from automagik_prompts.domain.running.fleet import Followers
from automagik_prompts.domain.validation import MAX_NOTE_LENGTH, check_name, check_optional, is_blank
from automagik_prompts.exceptions import InvalidPromptError

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class EditResult:
    """What a write did.

    Attributes:
        agent: The agent after it; its `revision` is the token for the next optimistic write.
        status_key: The status.
        prompt: The version written or activated; `None` after a deactivation.
        active_version: The version that is active now, if there is one.
        previous_version: The version that was active before, if there was one.
        hints: What may be meant otherwise in a text that was written, with line and column; it was written as it is.
        request: The request for approval that was made, decided or carried out. While it waits, nothing else is active
            than before.
        is_new_request: Whether it was made just now, by this call.
        followers: How far the living processes have followed, where somebody waited for that.
    """

    agent: AgentInfo
    status_key: str
    prompt: Prompt | None
    active_version: int | None
    previous_version: int | None
    hints: tuple[str, ...] = ()
    request: ApprovalRequest | None = None
    is_new_request: bool = False
    followers: Followers | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether it waits for approval."""
        return self.request is not None and self.request.is_waiting


@dataclass(frozen=True, slots=True)
class Clearance:
    """What a policy has decided about an edit, and on what state.

    Attributes:
        is_asked: Whether a policy was asked; then the active version must still be the one that it saw.
        before: The id of the active version that it saw.
        after: The id of the version that it saw in its place, where that is not given by the edit.
        needs_approval: Whether another person has to approve.
    """

    is_asked: bool = False
    before: int | None = None
    after: int | None = None
    needs_approval: bool = False


NOT_ASKED = Clearance()
"""There is no policy."""


@dataclass(frozen=True, slots=True)
class Intent:
    """Who writes, why, and on what assumption.

    Attributes:
        author: By whom; the actor's name, where there is an actor.
        note: Why.
        expected_revision: The agent's revision that the decision rests on; `None` to write in any case.
        actor: Who acts; the author, where nobody is named.
        emergency: Whether a protected status is changed without approval.
        clearance: What the policy has decided.
    """

    author: str | None = None
    note: str | None = None
    expected_revision: int | None = None
    actor: Actor | None = None
    emergency: bool = False
    clearance: Clearance = NOT_ASKED

    def __post_init__(self) -> None:
        if self.actor is not None:
            object.__setattr__(self, "author", str(self.actor))
        check_optional(self.author, "author")
        check_optional(self.note, "note", limit=MAX_NOTE_LENGTH)
        if self.emergency and is_blank(self.note or ""):
            raise InvalidPromptError("An emergency needs a reason: say why with a note (--note).")

    @property
    def actor_id(self) -> str | None:
        """The id of who acts; `None` where nobody said, or by a name that would pass for another one."""
        if self.actor is not None:
            return self.actor.id
        try:
            return check_name(self.author, "author")
        except InvalidPromptError:
            return None


NO_INTENT = Intent()
"""Nobody in particular, for no reason that was given."""


@dataclass(frozen=True, slots=True)
class SyncResult:
    """One thing that seeding did or saw.

    Attributes:
        agent: The agent's name.
        status_key: The status.
        version: The version concerned; `None` for an orphan without one.
        outcome: `created` (and activated), `drift` (created, not activated: a person's version or a person's
            deactivation stands), `withdrawn` (created, not activated: people have withdrawn this text), `activated` (an
            earlier version of the code), `requested` (not activated: it waits for approval), `undecided` (nobody has
            decided between a person's version and the code's, and `on_drift="fail"` asks for it), `orphan` (no longer
            in code), or `alike` (not written: the database has the status in a spelling that differs only in case or
            in Unicode form).
        clash: Both spellings of the status, where it was not written.
        request: The request for approval that was made.
        replaced: The person's version whose place it took, with `on_drift="code"`.
    """

    agent: str
    status_key: str
    version: int | None
    outcome: str
    clash: SpellingClash | None = None
    request: ApprovalRequest | None = None
    replaced: int | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[T_co]):
    """Some of what was asked for.

    Attributes:
        items: What was found, in the order of the question.
        next: What to give as `after` for what comes next; `None` where there is nothing more.
    """

    items: tuple[T_co, ...]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """What a text would be written to.

    Attributes:
        agent: The agent; `None` if there is none yet.
        name: Its name.
        status_key: The status key, as it is spelt.
        hints: What may be meant otherwise in a text for it.
    """

    agent: AgentInfo | None
    name: str
    status_key: str
    hints: tuple[str, ...] = ()
