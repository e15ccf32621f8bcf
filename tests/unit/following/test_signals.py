from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Coroutine
from typing import Any

import pytest

from automagik_prompts.following.listening import spacing
from automagik_prompts.following.signals import ChangeSignals, Polling, backoff


async def test_polling_waits_as_long_as_it_is_told() -> None:
    """Without a signal a wait lasts its time and says that nothing came."""
    changes: ChangeSignals = Polling(0.25)
    assert changes.interval == 0.25
    assert not changes.listening
    began = time.monotonic()
    assert not await changes.wait(0.05)
    assert time.monotonic() - began >= 0.045


async def test_a_signal_ends_a_wait() -> None:
    """This process' own write ends the present wait at once."""
    changes = Polling(60)
    waiting = asyncio.create_task(changes.wait(60))
    await asyncio.sleep(0)
    changes.wake()
    async with asyncio.timeout(5):
        assert await waiting


async def test_a_signal_before_the_wait_is_not_lost() -> None:
    """What is written between two waits ends the next one, and only that."""
    changes = Polling(60)
    changes.wake()
    changes.wake()
    async with asyncio.timeout(5):
        assert await changes.wait(60)
    assert not await changes.wait(0.01)
    await changes.close()


@pytest.mark.parametrize("attempt", [0, 1, 5, 1000])
def test_the_wait_between_attempts_grows_and_has_a_limit(attempt: int) -> None:
    """Twice as long each time, never longer than the limit, and not the same in all processes."""
    waits = {backoff(attempt, 0.5, 30.0) for _ in range(50)}
    longest = min(0.5 * 2 ** min(attempt, 20), 30.0)
    assert all(longest / 2 <= wait <= longest for wait in waits)
    assert len(waits) > 10


def test_the_looks_at_a_server_become_seldom() -> None:
    """The first come while others may still be starting; from the third on, less than one a minute."""
    for looks, (shortest, longest) in enumerate([(5, 6.25), (20, 25), (60, 75), (60, 75)]):
        rests = {spacing(looks) for _ in range(50)}
        assert all(shortest <= rest <= longest for rest in rests)
        assert len(rests) > 10
    assert spacing(100_000) <= 75


def test_the_applications_random_numbers_stay_its_own() -> None:
    """An application that has set a seed gets the numbers that it would get without the library."""
    before = random.getstate()
    assert backoff(0, 1.0, 5.0) != backoff(0, 1.0, 5.0)
    assert spacing(3) > 0
    assert random.getstate() == before


async def test_a_signal_that_comes_with_the_timeout_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a process that was stopped for a while both come at once; the change must not be found a minute later."""
    changes = Polling(60)

    async def late(waiting: Coroutine[Any, Any, bool], _seconds: float) -> None:
        waiting.close()
        changes.wake()
        raise TimeoutError

    monkeypatch.setattr(asyncio, "wait_for", late)
    assert await changes.wait(0.01)
