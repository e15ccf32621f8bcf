"""Moments as people give them: a date, a time of a day, or how long ago; and how long something is to last."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from math import isfinite

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
    if found.tzinfo is None:
        _check_clock(found, given, option)
    return found.astimezone(UTC)  # without a zone: the local one


def _check_clock(local: datetime, given: str, option: str) -> None:
    """Refuse a local time that the clocks showed twice, or never.

    Raises:
        typer.BadParameter: They did.
    """
    first, second = (local.replace(fold=fold).astimezone() for fold in (0, 1))
    if first.utcoffset() == second.utcoffset():
        return
    if first.replace(tzinfo=None) == local:
        words = "was twice, as the clocks were set back"
    else:
        words = "never was, as the clocks were set forward"
    zones = " or ".join(f"{given.strip()}{offset[:3]}:{offset[3:5]}" for offset in (f"{first:%z}", f"{second:%z}"))
    raise typer.BadParameter(f"{option} {given!r} {words}: say which moment is meant, {zones}")


def seconds(given: float | None) -> float | None:
    """Return a number of seconds; what is no number is within every bound.

    Raises:
        typer.BadParameter: It is none.
    """
    if given is not None and not isfinite(given):
        raise typer.BadParameter(f"{given} is no number of seconds")
    return given


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
    if int(found[1]) == 0:
        raise typer.BadParameter(f"{option} {given!r} is no time at all: say 90d, 12h, 45m, 2w, or never")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})
