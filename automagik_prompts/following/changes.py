"""What differs between two snapshots."""

from __future__ import annotations

from automagik_prompts.domain.served import PromptChange, ServedPrompt
from automagik_prompts.following.snapshot import Snapshot


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
    """Return whether two prompts are the same version, or the same text where one of them has no version yet."""
    if one is None or other is None:
        return one is other
    if (one.status_key, one.content_hash, one.format) != (other.status_key, other.content_hash, other.format):
        return False
    return one.version == other.version or one.version is None or other.version is None
