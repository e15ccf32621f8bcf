"""How pages say things: moments, ages, numbers of things."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from markupsafe import Markup, escape

from automagik_prompts.domain.invisible import shown


def local(moment: datetime) -> datetime:
    """Return a moment in the zone of this process; one without a zone is in UTC."""
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).astimezone()


def zone() -> str:
    """Return what the zone of this process is called."""
    return datetime.now(UTC).astimezone().tzname() or "UTC"


def brief(moment: datetime, now: datetime | None = None) -> str:
    """Return a moment as people say it: `11:06` today, `Wed 09:12` within seven days, else `12 Oct`, `12 Oct 2024`."""
    at, today = local(moment), local(now or datetime.now(UTC))
    if at.date() == today.date():
        return f"{at:%H:%M}"
    if timedelta(0) <= today - at < timedelta(days=7):
        return f"{at:%a %H:%M}"
    return f"{at.day} {at:%b}" if at.year == today.year else f"{at.day} {at:%b %Y}"


def when(moment: datetime | None) -> Markup:
    """Return a moment for a page, with the whole of it for programs and for who points at it."""
    if moment is None:
        return Markup("")
    at = local(moment)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        at.isoformat(timespec="seconds"), f"{at:%d %b %Y, %H:%M:%S}", brief(moment)
    )


def day(moment: datetime, now: datetime | None = None) -> str:
    """Return the day of a moment: `Today, Tuesday 24 November`, `Monday 23 November`, else with its year."""
    at, today = local(moment), local(now or datetime.now(UTC))
    name = f"{at:%A} {at.day} {at:%B}" + ("" if at.year == today.year else f" {at.year}")
    return f"Today, {name}" if at.date() == today.date() else name


def span(seconds: float) -> str:
    """Return a span of time: `0.4 s`, `12 s`, `6 min`, `3 h`, `40 d`."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {unit}"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"


def plural(count: int, one: str, many: str | None = None) -> str:
    """Return a number of things: `1 process`, `2 processes`, `20 000 agents`."""
    return f"{number(count)} {one if count == 1 else many or one + 's'}"


def number(count: int) -> str:
    """Return a number as it is read, with its thousands apart: `20 000`."""
    return f"{count:,}".replace(",", "\N{NO-BREAK SPACE}")


_CODE = re.compile(r"(\{\{.*?\}\})")


def beginning(text: str) -> Markup:
    """Return the first line of a text, with its variables marked."""
    line = shown(next((line for line in text.splitlines() if line.strip()), "").strip())
    return Markup("").join(
        Markup("<var>{}</var>").format(part) if part.startswith("{{") else escape(part) for part in _CODE.split(line)
    )


def owned(name: str) -> str:
    """Return whose something is: `marta's`."""
    return f"{name}\N{RIGHT SINGLE QUOTATION MARK}s"
