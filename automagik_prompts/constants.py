"""Declaring prompts in code: `prompt`, `prompts`, `prompts_from_package`, and the registry that they fill.

A declaration that cannot be right fails where it stands. Declaring reads nothing and connects to nothing; the texts
are compiled here, on import, so that an agent run never has to.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, EnumMeta
from importlib import import_module
from importlib.resources import files
from pkgutil import iter_modules
from types import FrameType, MappingProxyType, ModuleType
from typing import TypeVar

from automagik_prompts.exceptions import DeclarationError, InvalidPromptError
from automagik_prompts.templates import Template, check_variable_name, compile_template
from automagik_prompts.types import (
    DEFAULT_STATUS_KEY,
    Format,
    ServedPrompt,
    Source,
    StatusFunction,
    check_format,
    check_name,
    check_optional,
    check_text,
    content_hash,
    status_value,
)

ClassT = TypeVar("ClassT", bound=type)

_SUFFIXES = (".md", ".txt", ".hbs")


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
    template: Template = field(repr=False, compare=False)
    content_hash: str
    served: ServedPrompt = field(init=False, repr=False, compare=False)

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
        texts: All of its texts.
    """

    name: str
    primary: str
    prompts: Mapping[str, DeclaredPrompt]
    exposed: frozenset[str]
    status: StatusFunction | None = None
    explicit_primary: bool = False
    texts: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
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


class Registry:
    """The prompts that this process' code declares.

    Attributes:
        generation: Rises with each change; lets a reader see cheaply that something was declared.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._agents: Mapping[str, DeclaredAgent] = MappingProxyType({})
        self.generation = 0

    @property
    def agents(self) -> Mapping[str, DeclaredAgent]:
        """What is declared now, by agent name; a mapping that never changes."""
        return self._agents

    def declare(
        self,
        agent: str,
        texts: Mapping[str, str],
        *,
        where: str,
        primary: str | None = None,
        status: StatusFunction | None = None,
        variables: Collection[str] = (),
        format: Format = "handlebars",
        places: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Declare texts of one agent.

        Args:
            agent: The agent's name.
            texts: The texts by status key; a `PromptText` brings its details.
            where: The place in the code, for messages.
            primary: The primary status; may be left out where there is only one text, or one for `"default"`.
            status: A sync or async function of the run context that returns the present status.
            variables: Names to expose to templates besides those that the texts use.
            format: How a text is read that does not say so itself.
            places: The places of single texts by status key, where they are known more exactly.

        Raises:
            DeclarationError: The declaration cannot be right.
        """
        try:
            check_name(agent, "agent name")
            exposed = {check_variable_name(name) for name in variables}
            declared = {
                key: _declared(agent, key, text, format=format, where=places.get(key, where))
                for key, text in texts.items()
            }
        except InvalidPromptError as error:
            place = places.get(error.status_key or "", where)
            raise DeclarationError(
                f"{error.message} Declared at {place}.", agent=agent, status_key=error.status_key
            ) from error
        exposed |= {name for prompt in declared.values() for name in prompt.template.variables}
        with self._lock:
            known = self._agents.get(agent)
            merged = _merge(agent, known, declared)
            entry = DeclaredAgent(
                name=agent,
                primary=_primary(agent, known, merged, primary, where),
                prompts=MappingProxyType(merged),
                exposed=frozenset(exposed | (known.exposed if known else frozenset())),
                status=status or (known.status if known else None),
                explicit_primary=primary is not None or (known is not None and known.explicit_primary),
            )
            if known is None or entry != known:
                self._agents = MappingProxyType({**self._agents, agent: entry})
                self.generation += 1


registry = Registry()
"""The declarations of this process; plugins read it unless they are given another."""


def prompt(
    text: str,
    *,
    agent: str | None = None,
    status_key: str | Enum = DEFAULT_STATUS_KEY,
    primary: bool = False,
    name: str | None = None,
    note: str | None = None,
    format: Format = "handlebars",
    variables: Collection[str] = (),
    registry: Registry = registry,
) -> str:
    """Declare one text; the result is still that string.

    Args:
        text: The text.
        agent: The agent it is for. Left out inside a class decorated with `prompts`, or in a module that
            `prompts_from_package` reads: there the text only gets its details.
        status_key: The status it is for; of an enum member the value counts.
        primary: Whether this is the agent's primary status; needed where an agent has several and none is `"default"`.
        name: A name for people.
        note: Why it is as it is.
        format: `"handlebars"`, or `"text"` to serve it verbatim.
        variables: Names to expose to templates besides those that the text uses.
        registry: Where to declare it.

    Raises:
        DeclarationError: The declaration cannot be right.
    """
    where = _caller()
    if agent is None and (primary or variables or status_key != DEFAULT_STATUS_KEY):
        raise DeclarationError(
            f"prompt() at {where} does not say agent=..., so it only gives a text its name, note and format. Give the "
            "primary status and variables to prompts() or prompts_from_package(); the status is the constant's name."
        )
    try:
        status_key = check_name(status_value(status_key), "status key")
        check_text(text, agent=agent, status_key=status_key if agent is not None else None)
        declared = PromptText(text)
        declared.prompt_format = check_format(format)
        declared.prompt_name = check_optional(name, "prompt name")
        declared.prompt_note = check_optional(note, "note")
    except InvalidPromptError as error:
        raise DeclarationError(
            f"{error.message} Declared at {where}.", agent=agent, status_key=error.status_key
        ) from error
    if agent is not None:
        registry.declare(
            agent,
            {status_key: declared},
            where=where,
            primary=status_key if primary else None,
            variables=variables,
        )
    return declared


def prompts(
    agent: str,
    *,
    primary: str | Enum | None = None,
    status: StatusFunction | None = None,
    variables: Collection[str] = (),
    registry: Registry = registry,
) -> Callable[[ClassT], ClassT]:
    """Declare a class' upper-case strings as the prompts of an agent, one for each status.

    Args:
        agent: The agent's name.
        primary: The primary status: served for a status that has no text of its own. Of an enum member the value
            counts, or its name where only that is a status.
        status: A sync or async function of the run context that returns the present status.
        variables: Names to expose to templates besides those that the texts use.
        registry: Where to declare them.

    Returns:
        A decorator that returns the class unchanged.

    Raises:
        DeclarationError: The declaration cannot be right.
    """

    def decorate(cls: ClassT) -> ClassT:
        where = f"{cls.__module__}.{cls.__qualname__}"
        if isinstance(cls, EnumMeta):
            members: Mapping[str, Enum] = cls.__members__
            texts = {key: member.value for key, member in members.items() if isinstance(member.value, str)}
        else:
            names = [name for base in reversed(cls.__mro__) for name in vars(base) if name.isupper()]
            texts = {name: value for name in dict.fromkeys(names) if isinstance(value := getattr(cls, name), str)}
        texts = {name: text for name, text in texts.items() if not name.startswith("_")}
        if not texts:
            raise DeclarationError(
                f"{where} declares no prompts for {agent!r}. Give it an upper-case attribute with a string for each "
                "status.",
                agent=agent,
            )
        registry.declare(
            agent, texts, where=where, primary=_primary_key(primary, texts), status=status, variables=variables
        )
        return cls

    return decorate


def prompts_from_package(
    package: str | ModuleType,
    *,
    agent: str,
    primary: str | None = None,
    status: StatusFunction | None = None,
    variables: Collection[str] = (),
    format: Format = "handlebars",
    registry: Registry = registry,
) -> None:
    """Declare the prompts in a package: one module, or one `.md`, `.txt` or `.hbs` file, for each status.

    The status key is the file's name in upper case. A module holds the constant `PROMPT`. Names that begin with an
    underscore or a dot, and files named README, are passed over. A file's text is taken byte for byte as UTF-8.

    Args:
        package: The package or its name, as in `"stan.prompts"`.
        agent: The agent's name.
        primary: The primary status.
        status: A sync or async function of the run context that returns the present status.
        variables: Names to expose to templates besides those that the texts use.
        format: How texts are read that do not say so themselves.
        registry: Where to declare them.

    Raises:
        DeclarationError: The declaration cannot be right, or the package holds no prompt.
    """
    module = import_module(package) if isinstance(package, str) else package
    if not hasattr(module, "__path__"):
        raise DeclarationError(f"{module.__name__} is not a package; name the package with the prompts.", agent=agent)
    texts: dict[str, str] = {}
    places: dict[str, str] = {}
    for stem, text, place in (*_module_texts(module, agent), *_file_texts(module, agent)):
        key = stem.upper()
        if key in texts:
            raise DeclarationError(
                f"The status {key!r} of agent {agent!r} is declared twice: in {places[key]} and in {place}. Keep one.",
                agent=agent,
                status_key=key,
            )
        texts[key], places[key] = text, place
    if not texts:
        raise DeclarationError(
            f"The package {module.__name__} holds no prompt. Add a module or a .md, .txt or .hbs file for each status.",
            agent=agent,
        )
    registry.declare(
        agent,
        texts,
        where=module.__name__,
        primary=primary,
        status=status,
        variables=variables,
        format=check_format(format),
        places=places,
    )


def _primary_key(primary: str | Enum | None, texts: Mapping[str, str]) -> str | None:
    """Return the status that an enum member means; a member's value may be the text itself."""
    if not isinstance(primary, Enum):
        return primary
    return primary.value if primary.value in texts or primary.name not in texts else primary.name


def _module_texts(package: ModuleType, agent: str) -> Iterator[tuple[str, str, str]]:
    """Yield name, text and place of each module with a prompt."""
    for info in sorted(iter_modules(package.__path__), key=lambda found: found.name):
        if info.name.startswith("_") or info.ispkg:
            continue
        child = import_module(f"{package.__name__}.{info.name}")
        text = getattr(child, "PROMPT", None)
        if not isinstance(text, str):
            raise DeclarationError(
                f"The module {child.__name__} has no constant PROMPT with a string. Add it, or begin the module's name "
                "with an underscore.",
                agent=agent,
            )
        yield info.name, text, child.__name__


def _is_readme(stem: str) -> bool:
    return stem.partition(".")[0].upper() == "README"


def _file_texts(package: ModuleType, agent: str) -> Iterator[tuple[str, str, str]]:
    """Yield name, text and place of each file with a prompt."""
    for file in sorted(files(package).iterdir(), key=lambda found: found.name):
        stem, dot, suffix = file.name.rpartition(".")
        if dot + suffix not in _SUFFIXES or file.name.startswith(("_", ".")) or _is_readme(stem):
            continue
        place = f"{package.__name__}/{file.name}"
        try:
            yield stem, file.read_bytes().decode(), place
        except UnicodeDecodeError as error:
            raise DeclarationError(
                f"The file {place} is not UTF-8: {error.reason} at byte {error.start}. Save it as UTF-8.", agent=agent
            ) from error


def _declared(agent: str, status_key: str, text: str, *, format: Format, where: str) -> DeclaredPrompt:
    """Check and compile one text."""
    check_name(status_key, "status key")
    check_text(text, agent=agent, status_key=status_key)
    details = text if isinstance(text, PromptText) else None
    plain = text[:]  # a slice of a subclass is a plain string
    chosen = details.prompt_format if details is not None else format
    return DeclaredPrompt(
        agent=agent,
        status_key=status_key,
        text=plain,
        format=chosen,
        name=details.prompt_name if details is not None else None,
        note=details.prompt_note if details is not None else None,
        where=where,
        template=compile_template(plain, chosen, agent=agent, status_key=status_key),
        content_hash=content_hash(plain),
    )


def _merge(
    agent: str, known: DeclaredAgent | None, declared: Mapping[str, DeclaredPrompt]
) -> dict[str, DeclaredPrompt]:
    """Join new declarations with the agent's earlier ones; the same text twice is one declaration."""
    merged = dict(known.prompts) if known else {}
    for key, new in declared.items():
        old = merged.get(key)
        if old is not None and (old.text, old.format) != (new.text, new.format):
            raise DeclarationError(
                f"The status {key!r} of agent {agent!r} is declared twice with different texts: at {old.where} and at "
                f"{new.where}. Keep one.",
                agent=agent,
                status_key=key,
            )
        merged[key] = new if old is None else replace(old, name=old.name or new.name, note=old.note or new.note)
    return merged


def _primary(
    agent: str,
    known: DeclaredAgent | None,
    merged: Mapping[str, DeclaredPrompt],
    primary: str | None,
    where: str,
) -> str:
    """Return the agent's primary status, or say why there is none."""
    earlier = known.primary if known is not None and known.explicit_primary else None
    if primary is not None and earlier is not None and primary != earlier:
        raise DeclarationError(
            f"The primary status of agent {agent!r} is {earlier!r} in one declaration and {primary!r} at {where}. "
            "Keep one.",
            agent=agent,
        )
    wanted = primary or earlier
    if wanted is None:
        if DEFAULT_STATUS_KEY in merged:
            return DEFAULT_STATUS_KEY
        if len(merged) == 1:
            return next(iter(merged))
        raise DeclarationError(
            f"Agent {agent!r} has several statuses ({', '.join(sorted(merged))}) and no primary one, at {where}. "
            "Say which with primary=...",
            agent=agent,
        )
    if wanted not in merged:
        raise DeclarationError(
            f"The primary status {wanted!r} of agent {agent!r} has no prompt, at {where}. Declared are: "
            f"{', '.join(sorted(merged))}.",
            agent=agent,
            status_key=wanted,
        )
    return wanted


def _caller() -> str:
    """Return file and line of the code outside this module that is declaring."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001  # there is no public way to the caller that costs little
    while frame is not None and frame.f_globals.get("__name__") == __name__:
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else "an unknown place"
