"""What a process holds in memory: for each agent and status the one text that is served, and why.

A snapshot never changes. The thread builds a new one and replaces one reference; agent runs only look things up.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from automagik_prompts.declaring.registry import DeclaredAgent, DeclaredPrompt, Registry
from automagik_prompts.domain.keys import DEFAULT_STATUS_KEY, find_status, status_value
from automagik_prompts.domain.protocols import StatusFunction
from automagik_prompts.domain.records import ActiveVersion, AgentInfo
from automagik_prompts.domain.served import PromptChange, Selection, ServedPrompt, Source
from automagik_prompts.domain.text import closest, content_hash
from automagik_prompts.domain.validation import check_format, check_text
from automagik_prompts.exceptions import InvalidPromptError, NoActivePromptError
from automagik_prompts.templating.template import check_exposed, compile_template

Key = tuple[str, str]


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
        statuses: The statuses that have a text, by agent.
        served: The versions from the database, by agent and status.
        problems: The active versions that cannot be served here.
        revisions: The revision of each agent.
        loaded_at: When the database was read, on the monotonic clock; `None` if it was not.
    """

    registry: Registry = field(repr=False)
    selections: Mapping[Key, Selection] = field(repr=False, default_factory=dict)
    fallbacks: Mapping[str, Selection] = field(repr=False, default_factory=dict)
    primaries: Mapping[str, str] = field(repr=False, default_factory=dict)
    statuses: Mapping[str, frozenset[str]] = field(repr=False, default_factory=dict)
    served: Mapping[Key, ServedPrompt] = field(repr=False, default_factory=dict)
    problems: tuple[Problem, ...] = ()
    revisions: Mapping[str, int] = field(repr=False, default_factory=dict)
    loaded_at: float | None = None

    @property
    def is_loaded(self) -> bool:
        """Whether it was read from the database."""
        return self.loaded_at is not None

    def status_key(self, agent: str, status: object) -> str | None:
        """Return the key that a status means for an agent; one that has no text is what it is called itself.

        Args:
            agent: The agent's name.
            status: A string, an enum member, or `None` for the primary status.

        Raises:
            InvalidPromptError: It is something else.
        """
        if type(status) is str and (agent, status) in self.selections:
            return status
        declared = self.registry.agents.get(agent)
        known = self.statuses.get(agent, frozenset())
        return status_value(status, known if declared is None else known | declared.prompts.keys())

    def select(self, agent: str, status_key: str | None) -> Selection:
        """Return what is served.

        Args:
            agent: The agent's name.
            status_key: The status; `None` for the primary one.

        Raises:
            NoActivePromptError: Neither the database nor the code has anything to serve.
        """
        key = self.primaries.get(agent) if status_key is None else status_key
        if key is not None:
            found = self.selections.get((agent, key))
            if found is not None:
                return found
        fallback = self.fallbacks.get(agent)
        declared = self.registry.agents.get(agent)
        if fallback is not None and (declared is None or key not in declared.prompts):
            return fallback
        return self._from_code(agent, status_key)

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
        built = (
            _Agent(agent, declared, None, {}, {}).select(status_key or declared.primary)
            if declared is not None
            else None
        )
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
    served: dict[Key, ServedPrompt] = {}
    reasons: dict[Key, str] = {}
    problems: list[Problem] = []
    old = previous.served if previous is not None else {}
    for item in active:
        key = (item.agent, item.status_key)
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
    selections: dict[Key, Selection] = {}
    fallbacks: dict[str, Selection] = {}
    primaries: dict[str, str] = {}
    statuses: dict[str, frozenset[str]] = {}
    by_agent: dict[str, dict[str, ServedPrompt]] = {}
    for (name, status_key), prompt in served.items():
        by_agent.setdefault(name, {})[status_key] = prompt
    reasons_by_agent: dict[str, dict[str, str]] = {}
    for (name, status_key), reason in reasons.items():
        reasons_by_agent.setdefault(name, {})[status_key] = reason
    for name in {*declared, *infos}:
        one = _Agent(name, declared.get(name), infos.get(name), by_agent.get(name, {}), reasons_by_agent.get(name, {}))
        primaries[name] = one.primary
        statuses[name] = frozenset(one.status_keys())
        for status_key in one.status_keys():
            selection = one.select(status_key)
            if selection is not None:
                selections[name, status_key] = selection
        if (fallback := one.select(None)) is not None:
            fallbacks[name] = fallback
    return Snapshot(
        registry=registry,
        selections=MappingProxyType(selections),
        fallbacks=MappingProxyType(fallbacks),
        primaries=MappingProxyType(primaries),
        statuses=MappingProxyType(statuses),
        served=MappingProxyType(served),
        problems=tuple(problems),
        revisions=MappingProxyType({name: info.revision for name, info in infos.items()}),
        loaded_at=loaded_at,
    )


@dataclass(frozen=True, slots=True)
class _Agent:
    """Everything known of one agent, and the rule that chooses its text."""

    name: str
    declared: DeclaredAgent | None
    info: AgentInfo | None
    served: Mapping[str, ServedPrompt]
    reasons: Mapping[str, str]

    @property
    def primary(self) -> str:
        """The primary status: what this process' own code says comes first."""
        if self.declared is not None:
            return self.declared.primary
        return self.info.default_status_key if self.info is not None else DEFAULT_STATUS_KEY

    def status_keys(self) -> set[str]:
        """The statuses that have a text of their own, and the primary one."""
        return {*self.served, *self.reasons, *(self.declared.prompts if self.declared else ()), self.primary}

    def select(self, status_key: str | None) -> Selection | None:
        """Choose: the active version of the status, of the primary one, of `"default"`; then the code's, likewise."""
        if status_key is not None and status_key not in self.reasons:
            # As it mostly is: the status has an active version, and a text in the code.
            own, declared = self.served.get(status_key), self._code(status_key)
            if own is not None and declared is not None:
                return Selection(own, code=declared)
        last = find_status(DEFAULT_STATUS_KEY, self.status_keys())
        chain = list(dict.fromkeys(key for key in (status_key, self.primary, last) if key is not None))
        code = next((found for key in chain if (found := self._code(key)) is not None), None)
        for key in chain:
            prompt = self.served.get(key)
            if prompt is None and key in self.reasons:
                # An active version that this process cannot serve: its own code comes before another status.
                prompt = self._code(key)
            if prompt is not None:
                return Selection(prompt, self._reason(status_key, key, prompt), code)
        if code is None:
            return None
        return Selection(code, self._reason(status_key, code.status_key, code), code)

    def _code(self, status_key: str) -> ServedPrompt | None:
        declared = self.declared.prompts.get(status_key) if self.declared is not None else None
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


def changes_between(old: Snapshot, new: Snapshot) -> tuple[PromptChange, ...]:
    """Return for which agents and statuses another text or version is served, by agent and status."""
    found = []
    for agent, status_key in sorted({*old.selections, *new.selections}):
        before, after = (snapshot.selections.get((agent, status_key)) for snapshot in (old, new))
        one, other = (selection.prompt if selection is not None else None for selection in (before, after))
        if not _is_same(one, other):
            found.append(PromptChange(agent, status_key, one, other))
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
