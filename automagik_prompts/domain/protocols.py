"""What an agent run may ask of whoever follows the database: memory only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

from automagik_prompts.domain.history import HistoryRules
from automagik_prompts.domain.keys import Status
from automagik_prompts.domain.served import Gap, Limits, MissingMode, Selection, ServedPrompt

Values = Mapping[str, object]
"""Names and values that fill a template."""


StatusFunction = Callable[[Any], Any | Awaitable[Any]]
"""A sync or async function of the run context that returns the present status: a string or an enum member."""


VariablesFunction = Callable[[Any], Values | Awaitable[Values]]
"""A sync or async function of the run context that returns the values of variables."""


class Declared(Protocol):
    """What an agent run may read of what the code says about an agent."""

    @property
    def texts(self) -> frozenset[str]:
        """All of its texts."""
        ...

    @property
    def exposed(self) -> frozenset[str]:
        """What its texts may use."""
        ...

    @property
    def status(self) -> StatusFunction | None:
        """The function that tells the present status, if the declaration gave one."""
        ...


class Declarations(Protocol):
    """What code says about agents, as far as a capability asks or adds to it."""

    @property
    def agents(self) -> Mapping[str, Declared]:
        """What is declared now, by agent name; a mapping that never changes, and another one after each change."""
        ...

    def texts(self, agent: str) -> frozenset[str]:
        """Return the agent's texts as the code declares them."""
        ...

    def expose(self, agent: str, names: Collection[str]) -> None:
        """Let the texts of an agent use further names."""
        ...


class SnapshotReader(Protocol):
    """What an agent run may read of a snapshot: memory only."""

    @property
    def registry(self) -> Declarations:
        """The declarations that it was made with."""
        ...

    @property
    def is_loaded(self) -> bool:
        """Whether it was read from the database."""
        ...

    def knows(self, agent: str) -> bool:
        """Return whether it has anything to say about an agent."""
        ...

    def status_key(self, agent: str, status: Status | None) -> str | None:
        """Return the key that a status means for an agent; one that is unknown is its own, `None` the primary one."""
        ...

    def select(self, agent: str, status_key: str | None) -> Selection:
        """Return what is served for an agent and status; raises `NoActivePromptError`."""
        ...

    def code(self, agent: str) -> Declared | None:
        """Return what this process' code says about an agent; `None` if it declares no such agent."""
        ...


class TextMatcher(Protocol):
    """Tells the texts that an agent may have been sent from others."""

    def is_own(self, content: str) -> bool:
        """Return whether a prompt is one of them, filled or not."""
        ...


class PresentReader(Protocol):
    """What is served at present, and when word of it is due again."""

    @property
    def snapshot(self) -> SnapshotReader | None:
        """What is served; `None` before the first load has ended in one way or another."""
        ...

    @property
    def due(self) -> float:
        """When the next report is due at the latest, on the monotonic clock; long ago if nothing is followed."""
        ...


class StateReader(Protocol):
    """Where what is served at present stands."""

    @property
    def serving(self) -> PresentReader:
        """What is served at present: another object after each report."""
        ...


class PromptReader(Protocol):
    """What `ActivePrompt` reads of a plugin."""

    @property
    def state(self) -> StateReader:
        """Where what is served stands, for who would look without asking."""
        ...

    @property
    def missing(self) -> MissingMode:
        """What a missing value becomes."""
        ...

    def snapshot(self) -> SnapshotReader | None:
        """Return the present snapshot, or `None` before the first load has ended in one way or another."""
        ...

    async def ready(self) -> SnapshotReader:
        """Wait for the first load, bounded, and return a snapshot in any case."""
        ...

    async def loaded(self) -> SnapshotReader | None:
        """Wait, bounded, until the database has been read; `None` if it was not, with the reason in `unread`."""
        ...

    @property
    def unread(self) -> str:
        """Why the database has not been read yet, for messages."""
        ...

    @property
    def history(self) -> HistoryRules:
        """What is written into histories, and what is believed of them."""
        ...

    async def recall(
        self, agent: str, status_key: str, version: int | None, content_hash: str | None
    ) -> ServedPrompt | None:
        """Return a version that was active once, from memory or after a bounded wait; `None` if there is none."""
        ...

    def remembered(self, agent: str, version: int | None) -> tuple[Sequence[str], Sequence[ServedPrompt]]:
        """Return an agent's statuses, and what is in memory under a version number."""
        ...

    def known_texts(self, agent: str) -> TextMatcher:
        """Return what tells an agent's own texts, as far as they are in memory."""
        ...

    def sendable_texts(
        self, agent: str, status_key: str | None, named: Collection[tuple[str, str]] | None = None
    ) -> TextMatcher:
        """Return what tells those of one status, of all, or named ones, that were active once and are not withdrawn."""
        ...

    def report_pin(self, agent: str, words: str) -> None:
        """Take note that what a conversation is to go on with is not believed; returns at once and never raises."""
        ...

    def status_keys(self, agent: str) -> Sequence[str]:
        """Return the statuses of an agent that have a text of their own now, from memory."""
        ...

    async def find_version(self, agent: str, status_key: Status, version: int) -> ServedPrompt:
        """Return a version by its number, reading it if need be; raises where it cannot be had in time."""
        ...

    def report_fallback(self, agent: str, status_key: str) -> None:
        """Take note that a status has no text of its own; returns at once and never raises."""
        ...

    @property
    def limits(self) -> Limits:
        """How large the values of a run may be."""
        ...

    def report_gaps(self, prompt: ServedPrompt, gaps: Sequence[Gap], available: Callable[[], Iterable[str]]) -> None:
        """Take note of variables without a usable value, and which names had one; returns at once and never raises."""
        ...

    def report_bad_value(self, prompt: ServedPrompt, words: str, name: str = "") -> None:
        """Take note that a text could not be filled with a value of a run; returns at once and never raises."""
        ...

    @property
    def report_sent(self) -> Callable[[int], object]:
        """Take note that a run is sent a version, by its id; returns at once and never raises."""
        ...

    def report_first_run(self) -> None:
        """Take note that an agent has run in this process; returns at once and never raises."""
        ...

    def report_render_failure(self, prompt: ServedPrompt, error: Exception) -> None:
        """Take note that a version could not be rendered; returns at once and never raises."""
        ...


class PromptSource(Protocol):
    """Something that agents read prompts from: a plugin."""

    @property
    def registry(self) -> Declarations:
        """The declarations that it serves."""
        ...

    @property
    def reader(self) -> PromptReader:
        """What agents read."""
        ...


class DefaultPlugin(PromptSource, Protocol):
    """What is known of a plugin that agents read which were given none."""

    @property
    def is_chosen(self) -> bool:
        """Whether somebody said which database it follows, by an argument or a variable."""
        ...

    @property
    def is_started(self) -> bool:
        """Whether it follows its database."""
        ...

    @property
    def identity(self) -> str | None:
        """What tells its database from another; `None` for one in memory."""
        ...

    @property
    def where(self) -> str:
        """Its database, for messages, without secrets."""
        ...
