"""Moments as people write them: in local time, as the clocks show it, and for how long."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import typer

from automagik_prompts.cli.moments import duration, moment, seconds


@pytest.fixture
def lisbon(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Clocks that are set forward on 29 March 2026 and back on 25 October."""
    monkeypatch.setenv("TZ", "Europe/Lisbon")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("lisbon")
def test_clocks_that_are_set() -> None:
    """A time that was twice, or never, is told with the two that may be meant; each of these is one."""
    assert moment("2026-07-01T14:00", "--as-of") == datetime(2026, 7, 1, 13, tzinfo=UTC)
    with pytest.raises(typer.BadParameter) as twice:
        moment("2026-10-25T01:30", "--as-of")
    assert str(twice.value) == (
        "--as-of '2026-10-25T01:30' was twice, as the clocks were set back: say which moment is meant, "
        "2026-10-25T01:30+01:00 or 2026-10-25T01:30+00:00"
    )
    with pytest.raises(typer.BadParameter, match="never was, as the clocks were set forward"):
        moment("2026-03-29T01:30", "--as-of")
    assert moment("2026-10-25T01:30+01:00", "--as-of") == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize("given", ["nan", "inf", "-inf"])
def test_no_number_of_seconds(given: str) -> None:
    """What is a number for Python only is refused."""
    with pytest.raises(typer.BadParameter, match="is no number of seconds"):
        seconds(float(given))


def test_for_how_long() -> None:
    """For ever, for a while, and not for no time at all."""
    assert seconds(None) is None
    assert duration("never", "--expires") is None
    assert duration("2w", "--expires") == timedelta(days=14)
    with pytest.raises(typer.BadParameter, match="is no time at all"):
        duration("0d", "--expires")
