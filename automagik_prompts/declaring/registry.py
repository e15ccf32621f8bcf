"""What the code of a process declares: texts, each for one status of one agent.

A declaration that cannot be right fails where it stands. Declaring reads nothing and connects to nothing; the texts
are compiled here, on import, so that an agent run never has to.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from types import MappingProxyType

from automagik_prompts.domain.keys import DEFAULT_STATUS_KEY, Status, StatusKeys, folded, new_key, spellings
from automagik_prompts.domain.protocols import StatusFunction
from automagik_prompts.domain.served import ServedPrompt, Source
from automagik_prompts.domain.text import content_hash
from automagik_prompts.domain.validation import Format, check_name, check_text
from automagik_prompts.exceptions import DeclarationError, InvalidPromptError
from automagik_prompts.templating.template import Template, check_variable_name, compile_template

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


class Registry:
    """The prompts that this process' code declares.

    Attributes:
        generation: Rises with each change; lets a reader see cheaply that something was declared.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._agents: Mapping[str, DeclaredAgent] = MappingProxyType({})
        self._watchers: list[weakref.WeakMethod[Callable[[], None]]] = []
        self.generation = 0

    @property
    def agents(self) -> Mapping[str, DeclaredAgent]:
        """What is declared now, by agent name; a mapping that never changes."""
        return self._agents

    def watch(self, changed: Callable[[], None]) -> None:
        """Call a method after each change, as long as its object exists; it must return at once."""
        self._watchers.append(weakref.WeakMethod(changed))

    def find_key(self, agent: str | None, status: Status) -> str:
        """Return the key under which a text is declared: of an enum member the one that it is already, else a new one.

        Raises:
            InvalidPromptError: It is no status, or the agent's name cannot be one.
        """
        key = None
        if agent is not None and isinstance(status, Enum):
            known = self._agents.get(check_name(agent, "agent name"))
            key = known.keys.find(status) if known is not None else None
        return key or check_name(new_key(status), "status key")

    def declare(
        self,
        agent: str,
        texts: Mapping[str, str],
        *,
        where: str,
        primary: Status | None = None,
        status: StatusFunction | None = None,
        variables: Collection[str] = (),
        format: Format = "handlebars",
        places: Mapping[str, str] = MappingProxyType({}),
        site: Site | None = None,
        enums: Collection[type[Enum]] = (),
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
            site: What tells this declaration, made again, from a second one; by default they cannot be told apart.
            enums: The enum classes by whose members statuses are given.

        Raises:
            DeclarationError: The declaration cannot be right.
        """
        site = site or Site(where)
        try:
            agent = check_name(agent, "agent name")
            exposed = {check_variable_name(name) for name in variables}
            declared: dict[str, DeclaredPrompt] = {}
            for given, text in texts.items():
                key = check_name(given, "status key")
                if key in declared:
                    raise InvalidPromptError(f"The status {key!r} of agent {agent!r} is declared twice. Keep one.")
                declared[key] = _declared(agent, key, text, format, places.get(key, where), site)
        except InvalidPromptError as error:
            place = places.get(error.status_key or "", where)
            raise DeclarationError(
                f"{error.message} Declared at {place}.", agent=agent, status_key=error.status_key
            ) from error
        exposed |= {name for prompt in declared.values() for name in prompt.template.variables}
        with self._lock:
            known = self._agents.get(agent)
            merged = _merge(agent, known, declared, site)
            named = _with_enums(known, [*enums, *([type(primary)] if isinstance(primary, Enum) else [])])
            _check_members(agent, named, merged, where)
            entry = DeclaredAgent(
                name=agent,
                primary=_primary(agent, None if _is_again(known, declared, site) else known, merged, primary, where),
                prompts=MappingProxyType(merged),
                exposed=frozenset(exposed | (known.exposed if known else frozenset())),
                status=status or (known.status if known else None),
                explicit_primary=primary is not None or (known is not None and known.explicit_primary),
                enums=named,
            )
            if known is None or entry != known:
                self._agents = MappingProxyType({**self._agents, agent: entry})
                self.generation += 1
        self._tell()

    def _tell(self) -> None:
        for watcher in tuple(self._watchers):
            if (changed := watcher()) is None:
                self._watchers.remove(watcher)
            else:
                changed()


def _declared(agent: str, status_key: str, text: str, format: Format, where: str, site: Site) -> DeclaredPrompt:
    """Check and compile one text."""
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
        site=site,
        template=compile_template(plain, chosen, agent=agent, status_key=status_key),
        content_hash=content_hash(plain),
    )


def _merge(
    agent: str, known: DeclaredAgent | None, declared: Mapping[str, DeclaredPrompt], site: Site
) -> dict[str, DeclaredPrompt]:
    """Join new declarations with the agent's earlier ones; the same text twice is one declaration.

    What the same place declared before and declares no more is gone, where the place is a class or a package.
    """
    merged = dict(known.prompts) if known else {}
    if site.is_whole:
        places = {new.where for new in declared.values()}
        merged = {
            key: old
            for key, old in merged.items()
            if key in declared
            or not site.replaces(old.site)
            # In notebooks all cells are one place, and another class there is another declaration.
            or (site.unit == INTERACTIVE and old.where not in places)
        }
    spelt = {folded(key): key for key in merged}
    for key, new in declared.items():
        alike = spelt.setdefault(folded(key), key)
        if alike != key and site.replaces(merged[alike].site):
            del merged[alike]  # the same place, spelt better now
            spelt[folded(key)] = key
        elif alike != key:
            raise DeclarationError(
                f"The statuses {alike!r} and {key!r} of agent {agent!r} differ only in case or in Unicode form, at "
                f"{merged[alike].where} and {new.where}. Keep one spelling.",
                agent=agent,
                status_key=key,
            )
        old = merged.get(key)
        if old is not None and site.replaces(old.site):
            merged[key] = new
            continue
        if old is not None and (old.text, old.format) != (new.text, new.format):
            raise DeclarationError(
                f"The status {key!r} of agent {agent!r} is declared twice with different texts: at {old.where} and at "
                f"{new.where}. Keep one.",
                agent=agent,
                status_key=key,
            )
        merged[key] = new if old is None else replace(old, name=old.name or new.name, note=old.note or new.note)
    return merged


def _is_again(known: DeclaredAgent | None, declared: Mapping[str, DeclaredPrompt], site: Site) -> bool:
    """Return whether a place declares once more what it declared before, its primary status with it."""
    places = {new.where for new in declared.values()}
    return (
        site.is_whole
        and known is not None
        and any(site.replaces(old.site) and old.where in places for old in known.prompts.values())
    )


def _with_enums(known: DeclaredAgent | None, enums: Collection[type[Enum]]) -> tuple[type[Enum], ...]:
    """Return an agent's enum classes with new ones; one that is defined again takes the place of what it was."""
    classes = [*(known.enums if known is not None else ()), *enums]
    return tuple({(one.__module__, one.__qualname__): one for one in classes}.values())


def _check_members(agent: str, enums: Collection[type[Enum]], merged: Mapping[str, DeclaredPrompt], where: str) -> None:
    """Refuse an enum with a member that is one status by its value and another one by its name."""
    keys = StatusKeys(merged)
    for member in [member for one in enums for member in one.__members__.values()]:
        found = dict.fromkeys(key for word in spellings(member) if (key := keys.find(word)) is not None)
        if len(found) > 1:
            by_value, by_name = found
            raise DeclarationError(
                f"{type(member).__name__}.{member.name} means the status {by_value!r} by its value and {by_name!r} by "
                f"its name, and agent {agent!r} has both, at {where}. Rename one of them.",
                agent=agent,
                status_key=by_value,
            )


def _primary(
    agent: str,
    known: DeclaredAgent | None,
    merged: Mapping[str, DeclaredPrompt],
    primary: Status | None,
    where: str,
) -> str:
    """Return the agent's primary status, or say why there is none."""
    keys = StatusKeys(merged)
    earlier = known.primary if known is not None and known.explicit_primary else None
    wanted = earlier if primary is None else keys.find(primary) or new_key(primary)
    if wanted is None:
        if (default := keys.find(DEFAULT_STATUS_KEY)) is not None:
            return default
        if len(merged) == 1:
            return next(iter(merged))
        raise DeclarationError(
            f"Agent {agent!r} has several statuses ({', '.join(sorted(merged))}) and no primary one, at {where}. "
            "Say which with primary=...",
            agent=agent,
        )
    if earlier not in {None, wanted}:
        raise DeclarationError(
            f"The primary status of agent {agent!r} is {earlier!r} in one declaration and {wanted!r} at {where}. "
            "Keep one.",
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


registry = Registry()
"""The declarations of this process; plugins read it unless they are given another."""
