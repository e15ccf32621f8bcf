"""What a process holds in memory: for each agent and status the one text that is served, and why.

A snapshot never changes. The thread builds a new one and replaces one reference; agent runs only look things up.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType

from automagik_prompts.declaring.registry import DeclaredAgent, DeclaredPrompt, Registry
from automagik_prompts.domain.keys import DEFAULT_STATUS_KEY, PromptKey, SpellingClash, Status, StatusKeys, new_key
from automagik_prompts.domain.protocols import StatusFunction
from automagik_prompts.domain.records import ActiveVersion, AgentInfo
from automagik_prompts.domain.served import PromptChange, Selection, ServedPrompt, Source
from automagik_prompts.domain.text import closest, content_hash
from automagik_prompts.domain.validation import check_format, check_text
from automagik_prompts.exceptions import InvalidPromptError, NoActivePromptError
from automagik_prompts.templating.template import check_exposed, compile_template


@dataclass(frozen=True, slots=True)
class Problem:
    """An active version that this process cannot serve.

    Attributes:
        prompt: The version.
        reason: Why not, without its text.
    """

    prompt: ActiveVersion
    reason: str

    @property
    def agent(self) -> str:
        """The agent's name."""
        return self.prompt.agent


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is served, for every agent and status.

    Attributes:
        registry: What the code declares; asked for agents that were declared after the snapshot was built.
        selections: What is served, by agent and status.
        fallbacks: What is served for a status that nobody defined, by agent.
        primaries: The primary status, by agent.
        served: The versions from the database, by agent and status.
        keys: The statuses of each agent that have a text, each found however it is given.
        problems: The active versions that cannot be served here.
        clashes: The statuses that the code spells otherwise than the database.
        revisions: The revision of each agent.
        loaded_at: When the database was read, on the monotonic clock; `None` if it was not.
    """

    registry: Registry = field(repr=False)
    selections: Mapping[tuple[str, str], Selection] = field(repr=False, default_factory=dict)
    fallbacks: Mapping[str, Selection] = field(repr=False, default_factory=dict)
    primaries: Mapping[str, str] = field(repr=False, default_factory=dict)
    served: Mapping[PromptKey, ServedPrompt] = field(repr=False, default_factory=dict)
    keys: Mapping[str, StatusKeys] = field(repr=False, default_factory=dict)
    problems: tuple[Problem, ...] = ()
    clashes: tuple[SpellingClash, ...] = ()
    revisions: Mapping[str, int] = field(repr=False, default_factory=dict)
    loaded_at: float | None = None

    @property
    def is_loaded(self) -> bool:
        """Whether it was read from the database."""
        return self.loaded_at is not None

    def knows(self, agent: str) -> bool:
        """Return whether it has anything to say about an agent."""
        return agent in self.primaries or agent in self.registry.agents

    def status_key(self, agent: str, status: Status | None) -> str | None:
        """Return the key that a status means for an agent; one that has no text is what it is called itself.

        Args:
            agent: The agent's name.
            status: A string, or an enum member by its value or its name; `None`, or a member with this value, for the
                primary status.

        Raises:
            InvalidPromptError: It is something else.
        """
        if type(status) is str and (agent, status) in self.selections:
            return status  # as it mostly is
        if status is None or (isinstance(status, Enum) and status.value is None):
            return None
        keys, declared = self.keys.get(agent), self.registry.agents.get(agent)
        found = keys.find(status) if keys is not None else None
        if found is None and declared is not None:
            found = declared.keys.find(status)
        return found if found is not None else new_key(status)

    def select(self, agent: str, status_key: Status | None) -> Selection:
        """Return what is served.

        Args:
            agent: The agent's name.
            status_key: The status, in whatever way it is given; `None` for the primary one.

        Raises:
            NoActivePromptError: Neither the database nor the code has anything to serve.
        """
        key = self.primaries.get(agent) if status_key is None else self.status_key(agent, status_key)
        if key is not None:
            found = self.selections.get((agent, key))
            if found is not None:
                return found
        fallback = self.fallbacks.get(agent)
        declared = self.registry.agents.get(agent)
        if fallback is not None and (declared is None or key not in declared.prompts):
            return fallback
        return self._from_code(agent, key if status_key is not None else None)

    def code_texts(self, agent: str) -> frozenset[str]:
        """Return the agent's texts as its code declares them."""
        declared = self.registry.agents.get(agent)
        return declared.texts if declared is not None else frozenset()

    def default_status(self, agent: str) -> StatusFunction | None:
        """Return the function that the declaration gave for the present status, if any."""
        declared = self.registry.agents.get(agent)
        return declared.status if declared is not None else None

    def _from_code(self, agent: str, status_key: str | None) -> Selection:
        """Serve an agent or status that was declared after this snapshot was built."""
        declared = self.registry.agents.get(agent)
        built = _agent(agent, declared, None, {}, {}).select(status_key or declared.primary) if declared else None
        if built is None:
            known = {*self.registry.agents, *self.fallbacks}
            raise _nothing(agent, status_key, known, is_known=agent in self.primaries, is_loaded=self.is_loaded)
        return built


def code_snapshot(registry: Registry) -> Snapshot:
    """Return the snapshot that serves what the code declares, for a process that has read no database."""
    return build_snapshot(registry, (), (), loaded_at=None)


def build_snapshot(
    registry: Registry,
    agents: Iterable[AgentInfo],
    active: Iterable[ActiveVersion],
    *,
    previous: Snapshot | None = None,
    source: Source = Source.DATABASE,
    loaded_at: float | None,
) -> Snapshot:
    """Compile and check the active versions and choose what is served for each agent and status.

    Args:
        registry: What the code declares.
        agents: The agents in the database.
        active: The active versions.
        previous: The snapshot before; its compiled texts are reused, and its texts stand in for ones that cannot be
            served.
        source: Where the versions were read.
        loaded_at: When they were read, on the monotonic clock.
    """
    declared = registry.agents
    infos = {info.name: info for info in agents}
    served: dict[PromptKey, ServedPrompt] = {}
    reasons: dict[PromptKey, str] = {}
    problems: list[Problem] = []
    old = previous.served if previous is not None else {}
    for item in active:
        key = PromptKey(item.agent, item.status_key)
        code = declared.get(item.agent)
        exposed = code.exposed if code is not None else frozenset(_stored(infos, item.agent))
        same = code.prompts.get(item.status_key) if code is not None else None
        try:
            served[key] = _compiled(item, exposed, source, old=old.get(key), declared=same)
        except InvalidPromptError as error:
            problems.append(Problem(item, error.message))
            reasons[key] = f"the active version {item.version} cannot be served here"
            if key in old:
                served[key] = old[key]
    selections: dict[tuple[str, str], Selection] = {}
    fallbacks: dict[str, Selection] = {}
    primaries: dict[str, str] = {}
    keys: dict[str, StatusKeys] = {}
    clashes: list[SpellingClash] = []
    by_agent: dict[str, dict[str, ServedPrompt]] = {}
    for (name, status_key), prompt in served.items():
        by_agent.setdefault(name, {})[status_key] = prompt
    reasons_by_agent: dict[str, dict[str, str]] = {}
    for (name, status_key), reason in reasons.items():
        reasons_by_agent.setdefault(name, {})[status_key] = reason
    for name in {*declared, *infos}:
        one = _agent(name, declared.get(name), infos.get(name), by_agent.get(name, {}), reasons_by_agent.get(name, {}))
        primaries[name], keys[name] = one.primary, one.keys
        clashes += one.clashes()
        for status_key in dict.fromkeys((*one.keys, one.primary)):
            selection = one.select(status_key)
            if selection is not None:
                selections[PromptKey(name, status_key)] = selection
        if (fallback := one.select(None)) is not None:
            fallbacks[name] = fallback
    return Snapshot(
        registry=registry,
        selections=MappingProxyType(selections),
        fallbacks=MappingProxyType(fallbacks),
        primaries=MappingProxyType(primaries),
        served=MappingProxyType(served),
        keys=MappingProxyType(keys),
        problems=tuple(problems),
        clashes=tuple(sorted(clashes)),
        revisions=MappingProxyType({name: info.revision for name, info in infos.items()}),
        loaded_at=loaded_at,
    )


@dataclass(frozen=True, slots=True)
class _Agent:
    """Everything known of one agent, and the rule that chooses its text."""

    name: str
    primary: str
    default: str
    keys: StatusKeys
    code: Mapping[str, DeclaredPrompt]
    served: Mapping[str, ServedPrompt]
    reasons: Mapping[str, str]

    def clashes(self) -> Iterator[SpellingClash]:
        """Yield the statuses that the code spells otherwise than the database."""
        for key, prompt in self.code.items():
            if prompt.status_key != key:
                yield SpellingClash(self.name, prompt.status_key, key)

    def select(self, status_key: str | None) -> Selection | None:
        """Choose: the active version of the status, of the primary one, of `"default"`; then the code's, likewise."""
        if status_key is not None and status_key not in self.reasons:
            # As it mostly is: the status has an active version, and a text in the code.
            own, declared = self.served.get(status_key), self._code(status_key)
            if own is not None and declared is not None:
                return Selection(own, code=declared)
        chain = list(dict.fromkeys(key for key in (status_key, self.primary, self.default) if key is not None))
        coded = next((key for key in chain if key in self.code), None)
        code = self.code[coded].served if coded is not None else None
        for key in chain:
            prompt = self.served.get(key)
            if prompt is None and key in self.reasons:
                # An active version that this process cannot serve: its own code comes before another status.
                prompt = self._code(key)
            if prompt is not None:
                return Selection(prompt, self._reason(status_key, key, prompt), code)
        if code is None or coded is None:
            return None
        return Selection(code, self._reason(status_key, coded, code), code)

    def _code(self, status_key: str) -> ServedPrompt | None:
        declared = self.code.get(status_key)
        return declared.served if declared is not None else None

    def _reason(self, asked: str | None, key: str, prompt: ServedPrompt) -> str:
        parts = []
        if asked is None:
            parts.append("the status has no prompt of its own")
        elif asked != key:
            parts.append(self.reasons.get(asked) or f"the status {asked!r} has no active version")
        if key in self.reasons:
            parts.append(self.reasons[key])
        if asked != key:
            which = "primary status" if key == self.primary else "status"
            parts.append(f"the {which} {key!r} stands in")
        if prompt.source is Source.CODE:
            parts.append("the code's text is served")
        elif key in self.reasons:
            parts.append(f"version {prompt.version}, the last good one, is served")
        return "; ".join(parts)


def _agent(
    name: str,
    declared: DeclaredAgent | None,
    info: AgentInfo | None,
    served: Mapping[str, ServedPrompt],
    reasons: Mapping[str, str],
) -> _Agent:
    """Bring together what code and database say of an agent: a status has one key, spelt as in the database."""
    prompts: Mapping[str, DeclaredPrompt] = declared.prompts if declared is not None else {}
    # This process' own code says which status comes first.
    primary = declared.primary if declared is not None else info.default_status_key if info else DEFAULT_STATUS_KEY
    stored = {**served, **reasons}
    keys = declared.keys if declared is not None and not stored else StatusKeys(stored, prompts)
    is_clear = all(key in keys for key in prompts)
    return _Agent(
        name=name,
        primary=keys.find(primary) or primary,
        default=keys.find(DEFAULT_STATUS_KEY) or DEFAULT_STATUS_KEY,
        keys=keys,
        code=prompts if is_clear else {keys.find(key) or key: prompt for key, prompt in prompts.items()},
        served=served,
        reasons=reasons,
    )


def changes_between(old: Snapshot, new: Snapshot) -> tuple[PromptChange, ...]:
    """Return for which agents and statuses another text or version is served, by agent and status."""
    found = []
    for key in sorted({*old.selections, *new.selections}):
        before, after = (snapshot.selections.get(key) for snapshot in (old, new))
        one, other = (selection.prompt if selection is not None else None for selection in (before, after))
        if not _is_same(one, other):
            found.append(PromptChange(*key, one, other))
    return tuple(found)


def _is_same(one: ServedPrompt | None, other: ServedPrompt | None) -> bool:
    """Say whether two prompts are the same version, or the same text where one of them has no version yet."""
    if one is None or other is None:
        return one is other
    if (one.status_key, one.content_hash, one.format) != (other.status_key, other.content_hash, other.format):
        return False
    return one.version == other.version or one.version is None or other.version is None


def served_version(prompt: ActiveVersion, exposed: Collection[str], source: Source) -> ServedPrompt:
    """Check and compile a version that is not active, as if it were.

    Raises:
        InvalidPromptError: This process cannot serve it.
    """
    return _compiled(prompt, frozenset(exposed), source)


def _compiled(
    prompt: ActiveVersion,
    exposed: frozenset[str],
    source: Source,
    *,
    old: ServedPrompt | None = None,
    declared: DeclaredPrompt | None = None,
) -> ServedPrompt:
    """Check and compile an active version as if it had just been typed: plain SQL may have written it.

    Args:
        prompt: The version.
        exposed: The variables that it may use.
        source: Where it was read.
        old: What was served before; an equal text was checked and compiled then.
        declared: What the code says, likewise.
    """
    where = {"agent": prompt.agent, "status_key": prompt.status_key}
    for known in (old, declared):
        if known is not None and known.text == prompt.prompt_text and known.format == prompt.format:
            text, read_as, template, digest = known.text, known.format, known.template, known.content_hash
            break
    else:
        text, read_as = check_text(prompt.prompt_text, **where), check_format(prompt.format)
        template, digest = compile_template(text, read_as, **where), content_hash(text)
    check_exposed(template, exposed, **where)
    identity = (prompt.prompt_id, prompt.version, source)
    if old is not None and old.template is template and (old.prompt_id, old.version, old.source) == identity:
        return old
    return ServedPrompt(
        agent=prompt.agent,
        status_key=prompt.status_key,
        version=prompt.version,
        prompt_id=prompt.prompt_id,
        text=text,
        format=read_as,
        content_hash=digest,
        source=source,
        template=template,
    )


def _stored(infos: Mapping[str, AgentInfo], agent: str) -> tuple[str, ...]:
    return infos[agent].variables if agent in infos else ()


def _nothing(
    agent: str, status_key: str | None, known: set[str], *, is_known: bool, is_loaded: bool
) -> NoActivePromptError:
    if is_known:
        hint = f"The agent has no active version. Activate one: automagik-prompts activate {agent} STATUS VERSION"
    elif known:
        close = closest(agent, known)
        hint = f"Did you mean {' or '.join(map(repr, close))}? " if close else ""
        hint += f"Agents with prompts are: {', '.join(sorted(known)[:10])}{', ...' if len(known) > 10 else ''}."
    else:
        hint = "No agent has prompts: import the module that declares them before the first run."
    which = f"status {status_key!r}" if status_key is not None else "its primary status"
    where = "neither in the database nor in code" if is_loaded else "in code, and the database has not been read yet"
    return NoActivePromptError(
        f"There is no prompt for {agent!r} and {which}, {where}. {hint}",
        agent=agent,
        status_key=status_key,
    )
