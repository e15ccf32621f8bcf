"""What becomes of each of the code's texts: written, activated, or left to a person's decision."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from automagik_prompts.declaring.declared import DeclaredAgent, DeclaredPrompt
from automagik_prompts.domain.edits import SyncResult
from automagik_prompts.domain.keys import SpellingClash, StatusKeys
from automagik_prompts.domain.records import Action, AgentInfo, EventCreate, Prompt, PromptCreate
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
    clashes = [SpellingClash(declared.name, key, other) for key, other in found.items()]
    return (
        replace(declared, prompts=prompts, primary=primary),
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

    @property
    def activates(self) -> bool:
        """A person's version stays active, what a person deactivated stays without one, and what is withdrawn so."""
        if self.is_withdrawn:
            return False
        if self.head is None:
            # Never written, or all versions are gone: deactivated and deleted by a person, or taken away by plain SQL.
            return self.last is not Action.DEACTIVATED
        return self.head.active_from_code if self.head.active is not None else self.last is None

    @property
    def outcome(self) -> str:
        """What is told of it."""
        return "withdrawn" if self.is_withdrawn else "created" if self.activates else "drift"

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
        actions = [Action.CREATED, done]
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
    if not declared.exposed.issubset(agent.variables):
        return True
    return any(find_same(prompt, seen) is None for prompt in declared.prompts.values())


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


AUTHOR = "code"
"""The author of versions and events that come from code."""
