"""Edits as values: who asks for what, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

from automagik_prompts.domain.keys import PromptKey, SpellingClash
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
class RestoreStep:
    """A status whose active version is not the one that was active at a moment.

    Attributes:
        agent: The agent's name.
        status_key: The status.
        active_version: What is active now; `None` if nothing is.
        version: What was active then; `None` if nothing was.
        revision: The agent's revision when it was compared.
        blocker: Why that version cannot come back; `None` if it can.
    """

    agent: str
    status_key: str
    active_version: int | None
    version: int | None
    revision: int
    blocker: str | None = None

    @property
    def key(self) -> PromptKey:
        """The agent and the status."""
        return PromptKey(self.agent, self.status_key)


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """What it takes to go back to a moment; nothing is written yet.

    Attributes:
        as_of: The moment.
        steps: The statuses that differ, sorted by agent and status.
        added: The agents that were not there yet; they are left alone.
    """

    as_of: datetime
    steps: tuple[RestoreStep, ...]
    added: tuple[str, ...] = ()

    @property
    def work(self) -> tuple[RestoreStep, ...]:
        """The steps that can be done."""
        return tuple(step for step in self.steps if step.blocker is None)


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


@dataclass(frozen=True, slots=True)
class RepeatKey:
    """By what a write is known that may be repeated, as after a connection was cut.

    Attributes:
        actor_id: Who writes.
        key: What they call it.
        fingerprint: What they ask for: the same key for something else is a mistake.
    """

    actor_id: str
    key: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a write was answered, to be given again.

    Attributes:
        status: The status code.
        headers: The headers that belong to it.
        body: The body.
    """

    status: int
    headers: Mapping[str, str]
    body: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class EventHorizon:
    """How far the events can be read in their order, as nothing older can come to be.

    Attributes:
        newest: The highest number of an event that is there.
        oldest: The oldest transaction that goes on, or the next one where none does.
        next: Where there is something new, more than the number of any transaction that had begun; else 0.
    """

    newest: int
    oldest: int
    next: int
