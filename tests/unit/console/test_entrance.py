"""The link that lets one person in: once, not for ever, and nobody else."""

from __future__ import annotations

from starlette.requests import Request

from automagik_prompts.console.entrance import LINK, SESSION, Entrance
from automagik_prompts.domain.policy import Actor, Identity

ANA = Actor("ana")


class Clock:
    """A clock that is set."""

    now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def from_browser(entrance: Entrance, session: str | None) -> Request:
    """Return a request of a browser with a cookie."""
    cookie = f"{entrance.cookie}={session}".encode()
    return Request({"type": "http", "method": "GET", "path": "/", "headers": [(b"cookie", cookie)]})


def test_a_code_works_once() -> None:
    """The right code lets in once; a wrong one lets nobody in, and does not use it up."""
    shown: list[str] = []
    entrance = Entrance(ANA, shown.append, Clock())
    assert entrance.enter("") is None
    entrance.offer()
    entrance.offer()
    assert len(shown) == 1
    assert entrance.enter("wrong é") is None
    session = entrance.enter(shown[0])
    assert entrance.identify(from_browser(entrance, session)) == Identity(ANA)
    assert entrance.enter(shown[0]) is None
    entrance.offer()
    assert len(set(shown)) == 2


def test_what_ends() -> None:
    """A code that nobody has used ends, and so does a session, by itself or when somebody leaves."""
    clock, shown = Clock(), list[str]()
    entrance = Entrance(ANA, shown.append, clock)
    entrance.offer()
    clock.now = LINK + 1
    assert entrance.enter(shown[0]) is None
    entrance.offer()
    first = entrance.enter(shown[1])
    entrance.offer()
    second = entrance.enter(shown[2])
    entrance.leave(from_browser(entrance, first))
    assert entrance.identify(from_browser(entrance, first)) is None
    assert entrance.identify(from_browser(entrance, second)) is not None
    clock.now += SESSION + 1
    assert entrance.identify(from_browser(entrance, second)) is None
    assert entrance.identify(from_browser(entrance, None)) is None
