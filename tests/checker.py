"""Checking what a database holds against what must always hold, past the library: by the bare driver."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import Any

from tests.faults import execute

Active = dict[tuple[str, str], int]
"""The active version's number, by agent and status."""


async def check(url: str) -> Active:
    """Check every agent, whoever wrote to it in whatever order, and return what is active.

    Versions are numbered without a gap, but for those that an event says were deleted, and no number means two texts.
    At most one version of a status is active: the one that the events end with, or none after a deactivation. The agent
    points to the active version of its primary status. Revisions never go back, and each text has its own hash.

    Args:
        url: The database URL.

    Raises:
        AssertionError: Something does not hold; the message says what.
    """
    found: Active = {}
    for id_, name, primary, pointer, revision in await execute(
        url, "SELECT id, name, default_status_key, active_default_prompt_id, revision FROM agents"
    ):
        prompts = await execute(
            url,
            "SELECT id, status_key, version, is_active, content_hash, prompt_text FROM prompts "
            f"WHERE agent_id = {id_} ORDER BY id",
        )
        events = await execute(
            url,
            "SELECT status_key, action, prompt_id, version, from_version, revision FROM prompt_events "
            f"WHERE agent_id = {id_} ORDER BY id",
        )
        versions: dict[str, dict[int, int]] = defaultdict(dict)
        active: dict[str, int] = {}
        for prompt_id, status_key, version, is_active, digest, text in prompts:
            where = f"{name}/{status_key}, version {version}"
            assert version not in versions[status_key], f"{where} is there twice"
            assert digest == hashlib.sha256(text.encode()).hexdigest(), f"{where} has another text's hash"
            versions[status_key][version] = prompt_id
            if is_active:
                assert status_key not in active, f"{name}/{status_key} has two active versions"
                active[status_key] = version
        wanted = versions[primary][active[primary]] if primary in active else None
        assert pointer == wanted, f"{name} points to {pointer}, and {wanted} is the active version of {primary}"
        _replay(name, revision, events, versions, active)
        found |= {(name, status_key): version for status_key, version in active.items()}
    return found


def _replay(
    name: str,
    revision: int,
    events: list[tuple[Any, ...]],
    versions: dict[str, dict[int, int]],
    active: dict[str, int],
) -> None:
    """Do again what the events say, and compare what comes out with what is there."""
    there: dict[str, dict[int, int]] = defaultdict(dict)
    latest: dict[str, int] = defaultdict(int)
    now: dict[str, int] = {}
    before = 0
    for status_key, action, prompt_id, version, from_version, at in events:
        where = f"{name}/{status_key}, version {version}, {action}"
        assert before <= at <= revision, f"{where}: revision {at} comes after {before}, and the agent has {revision}"
        before = at
        if action == "facts":
            assert (status_key, version) == ("", None), where
            continue
        if action == "created":
            assert version == latest[status_key] + 1, f"{where}: the one before was {latest[status_key]}"
            latest[status_key] = version
            there[status_key][version] = prompt_id
            continue
        assert there[status_key].get(version) == prompt_id, f"{where}: there is no such version"
        if action == "deleted":
            assert now.get(status_key) != version, f"{where}: it was active"
            del there[status_key][version]
            continue
        assert from_version == now.get(status_key), f"{where}: {from_version} was not active before it"
        if action in {"activated", "rolled_back"}:
            now[status_key] = version
        elif action == "deactivated":
            assert now.pop(status_key, None) == version, f"{where}: it was not active"
        else:
            assert action == "drift", f"{where}: that is no action of these writers"
    assert {key: ids for key, ids in there.items() if ids} == {key: ids for key, ids in versions.items() if ids}
    assert now == active, f"{name}: by the events {now} is active, and {active} is"
