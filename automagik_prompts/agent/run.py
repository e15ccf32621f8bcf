"""What belongs to one agent run: the capability in charge, the snapshot that it keeps to, and what was sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal, Protocol

from opentelemetry.trace import NoOpTracer, Span, get_current_span
from pydantic_ai.messages import ModelMessage
from pydantic_ai.tools import RunContext

from automagik_prompts.agent import telemetry
from automagik_prompts.agent.history.messages import leading_prompt
from automagik_prompts.agent.history.provenance import last_used, record_provenance, signed_texts
from automagik_prompts.agent.history.signing import entry_of
from automagik_prompts.agent.history.used import UsedPrompt
from automagik_prompts.agent.rendering import CacheEntry, RenderedPrompt
from automagik_prompts.domain.history import HistoryRules
from automagik_prompts.domain.protocols import PromptReader, SnapshotReader, StatusFunction
from automagik_prompts.domain.served import Selection, ServedPrompt

Inject = Literal["system_prompt", "instructions"]
OnChange = Literal["rewrite", "append"]
Others = Literal["keep", "drop"]
Adopt = Literal["leading"]
Pin = Literal["conversation"] | Callable[[RunContext[Any]], Any]
"""What a conversation goes on with: what its history says, or what a function returns that the application has kept."""


class RunCapability(Protocol):
    """What a run reads of the capability in charge of it."""

    version: int | None
    """The version that was asked for."""

    pin: Pin | None
    """What the conversation goes on with."""

    inject: Inject
    """Where the model is sent it."""

    id: str | None
    """Its id among the agent's capabilities."""

    on_change: OnChange
    """What happens to a text in the history that is not the active one any more."""

    @property
    def ref(self) -> str:
        """The reference under which the text stands in histories."""

    @property
    def name(self) -> str:
        """The name of the prompts."""

    async def render(self, ctx: RunContext[Any], run: Run) -> RenderedPrompt:
        """Return the filled text for the present status."""

    async def begin(self, ctx: RunContext[Any] | None) -> Run:
        """Begin a run, waiting for the first load if need be."""


class RunPlan(Protocol):
    """What a run tells those that come after it."""

    def settle(self, entry: CacheEntry) -> None:
        """Take what was made for the one status of all runs, for the next ones."""


def _nothing() -> None:
    """Return nothing, as a default."""


@dataclass(eq=False)
class Run:
    """One run of one agent, as far as one prompt is concerned.

    Attributes:
        capability: The capability in charge: the agent's, or one that was given to this run.
        texts: The agent's texts as its code declares them, and what else in the history is one of its texts.
        rules: What its history says; `None` where that is recorded already.
        is_plain: Whether the run sends what the snapshot serves: no override, no version asked for, no conversation's.
        pinned: What the conversation's last run sent, where this one is to go on with it.
        is_vouched: Whether the application has said so itself, and not a history.
        prepared: What the next request sends, if that was found out before the request.
        prepared_at: The step of the run at which it was found out; `None` if that is not known.
        began: The context of the run's beginning.
        span: The span of the agent's run, if there is one that records.
        lead: The run of the agent's first prompt, for another one of the same agent.
        labels: What was sent so far, in the order of first use.
        attributes: What spans say about the latest request.
        is_usual: Whether it sends a system prompt in the plain way.
        fixed: What all its requests send, where that is known: neither the status nor the text can change.
        entry: What was made of the choice for its status, where the status cannot change.
        key: Under what it is known while it lasts.
        sent: The filled texts that it has sent, where they stay in the history (`on_change="append"`).
        counted: The ids of the versions that it was sent, each of which counts once; a text without one does not count.
    """

    capability: RunCapability
    texts: frozenset[str]
    rules: HistoryRules | None
    # What every run looks at has no default in the class: the interpreter would look there each time as well.
    is_usual: bool = field(default_factory=bool, init=False)
    prepared: RenderedPrompt | None = field(default_factory=_nothing, init=False)
    prepared_at: int | None = field(default_factory=int, init=False)
    fixed: RenderedPrompt | None = field(default_factory=_nothing, init=False)
    entry: CacheEntry | None = field(default_factory=_nothing, init=False)
    key: tuple[str | None, str] = field(default_factory=lambda: (None, ""), init=False)
    began: RunContext[Any] | None = field(default_factory=_nothing, init=False)
    span: Span | None = field(default_factory=_nothing, init=False)
    counted: tuple[int, ...] = field(default_factory=tuple, init=False)
    # The rest stands in the class until it is set.
    is_plain: bool = field(default=False, init=False)
    pinned: UsedPrompt | None = field(default=None, init=False)
    is_vouched: bool = field(default=False, init=False)
    lead: Run | None = field(default=None, init=False)
    labels: tuple[str, ...] = field(default=(), init=False)
    attributes: telemetry.Attributes | None = field(default=None, init=False)
    sent: frozenset[str | None] = field(default=frozenset(), init=False)

    def count(self, prompt_id: int) -> None:
        """Count that this run is sent a version; what is recorded is counted where it is found out."""
        self.counted = (*self.counted, prompt_id)

    def look_back(self, messages: Sequence[ModelMessage], *, leading: bool) -> None:
        """Take a system prompt from before this library for ours, if it is one of the agent's texts.

        Args:
            messages: The history that the run begins with.
            leading: Whether to take the first one in any case, where none of ours is there.
        """
        content, has_own = leading_prompt(messages, self.capability.ref, self.texts)
        # What this library has sent before, as instructions too, is no history from before it.
        leading = leading and not has_own and last_used(messages, self.capability.name) is None
        if content is not None and (leading or self.is_known(content)):
            self.texts |= {content}

    def is_known(self, content: str) -> bool:
        """Return whether a prompt is one of the agent's texts, filled or not."""
        raise NotImplementedError

    def may_have_sent(self, content: str, status_key: str | None) -> bool:  # noqa: ARG002  # known in memory only
        """Return whether a text that a history holds may be sent again, as one of a status, or of any (`None`)."""
        return content in self.sent

    async def render(self, record: Callable[..., Awaitable[Any]]) -> RenderedPrompt:
        """Return what a request is sent, where that is recorded: a run in memory is asked otherwise."""
        raise NotImplementedError

    def prepare(self, sent: RenderedPrompt, step: int | None) -> RenderedPrompt:
        """Keep what the next request sends."""
        self.prepared, self.prepared_at = sent, step
        return sent

    def prepared_for(self, step: int) -> RenderedPrompt | None:
        """Return what was found out for a step already."""
        # Pydantic AI asks for the system prompt before the step of the request that sends it has begun.
        earliest = step - 1 if self.capability.inject == "system_prompt" else step
        at = self.prepared_at
        return self.prepared if at is None or earliest <= at <= step else None

    def take(self, step: int) -> RenderedPrompt | None:
        """Return what was found out for a step, once: the next request finds it out anew."""
        if self.is_usual and self.fixed is not None:
            return self.fixed
        if self.prepared is None:
            return None  # of instructions: nobody has asked for them
        found, self.prepared = self.prepared_for(step), None
        return found

    def record(self, rendered: RenderedPrompt, ctx: RunContext[Any], sent: Sequence[ModelMessage]) -> None:
        """Take note of what a request sends: where it is counted, in the history and on the present span."""
        used, entry, rules = rendered.used, rendered.entry, self.rules
        if (prompt_id := used.prompt_id) is not None and prompt_id not in self.counted:
            self.count(prompt_id)
        if rules is not None and not rules.is_plain:
            entry = entry_of(used, rules, ctx.conversation_id)
        record_provenance(entry, self.capability.name, ctx.run_id, sent, ctx.messages)
        if self.span is not None:
            self.trace(used)

    def trace(self, used: UsedPrompt) -> None:
        """Write on the present span, that of a model request, what is sent."""
        self.attributes = telemetry.attributes_of(used)
        leading = self.lead or self
        if (label := telemetry.label_of(used)) not in leading.labels:
            leading.labels = (*leading.labels, label)
        if self.lead is None:
            get_current_span().set_attributes(self.attributes)


@dataclass(eq=False)
class MemoryRun(Run):
    """A run that reads what the process holds in memory, as mostly.

    Attributes:
        reader: The plugin that it reads from.
        snapshot: What the plugin served when the run began; a deploy in the middle changes nothing.
        status: The present status, or the function that tells it; `None` for the primary one.
        overrides: The prompts in force in the context that began the run.
        plan: What tells the runs after it what was found out.
        goes_on: Whether it goes on with what a durable run was sent before.
        selections: What was chosen for each status, so that a status that comes back finds the same text.
        history: The messages that it begins with, and the id of their conversation.
        signed: The texts that its history names with a signature, by status and hash, where there are keys.
    """

    reader: PromptReader
    snapshot: SnapshotReader
    status: str | Enum | StatusFunction | None
    overrides: tuple[ServedPrompt, ...]
    plan: RunPlan | None = field(default=None, init=False)
    goes_on: bool = field(default=False, init=False)
    selections: Mapping[str | None, Selection] = field(default_factory=dict, init=False)  # replaced, never changed
    history: tuple[Sequence[ModelMessage], str | None] = field(default=((), None), init=False)
    signed: frozenset[tuple[str, str]] | None = field(default=None, init=False)

    def count(self, prompt_id: int) -> None:
        """Count that this run is sent a version."""
        self.counted = (*self.counted, prompt_id)
        self.reader.report_sent(prompt_id)

    def believe(self, messages: Sequence[ModelMessage], conversation: str | None) -> None:
        """Keep the history that a run begins with, and its conversation, in case a text of it is asked about."""
        self.history = tuple(messages), conversation

    def is_known(self, content: str) -> bool:
        """Return whether a prompt is one of the agent's texts, filled or not."""
        return self.reader.known_texts(self.capability.name).is_own(content)

    def may_have_sent(self, content: str, status_key: str | None) -> bool:
        """Return whether a text that a history holds may be sent again, as one of a status, or of any (`None`)."""
        if super().may_have_sent(content, status_key):
            return True
        if self.signed is None and (keys := self.reader.history.keys):
            # Only now: most runs ask about nothing, and a long history has many signatures.
            messages, conversation = self.history
            self.signed = signed_texts(messages, self.capability.name, keys, conversation)
        return self.reader.sendable_texts(self.capability.name, status_key, self.signed).is_own(content)


# By run id and name of the prompts. Not in a context variable: a run may be driven from several tasks.
running: dict[tuple[str | None, str], Run] = {}

# For what happens in the middle of a run without saying which run. Set in the task of the run's hooks, whose context
# Pydantic AI gives to the run and takes away again, so nothing is reset here.
_ambient: ContextVar[Mapping[str, Run]] = ContextVar("automagik_prompts_runs", default={})  # noqa: B039  # never changed


def begin(ctx: RunContext[Any], name: str, run: Run) -> None:
    """Make a run known, until it is ended."""
    run_id = ctx.run_id
    run.began, run.key = ctx, (run_id, name)
    # Only a span of Pydantic AI's own is written to, and only if it records anything.
    tracer = ctx.tracer
    is_silent = type(tracer) is NoOpTracer or isinstance(tracer, NoOpTracer)
    if not is_silent and (span := get_current_span()).is_recording():
        run.span = span
    running[run.key] = run
    ambient = {name: run}
    if others := _ambient.get():
        run.lead = next((other.lead or other for other in others.values() if other.key[0] == run_id), None)
        ambient = {**others, name: run}
    _ambient.set(ambient)


def end(run: Run) -> None:
    """Forget a run, and write on its span what it sent."""
    if running.get(run.key) is run:
        del running[run.key]
    if run.span is not None and run.attributes is not None and run.lead is None:
        run.span.set_attributes({**run.attributes, telemetry.PROMPTS: run.labels})


def find(ctx: RunContext[Any], name: str) -> Run | None:
    """Return the run that a context belongs to."""
    if (run_id := ctx.run_id) is not None:
        return running.get((run_id, name))
    run = _ambient.get().get(name)
    return run if run is not None and run.began is not None and run.began.deps is ctx.deps else None
