"""An agent in one plain tuple: what a process keeps of each, whether its texts are ever asked for or not.

A tuple of strings and numbers is the least that Python can hold, and nothing that its garbage collector goes through
again and again: with a hundred thousand prompts both matter.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from sys import intern
from typing import Any

from automagik_prompts.domain.records import ActiveVersion, AgentInfo
from automagik_prompts.domain.summaries import AgentState, WithdrawnVersion

Packed = tuple[Any, ...]
"""Id, name, primary status, its active version's id, exposed names and revision; then six values for each version: id,
status, number, text, format, and its hash where that is not the text's; last what is withdrawn, if anything."""

FACTS = 6
"""Values of an agent itself; what has no more has no active version."""

_EACH = 6


def pack(state: AgentState) -> Packed:
    """Return an agent with its versions as one tuple."""
    info = state.info
    active_id = info.active_default_prompt_id
    versions: list[Any] = []
    for one in state.active:
        if one.prompt_id == active_id:
            active_id = one.prompt_id  # one object for both
        text, digest = one.prompt_text, one.content_hash
        versions += (one.prompt_id, intern(one.status_key), one.version, text, intern(one.format))
        versions.append(None if digest == hash_of(text) else digest)
    if state.withdrawn:
        versions.append(state.withdrawn)
    return (info.id, info.name, intern(info.default_status_key), active_id, info.variables, info.revision, *versions)


def hash_of(text: str) -> str:
    """Return the hash that a text is written with."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def unpack(packed: Packed) -> AgentState:
    """Return the agent of a tuple."""
    number, name, primary, active_id, variables, revision = packed[:FACTS]
    active = tuple(
        ActiveVersion(name, prompt_id, status_key, version, text, read_as, hash_of(text) if digest is None else digest)
        for prompt_id, status_key, version, text, read_as, digest in _versions(packed)
    )
    return AgentState(AgentInfo(number, name, primary, active_id, variables, revision), active, withdrawn_of(packed))


def listed(packed: Packed) -> list[Any]:
    """Return a tuple's values as JSON can hold them."""
    return list(packed)


def from_list(values: list[Any]) -> Packed:
    """Return the tuple of such values.

    Raises:
        ValueError, TypeError: They are none.
    """
    number, name, primary, active_id, variables, revision, *versions = values
    withdrawn = versions.pop() if len(versions) % _EACH else []
    active_id = next((one for one in versions[::_EACH] if one == active_id), active_id)  # one object for both
    rest: list[Any] = []
    for start in range(0, len(versions), _EACH):
        prompt_id, status_key, version, text, read_as, digest = versions[start : start + _EACH]
        rest += [prompt_id, intern(status_key), version, text, intern(read_as), digest]
    if withdrawn:
        rest.append(tuple(WithdrawnVersion(*one) for one in withdrawn))
    return (number, name, intern(primary), active_id, tuple(variables), revision, *rest)


def texts_of(packed: Packed) -> Iterator[tuple[str, str]]:
    """Yield each version's status and text."""
    return ((status_key, text) for _, status_key, _, text, _, _ in _versions(packed))


def is_head(packed: Packed, head: AgentState) -> bool:
    """Return whether an agent is the same as one that was read without its texts."""
    ours = [
        (prompt_id, status_key, version, read_as, hash_of(text) if digest is None else digest)
        for prompt_id, status_key, version, text, read_as, digest in _versions(packed)
    ]
    theirs = [(one.prompt_id, one.status_key, one.version, one.format, one.content_hash) for one in head.active]
    is_equal = packed[:FACTS] == pack(AgentState(head.info)) and ours == theirs
    return is_equal and withdrawn_of(packed) == head.withdrawn


def is_same(packed: Packed, found: AgentState) -> bool:
    """Return whether an agent is the same as one that was read with its texts, or with their hashes in their place."""
    return is_head(packed, found) and all(
        version.prompt_text in (text, hash_of(text))
        for (_, text), version in zip(texts_of(packed), found.active, strict=True)
    )


def withdrawn_of(packed: Packed) -> tuple[WithdrawnVersion, ...]:
    """Return the withdrawn versions."""
    return packed[-1] if (len(packed) - FACTS) % _EACH else ()


def _versions(packed: Packed) -> Iterator[Packed]:
    return (packed[start : start + _EACH] for start in range(FACTS, len(packed) - _EACH + 1, _EACH))
