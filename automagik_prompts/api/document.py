"""The OpenAPI document: what each operation needs, and all that it may answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from automagik_prompts.api.problems import MEDIA_TYPE, Problem

_ANY = {
    401: "Nobody is known.",
    403: "The policy does not allow it, or the request came from another site.",
    404: "There is no such thing.",
    422: "The request, a text or a name is refused.",
    429: "Too many requests; `Retry-After` says when to come again.",
    503: "The database cannot be used now; what is served is not affected.",
}
"""What any request may be answered."""

_SENDING = {
    413: "The body is too large.",
    415: "The body is no JSON.",
}
"""What a request with a body may be answered besides."""

_WRITING = {
    412: "Somebody else wrote first; `present` says how it stands now.",
    428: "It is not said what the write rests on.",
}
"""What a request that rests on an entity tag may be answered besides."""

_KEYED = {
    409: "The same write is under way.",
}
"""What a request with a key may be answered besides."""

_FOLLOWING = {
    410: "There is no such event: the database was restored, or is another one.",
}
"""What a request that goes on after an event may be answered besides."""

_TAG = {"description": "What a write may rest on.", "required": True, "schema": {"type": "string"}}
_AGAIN = {"description": "Seconds after which to come again.", "schema": {"type": "integer"}}
_REPLAYED = {
    "description": "That this is what the write was answered when it was sent with the same key before.",
    "schema": {"type": "string", "const": "true"},
}

TAGGED: dict[int | str, dict[str, Any]] = {200: {"headers": {"ETag": _TAG}}}
"""The answer has an entity tag."""

PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"description": words, "model": Problem}
    for status, words in {**_ANY, **_SENDING, **_WRITING, **_KEYED, **_FOLLOWING}.items()
}
"""All that may go wrong; `describe` leaves to each operation what may go wrong there."""


def describe(app: FastAPI, path: str) -> None:
    """Have an application describe itself exactly.

    Args:
        app: The application.
        path: Where the document is.
    """
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = plain()
            for method, operation in _operations(document):
                _complete(method, operation)
        return plain()

    async def document(request: Request) -> JSONResponse:
        # An application may be mounted more than once; each time the document says where it was asked for.
        mount = quote(request.scope.get("root_path", "").rstrip("/"))
        return JSONResponse({**app.openapi(), **({"servers": [{"url": mount}]} if mount else {})})

    app.openapi = openapi  # type: ignore[method-assign]  # this is how FastAPI wants it to be done
    app.add_route(path, document, include_in_schema=False)


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in document["paths"].values():
        yield from path.items()


def _complete(method: str, operation: dict[str, Any]) -> None:
    for one in operation.get("parameters", ()):
        one["schema"] = _without_null(one["schema"])
    headers = {one["name"]: one for one in operation.get("parameters", ()) if one["in"] == "header"}
    may = _may(method, {one["name"] for one in operation.get("parameters", ())})
    if "If-Match" in headers:
        # Without it the answer is 428, and not that of a field that is missing.
        headers["If-Match"]["required"] = "If-None-Match" not in headers
    for status, response in list(operation["responses"].items()):
        if int(status) < 400:
            if "Idempotency-Key" in headers:
                response["headers"] = {"ETag": _TAG, "Idempotency-Replayed": _REPLAYED}
        elif int(status) not in may:
            del operation["responses"][status]
        else:
            response["content"] = {MEDIA_TYPE: response["content"]["application/json"]}
            if status in {"429", "503"}:
                response["headers"] = {"Retry-After": _AGAIN}
    operation["responses"] = dict(sorted(operation["responses"].items()))


def _may(method: str, parameters: set[str]) -> set[int]:
    """Return what an operation may be answered where something goes wrong."""
    return {
        *_ANY,
        *(_SENDING if method != "get" else ()),
        *(_WRITING if "If-Match" in parameters else ()),
        *(_KEYED if "Idempotency-Key" in parameters else ()),
        *(_FOLLOWING if "last" in parameters else ()),
    }


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a parameter, which is left out rather than null."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    if len(kinds) != 1:
        return schema
    plain: dict[str, Any] = kinds[0]
    return {name: value for name, value in schema.items() if name != "anyOf"} | plain
