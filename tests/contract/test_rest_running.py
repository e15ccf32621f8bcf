"""What the API tells of the fleet and of usage, and waiting for who follows, on each engine."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

pytest.importorskip("fastapi", reason="the extra api is not installed")

from pydantic_ai import Agent
from pydantic_ai.models.test import TestModel

from automagik_prompts import ActivePrompt
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.roles import Roles
from automagik_prompts.plugin import PromptPlugin
from tests.conftest import MakePlugin
from tests.rest import PATIENCE, PROTECTED, STATUS, client, declare, identify, served, signed_in
from tests.waiting import wait_until

ANY = {"If-Match": "*"}


@pytest.fixture
def plugin(database_url: str, make_plugin: MakePlugin, registry: Registry) -> PromptPlugin:
    """A plugin that says that it follows."""
    declare(registry, "Hi")
    return make_plugin(database_url, startup_timeout=PATIENCE, policy=Roles(), release="r1")


@pytest.fixture
def asking(plugin: PromptPlugin) -> Iterator[httpx.Client]:
    """A client of an admin's."""
    with served(plugin.api(identify=identify)) as address, client(address) as asking:
        yield asking


def test_the_fleet(asking: httpx.Client) -> None:
    """Each process is listed with its release and how it stands; only for who may look at all agents."""
    asking.get("/agents")
    wait_until(lambda: asking.get("/fleet").json()["processes"], "it says that it follows")
    fleet = asking.get("/fleet").json()
    (one,) = fleet["processes"]
    assert (one["release"], one["state"], one["behind"], one["problems"]) == ("r1", "follows", 0, [])
    assert fleet["unknown"] == 0
    refused = asking.get("/fleet", headers=signed_in("eve:nobody"))
    assert (refused.status_code, refused.json()["operation"]) == (403, "view")


def test_waiting_for_who_follows(asking: httpx.Client) -> None:
    """Who waits is told who serves it; nobody waits for what waits itself, or too long."""
    for text in ("Hello", "Good day"):
        written = asking.post(f"{STATUS}/versions", json={"text": text}, headers=ANY)
    assert (written.status_code, written.json()["followers"]) == (201, None)
    done = asking.post(f"{STATUS}/activate", json={"version": 2, "wait": 60}, headers=ANY)
    assert done.status_code == 200, done.text
    told = done.json()["followers"]
    assert (told["version"], told["late"], told["error"]) == (2, 0, None)
    assert [(one["release"], one["following"]) for one in told["processes"]] == [("r1", "serves")]
    key = {**ANY, "Idempotency-Key": "once"}
    for _ in range(2):
        back = asking.post(f"{STATUS}/rollback", json={"wait": 60}, headers=key)
        assert (back.status_code, back.json()["active_version"]) == (200, 1)
    assert back.headers["idempotency-replayed"] == "true"
    assert asking.post(f"{STATUS}/deactivate", json={"wait": 60}, headers=ANY).json()["followers"]["version"] is None
    asking.post(f"{PROTECTED}/versions", json={"text": "Prices"}, headers=ANY)
    asked = asking.post(f"{PROTECTED}/activate", json={"version": 2, "wait": 60}, headers=ANY)
    assert (asked.status_code, asked.json()["followers"]) == (202, None)
    assert asking.post(f"{STATUS}/activate", json={"version": 2, "wait": 61}, headers=ANY).status_code == 422


def test_usage(asking: httpx.Client, plugin: PromptPlugin) -> None:
    """It is told for each version to how many runs it was sent, of one status or of all."""
    asking.post(f"{STATUS}/versions", json={"text": "Hello"}, headers=ANY)
    agent = Agent(TestModel(), capabilities=[ActivePrompt("seller/de", plugin=plugin)])
    for _ in range(3):
        agent.run_sync("Hm?")
    # It is written with the next sign of life, which a change brings about.
    asking.post(f"{STATUS}/activate", json={"version": 2}, headers=ANY)

    def usage(**ask: str) -> dict[tuple[str, int], int]:
        answer = asking.get("/agents/seller%2Fde/usage", params=ask)
        assert answer.status_code == 200, answer.text
        found = answer.json()["items"]
        assert all((one["last_day"] is None) == (not one["runs"]) for one in found)
        assert all(one["runs"] == one["runs_in_7_days"] for one in found)
        return {(one["status_key"], one["version"]): one["runs"] for one in found}

    wait_until(lambda: usage().get(("NEW", 1)) == 3, "the runs are counted", PATIENCE)
    assert usage() == {("APPROVED", 1): 0, ("NEW", 1): 3, ("NEW", 2): 0}
    assert usage(status_key="new") == {("NEW", 1): 3, ("NEW", 2): 0}
    assert asking.get("/agents/nobody/usage").status_code == 404
    assert asking.get("/agents/seller%2Fde/usage", headers=signed_in("eve:nobody")).status_code == 403
