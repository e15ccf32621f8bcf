"""The API as HTTP has it: methods, addresses, tags, who is let in before anything is read, and what is not taken."""

from __future__ import annotations

import logging
import socket

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Mount

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.policy import Identity
from tests.api_server import PATIENT, Served, declare, identify, served, tag_of
from tests.conftest import MakePlugin
from tests.console_server import listening
from tests.contract.test_rest import NEW, client, problem, server

__all__ = ["client", "server"]  # the fixtures


def test_methods(client: httpx.Client) -> None:
    """HEAD answers as GET does without a body, OPTIONS tells what a path takes, and so does a refusal."""
    got, head = client.get(NEW), client.head(NEW)
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", got.headers["etag"])
    assert client.head("/events/stream", params={"last": 0}).status_code == 200
    for path, takes in (
        (f"{NEW}/draft", "DELETE, GET, HEAD, OPTIONS, PUT"),
        (f"{NEW}/versions", "GET, HEAD, OPTIONS, POST"),
        ("/fleet", "GET, HEAD, OPTIONS"),
    ):
        asked = client.options(path)
        assert (asked.status_code, asked.headers["allow"], asked.content) == (204, takes, b"")
        refused = client.patch(path, json={})
        assert takes in problem(refused, 405, "method-not-allowed")["detail"]
        assert refused.headers["allow"] == takes


def test_addresses(client: httpx.Client) -> None:
    """A slash too many leads nowhere, a name that is spelled wrong is told, and numbers are numbers."""
    problem(client.get("/agents/"), 404, "not-found")
    told = problem(client.get("/events/feed", params={"after": "3"}), 422, "invalid-request")
    assert told["detail"] == "There is no parameter after here. It takes last, limit."
    assert problem(client.get("/fleet", params={"a": ""}), 422, "invalid-request")["detail"].endswith("It takes none.")
    for number in ("1.0", "+1", "1_0", " 1", "\N{FULLWIDTH DIGIT ZERO}"):
        problem(client.get(f"{NEW}/versions/{number}"), 422, "invalid-request")
    for name, value in (("limit", "1.0"), ("limit", "+1")):
        problem(client.get("/agents", params={name: value}), 422, "invalid-request")
    for value in ("1", "on", "yes", "True"):
        problem(client.get("/search", params={"text": "a", "match_case": value}), 422, "invalid-request")


@pytest.mark.parametrize(
    "body", [{"version": "1"}, {"version": 1.5}, {"version": True}, {"version": 1, "emergency": "yes"}]
)
def test_bodies(client: httpx.Client, body: dict[str, object]) -> None:
    """A text is no number, and neither is any other thing."""
    problem(client.post(f"{NEW}/activate", json=body, headers={"If-Match": "*"}), 422, "invalid-request")


def test_several_tags(client: httpx.Client) -> None:
    """A write rests on one state: several tags are told."""
    tags = f'"r1", {tag_of(client)}'
    problem(client.post(f"{NEW}/rollback", json={}, headers={"If-Match": tags}), 422, "invalid-request")


def test_nobody_is_read(server: Served) -> None:
    """Of whoever is not let in no body is read, however long it would be."""
    address = httpx.URL(server.url)
    with socket.create_connection((address.host, address.port or 0), 30) as connection:
        connection.sendall(
            f"POST {address.path}{NEW}/check HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n"
            "Content-Length: 7000000\r\n\r\n".encode()
        )
        answer = connection.recv(10_000).decode()
    assert answer.startswith("HTTP/1.1 401 ")
    assert "www-authenticate: Bearer" in answer.replace("WWW-Authenticate", "www-authenticate")


def test_a_wrong_identity(
    sqlite_url: str, make_plugin: MakePlugin, registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    """What an application returns by mistake lets nobody in, and is told to whoever runs it."""
    declare(registry)
    with (
        caplog.at_level(logging.ERROR, "automagik_prompts"),
        served(make_plugin(sqlite_url, **PATIENT), identify=lambda _: "ana") as running,
        running.client() as client,
    ):
        problem(client.get("/agents"), 401, "not-identified")
    assert [one.message.partition(",")[0] for one in caplog.records] == ["identify returned a str"]


def test_a_withdrawal_said_again(client: httpx.Client) -> None:
    """It is answered as before, tells that nothing was changed, and the revision stays."""
    made = client.post(f"{NEW}/versions", json={"text": "No."}, headers={"If-Match": tag_of(client)})
    assert made.status_code == 201
    first, again = (
        client.post(f"{NEW}/versions/2/withdrawal", json={"note": "wrong"}, headers={"If-Match": "*"}) for _ in range(2)
    )
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.headers["etag"] == again.headers["etag"]
    assert again.json()["hints"] == ["It was withdrawn already: nothing was changed, and no note is kept."]


def test_several_mounts(sqlite_url: str, make_plugin: MakePlugin, registry: Registry) -> None:
    """A repeated write is the same one at each mount and in each spelling; each document names its own mount."""
    declare(registry)
    api = make_plugin(sqlite_url, **PATIENT).api(identify=identify)
    app = Starlette(routes=[Mount("/one", app=api), Mount("/the other ä", app=api)])
    with listening(app) as url, httpx.Client(headers={"X-Actor": "ana"}, timeout=60) as client:
        keyed = {"If-Match": "*", "Idempotency-Key": "k"}
        for mount, status, replayed in (("one", "NEW", None), ("the%20other%20%C3%A4", "new", "true")):
            base = f"{url}/{mount}/api/v1"
            done = client.post(f"{base}/agents/stan/statuses/{status}/versions", json={"text": "Hi."}, headers=keyed)
            assert (done.status_code, done.headers.get("idempotency-replayed")) == (201, replayed), done.text
            assert client.get(f"{base}/openapi.json").json()["servers"] == [{"url": f"/{mount}"}]


def test_identify_sees_one_application(sqlite_url: str, make_plugin: MakePlugin, registry: Registry) -> None:
    """Whoever identifies finds the same `request.app` for reads and for writes, and is asked once for each."""
    declare(registry)
    seen: list[object] = []

    def noting(request: Request) -> Identity | None:
        seen.append(request.app)
        return identify(request)

    with served(make_plugin(sqlite_url, **PATIENT), identify=noting) as running, running.client() as client:
        client.get(NEW)
        client.post(f"{NEW}/check", json={"text": "Ask."})
    assert len(seen) == 2
    assert seen[0] is seen[1]
