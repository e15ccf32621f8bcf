from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from automagik_prompts.storage.database import Database
from automagik_prompts.storage.models import PromptRow, UtcField

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


class _InUse(list[object]):
    """A list by which another thread is reading rows at this moment."""

    def clear(self) -> None:
        """Be emptied, which must not happen."""
        raise AssertionError("a row that is being read lacks its columns")


async def test_opening_a_database_does_not_disturb_who_reads_from_another(sqlite_url: str, postgres_url: str) -> None:
    """What rows are read by stays whole, and is the same on each engine."""
    lists = ("db_native_fields", "db_default_fields", "db_complex_fields")
    found = []
    for url in (sqlite_url, postgres_url, sqlite_url):
        async with Database(url):
            found.append({name: sorted(entry[0] for entry in getattr(PromptRow._meta, name)) for name in lists})
        for name in lists:
            setattr(PromptRow._meta, name, _InUse(getattr(PromptRow._meta, name)))
    assert found[0] == found[1] == found[2]
    assert "id" in found[0]["db_native_fields"]
    assert "created_at" in found[0]["db_complex_fields"]
