"""The API on each engine: what it gives, what a write needs, and what becomes of errors."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from automagik_prompts.api.guards import MAX_BODY
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.policy import Actor, Identity
from automagik_prompts.domain.roles import Roles
from automagik_prompts.editing.access import repeating
from automagik_prompts.editing.access.repeating import KEPT
from automagik_prompts.storage.connection import Client, Connection, engine_of
from automagik_prompts.storage.database import Database
from tests.api_server import PATIENT, Served, create, declare, served, tag_of
from tests.conftest import MakePlugin

NEW = "/agents/stan/statuses/NEW"
APPROVED = "/agents/stan/statuses/APPROVED"
PROBLEM = "application/problem+json"
ABOUT = {"agent": "stan", "status_key": "NEW"}


@pytest.fixture
def server(database_url: str, make_plugin: MakePlugin, registry: Registry) -> Iterator[Served]:
    """A server over a database with the schema, whose plugin nobody has started."""
    declare(registry)
    with served(make_plugin(database_url, **PATIENT)) as running:
        yield running


@pytest.fixture
def client(server: Served) -> Iterator[httpx.Client]:
    """A client of Ana's."""
    with server.client() as client:
        yield client


def problem(answer: httpx.Response, status: int, kind: str) -> dict[str, Any]:
    """Return what a problem says, which is of a kind."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM
    said: dict[str, Any] = answer.json()
    assert said["type"] == f"urn:automagik-prompts:problem:{kind}"
    assert said["status"] == status
    return said


def test_a_day(client: httpx.Client) -> None:
    """A version is written, looked at, compared, activated and rolled back, each upon the tag of what was seen."""
    assert client.get("/agents").json()["items"][0]["agent"] == "stan"
    agent = client.get("/agents/stan")
    assert agent.headers["etag"] == f'"{agent.json()["revision"]}"'
    written = create(client, "Ask {{name}} for the tax id, kindly.", note="kinder")
    assert (written.status_code, written.headers["location"]) == (201, "versions/2")
    shown = client.get(f"{NEW}/{written.headers['location']}").json()
    assert (shown["text"], shown["author"], shown["note"]) == ("Ask {{name}} for the tax id, kindly.", "ana", "kinder")
    compared = client.get(f"{NEW}/diff", params={"old": 1, "new": 2}).json()
    assert "+Ask {{name}} for the tax id, kindly." in compared["unified"]
    assert [line["kind"] for line in compared["lines"]] == ["changed"]
    filled = client.post(f"{NEW}/preview", json={"values": {"name": "Rui"}, "version": 2}).json()
    assert filled["text"] == "Ask Rui for the tax id, kindly."
    done = client.post(f"{NEW}/activate", json={"version": 2}, headers={"If-Match": written.headers["etag"]})
    assert (done.status_code, done.json()["active_version"], done.json()["previous_version"]) == (200, 2, 1)
    assert done.headers["etag"] == tag_of(client)
    back = client.post(f"{NEW}/rollback", json={}, headers={"If-Match": done.headers["etag"]})
    assert back.json()["active_version"] == 1
    actions = [event["action"] for event in client.get("/events", params={"agent": "stan", "limit": 3}).json()["items"]]
    assert actions == ["rolled_back", "activated", "created"]
    assert client.get("/search", params={"text": "TAX"}).json()["items"][0]["line"] == 1


def test_what_a_write_rests_on(client: httpx.Client) -> None:
    """A change of a status needs its tag: 428 without one, 412 with one that is not the present one, and what is."""
    seen = tag_of(client)
    problem(client.post(f"{NEW}/versions", json={"text": "Ask."}), 428, "precondition-required")
    problem(client.post(f"{NEW}/activate", json={"version": 1}), 428, "precondition-required")
    create(client, "Ask twice.")
    present = tag_of(client)
    late = client.post(f"{NEW}/activate", json={"version": 2}, headers={"If-Match": seen})
    said = problem(late, 412, "conflict")
    assert late.headers["etag"] == present
    assert (said["present"]["active_version"], said["present"]["latest_version"]) == (1, 2)
    assert (said["agent"], said["expected"], said["actual"]) == ("stan", int(seen[2:-1]), int(present[2:-1]))
    problem(client.post(f"{NEW}/activate", json={"version": 2}, headers={"If-Match": '"r99"'}), 412, "conflict")
    assert client.post(f"{NEW}/activate", json={"version": 1}, headers={"If-Match": "*"}).status_code == 200
    present = tag_of(client)
    # What is written to another status is none of it.
    create(client, "Quote prices in EUR.", "APPROVED")
    assert tag_of(client) == present


def test_the_first_text_of_a_status(client: httpx.Client) -> None:
    """What is not there yet has no tag: `If-None-Match: *` writes it, once."""
    new = {"If-None-Match": "*"}
    body = {"text": "Greet.", "new_status": True}
    assert client.post("/agents/stan/statuses/VIP/versions", json=body, headers=new).status_code == 201
    late = client.post("/agents/stan/statuses/VIP/versions", json=body, headers=new)
    problem(late, 412, "conflict")
    assert late.headers["etag"] == tag_of(client, "VIP")
    nobody = client.post("/agents/olga/statuses/NEW/versions", json={"text": "Hi."}, headers=new)
    problem(nobody, 404, "not-found")
    body = {"text": "Hi.", "new_agent": True}
    assert client.post("/agents/olga/statuses/NEW/versions", json=body, headers=new).headers["etag"] == '"r1"'


def test_names_with_slashes(client: httpx.Client) -> None:
    """A name may hold what divides a path, escaped."""
    new = {"If-None-Match": "*"}
    path = "/agents/a%2Fb%252F/statuses/%C3%A9%20%2F%25"
    body = {"text": "Hi.", "new_agent": True}
    assert client.post(f"{path}/versions", json=body, headers=new).status_code == 201
    found = client.get(path).json()
    assert (found["agent"], found["status_key"]) == ("a/b%2F", "é /%")


def test_a_repeated_write(client: httpx.Client) -> None:
    """A write with a key is done once: repeated it gets the first answer, and another one may not have its key."""
    key = {"If-Match": tag_of(client), "Idempotency-Key": "first"}
    body = {"text": "Ask once.", "activate": True}
    first = client.post(f"{NEW}/versions", json=body, headers=key)
    again = client.post(f"{NEW}/versions", json=body, headers=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content
    assert (first.headers["etag"], first.headers["location"]) == (again.headers["etag"], again.headers["location"])
    assert len(client.get(f"{NEW}/versions").json()["items"]) == 2
    problem(client.post(f"{NEW}/versions", json={"text": "Other."}, headers=key), 422, "key-reused")
    problem(client.post(f"{APPROVED}/versions", json=body, headers=key), 422, "key-reused")


def test_keys_are_of_one_actor(server: Served, client: httpx.Client) -> None:
    """The same key of another person is another one."""
    headers = {"Idempotency-Key": "k"}
    assert client.post("/comments", json={**ABOUT, "text": "Why?"}, headers=headers).status_code == 201
    with server.client("bea") as other:
        assert other.post("/comments", json={**ABOUT, "text": "So."}, headers=headers).status_code == 201
    said = [event["note"] for event in client.get("/events", params={"action": "commented"}).json()["items"]]
    assert said == ["So.", "Why?"]


def test_a_refused_write_keeps_no_answer(client: httpx.Client) -> None:
    """A key whose write was refused can be used for it again: nothing was written."""
    body, key = {"text": "Ask."}, {"Idempotency-Key": "k"}
    problem(client.post(f"{NEW}/versions", json=body, headers={**key, "If-Match": '"r99"'}), 412, "conflict")
    again = client.post(f"{NEW}/versions", json=body, headers={**key, "If-Match": tag_of(client)})
    assert again.status_code == 201


def test_approval(server: Served, client: httpx.Client) -> None:
    """In a protected status an activation becomes a request (202), which another person approves or declines."""
    create(client, "Quote prices in EUR.", "APPROVED")
    asked = client.post(f"{APPROVED}/activate", json={"version": 2}, headers={"If-Match": tag_of(client, "APPROVED")})
    assert asked.status_code == 202
    request = asked.json()["request"]
    assert (request["state"], asked.json()["active_version"]) == ("open", 1)
    any_ = {"If-Match": "*"}
    said = problem(client.post(f"/requests/{request['request']}/approve", json={}, headers=any_), 403, "not-allowed")
    assert (said["actor"], said["operation"]) == ("ana", "approve")
    assert said["detail"] == f"Request {request['request']} is by ana, and another person has to approve it."
    with server.client("bea") as bea:
        said_so = bea.post("/comments", json={"text": "Fine.", "request": request["request"]})
        assert said_so.status_code == 201
        seen = {"If-Match": bea.get(f"/requests/{request['request']}").headers["etag"]}
        problem(bea.post(f"/requests/{request['request']}/approve", json={}), 428, "precondition-required")
        done = bea.post(f"/requests/{request['request']}/approve", json={}, headers=seen)
        assert (done.status_code, done.json()["active_version"]) == (200, 2)
        late = bea.post(f"/requests/{request['request']}/decline", json={"note": "No."}, headers=seen)
        problem(late, 412, "conflict")
        problem(
            bea.post(f"/requests/{request['request']}/decline", json={"note": "No."}, headers=any_),
            422,
            "invalid-prompt",
        )
    assert client.get(f"/requests/{request['request']}").json()["state"] == "done"
    assert client.get("/requests").json()["items"] == []
    where = {"If-Match": tag_of(client)}
    back = client.post(f"{NEW}/requests", json={"version": None, "note": "Off."}, headers=where)
    assert (back.status_code, back.json()["request"]["operation"]) == (202, "deactivate")
    taken = client.post("/requests/2/withdraw", json={}, headers=any_)
    assert taken.json()["request"]["state"] == "withdrawn"


def test_drafts(server: Served, client: httpx.Client) -> None:
    """A draft is one's own, and is saved upon the one that was seen."""
    first = client.put(f"{NEW}/draft", json={"text": "Ask {{"}, headers={"If-None-Match": "*"})
    assert (first.status_code, first.headers["etag"]) == (200, '"d1"')
    seen = {"If-Match": first.headers["etag"]}
    second = client.put(f"{NEW}/draft", json={"text": "Ask {{name}}"}, headers=seen)
    assert second.json()["counter"] == 2
    late = client.put(f"{NEW}/draft", json={"text": "Other"}, headers=seen)
    said = problem(late, 412, "conflict")
    assert (late.headers["etag"], said["present"]["text"]) == (second.headers["etag"], "Ask {{name}}")
    second = client.put(f"{NEW}/draft", json={"text": "Ask {{name}}"}, headers={"If-Match": "*"})
    assert second.status_code == 200
    assert said["actual"] == 2
    with server.client("bea") as other:
        problem(other.get(f"{NEW}/draft"), 404, "not-found")
    assert [one["text"] for one in client.get("/drafts").json()["items"]] == ["Ask {{name}}"]
    problem(client.delete(f"{NEW}/draft"), 428, "precondition-required")
    problem(client.delete(f"{NEW}/draft", headers=seen), 412, "conflict")
    assert client.delete(f"{NEW}/draft", headers={"If-Match": second.headers["etag"]}).status_code == 204
    problem(client.delete(f"{NEW}/draft", headers={"If-Match": "*"}), 404, "not-found")


def test_withdrawing_and_deleting(client: httpx.Client) -> None:
    """A version is withdrawn, taken back, and deleted."""
    create(client, "Promise a discount.")
    tag = {"If-Match": tag_of(client)}
    gone = client.post(f"{NEW}/versions/2/withdrawal", json={"note": "It lies."}, headers=tag)
    assert gone.status_code == 200
    assert client.get(f"{NEW}/versions/2").json()["withdrawn"]
    back = client.delete(f"{NEW}/versions/2/withdrawal", headers={"If-Match": gone.headers["etag"]})
    assert back.status_code == 200
    tag = {"If-Match": back.headers["etag"], "Idempotency-Key": "delete"}
    assert client.request("DELETE", f"{NEW}/versions/2", headers=tag).status_code == 200
    problem(client.get(f"{NEW}/versions/2"), 404, "not-found")
    # Also what cannot be done twice is answered twice.
    assert client.request("DELETE", f"{NEW}/versions/2", headers=tag).status_code == 200


def test_pages(client: httpx.Client) -> None:
    """Lists come in pages, each with where the next one begins."""
    for number in range(5):
        create(client, f"Ask {number}.")
    for path, names in (
        (f"{NEW}/versions", [6, 5, 4, 3, 2, 1]),
        ("/agents/stan/statuses", ["APPROVED", "NEW"]),
        ("/statuses", ["APPROVED", "NEW"]),
        ("/agents", ["stan"]),
    ):
        found: list[object] = []
        after: dict[str, str] = {}
        while True:
            page = client.get(path, params={"limit": 2, **after}).json()
            assert len(page["items"]) <= 2
            found += [one.get("version", one.get("status_key", one.get("agent"))) for one in page["items"]]
            if page["next"] is None:
                break
            after = {"after": page["next"]}
        assert found == names, path
    problem(client.get(f"{NEW}/versions", params={"after": "no cursor"}), 422, "invalid-prompt")


def test_who_is_let_in(server: Served) -> None:
    """Nobody gets in whom the application does not know, also not to the description."""
    with httpx.Client(base_url=server.url) as nobody:
        for path in ("/agents", "/events/stream", "/agents/stan/statuses/NEW"):
            problem(nobody.get(path), 401, "not-identified")


def test_other_sites(client: httpx.Client) -> None:
    """What a page of another site has a browser send is refused, as is anything but JSON."""
    for headers in (
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
    ):
        problem(
            client.post("/comments", json={**ABOUT, "text": "Hi."}, headers=headers),
            403,
            "cross-site",
        )
        problem(client.get("/agents", headers=headers), 403, "cross-site")
    own = {"Origin": f"http://{client.base_url.netloc.decode()}"}
    assert client.get("/agents", headers=own).status_code == 200
    assert client.get("/agents", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        content = b'{"text": "Hi."}'
        answer = client.post("/comments", content=content, headers={"Content-Type": kind} if kind else {})
        problem(answer, 415, "unsupported-media-type")
    assert client.get("/events", params={"action": "commented"}).json()["items"] == []


def test_what_is_wrong_is_not_repeated(client: httpx.Client) -> None:
    """What is refused is named, and no part of a text stands in the answer."""
    recipe = "the hidden recipe"
    tag = {"If-Match": tag_of(client)}
    json_ = {"Content-Type": "application/json", **tag}
    for answer in (
        client.post(f"{NEW}/versions", json={"text": recipe, "format": recipe}, headers=tag),
        client.post(f"{NEW}/versions", json={"text": [recipe]}, headers=tag),
        client.post(f"{NEW}/versions", json={"text": "Hi.", "unknown": recipe}, headers=tag),
        client.post(f"{NEW}/versions", content=f'{{"text": "{recipe}'.encode(), headers=json_),
        client.post(f"{NEW}/versions", content=b'{"text": "\xff"}', headers=json_),
        client.post(f"{NEW}/versions", content=b'{"text": "\\ud800"}', headers=json_),
        client.post(f"{NEW}/versions", json={"text": f"{recipe} {{{{#if name}}}}"}, headers=tag),
        client.post(f"{NEW}/versions", json={"text": f"{recipe} {{{{unknown}}}}"}, headers=tag),
        client.get("/agents/%00"),
        client.get("/events", params={"author": "\0"}),
        client.get("/events", params={"since": "0001-01-01T00:00:00+14:00"}),
    ):
        assert answer.status_code in {400, 404, 422}, answer.text
        assert answer.headers["content-type"] == PROBLEM
        assert recipe not in answer.text
    said = problem(client.post(f"{NEW}/check", json={"text": "{{company}}"}), 422, "unexposed-variable")
    assert said["names"] == ["company"]
    problem(client.get("/agents/stan/nothing"), 404, "not-found")
    problem(client.delete("/agents/stan"), 405, "method-not-allowed")


def test_a_policy(database_url: str, make_plugin: MakePlugin, registry: Registry) -> None:
    """The policy is asked about whom the application names, and refuses in its own words."""
    declare(registry)
    with served(make_plugin(database_url, policy=Roles(), **PATIENT)) as running:
        with running.client("vera viewer") as vera:
            tag = tag_of(vera)
            said = problem(
                vera.post(f"{NEW}/versions", json={"text": "Ask."}, headers={"If-Match": tag}), 403, "not-allowed"
            )
            assert said["detail"] == (
                "vera may not create stan/NEW. That takes the role editor or admin; vera has the role viewer for stan."
            )
        with running.client("nina") as nina:
            assert nina.get("/agents").json()["items"] == []
            assert nina.get("/events/feed").json()["items"] == []
            problem(nina.get("/agents/stan"), 403, "not-allowed")


def test_names_of_other_agents_are_not_told(client: httpx.Client) -> None:
    """An agent that is not there is called so, without those that are: who asks may not be allowed to see them."""
    for path in ("/agents/sta", "/agents/sta/statuses", "/agents/sta/statuses/NEW", "/events?agent=sta"):
        answer = client.get(path)
        assert "stan" not in answer.text, path
        assert answer.status_code == 404, path


def test_a_body_that_is_too_large(client: httpx.Client) -> None:
    """It is refused by its length, and where it does not say that as soon as it is too much."""
    tag = {"If-Match": tag_of(client), "Content-Type": "application/json"}
    problem(client.post(f"{NEW}/versions", content=b"x" * (MAX_BODY + 1), headers=tag), 413, "too-large")
    chunks = (b"x" * 100_000 for _ in range(MAX_BODY // 100_000 + 1))
    problem(client.post(f"{NEW}/versions", content=chunks, headers=tag), 413, "too-large")


async def _nobody(_request: object) -> Identity | None:
    return Identity(Actor("async"))


def test_identify_may_be_async(database_url: str, make_plugin: MakePlugin, registry: Registry) -> None:
    """The application tells who asks, sync or async; an answer of another kind lets nobody in."""
    declare(registry)
    plugin = make_plugin(database_url, **PATIENT)
    with served(plugin, identify=_nobody) as running, running.client() as client:
        assert create(client, "Ask.").json()["version"] == 2
        assert client.get(f"{NEW}/versions/2").json()["author"] == "async"
    with served(plugin, identify=lambda _: True) as running, running.client() as client:
        problem(client.get("/agents"), 401, "not-identified")


def test_a_closed_plugin(sqlite_url: str, make_plugin: MakePlugin, registry: Registry) -> None:
    """A database that cannot be used is told as such, with when to come back, and without where it is."""
    declare(registry)
    plugin = make_plugin(f"{sqlite_url}/no/folder", startup_timeout=0)
    with served(plugin) as running, running.client() as client:
        answer = client.get("/agents")
        problem(answer, 503, "database-unavailable")
        assert int(answer.headers["retry-after"]) > 0
        assert "folder" not in answer.text


def test_answers_are_forgotten(database_url: str, make_plugin: MakePlugin, registry: Registry) -> None:
    """An answer is kept for two days, and taken away after that."""
    declare(registry)

    async def age(db: Client) -> int:
        then = engine_of(db).written_time(datetime.now(UTC) - KEPT - timedelta(hours=1))
        await Connection(db).run("UPDATE prompt_idempotency_keys SET created_at = ?", then)
        return len(await Connection(db).rows("SELECT id FROM prompt_idempotency_keys"))

    async def forget() -> tuple[int, int]:
        async with Database(database_url) as database:
            await repeating.forget(database)
            kept = await database.run(age)
            await repeating.forget(database)
            return kept, await database.run(age)

    with served(make_plugin(database_url, **PATIENT)) as running, running.client() as client:
        for text in ("One.", "Two."):
            headers = {"Idempotency-Key": text}
            assert client.post("/comments", json={**ABOUT, "text": text}, headers=headers).status_code == 201
    assert asyncio.run(forget()) == (2, 0)
