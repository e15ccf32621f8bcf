"""What becomes of each of the code's texts: written, activated, or left to a person's decision."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from automagik_prompts.declaring.declared import DeclaredAgent, DeclaredPrompt
from automagik_prompts.domain.edits import SyncResult
from automagik_prompts.domain.keys import SpellingClash, StatusKeys
from automagik_prompts.domain.policy import CODE
from automagik_prompts.domain.records import Action, AgentInfo, EventCreate, Prompt, PromptCreate, Protection
from automagik_prompts.domain.review import OnDrift
from automagik_prompts.storage.repository import CodeVersion, StatusHead


def statuses_by_agent(heads: Iterable[tuple[int, str]]) -> defaultdict[int, list[str]]:
    """Return the statuses that have versions, by the agent's id."""
    found: defaultdict[int, list[str]] = defaultdict(list)
    for agent_id, status_key in heads:
        found[agent_id].append(status_key)
    return found


def writable_part(declared: DeclaredAgent, stored: Iterable[str]) -> tuple[DeclaredAgent, list[SyncResult]]:
    """Leave out the statuses that the database spells otherwise, as the other spelling would be a status beside them.

    Args:
        declared: What the code says of an agent.
        stored: The agent's statuses in the database.
    """
    keys = StatusKeys(stored)
    found = {key: other for key in declared.prompts if (other := keys.find(key) or key) != key}
    if not found:
        return declared, []
    prompts = {key: prompt for key, prompt in declared.prompts.items() if key not in found}
    primary = found.get(declared.primary, declared.primary)
    protected = tuple(replace(one, status_key=found.get(one.status_key, one.status_key)) for one in declared.protected)
    clashes = [SpellingClash(declared.name, key, other) for key, other in found.items()]
    return (
        replace(declared, prompts=prompts, primary=primary, protected=protected),
        [SyncResult(clash.agent, clash.declared, None, "alike", clash) for clash in clashes],
    )


@dataclass(frozen=True, slots=True)
class TextPlan:
    """What becomes of one text that was never seen."""

    agent: AgentInfo
    prompt: DeclaredPrompt
    head: StatusHead | None
    last: Action | None
    is_withdrawn: bool = False
    on_drift: OnDrift = "keep"

    @property
    def activates(self) -> bool:
        """Whether it becomes active at once."""
        return self._is_wanted and not self.asks

    @property
    def asks(self) -> bool:
        """Whether it would become active, and the code wants that approved as well."""
        protection = self.agent.protection(self.prompt.status_key)
        return self._is_wanted and protection is not None and protection.approve_code

    @property
    def replaced(self) -> int | None:
        """The person's version whose place it takes."""
        is_persons = self.head is not None and not self.head.active_from_code
        return self.head.active if self.head is not None and is_persons and self.activates else None

    @property
    def _is_wanted(self) -> bool:
        """A person's version stays active, what a person deactivated stays without one, and what is withdrawn so."""
        if self.is_withdrawn:
            return False
        if self.head is None:
            # Never written, or all versions are gone: deactivated and deleted by a person, or taken away by plain SQL.
            return self.last is not Action.DEACTIVATED
        if self.head.active is None:
            return self.last is None
        return self.head.active_from_code or self.on_drift == "code"

    @property
    def outcome(self) -> str:
        """What is told of it."""
        if self.is_withdrawn:
            return "withdrawn"
        return "created" if self.activates else "requested" if self.asks else "drift"

    def version(self) -> PromptCreate:
        """Return the version to write."""
        return PromptCreate(
            agent_id=self.agent.id,
            status_key=self.prompt.status_key,
            prompt_text=self.prompt.text,
            format=self.prompt.format,
            is_default_from_code=True,
            is_active=self.activates,
            name=self.prompt.name,
            author=AUTHOR,
            note=self.prompt.note,
        )

    def events(self, written: Prompt) -> list[EventCreate]:
        """Return the events that tell of it."""
        done = Action.WITHDRAWN if self.is_withdrawn else Action.ACTIVATED if self.activates else Action.DRIFT
        actions = [Action.CREATED, *([] if self.asks else [done])]
        protected = self.agent.protection(written.status_key) is not None
        return [
            EventCreate(
                agent_id=self.agent.id,
                status_key=written.status_key,
                action=action,
                revision=self.agent.revision,
                prompt_id=written.id,
                version=written.version,
                from_version=self.head.active
                if self.head is not None and action in {Action.ACTIVATED, Action.DRIFT}
                else None,
                author=AUTHOR,
                actor_id=AUTHOR,
                approval="code" if protected and action is Action.ACTIVATED else None,
            )
            for action in actions
        ]


def orphans_of(agent: AgentInfo, declared: DeclaredAgent, seen: Sequence[CodeVersion]) -> list[SyncResult]:
    """Return the statuses that came from code and that the code no longer mentions; nothing is deleted."""
    newest = {version.status_key: version.version for version in seen}
    return [
        SyncResult(agent.name, status_key, version, "orphan")
        for status_key, version in newest.items()
        if declared.keys.find(status_key) is None
    ]


def has_news(declared: DeclaredAgent, agent: AgentInfo, seen: Sequence[CodeVersion]) -> bool:
    """Return whether the code has a text or a variable that the database has not seen."""
    if not declared.exposed.issubset(agent.variables) or protected_of(declared, agent, exact=False) != agent.protected:
        return True
    return any(find_same(prompt, seen) is None for prompt in declared.prompts.values())


def protected_of(declared: DeclaredAgent, agent: AgentInfo, *, exact: bool) -> tuple[Protection, ...]:
    """Return how statuses are protected once the code is written; only a sync, which is exact, lowers that."""
    found = {one.status_key: one for one in declared.protected}
    if not exact:
        for one in agent.protected:
            mine = found.get(one.status_key, one)
            found[one.status_key] = Protection(
                one.status_key, max(one.approvals, mine.approvals), one.approve_code or mine.approve_code
            )
    return tuple(sorted(found.values(), key=lambda one: one.status_key))


def facts_changed(agent: AgentInfo, primary: str, variables: Sequence[str], protected: Sequence[Protection]) -> str:
    """Return in words which facts of an agent change; empty if none does."""
    words: list[str] = []
    if primary != agent.default_status_key:
        words.append(f"primary status {primary}, before {agent.default_status_key}")
    for label, names in (
        ("exposes", sorted(set(variables) - set(agent.variables))),
        ("exposes no more", sorted(set(agent.variables) - set(variables))),
    ):
        if names:
            shown = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
            words.append(f"{label} {shown}")
    before = {one.status_key: one for one in agent.protected}
    for one in protected:
        if before.get(one.status_key) != one:
            code = ", code too" if one.approve_code else ""
            words.append(f"{one.status_key} is protected ({one.approvals} to approve{code})")
    words += [f"{key} is protected no more" for key in before if key not in {one.status_key for one in protected}]
    return "; ".join(words)


def find_same(prompt: DeclaredPrompt, seen: Sequence[CodeVersion]) -> CodeVersion | None:
    """Return the newest version of the code that equals a text."""
    wanted = (prompt.status_key, prompt.content_hash, prompt.format)
    for version in reversed(seen):
        if (version.status_key, version.content_hash, version.format) == wanted:
            return version
    return None


def new_agent_of(declared: DeclaredAgent) -> AgentInfo:
    """Return an agent as it is added."""
    return AgentInfo(
        id=0, name=declared.name, default_status_key=declared.primary, variables=tuple(sorted(declared.exposed))
    )


def by_agent(versions: Sequence[CodeVersion]) -> defaultdict[int, list[CodeVersion]]:
    """Return versions by the agent's id."""
    grouped: defaultdict[int, list[CodeVersion]] = defaultdict(list)
    for version in versions:
        grouped[version.agent_id].append(version)
    return grouped


AUTHOR = CODE
"""The author of versions and events that come from code."""
