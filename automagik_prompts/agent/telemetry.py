"""What OpenTelemetry spans and baggage say about the prompt that was sent: names and numbers, never a text or a value.

Pydantic AI's own instrumentation decides whether there are spans. Where it is off nothing here is computed, and spans
that belong to the application are never written to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext

from opentelemetry import baggage, context
from opentelemetry.trace import get_current_span

from automagik_prompts.agent.history.used import UsedPrompt

PROMPT_NAME = "gen_ai.prompt.name"
"""OpenTelemetry's own name: `agent/status`, the list in which versions are numbered."""

AGENT = "automagik_prompts.agent"
STATUS = "automagik_prompts.status"
VERSION = "automagik_prompts.version"
ID = "automagik_prompts.id"
SOURCE = "automagik_prompts.source"
CONTENT_HASH = "automagik_prompts.content_hash"

PROMPTS = "automagik_prompts.prompts"
"""All that was sent so far, in the order of first use, as `agent/status@version`."""

Attributes = Mapping[str, str | int]


def attributes_of(used: UsedPrompt) -> Attributes:
    """Return what a span says about a prompt."""
    found: dict[str, str | int] = {
        PROMPT_NAME: f"{used.agent}/{used.status_key}",
        AGENT: used.agent,
        STATUS: used.status_key,
        SOURCE: used.source.value,
        CONTENT_HASH: used.content_hash,
    }
    if used.version is not None:
        found[VERSION] = used.version
    if used.prompt_id is not None:
        found[ID] = used.prompt_id
    return found


def label_of(used: UsedPrompt) -> str:
    """Return a prompt as one word."""
    which = used.version if used.version is not None else used.source.value
    return f"{used.agent}/{used.status_key}@{which}"


@contextmanager
def named(attributes: Attributes, is_baggage: bool) -> Iterator[None]:
    """Name a prompt on the present span, and carry it as baggage if that is asked for."""
    get_current_span().set_attributes(attributes)
    with baggage_set(attributes) if is_baggage else nullcontext():
        yield


@contextmanager
def baggage_set(attributes: Attributes) -> Iterator[None]:
    """Carry a prompt as baggage, for spans that others open and for services that are called."""
    carrier = context.get_current()
    for name, value in attributes.items():
        if name != CONTENT_HASH:  # it travels with every request to another service, so it is kept short
            carrier = baggage.set_baggage(name, str(value), carrier)
    token = context.attach(carrier)
    try:
        yield
    finally:
        context.detach(token)
