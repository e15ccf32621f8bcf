"""The stream of events over a real server: who is cut off and comes back misses nothing and gets nothing twice."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest

pytest.importorskip("fastapi", reason="the extra api is not installed")

from automagik_prompts.api import stream
from automagik_prompts.declaring.registry import Registry
from tests.conftest import MakePlugin
from tests.rest import PATIENCE, client, declare, events, identify, say, served
from tests.waiting import wait_until

WRITES = 40


@pytest.fixture
def address(database_url: str, make_plugin: MakePlugin, registry: Registry) -> Iterator[str]:
    """A server over a database with the agent."""
    declare(registry)
    plugin = make_plugin(database_url, startup_timeout=PATIENCE, heartbeat=0)
    with served(plugin.api(identify=identify)) as address:
        yield address


def test_cut_off_and_back(address: str) -> None:
    """Twenty times cut off at random, while two write: each event comes once, in its order."""
    seed = time.time_ns() % 1_000_000
    print(f"seed {seed}")
    chance = Random(seed)

    def write(name: str) -> None:
        with client(address, name) as asking:
            for number in range(WRITES):
                say(asking, f"{name} {number}")

    got: list[int] = []
    with client(address) as asking, ThreadPoolExecutor(2) as pool:
        asking.get("/agents")  # what the code declares is written
        begin = asking.get("/events/feed", params={"limit": 1000}).json()["next"]
        writing = [pool.submit(write, name) for name in ("bea", "cyn")]
        last = begin
        deadline = time.monotonic() + PATIENCE
        while len(got) < 2 * WRITES and time.monotonic() < deadline:
            with asking.stream("GET", "/events/stream", headers={"Last-Event-ID": last}) as answer:
                assert answer.headers["content-type"].startswith("text/event-stream")
                most = chance.randrange(1, 8)
                for number, event in events(answer):
                    got.append(event["id"])
                    last = number
                    most -= 1
                    if not most or len(got) >= 2 * WRITES:
                        break
        for one in writing:
            one.result()
        wanted = asking.get("/events/feed", params={"last": begin, "limit": 1000}).json()["items"]
    assert got == [event["id"] for event in wanted]
    assert len(got) == 2 * WRITES


def test_a_stream_begins_now(address: str) -> None:
    """Without a number it tells what is done from now on, and nothing that was done before."""
    with client(address) as asking:
        say(asking, "before")
        with asking.stream("GET", "/events/stream") as answer, ThreadPoolExecutor(1) as pool:
            found = events(answer)
            lines = pool.submit(next, found)
            with client(address, "bea") as other:
                say(other, "after")
            assert lines.result()[1]["note"] == "after"


def test_one_actor_has_so_many_streams(address: str) -> None:
    """One more is refused, others are not; a place is free again once a stream is left."""
    with client(address) as asking:
        open_ = [asking.stream("GET", "/events/stream", params={"last": 0}) for _ in range(stream.MOST_EACH)]
        answers = [one.__enter__() for one in open_]
        assert {answer.status_code for answer in answers} == {200}
        refused = asking.get("/events/stream", params={"last": 0})
        assert (refused.status_code, refused.json()["type"]) == (429, "urn:automagik-prompts:problem:too-many")
        with (
            client(address, "bea") as other,
            other.stream("GET", "/events/stream", params={"last": 0}) as allowed,
        ):
            assert allowed.status_code == 200
        for one in open_:
            one.__exit__(None, None, None)

        def is_free() -> bool:
            with asking.stream("GET", "/events/stream", params={"last": 0}) as again:
                return again.status_code == 200

        wait_until(is_free, "a place is free again")


def test_the_feed_in_pages(address: str) -> None:
    """Each page says where the next begins, also where nothing is new."""
    with client(address) as asking:
        for number in range(5):
            say(asking, str(number))
        last, notes = "0", list[str]()
        while True:
            page = asking.get("/events/feed", params={"last": last, "limit": 2}).json()
            notes += [event["note"] for event in page["items"] if event["action"] == "commented"]
            if page["next"] == last:
                break
            last = page["next"]
        assert notes == ["0", "1", "2", "3", "4"]
        assert page["items"] == []
