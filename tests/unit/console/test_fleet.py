"""What of the fleet wants a look, and what only has had no time yet."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from automagik_prompts.console.pages.fleet import GRACE, QUIET, glance
from automagik_prompts.domain.running.fleet import Fleet, FleetProcess


def ago(seconds: float) -> datetime:
    """Return a moment before now."""
    return datetime.now(UTC) - timedelta(seconds=seconds)


def process(*, behind: int | None, said: float) -> FleetProcess:
    """Return a living process that said so many seconds ago that it is there."""
    return FleetProcess("1", "vm", 1, None, None, "live", True, behind, None, (), ago(1000), ago(said))  # it lives


@pytest.mark.parametrize(
    ("behind", "said", "written", "is_named"),
    [
        (0, 30, 1, False),
        (1, 30, 1, False),  # it had no time
        (1, 30, GRACE + 1, True),
        (1, QUIET + 1, 1, True),  # whoever writes again and again hides no process that hangs
        (None, 30, 1, True),
    ],
)
def test_who_is_behind(behind: int | None, said: float, written: float, is_named: bool) -> None:  # as it is expected
    """Only who had time to follow is named, however lately something was written."""
    found = glance(Fleet((process(behind=behind, said=said),)), ago(written))
    assert (found is not None) == is_named
