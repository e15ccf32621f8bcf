"""What was really active, one state after the other, by the database's own events; and whether a process follows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from benchmarks.soak.runner import AGENT, STATUSES, Seen, Told, told
from tests import checker
from tests.faults import execute

State = Mapping[str, Told]
"""What is served for each status when everything is well."""


async def read(url: str) -> list[State]:
    """Return every state that was ever committed, in order.

    Args:
        url: The database URL.

    Raises:
        AssertionError: The database does not hold together; the message says where.
    """
    await checker.check(url)
    texts = {
        (status_key, version): told(text)
        for status_key, version, text in await execute(
            url,
            "SELECT p.status_key, p.version, p.prompt_text FROM prompts p JOIN agents a ON a.id = p.agent_id "
            f"WHERE a.name = '{AGENT}'",
        )
    }
    events = await execute(
        url,
        "SELECT e.revision, e.status_key, e.action, e.version FROM prompt_events e JOIN agents a ON a.id = e.agent_id "
        f"WHERE a.name = '{AGENT}' ORDER BY e.id",
    )
    active: dict[str, Told] = {}
    states: list[State] = []
    # All of one transaction has one revision.
    for _, group in groupby(events, lambda event: int(event[0])):
        for _, status_key, action, version in group:
            if action in {"activated", "rolled_back"}:
                active[status_key] = texts[status_key, version]
            elif action == "deactivated":
                del active[status_key]
        if (first := active.get(STATUSES[0])) is not None:
            # A status without an active version is served the first one's text: that fallback is documented.
            states.append({status_key: active.get(status_key, first) for status_key in STATUSES})
    return states


def deviation(states: Sequence[State], seen: Iterable[Seen], began: Mapping[int, float]) -> str | None:
    """Return where a worker was told what was not active, or what was active only before; `None` where it never was.

    Args:
        states: What was active, in order.
        seen: What the worker was told, in order.
        began: When the writing of each text began.
    """
    place = 0
    for each in seen:
        found = next((at for at in range(place, len(states)) if states[at][each.status_key] == each.told), None)
        what = f"A model was told text {each.told[1]} of {each.told[0]} in the status {each.status_key}"
        if found is None:
            ever = any(state[each.status_key] == each.told for state in states)
            return f"{what}, {'and something newer before' if ever else 'which never was active there'}."
        if each.at < began.get(each.told[1], 0.0):
            return f"{what} before anybody had written it."
        place = found
    return None
