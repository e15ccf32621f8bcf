"""Edits as values: who asks for what, and what became of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from automagik_prompts.domain.keys import PromptKey, SpellingClash
from automagik_prompts.domain.records import Action, AgentInfo, Prompt
from automagik_prompts.domain.validation import MAX_NOTE_LENGTH, check_optional


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
    """

    agent: AgentInfo
    status_key: str
    prompt: Prompt | None
    active_version: int | None
    previous_version: int | None
    hints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks for an edit.

    Attributes:
        name: The name under which it is recorded; `None` if nobody said.
    """

    name: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """An edit that somebody asks for, as a policy sees it.

    Attributes:
        actor: Who asks.
        action: What is to be done.
        key: The agent and status, as they were given.
        note: Why.
    """

    actor: Actor
    action: Action
    key: PromptKey
    note: str | None = None


Policy = Callable[[Request], None]
"""Decides whether an edit may be made: raises `AccessDeniedError` if not."""


def allow_all(request: Request) -> None:  # a policy's argument
    """Allow every edit."""


@dataclass(frozen=True, slots=True)
class Intent:
    """Who writes, why, and on what assumption.

    Attributes:
        author: By whom.
        note: Why.
        expected_revision: The agent's revision that the decision rests on; `None` to write in any case.
    """

    author: str | None = None
    note: str | None = None
    expected_revision: int | None = None

    def __post_init__(self) -> None:
        check_optional(self.author, "author")
        check_optional(self.note, "note", limit=MAX_NOTE_LENGTH)


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
            earlier version of the code), `orphan` (no longer in code), or `alike` (not written: the database has the
            status in a spelling that differs only in case or in Unicode form).
        clash: Both spellings of the status, where it was not written.
    """

    agent: str
    status_key: str
    version: int | None
    outcome: str
    clash: SpellingClash | None = None


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
