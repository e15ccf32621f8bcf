"""Counting runs in memory: totals that can be said again, and that another row begins anew."""

from __future__ import annotations

import threading
from collections import deque
from datetime import date, timedelta

from automagik_prompts.domain.running.usage import DayCount
from automagik_prompts.following.fleet.counting import TOLD_AT_ONCE, RunCounts
from automagik_prompts.storage.repository.running.usage import TOLD_DAYS

TODAY = date(2026, 11, 27)
TOMORROW = TODAY + timedelta(days=1)


def counted(*sent: int) -> tuple[deque[int], RunCounts]:
    """Return counts of runs that were sent these versions today."""
    queue = deque(sent)
    counts = RunCounts(queue)
    counts.count(TODAY)
    return queue, counts


def test_totals_are_said_until_they_are_written() -> None:
    """What is not known to be written is said again, as the same total; what is, only when it has changed."""
    queue, counts = counted(1, 1, 2)
    first = counts.unwritten()
    assert set(first) == {DayCount(1, TODAY, 2), DayCount(2, TODAY, 1)}
    counts.say(first)
    assert set(counts.unwritten()) == set(first)
    counts.written(first, TODAY)
    assert counts.unwritten() == ()
    queue.append(1)
    counts.count(TODAY)
    assert counts.unwritten() == (DayCount(1, TODAY, 3),)


def test_a_new_day_has_totals_of_its_own() -> None:
    """What was sent yesterday stays yesterday's, and is forgotten once it is written: it is final."""
    queue, counts = counted(1, 1)
    queue.append(1)
    counts.count(TOMORROW)
    said = counts.unwritten()
    assert set(said) == {DayCount(1, TODAY, 2), DayCount(1, TOMORROW, 1)}
    counts.written(said, TOMORROW)
    assert list(counts._totals) == [(TOMORROW, 1)]
    assert counts.unwritten() == ()


def test_another_row_has_only_what_was_not_said() -> None:
    """After a process was taken for dead: what it has said may be summed up already, and must not count twice."""
    queue, counts = counted(1, 1, 2)
    counts.say([DayCount(1, TODAY, 2)])  # whether it arrived is not known
    queue.append(1)
    counts.count(TODAY)
    counts.begin_anew()
    assert set(counts.unwritten()) == {DayCount(1, TODAY, 1), DayCount(2, TODAY, 1)}


def test_what_nobody_takes_is_bounded() -> None:
    """A process that may not write forgets old days, and says no more than so many totals at once."""
    queue, counts = counted(*range(TOLD_AT_ONCE + 10))
    assert len(counts.unwritten()) == TOLD_AT_ONCE
    counts.count(TODAY + timedelta(days=TOLD_DAYS - 1))
    assert counts._totals
    counts.count(TODAY + timedelta(days=TOLD_DAYS))
    assert not counts._totals
    assert not queue


def test_no_run_is_lost_while_many_threads_run() -> None:
    """Runs add to the queue from any thread while it is counted."""
    queue: deque[int] = deque()
    counts = RunCounts(queue)
    threads = [threading.Thread(target=lambda: queue.extend([1] * 5_000)) for _ in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        counts.count(TODAY)
    counts.count(TODAY)
    assert counts.unwritten() == (DayCount(1, TODAY, 40_000),)


def test_a_word_that_found_no_row_is_said_again() -> None:
    """What was sent since the last one that arrived is not lost, and that one does not count twice."""
    queue, counts = counted(1)
    first = counts.unwritten()
    counts.say(first)
    counts.written(first, TODAY)
    queue.append(1)
    counts.count(TODAY)
    counts.say(counts.unwritten())  # into a row that is gone
    counts.unsay()
    counts.begin_anew()
    assert counts.unwritten() == (DayCount(1, TODAY, 1),)
