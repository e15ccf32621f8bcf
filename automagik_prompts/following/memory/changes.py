"""What differs between two snapshots."""

from __future__ import annotations

from automagik_prompts.domain.served import PromptChange, ServedPrompt, Source
from automagik_prompts.following.memory.choosing import AgentTexts
from automagik_prompts.following.memory.snapshot import Snapshot


def changes_between(old: Snapshot, new: Snapshot) -> tuple[PromptChange, ...]:
    """Return for which agents and statuses another text or version is served, by agent and status."""
    found = []
    for name in sorted(old.agents.differing(new.agents)):
        if old.source is Source.DATABASE and not old.is_loaded and not old.knows(name):
            continue  # what the first load brings is no change
        before, after = (_prompts(snapshot.agent(name)) for snapshot in (old, new))
        for key in sorted({*before, *after}):
            one, other = before.get(key), after.get(key)
            if not _is_same(one, other):
                found.append(PromptChange(name, key, one, other))
    return tuple(found)


def _prompts(texts: AgentTexts | None) -> dict[str, ServedPrompt]:
    """Return what is served for each status of an agent."""
    chosen = texts.chosen if texts is not None else {}
    return {key: selection.prompt for key, selection in chosen.items() if key is not None}


def _is_same(one: ServedPrompt | None, other: ServedPrompt | None) -> bool:
    """Return whether two prompts are the same version, or the same text where one of them has no version yet."""
    if one is None or other is None:
        return one is other
    if (one.status_key, one.content_hash, one.format) != (other.status_key, other.content_hash, other.format):
        return False
    return one.version == other.version or one.version is None or other.version is None
