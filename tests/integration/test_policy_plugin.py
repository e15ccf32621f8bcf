"""A plugin with a policy: who acts, on whose event loop it is asked, and who is told of requests."""

from __future__ import annotations

import asyncio
import queue
import sys
import threading
from pathlib import Path

import pytest

from automagik_prompts import (
    ALLOW,
    Actor,
    ApprovalRequest,
    ConfigurationError,
    Decision,
    NotAllowedError,
    Operation,
    RequestState,
    Roles,
    TextState,
    deny,
)
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.editing import sync
from automagik_prompts.storage.database import Database
from tests.conftest import MakePlugin
from tests.reviewing import declared

ROLES = Roles(
    Actor("ana", roles=("editor", "publisher")), Actor("bea", roles=("approver",)), Actor("root", roles=("admin",))
)
ANA, BEA = Actor("ana"), Actor("bea")


@pytest.fixture
def registry() -> Registry:
    """An agent with a protected status."""
    return declared("seller")


async def test_acting_as_somebody(database_url: str, make_plugin: MakePlugin) -> None:
    """Each person has their own rights, what they do is served at once, and nobody in particular has none."""
    plugin = make_plugin(database_url, policy=ROLES)
    async with plugin:
        ana, bea = plugin.acting_as(ANA), plugin.acting_as(BEA)
        await ana.create("seller", "NEW", "by ana", activate=True)
        assert plugin.resolve("seller", "NEW").text == "by ana"
        await ana.create("seller", "APPROVED", "two")
        asked = await ana.activate("seller", "APPROVED", 2)
        assert asked.request is not None
        assert plugin.resolve("seller", "APPROVED").version == 1
        with pytest.raises(NotAllowedError, match="takes the role publisher or admin; bea has the role approver"):
            await bea.activate("seller", "APPROVED", 2)
        await bea.approve(asked.request.id)
        assert plugin.resolve("seller", "APPROVED").version == 2
        # Somebody who acts as somebody else is the one who was named last.
        assert ana.acting_as(BEA).actor == BEA
        with pytest.raises(NotAllowedError, match="Nobody said who acts"):
            await plugin.activate("seller", "NEW", 1)
        with pytest.raises(ConfigurationError, match=r"author=\.\.\. .--author. is refused"):
            await plugin.activate("seller", "NEW", 1, author="ana")
        with pytest.raises(NotAllowedError, match="ana may not sync"):
            await ana.sync()
        assert await plugin.acting_as(Actor("root")).sync() == ()
        with pytest.raises(NotAllowedError):
            await ana.authorize(Operation.APPROVE, "seller", "APPROVED")
        await ana.authorize(Operation.ACTIVATE, "seller", "APPROVED")


async def test_the_author_of_the_settings_acts(database_url: str, make_plugin: MakePlugin) -> None:
    """A process that edits by itself says once who it is."""
    plugin = make_plugin(database_url, policy=ROLES, author="ana")
    async with plugin:
        assert (await plugin.create("seller", "NEW", "two", activate=True)).active_version == 2
        assert (await plugin.events("seller", limit=1)).items[0].actor_id == "ana"


async def test_it_is_asked_on_the_callers_event_loop(database_url: str, make_plugin: MakePlugin) -> None:
    """So it can use what the application has opened there; a run's thread and the database wait for nothing."""
    threads: list[threading.Thread] = []
    lock = asyncio.Lock()

    async def policy(
        _actor: Actor | None,
        _operation: Operation,
        _agent: str,
        _status_key: str,
        _before: TextState | None,
        after: TextState | None,
    ) -> Decision:
        threads.append(threading.current_thread())
        async with lock:  # of this loop
            await asyncio.sleep(0)
        return ALLOW if after is not None and "discount" not in after.text else deny("We give no discounts.")

    plugin = make_plugin(database_url, policy=policy)
    async with plugin:
        with pytest.raises(NotAllowedError, match=r"may not create seller/NEW\. We give no discounts\."):
            await plugin.create("seller", "NEW", "10 % discount")
        await asyncio.gather(*(plugin.create("seller", "NEW", f"text {number}") for number in range(3)))
    assert set(threads) == {threading.current_thread()}


async def test_those_who_approve_are_told(database_url: str, make_plugin: MakePlugin) -> None:
    """Once for each request and each emergency, sync or async, away from whoever asks; one that raises hurts nobody."""
    told: queue.Queue[ApprovalRequest] = queue.Queue()

    class Policy(Roles):
        """Roles, and somebody who wants to know."""

        def on_request(self, request: ApprovalRequest) -> None:
            """Note it."""
            told.put(request)

    plugin = make_plugin(database_url, policy=Policy(Actor("ana", roles=("admin",))))

    @plugin.on_request
    async def mail(request: ApprovalRequest) -> None:
        await asyncio.sleep(0)
        told.put(request)

    @plugin.on_request
    def broken(_request: ApprovalRequest) -> None:
        raise ValueError("broken")

    async with plugin:
        ana = plugin.acting_as(ANA)
        await ana.create("seller", "APPROVED", "two")
        asked = await ana.activate("seller", "APPROVED", 2)
        await ana.activate("seller", "APPROVED", 2)  # it waits already
        assert [await asyncio.to_thread(told.get, timeout=10) for _ in range(2)] == [asked.request] * 2
        done = await ana.activate("seller", "APPROVED", 2, emergency=True, note="it was wrong")
        assert [await asyncio.to_thread(told.get, timeout=10) for _ in range(2)] == [done.request] * 2
        assert done.request is not None
        assert done.request.state is RequestState.EMERGENCY
    assert told.empty()


async def test_what_code_asks_for_is_told(
    database_url: str, make_plugin: MakePlugin, caplog: pytest.LogCaptureFixture
) -> None:
    """A start whose code wants approval says so in the log and to the callbacks, once."""
    async with Database(database_url) as database:
        await sync.seed(database, declared("seller").agents)
    told: queue.Queue[ApprovalRequest] = queue.Queue()
    code = declared("seller", "code two", approve_code=True)
    plugin = make_plugin(database_url, registry=code)
    plugin.on_request(told.put)
    async with plugin:
        asked = await asyncio.to_thread(told.get, timeout=10)
        assert (asked.author, asked.version, asked.agent) == ("code", 2, "seller")
        assert plugin.resolve("seller", "APPROVED").text == "code one, approved"
        assert plugin.resolve("seller", "NEW").text == "code two"
    again = make_plugin(database_url, registry=code)
    again.on_request(told.put)
    async with again:
        pass
    assert told.empty()
    assert caplog.text.count("waits for approval, as the code wants it") == 1


async def test_a_policy_by_its_name(
    database_url: str, make_plugin: MakePlugin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A setting names where it is; it is loaded when it is asked, and one that is not there lets nothing through."""
    (tmp_path / "shop_policy.py").write_text(
        "from automagik_prompts import Actor, Roles\npolicy = Roles(Actor('ana', roles=['publisher']))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "shop_policy", raising=False)
    monkeypatch.setenv("AUTOMAGIK_PROMPTS_POLICY", "shop_policy:policy")
    plugin = make_plugin(database_url)
    async with plugin:
        assert (await plugin.acting_as(ANA).activate("seller", "NEW", 1)).active_version == 1
        with pytest.raises(NotAllowedError, match="ana may not create"):
            await plugin.acting_as(ANA).create("seller", "NEW", "two")
    monkeypatch.setenv("AUTOMAGIK_PROMPTS_POLICY", "shop_policy:gone")
    other = make_plugin(database_url)
    async with other:
        assert other.resolve("seller", "NEW").version == 1  # what is served needs no policy
        with pytest.raises(ConfigurationError, match="'shop_policy:gone' cannot be loaded"):
            await other.acting_as(ANA).activate("seller", "NEW", 1)
