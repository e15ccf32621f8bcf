"""Moments as people give them: a date, a time of a day, or how long ago; and how long something is to last."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import typer

_AGO = re.compile(r"(\d{1,6})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment(given: str, option: str, now: datetime | None = None) -> datetime:
    """Return a moment in UTC.

    Args:
        given: `2026-11-24`, `2026-11-24T14:00`, the same with a zone, or `3d`, `12h`, `45m` for so long ago. Without a
            zone it is the local time.
        option: The option, for the message.
        now: The present moment.

    Raises:
        typer.BadParameter: It is none of these.
    """
    present = now or datetime.now(UTC)
    if ago := _AGO.fullmatch(given.strip()):
        try:
            return present - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        except OverflowError:
            raise typer.BadParameter(f"{option} {given!r} is longer ago than there are dates") from None
    try:
        found = datetime.fromisoformat(given.strip())
    except ValueError:
        raise typer.BadParameter(
            f"{option} {given!r} is no moment: say 2026-11-24, 2026-11-24T14:00, or 3d, 12h, 45m for so long ago"
        ) from None
    return found.astimezone(UTC)  # without a zone: the local one


def duration(given: str, option: str) -> timedelta | None:
    """Return how long something is to last; `None` for ever.

    Args:
        given: `90d`, `12h`, `45m`, `2w`, or `never`.
        option: The option, for the message.

    Raises:
        typer.BadParameter: It is none of these.
    """
    if given.strip() == "never":
        return None
    if not (found := _AGO.fullmatch(given.strip())):
        raise typer.BadParameter(f"{option} {given!r} is no time: say 90d, 12h, 45m, 2w, or never")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})
