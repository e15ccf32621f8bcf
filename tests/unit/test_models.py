from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from automagik_prompts.models import UtcField

MOMENT = datetime(2025, 5, 13, 18, 31, 0, 123456, tzinfo=UTC)


@pytest.mark.parametrize(
    "stored",
    [
        MOMENT,
        MOMENT.replace(tzinfo=None),
        MOMENT.astimezone(timezone(timedelta(hours=-3))),
        MOMENT.isoformat(),
        MOMENT.isoformat(" "),
        "2025-05-13 15:31:00.123456-03:00",
    ],
)
def test_a_moment_is_read_in_utc(stored: object) -> None:
    """However a driver returns it, and whatever time zone the host has chosen, it is an aware moment in UTC."""
    read = UtcField().to_python_value(stored)
    assert read == MOMENT
    assert read.utcoffset() == timedelta(0)


def test_no_moment() -> None:
    """What is no moment is none."""
    assert UtcField().to_python_value(None) is None
