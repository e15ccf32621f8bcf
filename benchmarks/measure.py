"""Measuring cases side by side: in random order within each round, so that a busy machine slows all of them alike."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

Samples = dict[str, list[float]]
"""Seconds per operation of each case, one for each round."""


@dataclass(frozen=True, slots=True)
class Spread:
    """What a case takes.

    Attributes:
        median: Seconds, in the middle.
        low: The first quartile.
        high: The third quartile.
        p99: What 99 of 100 do not exceed.
    """

    median: float
    low: float
    high: float
    p99: float


@dataclass(frozen=True, slots=True)
class Ratio:
    """How one case compares with another.

    Attributes:
        value: The median over the rounds of the one's time divided by the other's in the same round.
        low: The lower end of the 95 % confidence interval of that median.
        high: Its upper end.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


def spread(values: Sequence[float]) -> Spread:
    """Describe the times of one case."""
    ordered = sorted(values)
    return Spread(median(ordered), _at(ordered, 0.25), _at(ordered, 0.75), _at(ordered, 0.99))


def ratio(of: Sequence[float], to: Sequence[float]) -> Ratio:
    """Compare two cases round by round; the interval assumes nothing of how the times are distributed."""
    paired = sorted(one / other for one, other in zip(of, to, strict=True))
    half = 1.96 * math.sqrt(len(paired)) / 2 / len(paired)
    return Ratio(median(paired), _at(paired, 0.5 - half), _at(paired, 0.5 + half))


def added(of: Sequence[float], to: Sequence[float]) -> float:
    """Return the median over the rounds of what the one took more than the other, in seconds."""
    return median(one - other for one, other in zip(of, to, strict=True))


def race(cases: Mapping[str, Callable[[], object]], *, rounds: int, inner: int, seed: int) -> Samples:
    """Call each case in turn, in another order in each round.

    Args:
        cases: What to call, by name.
        rounds: How many rounds.
        inner: How often a case is called in its turn.
        seed: For the order.
    """
    order, names = random.Random(seed), list(cases)
    samples: Samples = {name: [] for name in names}
    for _ in range(rounds):
        order.shuffle(names)
        for name in names:
            call, turns = cases[name], range(inner)
            start = time.perf_counter()
            for _turn in turns:
                call()
            samples[name].append((time.perf_counter() - start) / inner)
    return samples


async def race_async(
    cases: Mapping[str, Callable[[], Awaitable[object]]], *, rounds: int, warmup: int, seed: int
) -> Samples:
    """Await each case in turn, once in each round, in another order in each round.

    What is taken is the time of the processor for this process, with whatever a case gives to other threads: the cases
    wait for nothing else, so on an idle machine it is the whole time, and on a busy one it leaves out what others had.

    Args:
        cases: What to call and await, by name.
        rounds: How many rounds.
        warmup: How many rounds come before, which do not count.
        seed: For the order.
    """
    order, names = random.Random(seed), list(cases)
    samples: Samples = {name: [] for name in names}
    for number in range(-warmup, rounds):
        order.shuffle(names)
        for name in names:
            call = cases[name]
            start = time.process_time()
            await call()
            taken = time.process_time() - start
            if number >= 0:
                samples[name].append(taken)
    return samples


def pooled(parts: Sequence[Samples]) -> Samples:
    """Join what several processes measured, round after round."""
    return {name: [value for part in parts for value in part[name]] for name in parts[0]}


def _at(ordered: Sequence[float], share: float) -> float:
    """Return the value below which a share of the ordered values lies."""
    return ordered[min(len(ordered) - 1, max(0, round(share * (len(ordered) - 1))))]
