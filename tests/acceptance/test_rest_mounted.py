"""The API in any application: at any prefix, with or without a lifespan, and once the plugin is closed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra api is not installed")

from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.roles import Roles
from automagik_prompts.plugin import PromptPlugin
from tests.conftest import MakePlugin
from tests.rest import AGENT, PATIENCE, STATUS, client, declare, events, identify, served


def in_starlette(api: Any) -> Any:
    """Mount it twice, one in the other."""
    return Starlette(routes=[Mount("/team", routes=[Mount("/prompts", app=api)])])


def in_fastapi(api: Any) -> Any:
    """Mount it in an application that has errors, middleware and models of its own."""
    app, router = FastAPI(), APIRouter()
    app.include_router(router)
    app.mount("/team/prompts", api)
    return app


def in_plain_asgi(api: Any) -> Any:
    """Hand requests on as any ASGI program may: with `root_path`, and the whole path."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await api({**scope, "root_path": "/team/prompts"}, receive, send)

    return app


def in_an_older_one(api: Any) -> Any:
    """Hand requests on with the rest of the path, as older programs do."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        rest = {**scope, "root_path": "/team/prompts", "path": scope["path"].removeprefix("/team/prompts")}
        await api(rest, receive, send)

    return app


@pytest.fixture
def plugin(sqlite_url: str, make_plugin: MakePlugin, registry: Registry) -> PromptPlugin:
    """A plugin that nobody has started."""
    return make_plugin(sqlite_url, registry=declare(registry), startup_timeout=PATIENCE, policy=Roles(), heartbeat=0)


@pytest.mark.parametrize("mount", [in_starlette, in_fastapi, in_plain_asgi, in_an_older_one])
def test_it_is_mounted(mount: Callable[[Any], Any], plugin: PromptPlugin) -> None:
    """It reads, writes, streams and describes itself there, also an agent whose name has a slash, with no lifespan."""
    with served(mount(plugin.api(identify=identify)), "/team/prompts") as address, client(address) as asking:
        seen = asking.get(STATUS)
        assert (seen.status_code, seen.json()["agent"]) == (200, AGENT), seen.text
        body = {"text": "Hello {{name}}", "activate": True}
        done = asking.post(f"{STATUS}/versions", json=body, headers={"If-Match": seen.headers["etag"]})
        assert done.status_code == 201, done.text
        with asking.stream("GET", "/events/stream", params={"last": 0}) as answer:
            told = events(answer)  # held, as the answer ends with what reads it
            assert next(told)[1]["agent"] == AGENT
        document = asking.get("/openapi.json").json()
        assert "/api/v1/agents/{agent}" in document["paths"]
        missing = asking.get("/nothing")
        assert (missing.status_code, missing.headers["content-type"]) == (404, "application/problem+json")


def test_a_lifespan(plugin: PromptPlugin) -> None:
    """A server that runs the lifespan of whatever it serves starts with it alone, too."""
    with served(plugin.api(identify=identify), lifespan="auto") as address, client(address) as asking:
        assert asking.get(STATUS).status_code == 200


def test_a_closed_plugin(plugin: PromptPlugin) -> None:
    """Once it is closed each answer is a problem: 503, and says when to come again."""
    with served(plugin.api(identify=identify)) as address, client(address) as asking:
        seen = asking.get(STATUS)
        plugin.close()
        for answer in (
            asking.get(STATUS),
            asking.get("/fleet"),
            asking.get("/events/feed"),
            asking.get("/events/stream"),
            asking.get("/events/stream", params={"last": 0}),
            asking.post(f"{STATUS}/rollback", json={}, headers={"If-Match": seen.headers["etag"]}),
        ):
            assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
            assert "retry-after" in answer.headers


def test_a_plugin_that_closes_during_a_stream(plugin: PromptPlugin) -> None:
    """The stream stays, or ends, without an error, and the server ends."""
    with served(plugin.api(identify=identify)) as address, client(address) as asking:
        with asking.stream("GET", "/events/stream", params={"last": 0}) as answer:
            told = events(answer)  # held, as the answer ends with what reads it
            assert next(told)[1]["agent"] == AGENT
            plugin.close()
        assert asking.get("/agents").status_code == 503


def test_two_of_them(tmp_path: Path, make_plugin: MakePlugin) -> None:
    """Two plugins in one application stay apart."""

    def api(name: str) -> Any:
        registry = Registry()
        registry.declare(name, {"default": "Hi."}, where="the test")
        return make_plugin(
            f"sqlite://{tmp_path / name}.db", registry=registry, startup_timeout=PATIENCE, heartbeat=0
        ).api(identify=identify)

    app = Starlette(routes=[Mount(f"/{name}", app=api(name)) for name in ("one", "two")])
    for name in ("one", "two"):
        with served(app, f"/{name}") as address, client(address) as asking:
            assert [one["agent"] for one in asking.get("/agents").json()["items"]] == [name]
