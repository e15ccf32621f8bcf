"""The libraries that people would use instead, set up as their documentation says."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import unquote, urlsplit

LABEL = "production"

LANGFUSE_KEYS = {"public_key": "pk-lf-benchmark", "secret_key": "sk-lf-benchmark"}
"""What a client must be given; the stub does not look at them."""


def configure_logfire(texts: Mapping[str, str], *, spans: bool = True) -> None:
    """Configure Logfire with managed prompts from its local provider, exporting nothing.

    Args:
        texts: The prompts by slug.
        spans: Whether a resolution records a span, as it does by default.
    """
    import logfire
    from logfire.variables.config import LabeledValue, Rollout, VariableConfig, VariablesConfig

    variables = {
        f"prompt__{slug}": VariableConfig(
            name=f"prompt__{slug}",
            labels={LABEL: LabeledValue(version=1, serialized_value=json.dumps(text))},
            rollout=Rollout(labels={LABEL: 1.0}),
            overrides=[],
        )
        for slug, text in texts.items()
    }
    options = logfire.LocalVariablesOptions(config=VariablesConfig(variables=variables), instrument=spans)
    logfire.configure(send_to_logfire=False, console=False, variables=options)


def managed_prompt(slug: str, *, render: bool) -> Any:
    """Return Harness' capability for a managed prompt that `configure_logfire` knows."""
    from pydantic_ai_harness.logfire import ManagedPrompt

    return ManagedPrompt(slug, default="The code's default.", label=LABEL, render_template=render)


def pivot_registry(url: str) -> Any:
    """Return a registry of prompt-pivot: on SQLite with a sync engine, on PostgreSQL with asyncpg.

    Args:
        url: The database, in SQLAlchemy's notation.
    """
    from promptpivot import PromptRegistry
    from sqlalchemy import create_engine
    from sqlalchemy.ext.asyncio import create_async_engine

    engine = create_engine(url) if url.startswith("sqlite") else create_async_engine(url)
    return PromptRegistry(engine)


async def publish(url: str, name: str, text: str, *, format: str = "jinja") -> Any:
    """Write a prompt with prompt-pivot, and return its registry, which has the prompt in its cache."""
    registry = pivot_registry(url)
    await registry.acreate_tables()
    await registry.acreate_prompt(name)
    await registry.acreate_version(name, text, format=format, message="first")
    await registry.apublish(name, 1, LABEL, force=True, reason="first")
    await registry.aget(name)
    await dispose(registry)
    return registry


async def dispose(registry: Any) -> None:
    """Close the connections of a registry of prompt-pivot; what it has in its cache it still serves."""
    closing = registry.engine.dispose()
    if closing is not None:
        await closing


def sqlalchemy_url(url: str) -> str:
    """Turn the URL of an embedded PostgreSQL into SQLAlchemy's notation for asyncpg."""
    return "postgresql+asyncpg://" + url.partition("://")[2]


def pivot_export(texts: Mapping[str, str]) -> dict[str, Any]:
    """Return prompts as the file that prompt-pivot imports."""
    from promptpivot import PromptRegistry

    source = PromptRegistry.in_memory()
    for name, text in texts.items():
        source.create_prompt(name)
        source.create_version(name, text, format="jinja", message="first")
        source.publish(name, 1, LABEL, force=True, reason="first")
    return cast("dict[str, Any]", source.export())


@contextmanager
def langfuse_client(texts: Mapping[str, str]) -> Iterator[Any]:
    """Give a client of Langfuse whose cache holds prompts, read over HTTP from a stub on this machine.

    Args:
        texts: The prompts by name.
    """
    from langfuse import Langfuse

    with stub(texts) as address:
        client = Langfuse(**LANGFUSE_KEYS, base_url=address)
        for name, text in texts.items():
            if client.get_prompt(name).prompt != text:
                raise RuntimeError(f"Langfuse did not return the prompt {name!r}.")
        yield client
        client.shutdown()


@contextmanager
def stub(texts: Mapping[str, str]) -> Iterator[str]:
    """Serve prompts by name at Langfuse's endpoint, from memory, on loopback; the address is given."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = unquote(urlsplit(self.path).path.rpartition("/")[2])
            body = {"name": name, "version": 1, "type": "text", "prompt": texts[name], "labels": [LABEL]}
            data = json.dumps({**body, "tags": [], "config": {}}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Say nothing; the progress of the benchmark is on the screen."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
