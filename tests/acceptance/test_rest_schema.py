"""The API keeps to its OpenAPI document, whatever it is sent: schemathesis tries, with names and tags that exist."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from itertools import count
from random import Random
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.core.result import Ok

from automagik_prompts.api import app as api_app
from automagik_prompts.api import stream
from automagik_prompts.api.limits import Limiter
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.policy import Actor
from automagik_prompts.domain.roles import Roles
from tests.conftest import MakePlugin
from tests.rest import AGENT, PROTECTED, STATUS, declare, identify, served, signed_in

PEOPLE = ("ana", "bea", "ana", "bea", "cyn:viewer,editor")
ENDLESS = "/events/stream"
"""What has no end is tried elsewhere."""

EXPECTED = {
    # Besides what it asks for: the policy, names, somebody else, a text, nothing that it rests on.
    "positive_data_acceptance": {"expected-statuses": ["2xx", "403", "404", "409", "410", "412", "422", "428"]},
    # It may be about nothing that exists before it is looked at more closely.
    "negative_data_rejection": {"expected-statuses": ["404", "410", "412", "422", "428"]},
    # What is not sent is said by a status of its own.
    "missing_required_header": {"expected-statuses": ["404", "422", "428"]},
}


_NUMBERS = count()
"""For texts that nobody has written before, as one may be withdrawn."""


class Present:
    """Gives requests what only somebody who has read knows: names, numbers and entity tags that exist.

    Args:
        address: Where they are read.
    """

    def __init__(self, address: str) -> None:
        self._client = httpx.Client(base_url=f"{address}/api/v1")
        self._requests: list[int] = []
        self._versions: list[int] = []

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()

    def renew(self) -> None:
        """See to it that there is something to do: requests, drafts, a withdrawn version, one that the code is past."""
        self._requests, self._versions = [], [1, 2]
        for name in PEOPLE:
            self._send(name, "PUT", f"{STATUS}/draft", text="Hm")
        for name in ("ana", "bea"):
            asked = self._send(name, "POST", f"{PROTECTED}/versions", text=self._text(), activate=True)
            self._requests.append(asked["request"]["request"])
            self._send(name, "POST", f"{STATUS}/versions", text=self._text(), activate=True, based_on=1)
            for _ in range(2):
                self._versions.append(self._send(name, "POST", f"{STATUS}/versions", text=self._text())["version"])
            self._send(name, "POST", f"{STATUS}/versions/{self._versions[-1]}/withdrawal")

    def _text(self) -> str:
        return f"Hello {{{{name}}}}, {next(_NUMBERS)}"

    def _send(self, name: str, method: str, path: str, **body: Any) -> dict[str, Any]:
        whatever = {"If-None-Match": "*"} if path.endswith("/draft") else {"If-Match": "*"}
        answer = self._client.request(method, path, json=body, headers=whatever | signed_in(name))
        assert answer.is_success or answer.status_code == 412, answer.text
        return dict(answer.json())

    def complete(self, case: Case[Any]) -> None:
        """Put them into most requests; the rest stays as it was made up."""
        chance = Random(zlib.crc32(repr((case.path_parameters, case.query, case.headers, case.body)).encode()))
        case.headers.update(signed_in(chance.choice(PEOPLE)))
        if chance.random() < 0.1:
            return
        known: dict[str, Any] = {"agent": AGENT, "status_key": chance.choice(("NEW", "new", "approved"))}
        known |= {"number": chance.choice(self._requests), "request": self._requests[0]}
        known |= {"version": chance.choice(self._versions), "old": 1, "new": 2}
        known |= {"status": known["status_key"], "based_on": 1, "draft": 1, "base_version": 1, "code_version": 1}
        for place in (case.path_parameters, case.query, case.body):
            if isinstance(place, dict):
                place |= {name: known[name] for name, value in place.items() if name in known and value is not None}
        if "agent" in case.path_parameters:
            case.path_parameters["agent"] = AGENT.replace("/", "%2F")
        if isinstance(case.body, dict) and "text" in case.body and chance.random() < 0.7:
            case.body["text"] = f"Hello {{{{name}}}}, {chance.random()}"
        if "Idempotency-Key" in case.headers and chance.random() < 0.7:
            case.headers["Idempotency-Key"] = str(chance.random())
        if case.method not in {"GET", "HEAD"} and chance.random() < 0.9:
            self._match(case)

    def _match(self, case: Case[Any]) -> None:
        """Let a write rest on what is there now."""
        path = case.formatted_path.removeprefix("/api/v1")
        if "/draft" not in path:
            parts = path.split("/")
            about = "requests" if parts[1] == "requests" else "statuses"
            path = "/".join(parts[: parts.index(about) + 2]) if about in parts else path
        answer = self._client.get(path, headers={"Authorization": case.headers["Authorization"]})
        for name in ("If-Match", "If-None-Match"):
            case.headers.pop(name, None)
        tag = answer.headers.get("ETag")
        case.headers.update({"If-None-Match": "*"} if tag is None else {"If-Match": tag})


@pytest.fixture
async def address(database_url: str, make_plugin: MakePlugin, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The address of the API of a database whose code has two releases."""
    monkeypatch.setattr(api_app, "Limiter", partial(Limiter, rate=1e9, burst=1e9))
    monkeypatch.setattr(stream, "PATIENCE", 0.0)
    for text in ("Hi {{name}}", "Hello {{name}}"):
        plugin = make_plugin(database_url, registry=declare(Registry(), text), policy=Roles())
        await plugin.acting_as(Actor("release", roles=("admin",))).sync()
    with served(plugin.api(identify=identify)) as address:
        yield address.removesuffix("/api/v1")


def operations(address: str) -> Iterator[Any]:
    """Yield what the document describes and that ends."""
    config = SchemathesisConfig.from_dict({"checks": EXPECTED})
    document = schemathesis.openapi.from_url(f"{address}/api/v1/openapi.json", config=config)
    for found in document.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        if not operation.path.endswith(ENDLESS):
            yield operation


def try_out(
    address: str, mode: GenerationMode, examples: int, done: Counter[tuple[str, int]] | None = None, **more: Any
) -> Counter[tuple[str, int]]:
    """Send so many requests to each operation that has not done yet what it is for, and return what was answered."""
    answered = done or Counter[tuple[str, int]]()
    with closing(Present(address)) as present:
        failures = try_each(address, present, mode, examples, answered, more)
    if failures:
        raise ExceptionGroup(f"{len(failures)} operations are not as the document says", failures)
    return answered


def try_each(
    address: str,
    present: Present,
    mode: GenerationMode,
    examples: int,
    answered: Counter[tuple[str, int]],
    more: dict[str, Any],
) -> list[Exception]:
    """Do so, count what is answered, and return what is not as described."""
    enough = succeeded(answered)
    failures: list[Exception] = []
    for operation in operations(address):
        if operation.label in enough:
            continue
        present.renew()

        @given(case=operation.as_strategy(mode))
        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
            **more,
        )
        def try_one(case: Case[Any]) -> None:
            if mode.is_positive:
                present.complete(case)
            else:
                case.headers.update(signed_in("ana"))
            response = case.call(base_url=address)
            answered[case.operation.label, response.status_code] += 1
            case.validate_response(response)

        try:
            try_one()
        except Unsatisfiable:
            assert mode.is_negative  # there is nothing to get wrong
        except Exception as error:  # noqa: BLE001  # all of them are told at once
            failures.append(error)
    return failures


def succeeded(answered: Counter[tuple[str, int]]) -> set[str]:
    """Return the operations that did what they were asked for."""
    return {label for label, status in answered if status < 400}


def test_what_is_well_formed_is_answered_as_described(address: str) -> None:
    """Nothing is answered that is not described, and most operations do what they are for."""
    answered = try_out(address, GenerationMode.POSITIVE, 6, derandomize=True)
    assert len(succeeded(answered)) > len(list(operations(address))) * 0.6


@pytest.mark.soak
def test_every_operation_does_what_it_is_for(address: str) -> None:
    """At least once, among hundreds of requests that are well formed."""
    answered = Counter[tuple[str, int]]()
    for examples in (8, 60, 300):
        answered = try_out(address, GenerationMode.POSITIVE, examples, answered)
    assert succeeded(answered) == {operation.label for operation in operations(address)}


def test_what_is_malformed_is_refused_as_described(address: str) -> None:
    """Nothing malformed is an error of the server's, and nothing is answered that is not described."""
    answered = try_out(address, GenerationMode.NEGATIVE, 3, derandomize=True)
    assert not {status for _, status in answered if status >= 500}


@pytest.mark.soak
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_a_thousand_requests_to_each_operation(address: str, mode: GenerationMode) -> None:
    """The same, for longer and each time with others."""
    try_out(address, mode, 1000)
