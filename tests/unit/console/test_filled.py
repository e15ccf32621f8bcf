"""Sample values that say what they are, and what becomes of versions over time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from automagik_prompts.console.pages.deciding.timeline import periods_of, timeline
from automagik_prompts.console.pages.filled import bare_names, named_values
from automagik_prompts.domain.records import Action, Event, Prompt

BEGAN = datetime(2026, 11, 1, tzinfo=UTC)


def test_values_say_what_they_are() -> None:
    """Parts of objects and items of lists, whatever is exposed above them; the library's own have their own values."""
    assert named_values(["customer_name", "contact", "contact.name", "items[].price", "tags[]", "vip?", "today"]) == {
        "customer_name": "Customer name",
        "contact": {"name": "Name"},
        "items": [{"price": "Price"}],
        "tags": ["Tags"],
        "vip": "Vip",
    }


def test_names_are_written_as_people_do() -> None:
    """What a text only asks for is the same variable."""
    assert bare_names(["vip?", "vip", "name"]) == ("name", "vip")


def event(hours: int, action: Action, version: int | None, note: str | None = None) -> Event:
    """Return something that Joao did to the active version."""
    moment = BEGAN + timedelta(hours=hours)
    return Event(hours, 1, "NEW", action, version, version, None, "joao", note, hours, moment)


def prompt(version: int, *, active: bool = False, withdrawn: bool = False) -> Prompt:
    """Return a version."""
    return Prompt(
        version, 1, "NEW", version, "Hi", "text", active, False, None, "", "joao", None, BEGAN, BEGAN, withdrawn
    )


EVENTS = [
    event(50, Action.ACTIVATED, 1),
    event(40, Action.DEACTIVATED, 1),
    event(30, Action.ROLLED_BACK, 1, "twice as many questions"),
    event(20, Action.ACTIVATED, 2),
    event(15, Action.KEPT, 1),
    event(10, Action.ACTIVATED, 1),
]


def test_when_versions_were_active() -> None:
    """Each time has what began and what ended it; what changes nothing ends nothing."""
    found = [(one.version, one.seconds / 3600, one.ended is None) for one in periods_of(EVENTS)]
    assert [(version, ended) for version, _, ended in found] == [(1, False), (2, False), (1, False), (1, True)]
    assert [hours for _, hours, ended in found if not ended] == [10, 10, 10]


def test_what_became_of_versions() -> None:
    """Rolled back and why, how long, never, and nothing where it is not known."""
    versions = [prompt(4, withdrawn=True), prompt(3), prompt(2), prompt(1, active=True)]
    quoted = "\N{LEFT DOUBLE QUOTATION MARK}twice as many questions\N{RIGHT DOUBLE QUOTATION MARK}"
    stories = [one.story for one in timeline(versions, periods_of(EVENTS), (), is_whole=True)]
    assert stories == [
        "withdrawn: nobody is sent it any more",
        "never active",
        f"rolled back after 10 h by joao: {quoted}",
        "",
    ]
    later = timeline([prompt(1), prompt(3)], periods_of(EVENTS[1:]), (), is_whole=False)
    assert [one.story for one in later] == ["active for 20 h", ""]
