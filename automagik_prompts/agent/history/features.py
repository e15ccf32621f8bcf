"""What the installed release of Pydantic AI can do, asked of it and not of its version."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from pydantic_ai.messages import SystemPromptPart

APPENDS_SYSTEM_PROMPTS = any(field.name == "context_id" for field in fields(SystemPromptPart))
"""Whether a later system prompt can replace an earlier one in a history (`context_id`), since 2.64."""


def registration(name: str | None, on_change: str) -> dict[str, Any]:
    """Return the arguments of `Agent.system_prompt` besides `dynamic`, as far as the release knows them."""
    return {"name": name, "on_change": on_change} if APPENDS_SYSTEM_PROMPTS else {}


def context(context_id: str | None) -> dict[str, Any]:
    """Return the field of `SystemPromptPart` that names what a later part replaces, where there is such a field."""
    return {"context_id": context_id} if APPENDS_SYSTEM_PROMPTS else {}
