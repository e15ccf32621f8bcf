"""What an `ActivePrompt` is given: whose prompts, for which status, filled and sent how."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from enum import Enum
from functools import cached_property
from typing import Any, ClassVar, Literal, Self
from urllib.parse import quote

from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.tools import AgentDepsT, RunContext

from automagik_prompts.agent import overrides, plugins
from automagik_prompts.agent.history import features
from automagik_prompts.agent.history.messages import REF
from automagik_prompts.agent.history.used import UsedPrompt
from automagik_prompts.agent.run import Adopt, Inject, OnChange, Others
from automagik_prompts.domain.keys import Status
from automagik_prompts.domain.protocols import PromptReader, PromptSource, Values
from automagik_prompts.domain.validation import check_name
from automagik_prompts.exceptions import DeclarationError
from automagik_prompts.templating.exposure import check_variable_name

_DEFAULT_ID = "active_prompt"

Kept = str | UsedPrompt | None
"""What an application keeps of a conversation: the token of what it was sent, or that itself."""


@dataclass
class PromptOptions(AbstractCapability[AgentDepsT]):
    """What an `ActivePrompt` is given.

    Raises:
        DeclarationError: The arguments are invalid.
    """

    agent: str | None = None
    """The name under which the prompts are declared; the Pydantic AI agent's own name by default."""

    status: str | Enum | Callable[[RunContext[AgentDepsT]], Status | Awaitable[Status | None] | None] | None = None
    """The present status: a string, an enum member (by its value, then by its name), or a sync or async function of the
    run context that returns one of these; upper or lower case does not matter. It is read again before every model
    request. By default the function given to `@prompts`, else the primary status. What the function raises ends the
    run: a wrong status would mean a wrong prompt."""

    _: KW_ONLY

    variables: Values | Callable[[RunContext[AgentDepsT]], Values | Awaitable[Values]] | None = field(
        default=None, repr=False
    )
    """Values of variables, or a sync or async function of the run context that returns them. They come before values
    found in `deps`; only those that the text uses are read."""

    expose: Sequence[str] = ()
    """Names that texts may use, in the notation of `@prompts(variables=[...])`: for prompts that only the database has.
    Whatever an import or an adoption has stored there, a run reaches nothing in `deps` but these, and the names of
    `variables=`. What the code declares exposes its own names, and these besides."""

    inject: Inject = "system_prompt"
    """Where the model is sent it: in a system prompt at the head of the history, or in the request's instructions.
    `Agent.override(instructions=...)` replaces all of these, and this one with them."""

    on_change: OnChange = "rewrite"
    """What happens to a text in the history that is not the active one any more: it is rewritten, or it stays and the
    new one is appended as its replacement, which keeps the provider's prompt cache. If the history has one that is not
    known as a text of the agent's, or that is withdrawn, it is rewritten all the same."""

    others: Others = "keep"
    """What happens to the prompts of other managed agents in a history that was handed over: they stay, or they go."""

    adopt: Adopt | None = None
    """Which texts of a history from before this library are taken for this prompt, besides those that can be recognised
    (the agent's own newest texts, filled or not): with `"leading"` its first system prompt, whatever it says."""

    pin: Literal["conversation"] | Callable[[RunContext[AgentDepsT]], Kept | Awaitable[Kept]] | None = None
    """`"conversation"`: a conversation goes on with the version that its history says it was sent last, until its
    status changes. A sync or async function of the run context instead returns what the application has kept itself:
    `prompt_used(result).token`, or `None`; what it raises ends the run. By default each run takes the versions that are
    active when it begins. A history never brings a text, and is believed only of versions of that status that were
    active once; with the setting `history_key` only if it is signed."""

    version: int | None = None
    """Always this version of the present status, for previews and replays. The first run that needs it waits until it
    is read, `startup_timeout` at most, and fails if it cannot be had: another text would be no preview."""

    plugin: PromptSource | None = None
    """The plugin to read from; the default plugin of the process by default."""

    id: str | None = _DEFAULT_ID
    """Unique among an agent's capabilities; made from the name of the prompts."""

    _suffix: ClassVar[str] = ""

    def __post_init__(self) -> None:
        if self.agent is not None:
            self.agent = check_name(self.agent, "agent name")
            if self.id == _DEFAULT_ID:
                # A colon separates the parts of an id of Pydantic AI's.
                self.id = f"{_DEFAULT_ID}-{quote(self.agent, safe=' /@+')}{self._suffix}"
        for name, value, allowed in (
            ("inject", self.inject, ("system_prompt", "instructions")),
            ("on_change", self.on_change, ("rewrite", "append")),
            ("others", self.others, ("keep", "drop")),
            ("adopt", self.adopt, (None, "leading")),
            ("pin", None if callable(self.pin) else self.pin, (None, "conversation")),
        ):
            if value not in allowed:
                raise DeclarationError(f"{name}={value!r} is unknown. Use one of: {', '.join(map(str, allowed))}.")
        self.expose = tuple(map(check_variable_name, [self.expose] if isinstance(self.expose, str) else self.expose))
        if self.version is not None and self.version < 1:
            raise DeclarationError(f"version={self.version!r} is no version. Versions are numbered from 1.")
        if self.version is not None and self.pin is not None:
            raise DeclarationError("version= and pin= exclude each other: one version always, or the conversation's.")
        if self.on_change == "append" and self.inject == "system_prompt" and not features.APPENDS_SYSTEM_PROMPTS:
            raise DeclarationError(
                'on_change="append" needs pydantic-ai-slim 2.64 or later: earlier releases cannot tell which system '
                'prompt a later one replaces. Upgrade it, or use inject="instructions" or on_change="rewrite".'
            )
        if self.defer_loading:
            raise DeclarationError("A prompt cannot be deferred: the model needs it from the first request on.")

    @classmethod
    def from_spec(
        cls,
        agent: str | None = None,
        *,
        status: str | None = None,
        variables: dict[str, Any] | None = None,
        expose: Sequence[str] = (),
        inject: Inject = "system_prompt",
        on_change: OnChange = "rewrite",
        others: Others = "keep",
        adopt: Adopt | None = None,
        pin: Literal["conversation"] | None = None,
        version: int | None = None,
    ) -> Self:
        """Build one from an agent spec, which can hold only plain values."""
        return cls(
            agent,
            status,
            variables=variables,
            expose=expose,
            inject=inject,
            on_change=on_change,
            others=others,
            adopt=adopt,
            pin=pin,
            version=version,
        )

    @property
    def reader(self) -> PromptReader:
        """What it reads from."""
        return (overrides.stand_in(self.plugin) if self.plugin is not None else plugins.read()).reader

    @cached_property
    def name(self) -> str:
        """The name of the prompts.

        Raises:
            DeclarationError: It was not given one, and never bound to an agent.
        """
        if self.agent is None:
            raise DeclarationError("This ActivePrompt was never bound to an agent; pass it in capabilities=[...].")
        return self.agent

    @cached_property
    def ref(self) -> str:
        """What histories call this prompt; the same in every process, and different for each name."""
        return f"{REF}{self.name}"

    @cached_property
    def context_id(self) -> str | None:
        """The id under which Pydantic AI lets a later statement replace an earlier one."""
        return f"system_prompt:{self.id}" if self.on_change == "append" else None
