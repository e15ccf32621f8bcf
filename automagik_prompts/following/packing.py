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
from automagik_prompts.domain.summaries import AgentState

Packed = tuple[Any, ...]
"""Id, name, primary status, its active version's id, exposed names and revision; then six values for each version."""

FACTS = 6
"""Values of an agent itself; what has no more has no active version."""

_EACH = 6
_TEXT = 3
_HASH_LENGTH = 64


def pack(state: AgentState) -> Packed:
    """Return an agent with its versions as one tuple."""
    info = state.info
    values: list[Any] = [
        *(info.id, info.name, intern(info.default_status_key), info.active_default_prompt_id),
        *(info.variables, info.revision),
    ]
    for one in state.active:
        values += (one.prompt_id, intern(one.status_key), one.version, one.prompt_text, intern(one.format))
        values.append(_short(one.content_hash))
    return tuple(values)


def unpack(packed: Packed) -> AgentState:
    """Return the agent of a tuple."""
    number, name, primary, active_id, variables, revision = packed[:FACTS]
    active = tuple(
        ActiveVersion(name, prompt_id, status_key, version, text, read_as, _long(digest))
        for prompt_id, status_key, version, text, read_as, digest in _versions(packed)
    )
    return AgentState(AgentInfo(number, name, primary, active_id, variables, revision), active)


def listed(packed: Packed) -> list[Any]:
    """Return a tuple's values as JSON can hold them."""
    return [value.hex() if isinstance(value, bytes) else value for value in packed]


def from_list(values: list[Any]) -> Packed:
    """Return the tuple of such values.

    Raises:
        ValueError, TypeError: They are none.
    """
    number, name, primary, active_id, variables, revision, *versions = values
    rest: list[Any] = []
    for start in range(0, len(versions), _EACH):
        prompt_id, status_key, version, text, read_as, digest = versions[start : start + _EACH]
        rest += [prompt_id, intern(status_key), version, text, intern(read_as), _short(digest)]
    return (number, name, intern(primary), active_id, tuple(variables), revision, *rest)


def texts_of(packed: Packed) -> Iterator[tuple[str, str]]:
    """Yield each version's status and text."""
    return ((status_key, text) for _, status_key, _, text, _, _ in _versions(packed))


def is_head(packed: Packed, head: Packed) -> bool:
    """Return whether an agent is the same as one that was read without its texts."""
    return len(packed) == len(head) and all(
        one == other for place, (one, other) in enumerate(zip(packed, head, strict=True)) if not _is_text(place)
    )


def is_same(packed: Packed, found: Packed) -> bool:
    """Return whether an agent is the same as one that was read with its texts, or with their hashes in their place."""
    return is_head(packed, found) and all(
        given in (text, hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest())
        for (_, text), (_, given) in zip(texts_of(packed), texts_of(found), strict=True)
    )


def _is_text(place: int) -> bool:
    return place >= FACTS and (place - FACTS) % _EACH == _TEXT


def _versions(packed: Packed) -> Iterator[Packed]:
    return (packed[start : start + _EACH] for start in range(FACTS, len(packed), _EACH))


def _short(digest: str) -> str | bytes:
    """Return a hash in half its length; what plain SQL has put in its place stays as it is."""
    if len(digest) == _HASH_LENGTH and digest == digest.lower():
        try:
            return bytes.fromhex(digest)
        except ValueError:
            return digest
    return digest


def _long(digest: str | bytes) -> str:
    return digest.hex() if isinstance(digest, bytes) else digest
