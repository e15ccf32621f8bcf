"""Durable runs: an engine (Temporal, DBOS, Prefect) records what each request is sent, and gives it back in a replay.

The code of a durable run is executed again after a crash, and in a replay, possibly in another process and after
another version was activated. So it reads nothing that changes: what a request is sent is found out in a durable
operation, whose result the engine keeps. There the plugin may start, wait and read; here it may not.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import dataclasses
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.tools import RunContext

from automagik_prompts.agent.dynamic import unwrapped
from automagik_prompts.agent.history.signing import entry_of
from automagik_prompts.agent.history.used import UsedPrompt
from automagik_prompts.agent.rendering import RenderedPrompt
from automagik_prompts.agent.run import MemoryRun, Run
from automagik_prompts.domain.protocols import SnapshotReader
from automagik_prompts.domain.served import Reason, ReasonCode, Selection, ServedPrompt, Source
from automagik_prompts.domain.validation import Format
from automagik_prompts.exceptions import NoActivePromptError
from automagik_prompts.templating.compiling import compile_template

# What is recorded is plain, as engines write it as JSON or pickle it. Names and fields stay: records outlive releases.
# Pydantic's dataclasses have their schema once they are imported; those of the standard library look this module up in
# `sys.modules` when an agent is built, and in Temporal's sandbox it is not there.


@dataclasses.dataclass(frozen=True)
class RecordedText:
    """A text as it stood in its version when a run was first sent it.

    Attributes:
        agent: The agent's name.
        status_key: The status that the text belongs to.
        version: Its number, if it has one.
        prompt_id: Its id in the database, if it was there.
        text: The text, not filled.
        format: How it is read.
        content_hash: The SHA-256 of the text, hexadecimal.
        source: Where it came from.
    """

    agent: str
    status_key: str
    version: int | None
    prompt_id: int | None
    text: str
    format: Format
    content_hash: str
    source: str

    @classmethod
    def of(cls, prompt: ServedPrompt) -> RecordedText:
        """Return a served text as it is recorded."""
        return cls(
            agent=prompt.agent,
            status_key=prompt.status_key,
            version=prompt.version,
            prompt_id=prompt.prompt_id,
            text=prompt.text,
            format=prompt.format,
            content_hash=prompt.content_hash,
            source=prompt.source.value,
        )

    def served(self, snapshot: SnapshotReader, known: Sequence[ServedPrompt | None]) -> ServedPrompt:
        """Return the text ready to be served: one that is at hand, if it is the same, else compiled anew."""
        for prompt in known:
            if prompt is not None and self.of(prompt) == self:
                return prompt
        template, code = compile_template(self.text, self.format), snapshot.code(self.agent)
        return ServedPrompt(
            agent=self.agent,
            status_key=self.status_key,
            version=self.version,
            prompt_id=self.prompt_id,
            text=self.text,
            format=self.format,
            content_hash=self.content_hash,
            source=Source(self.source),
            # By what the code exposes now: what was recorded is no way to a name that it has closed.
            template=template.restricted(code.exposed) if code is not None else template,
        )


@dataclasses.dataclass(frozen=True)
class RecordedChoice:
    """What a run goes on with for a status.

    Attributes:
        asked: The status; `None` for the primary one.
        prompt: The chosen text.
        code: The code's text, sent if that cannot be filled.
    """

    asked: str | None
    prompt: RecordedText
    code: RecordedText | None = None


@dataclasses.dataclass(frozen=True)
class RecordedPrompt:
    """What one request of a run is sent.

    Attributes:
        text: The filled text.
        used: What identifies it.
        entry: What histories say about it, but for the run; `None` for nothing.
        choices: What was chosen for it, where the run had no choice for the status yet.
        is_own: Whether the system prompt that was asked about is one of the agent's texts.
        is_fixed: Whether further requests are sent the same: the status cannot change, and no value goes into the text.
    """

    text: str
    used: dict[str, Any]
    entry: dict[str, Any] | None
    choices: list[RecordedChoice] = field(default_factory=list)
    is_fixed: bool = False
    is_own: bool = False


@dataclass(eq=False)
class RecordedRun(Run):
    """A run in code that an engine may execute again: what it is sent is what the engine has recorded.

    Attributes:
        choices: What it goes on with.
        fixed: What all its requests are sent, if that is known.
        leading: A system prompt at the head of its history that may be the agent's.
    """

    choices: list[RecordedChoice] = field(default_factory=list)
    fixed: RenderedPrompt | None = None
    leading: str | None = None

    def is_known(self, content: str) -> bool:
        """Have it found out with the first request: the texts are not known here."""
        self.leading = content
        return False

    async def render(self, record: Callable[..., Awaitable[RecordedPrompt]]) -> RenderedPrompt:
        """Return what a request is sent, as the engine has recorded it or records it now.

        Args:
            record: Finds it out in a durable operation; takes the choices, what the conversation goes on with, and the
                system prompt that may be the agent's.
        """
        if self.fixed is not None:
            return self.fixed
        pinned = self.pinned if not self.choices else None
        told = {**pinned.facts(), "proof": pinned.proof} if pinned is not None else None
        recorded = await record(self.choices, told, self.leading if not self.choices else None)
        if recorded.is_own and self.leading is not None:
            self.texts |= {self.leading}
        used = UsedPrompt.from_metadata(recorded.used)
        if used is None:
            raise NoActivePromptError(
                "What the durable engine has recorded for this run is no prompt of this library.",
                agent=self.capability.name,
            )
        rendered = RenderedPrompt(recorded.text, used, recorded.entry)
        self.choices = [*self.choices, *recorded.choices]
        if recorded.is_fixed:
            self.fixed = rendered
        return rendered


def is_engine(capability: AbstractCapability[Any]) -> bool:
    """Return whether a capability runs an agent in a durable engine; asked so that no engine need be imported."""
    return hasattr(type(unwrapped(capability)), "in_durable_context")


def is_replayable(ctx: RunContext[Any]) -> bool:
    """Return whether the present code belongs to a durable run, so that an engine may execute it again."""
    found: list[AbstractCapability[Any]] = []
    if ctx.root_capability is not None:
        ctx.root_capability.apply(found.append)
    return any(getattr(one, "in_durable_context", False) for one in map(unwrapped, found))


def resume(run: MemoryRun, choices: Sequence[RecordedChoice]) -> None:
    """Let a run go on with what a durable run was sent before."""
    run.goes_on, run.is_plain = True, False
    for choice in choices:
        known: list[ServedPrompt | None] = []
        try:
            now = run.snapshot.select(choice.prompt.agent, choice.prompt.status_key)
            known = [now.prompt, now.code]
        except NoActivePromptError:
            known = []  # it is gone by now, and the run goes on with it all the same
        prompt, code = choice.prompt.served(run.snapshot, known), choice.code
        instead = code.served(run.snapshot, known) if code is not None else None
        chosen = Selection(prompt, (Reason(ReasonCode.RECORDED),), instead)
        run.selections = {**run.selections, choice.asked: chosen}


def recorded(
    run: MemoryRun,
    rendered: RenderedPrompt,
    choices: Sequence[RecordedChoice],
    conversation: str | None,
    *,
    is_constant: bool,
) -> RecordedPrompt:
    """Return what an engine records of a request.

    Args:
        run: The run that found it out.
        rendered: What is sent.
        choices: What the durable run goes on with already.
        conversation: The id of the conversation.
        is_constant: Whether the status cannot change.
    """
    known = {choice.asked for choice in choices}
    entry = entry_of(rendered.used, run.reader.history, conversation)
    new = {asked: selection for asked, selection in run.selections.items() if asked not in known}
    is_fixed = is_constant and not any(selection.prompt.variables for selection in run.selections.values())
    return RecordedPrompt(
        rendered.text,
        rendered.used.facts(),
        dict(entry) if entry is not None else None,
        [
            RecordedChoice(
                asked,
                RecordedText.of(selection.prompt),
                RecordedText.of(selection.code) if selection.code is not None else None,
            )
            for asked, selection in new.items()
        ],
        is_fixed,
    )
