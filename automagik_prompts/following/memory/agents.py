"""Agents by their names, in a mapping that never changes: another one shares with it all that is the same.

So a change costs what it changes, however many agents there are, and whoever holds an older mapping goes on with it.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping

from automagik_prompts.following.memory.choosing import AgentTexts
from automagik_prompts.following.memory.packing import FACTS, Packed

Entry = Packed | AgentTexts
"""An agent as it was read, or with its texts compiled."""

BUCKETS = 256


class AgentMap:
    """Agents by their names.

    Args:
        buckets: The agents, by the hash of their names.
        with_texts: How many of them have a text.

    Attributes:
        buckets: The agents, by the hash of their names; for reading.
        with_texts: How many of them have a text.
    """

    __slots__ = ("buckets", "with_texts")

    def __init__(self, buckets: tuple[dict[str, Entry], ...] = (), with_texts: int = 0) -> None:
        self.buckets = buckets or tuple({} for _ in range(BUCKETS))
        self.with_texts = with_texts

    def __iter__(self) -> Iterator[str]:
        for bucket in self.buckets:
            yield from tuple(bucket)

    def __len__(self) -> int:
        return sum(map(len, self.buckets))

    def get(self, name: str) -> Entry | None:
        """Return an agent, or `None`."""
        return self.buckets[hash(name) % BUCKETS].get(name)

    def updated(self, changes: Mapping[str, Entry | None]) -> AgentMap:
        """Return the mapping with some agents changed; `None` takes one out."""
        buckets, with_texts = list(self.buckets), self.with_texts
        for name, entry in changes.items():
            place = hash(name) % BUCKETS
            bucket = buckets[place]
            if bucket is self.buckets[place]:
                bucket = buckets[place] = bucket.copy()
            with_texts += _has_texts(entry) - _has_texts(bucket.get(name))
            if entry is None:
                bucket.pop(name, None)
            else:
                bucket[name] = entry
        return AgentMap(tuple(buckets), with_texts)

    def keep(self, name: str, read: Packed, texts: AgentTexts) -> None:
        """Keep an agent's texts compiled for whoever asks next; it is the same agent."""
        bucket = self.buckets[hash(name) % BUCKETS]
        if bucket.get(name) is read:
            bucket[name] = texts

    def differing(self, other: AgentMap) -> Iterator[str]:
        """Yield the names of the agents that may not be the same in another mapping."""
        for one, two in zip(self.buckets, other.buckets, strict=True):
            if one is not two:
                yield from (name for name in {**one, **two} if one.get(name) is not two.get(name))


def _has_texts(entry: Entry | None) -> bool:
    """Return whether an agent has a text; compiling it does not change that, as who does so may not hold the count."""
    read = entry.read if isinstance(entry, AgentTexts) else entry
    return (read is not None and len(read) > FACTS + 1) or (isinstance(entry, AgentTexts) and bool(entry.chosen))


class AgentIds:
    """The names of agents by their ids, in the order of these; sixteen bytes for each."""

    def __init__(self) -> None:
        self._ids = array("q")
        self._names: list[str] = []

    def get(self, number: int) -> str | None:
        """Return the name of an agent, or `None`."""
        place = bisect_left(self._ids, number)
        return self._names[place] if place < len(self._ids) and self._ids[place] == number else None

    def put(self, number: int, name: str) -> None:
        """Take note of an agent's name."""
        place = bisect_left(self._ids, number)
        if place < len(self._ids) and self._ids[place] == number:
            self._names[place] = name
        else:
            self._ids.insert(place, number)
            self._names.insert(place, name)

    def remove(self, number: int) -> None:
        """Forget an agent."""
        place = bisect_left(self._ids, number)
        if place < len(self._ids) and self._ids[place] == number:
            del self._ids[place], self._names[place]

    def between(self, after: int, last: int | None) -> Iterator[tuple[int, str]]:
        """Yield the agents with an id above one and up to another."""
        start = bisect_right(self._ids, after)
        end = len(self._ids) if last is None else bisect_right(self._ids, last)
        return iter(list(zip(self._ids[start:end], self._names[start:end], strict=True)))
