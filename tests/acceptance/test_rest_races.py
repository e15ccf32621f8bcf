"""Writing through the API at once, and again: nothing is lost, and nothing is done twice."""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from random import Random
from signal import SIGKILL
from threading import Barrier, Timer
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.processes import Child, Launcher
from tests.rest import PROTECTED, STATUS, signed_in

WRITERS = 20
PATIENCE = 60.0


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> Random:
    """Chance, from a seed that is printed with a failure; put it here to repeat one."""
    seed = time.time_ns() % 1_000_000
    print(f"seed {seed}")
    request.node.user_properties.append(("seed", seed))
    return Random(seed)


@contextmanager
def process(launcher: Launcher, url: str) -> Iterator[tuple[Child, str]]:
    """Give a process that serves the API, and its address."""
    with launcher.fork("tests.rest:serve", url) as child:
        yield child, child.answer()


def client(address: str, name: str = "ana") -> httpx.Client:
    """Return a client of somebody."""
    return httpx.Client(base_url=address, headers=signed_in(name), timeout=PATIENCE)


def texts(address: str, path: str = STATUS) -> dict[int, str]:
    """Return the texts of all versions by their numbers."""
    with client(address) as asking:
        listed = asking.get(f"{path}/versions", params={"limit": 1000}).json()["items"]
        return {one["version"]: asking.get(f"{path}/versions/{one['version']}").json()["text"] for one in listed}


def test_twenty_edit_at_once(launcher: Launcher, database_url: str) -> None:
    """Each adds a word to what it has read; whoever was too late reads and tries again, and no word is lost."""

    def add(number: int) -> Counter[int]:
        answered: Counter[int] = Counter()
        with client(address, f"writer-{number}") as writing:
            start.wait(PATIENCE)
            while not answered[201]:
                before = writing.get(STATUS)
                active = writing.get(f"{STATUS}/versions/{before.json()['active_version']}").json()
                answer = writing.post(
                    f"{STATUS}/versions",
                    json={"text": f"{active['text']} word-{number}", "activate": True},
                    headers={"If-Match": before.headers["ETag"]},
                )
                answered[answer.status_code] += 1
                if answer.status_code == 412:
                    assert answer.json()["present"]["active_version"] >= active["version"]
                    assert answer.headers["ETag"] != before.headers["ETag"]
        return answered

    start = Barrier(WRITERS)
    with process(launcher, database_url) as (_, address):
        with ThreadPoolExecutor(WRITERS) as pool:
            answered = sum(pool.map(add, range(WRITERS)), Counter[int]())
        written = texts(address)
        with client(address) as asking:
            events = asking.get("/events", params={"status_key": "NEW", "agent": "seller/de", "limit": 1000})
    assert set(answered) == {201, 412}
    assert answered[201] == WRITERS
    assert sorted(written) == list(range(1, WRITERS + 2))
    # Each version is the one before with one word more: nobody has written over anybody.
    for version in range(2, WRITERS + 2):
        assert written[version].startswith(f"{written[version - 1]} word-")
    words = written[WRITERS + 1].split()[2:]
    assert sorted(words) == sorted(f"word-{number}" for number in range(WRITERS))
    activated = [one for one in events.json()["items"] if one["action"] == "activated" and one["from_version"]]
    assert sorted((one["from_version"], one["version"]) for one in activated) == [
        (number, number + 1) for number in range(1, WRITERS + 1)
    ]


def write(asking: httpx.Client, text: str, key: str) -> httpx.Response:
    """Write a version and activate it, known by a key."""
    headers = {"If-Match": "*", "Idempotency-Key": key}
    return asking.post(f"{STATUS}/versions", json={"text": text, "activate": True}, headers=headers)


def assert_written_once(address: str, sent: list[str]) -> None:
    """See that each text is one version, and was activated once."""
    written = texts(address)
    counted = Counter(written.values())
    assert {text: counted[text] for text in sent} == dict.fromkeys(sent, 1)
    with client(address) as asking:
        events = asking.get("/events", params={"limit": 1000}).json()["items"]
    done = Counter((one["action"], written[one["version"]]) for one in events if one["status_key"] == "NEW")
    for text in sent:
        assert (done["created", text], done["activated", text]) == (1, 1)


def test_servers_that_are_killed_while_they_write(launcher: Launcher, database_url: str, chance: Random) -> None:
    """Whenever a process is killed in the middle of writes, repeating each with its key writes each once."""
    sent: list[str] = []
    outcomes: Counter[str] = Counter()

    def try_once(asking: httpx.Client, text: str) -> None:
        try:
            outcomes[str(write(asking, text, text).status_code)] += 1
        except httpx.TransportError:
            outcomes["cut off"] += 1

    for attempt in range(3):
        began = len(sent)
        with process(launcher, database_url) as (child, address), client(address) as asking:
            kill = Timer(chance.uniform(0.0, 0.06), child.send_signal, (SIGKILL,))
            with ThreadPoolExecutor(4) as pool:
                kill.start()
                for number in range(24):
                    sent.append(f"attempt-{attempt}-write-{number}")
                    pool.submit(try_once, asking, sent[-1])
            kill.join()
        with process(launcher, database_url) as (_, address), client(address) as asking:
            again = [write(asking, text, text) for text in sent[began:]]
            assert {one.status_code for one in again} == {201}
            outcomes["replayed"] += sum("Idempotency-Replayed" in one.headers for one in again)
            assert write(asking, "Another text", sent[-1]).json()["type"].endswith(":key-reused")
    with process(launcher, database_url) as (_, address):
        assert_written_once(address, sent)
    assert outcomes["cut off"], outcomes
    assert outcomes["replayed"] >= outcomes["201"]


def test_clients_that_are_cut_off_while_they_write(launcher: Launcher, database_url: str, chance: Random) -> None:
    """Whenever a client's connection is cut in the middle of a write, repeating it with its key writes it once."""
    sent = [f"write-{number}" for number in range(30)]
    with process(launcher, database_url) as (_, address), client(address) as asking:
        place = urlsplit(address)
        assert place.hostname is not None
        for text in sent:
            request = asking.build_request(
                "POST",
                f"{STATUS}/versions",
                json={"text": text, "activate": True},
                headers={"If-Match": "*", "Idempotency-Key": text},
            )
            raw = _raw(request)
            cut = chance.choice([len(raw), len(raw), chance.randrange(1, len(raw))])
            with socket.create_connection((place.hostname, place.port or 80), PATIENCE) as connection:
                connection.sendall(raw[:cut])
                connection.settimeout(chance.uniform(0.001, 0.05))
                with suppress(TimeoutError):
                    connection.recv(1)
            again = asking.send(request)
            assert again.status_code == 201
        assert_written_once(address, sent)


def _raw(request: httpx.Request) -> bytes:
    """Return the bytes of a request."""
    head = b"".join(name + b": " + value + b"\r\n" for name, value in request.headers.raw)
    return b"POST " + request.url.raw_path + b" HTTP/1.1\r\n" + head + b"\r\n" + request.read()


def test_the_same_write_sent_twice_at_once(launcher: Launcher, database_url: str) -> None:
    """Of two at once with one key one is done, and both are answered alike; with other bodies one is refused."""
    sent = [f"round-{number}" for number in range(20)]
    with process(launcher, database_url) as (_, address), client(address) as one, client(address) as other:
        with ThreadPoolExecutor(2) as pool:

            def both(path: str, bodies: list[Any], headers: dict[str, str]) -> list[httpx.Response]:
                start = Barrier(2)

                def send(asking: httpx.Client, body: Any) -> httpx.Response:
                    start.wait(PATIENCE)
                    return asking.post(path, json=body, headers=headers)

                return list(pool.map(send, (one, other), bodies))

            for text in sent:
                # It rests on what it changes itself: the second one is no conflict with the first.
                headers = {"If-Match": one.get(STATUS).headers["ETag"], "Idempotency-Key": text}
                found = both(f"{STATUS}/versions", [{"text": text, "activate": True}] * 2, headers)
                assert [answer.status_code for answer in found] == [201, 201]
                assert found[0].content == found[1].content
                assert found[0].headers["ETag"] == found[1].headers["ETag"]
                assert sorted("Idempotency-Replayed" in answer.headers for answer in found) == [False, True]
            for number in range(10):
                key = {"If-Match": "*", "Idempotency-Key": f"other-{number}"}
                found = both(f"{STATUS}/versions", [{"text": f"Either {number}"}, {"text": f"Or {number}"}], key)
                refused, done = sorted(found, key=lambda answer: answer.status_code, reverse=True)
                assert (refused.status_code, done.status_code) == (422, 201)
                assert refused.json()["type"] == "urn:automagik-prompts:problem:key-reused"
            with client(address, "bea") as one, client(address, "bea") as other:
                for number in range(5):
                    asked = httpx.post(
                        f"{address}{PROTECTED}/versions",
                        json={"text": f"Prices {number}", "activate": True},
                        headers={"If-Match": "*", **signed_in("ana")},
                    )
                    path = f"/requests/{asked.json()['request']['request']}"
                    tag = one.get(path).headers["ETag"]
                    found = both(
                        f"{path}/approve", [{}, {}], {"If-Match": tag, "Idempotency-Key": f"approval-{number}"}
                    )
                    assert [answer.status_code for answer in found] == [200, 200], [answer.text for answer in found]
                    assert found[0].content == found[1].content
        assert_written_once(address, sent)
