"""What code declares, as values."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from automagik_prompts.domain.keys import StatusKeys
from automagik_prompts.domain.protocols import StatusFunction
from automagik_prompts.domain.records import Protection
from automagik_prompts.domain.review import OnDrift
from automagik_prompts.domain.served import ServedPrompt, Source
from automagik_prompts.domain.validation import Format
from automagik_prompts.templating.template import Template

INTERACTIVE = "<interactive>"
"""The place of everything that is typed at a prompt or in a notebook."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where a declaration stands, and which execution of that place made it.

    Attributes:
        unit: The file, the class, or `<interactive>` for everything that is typed at a prompt or in a notebook.
        execution: An object that is the same for all that one execution of it declares.
        is_whole: Whether the place declares several texts in one go: those that it leaves out later are gone.
    """

    unit: str
    execution: object = None
    is_whole: bool = False

    def replaces(self, earlier: Site) -> bool:
        """Return whether this is the same place executed again: a module that is reloaded, a cell that is run again."""
        one, other = self.execution, earlier.execution
        # Two specs of a module that is loaded twice are equal.
        same = one == other if isinstance(one, str) else one is other
        return self.unit == earlier.unit and not same


@dataclass(frozen=True, slots=True)
class DeclaredPrompt:
    """A text as the code declares it.

    Attributes:
        agent: The agent's name.
        status_key: The status it is for.
        text: The text.
        format: How it is read.
        name: A name for people.
        note: Why it is as it is.
        where: The place of the declaration, for messages.
        site: What tells a declaration that is made again from a second one.
        template: The compiled text.
        content_hash: The SHA-256 of the text, hexadecimal.
        served: The text as it is served where the database has none.
    """

    agent: str
    status_key: str
    text: str = field(repr=False)
    format: Format
    name: str | None
    note: str | None
    where: str = field(compare=False)
    site: Site = field(repr=False, compare=False)
    template: Template = field(repr=False, compare=False)
    content_hash: str
    served: ServedPrompt = field(init=False, repr=False, compare=False)

    def bound(self, exposed: Collection[str]) -> DeclaredPrompt:
        """Return the text as it reads values of an agent whose code exposes these names."""
        template = self.template.opened(exposed)
        return self if template is self.template else replace(self, template=template)

    def __post_init__(self) -> None:
        served = ServedPrompt(
            agent=self.agent,
            status_key=self.status_key,
            version=None,
            prompt_id=None,
            text=self.text,
            format=self.format,
            content_hash=self.content_hash,
            source=Source.CODE,
            template=self.template,
        )
        # Once: every snapshot that is built holds it.
        object.__setattr__(self, "served", served)


@dataclass(frozen=True, slots=True)
class DeclaredAgent:
    """What the code says about one agent.

    Attributes:
        name: The agent's name.
        primary: Its primary status.
        prompts: Its texts by status key.
        exposed: The variables that a text of this agent may use, besides the built-ins.
        status: The function that tells the present status, if the declaration gave one.
        explicit_primary: Whether a declaration named the primary status.
        enums: The enum classes by whose members declarations named a status.
        protected: The statuses whose active version changes only with approval, sorted.
        on_drift: What becomes of a new text where a person's version is active.
        keys: Its statuses, each found however it is given.
        texts: All of its texts.
    """

    name: str
    primary: str
    prompts: Mapping[str, DeclaredPrompt]
    exposed: frozenset[str]
    status: StatusFunction | None = None
    explicit_primary: bool = False
    enums: tuple[type[Enum], ...] = field(default=(), repr=False)
    protected: tuple[Protection, ...] = ()
    on_drift: OnDrift = "keep"
    keys: StatusKeys = field(init=False, repr=False, compare=False)
    texts: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "keys", StatusKeys(self.prompts))
        # Asked for by every model request.
        object.__setattr__(self, "texts", frozenset(prompt.text for prompt in self.prompts.values()))


class PromptText(str):
    """A declared text: a plain string that remembers the details of its declaration."""

    # Not `format`: that is a method of every string.
    prompt_format: Format
    prompt_name: str | None
    prompt_note: str | None

    def __str__(self) -> str:
        # Enum classes pass their values through str(); returning the object keeps the details.
        return self

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (self[:],)
