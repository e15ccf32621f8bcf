"""What the code of a process declares: texts, each for one status of one agent.

An invalid declaration fails where it is made. Declaring reads nothing and connects to nothing; the texts
are compiled here, on import, so that an agent run never has to.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from enum import Enum
from types import MappingProxyType

from automagik_prompts.declaring import sandbox
from automagik_prompts.declaring.declared import DeclaredAgent, DeclaredPrompt, Site
from automagik_prompts.declaring.hints import log_hints
from automagik_prompts.declaring.merging import (
    check_members,
    declared_prompt,
    is_again,
    merged,
    on_drift_of,
    primary_of,
    protected_of,
    with_enums,
)
from automagik_prompts.domain.keys import Status, new_key
from automagik_prompts.domain.protocols import StatusFunction
from automagik_prompts.domain.review import OnDrift
from automagik_prompts.domain.validation import Format, check_name
from automagik_prompts.exceptions import DeclarationError, InvalidPromptError
from automagik_prompts.templating.exposure import check_variable_name


class Registry:
    """The prompts that this process' code declares.

    Attributes:
        agents: What is declared now, by agent name; a mapping that never changes.
        generation: Rises with each change; lets a reader see cheaply that something was declared.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.agents: Mapping[str, DeclaredAgent] = MappingProxyType({})
        self._exposed: dict[str, frozenset[str]] = {}
        self._watchers: list[weakref.WeakMethod[Callable[[], None]]] = []
        self.generation = 0

    def texts(self, agent: str) -> frozenset[str]:
        """Return an agent's texts as the code declares them; none for an agent that it does not."""
        declared = self.agents.get(agent)
        return declared.texts if declared is not None else frozenset()

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
            known = self.agents.get(check_name(agent, "agent name"))
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
        protected: Collection[Status] = (),
        approvals: int = 1,
        approve_code: bool = False,
        on_drift: OnDrift | None = None,
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
            protected: The statuses whose active version changes only with approval.
            approvals: How many people besides who asks have to approve.
            approve_code: Whether what the code activates needs approval as well.
            on_drift: What becomes of a new text where a person's version is active: `"keep"` unless something else is
                said.

        Raises:
            DeclarationError: The declaration is invalid.
        """
        site = site or Site(where)
        try:
            agent = check_name(agent, "agent name")
            if agent in self.agents and sandbox.is_inside():
                return  # the copy of a module that has declared it
            exposed = {check_variable_name(name) for name in variables}
            declared: dict[str, DeclaredPrompt] = {}
            for given, text in texts.items():
                key = check_name(given, "status key")
                if key in declared:
                    raise InvalidPromptError(f"The status {key!r} of agent {agent!r} is declared twice. Keep one.")
                declared[key] = declared_prompt(agent, key, text, format, places.get(key, where), site)
        except InvalidPromptError as error:
            place = places.get(error.status_key or "", where)
            raise DeclarationError(
                f"{error.message} Declared at {place}.", agent=agent, status_key=error.status_key
            ) from error
        exposed |= {name for prompt in declared.values() for name in prompt.template.variables}
        with self._lock:
            known = self.agents.get(agent)
            prompts = merged(agent, known, declared, site)
            every = frozenset(exposed).union(known.exposed if known else (), self._exposed.get(agent, ()))
            prompts = {key: one.bound(every) for key, one in prompts.items()}
            named = with_enums(known, [*enums, *([type(primary)] if isinstance(primary, Enum) else [])])
            check_members(agent, named, prompts, where)
            earlier = None if is_again(known, declared, site) else known
            entry = DeclaredAgent(
                name=agent,
                primary=primary_of(agent, earlier, prompts, primary, where),
                protected=protected_of(agent, earlier, prompts, protected, approvals, approve_code, where),
                on_drift=on_drift_of(agent, earlier, on_drift, where),
                prompts=MappingProxyType(prompts),
                exposed=every,
                status=status or (known.status if known else None),
                explicit_primary=primary is not None or (known is not None and known.explicit_primary),
                enums=named,
            )
            if known is None or entry != known:
                self.agents = MappingProxyType({**self.agents, agent: entry})
                self.generation += 1
        for key in declared:
            log_hints(entry.prompts[key], entry.exposed)
        self._notify()

    def expose(self, agent: str, names: Collection[str]) -> None:
        """Let the texts of a declared agent use further names; for another one its capability says what may be reached.

        Raises:
            InvalidPromptError: A name cannot be exposed.
        """
        wanted = {check_variable_name(name) for name in names}
        with self._lock:
            self._exposed[agent] = self._exposed.get(agent, frozenset()) | wanted  # it may be declared later
            known = self.agents.get(agent)
            if known is None or wanted <= known.exposed:
                return
            every = known.exposed | wanted
            prompts = MappingProxyType({key: one.bound(every) for key, one in known.prompts.items()})
            changed = replace(known, exposed=every, prompts=prompts)
            self.agents = MappingProxyType({**self.agents, agent: changed})
            self.generation += 1
        self._notify()

    def _notify(self) -> None:
        for watcher in tuple(self._watchers):
            if (changed := watcher()) is None:
                self._watchers.remove(watcher)
            else:
                changed()


registry = Registry()
"""The declarations of this process; plugins read it unless they are given another."""
