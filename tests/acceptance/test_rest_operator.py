"""The day of an operator, with a client that is made of the OpenAPI document by a generator."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.policy import Actor
from automagik_prompts.domain.roles import Roles
from tests.conftest import MakePlugin
from tests.rest import AGENT, declare, identify, served, signed_in

CLIENT = "operator_client"


class Operator:
    """Somebody who uses the client.

    Args:
        address: Where the API is.
        name: Who they are.
    """

    def __init__(self, address: str, name: str) -> None:
        made = import_module(CLIENT)
        self._client = made.Client(address, headers=signed_in(name), raise_on_unexpected_status=True)

    def __call__(self, operation: str, *arguments: object, **more: object) -> Any:
        """Call an operation, such as `statuses.get_status`, and return its answer."""
        return import_module(f"{CLIENT}.api.{operation}").sync_detailed(*arguments, client=self._client, **more)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._client.get_httpx_client().close()


@pytest.fixture
def generate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes the client, in the test's folder."""

    def make(address: str) -> None:
        document = tmp_path / "openapi.json"
        document.write_bytes(httpx.get(f"{address}/openapi.json").content)
        generator = Path(sys.executable).with_name("openapi-python-client")
        options = ("--meta", "none", "--fail-on-warning", "--path", str(document))
        done = subprocess.run(
            [generator, "generate", *options, "--output-path", str(tmp_path / CLIENT)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env=os.environ | {"PATH": f"{generator.parent}{os.pathsep}{os.environ['PATH']}"},  # it formats with ruff
        )
        assert done.returncode == 0, done.stdout + done.stderr
        for name in [name for name in sys.modules if name.partition(".")[0] == CLIENT]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.syspath_prepend(tmp_path)

    return make


async def test_the_day_of_an_operator(
    database_url: str, registry: Registry, make_plugin: MakePlugin, generate: Callable[[str], None]
) -> None:
    """List, read, write, be refused, preview, activate, be too late, go back, ask, approve, and see what was done."""
    plugin = make_plugin(database_url, registry=declare(registry), policy=Roles())
    await plugin.acting_as(Actor("release", roles=("admin",))).sync()
    with served(plugin.api(identify=identify)) as address:
        generate(address)
        base = address.removesuffix("/api/v1")
        ana, bea = Operator(base, "ana"), Operator(base, "bea:approver")
        with ana, bea:
            _day(ana, bea, import_module(f"{CLIENT}.models"))


def _day(ana: Operator, bea: Operator, models: Any) -> None:
    new, approved = (AGENT, "new"), (AGENT, "approved")
    [agent] = ana("agents.list_agents").parsed.items
    assert (agent.agent, agent.primary_status, agent.protected.to_dict()) == (AGENT, "NEW", {"APPROVED": 1})
    assert [one.status_key for one in ana("statuses.list_statuses", AGENT).parsed.items] == ["APPROVED", "NEW"]
    before = ana("statuses.get_status", *new)
    tag = before.headers["ETag"]
    assert ana("versions.get_version", *new, 1).parsed.text == "Hi {{name}}"

    refused = ana("versions.create_version", *new, if_match=tag, body=models.NewVersion("Hi {{nmae}}"))
    assert (refused.status_code, refused.parsed.names) == (422, ["nmae"])
    created = ana("versions.create_version", *new, if_match=tag, body=models.NewVersion("Welcome, {{name}}."))
    assert (created.status_code, created.parsed.version, created.parsed.active_version) == (201, 2, 1)
    values = models.PreviewBodyValues.from_dict({"name": "Carla"})
    shown = ana("versions.preview_text", *new, body=models.PreviewBody(values, version=2)).parsed
    assert (shown.text, shown.missing) == ("Welcome, Carla.", [])
    assert "+Welcome, {{name}}." in ana("versions.diff_versions", *new, old=1, new=2).parsed.unified

    late = ana("statuses.activate", *new, if_match=tag, body=models.Activation(2))
    assert (late.status_code, late.parsed.present.to_dict()["latest_version"]) == (412, 2)
    done = ana("statuses.activate", *new, if_match=late.headers["ETag"], body=models.Activation(2, note="Warmer"))
    assert (done.status_code, done.parsed.active_version) == (200, 2)
    back = ana("statuses.rollback", *new, if_match=done.headers["ETag"], body=models.Change(note="Too warm"))
    assert (back.status_code, back.parsed.active_version, back.parsed.previous_version) == (200, 1, 2)

    written = ana("versions.create_version", *approved, if_match="*", body=models.NewVersion("From 3 euros."))
    version, tag = written.parsed.version, written.headers["ETag"]
    waiting = ana("statuses.activate", *approved, if_match=tag, body=models.Activation(version))
    assert (waiting.status_code, waiting.parsed.active_version) == (202, 1)
    number = waiting.parsed.request.request
    tag = bea("requests.get_request", number).headers["ETag"]
    own = ana("requests.approve_request", number, if_match=tag, body=models.Approval())
    assert (own.status_code, own.parsed.actor) == (403, "ana")
    assert bea("events.comment", body=models.CommentBody("Is that with tax?", request=number)).status_code == 201
    carried = bea("requests.approve_request", number, if_match=tag, body=models.Approval(note="It is."))
    assert (carried.status_code, carried.parsed.active_version) == (200, version)
    assert carried.parsed.request.approved_by == ["bea"]

    listed = ana("events.list_events", agent=AGENT, limit=1000).parsed.items
    fed = ana("events.read_feed").parsed
    assert [one.id for one in fed.items] == sorted(one.id for one in listed)
    assert fed.next_ == str(listed[0].id)
    people = [(one.action.value, one.status_key, one.author) for one in fed.items if one.author in {"ana", "bea"}]
    assert people == [
        ("created", "NEW", "ana"),
        ("activated", "NEW", "ana"),
        ("rolled_back", "NEW", "ana"),
        ("created", "APPROVED", "ana"),
        ("requested", "APPROVED", "ana"),
        ("commented", "APPROVED", "bea"),
        ("approved", "APPROVED", "bea"),
        ("activated", "APPROVED", "bea"),
    ]
