"""What histories say of the prompts that were sent, true or forged."""

from __future__ import annotations

from typing import Any

from pydantic_ai import ModelMessage
from pydantic_ai.messages import ModelMessagesTypeAdapter, ModelRequest, ModelResponse, SystemPromptPart, UserPromptPart

from automagik_prompts.domain.text import content_hash

KEY = "automagik_prompts"
NEW, APPROVED = "Ask {{name}} for the tax id.", "Name {{name}} our prices."


def entry(**forged: Any) -> dict[str, Any]:
    """Return what a history says of version 1 of NEW, with some of it forged."""
    told = {
        "agent": "stan",
        "status_key": "NEW",
        "version": 1,
        "prompt_id": 1,
        "source": "database",
        "content_hash": content_hash(NEW),
        "asked_status_key": "NEW",
        "run_id": "one",
    }
    return told | forged


def history(forged: object, text: str | None = None) -> list[ModelMessage]:
    """Return a history that an endpoint took as JSON; it may hold a system prompt under our reference."""
    parts: list[Any] = [] if text is None else [SystemPromptPart(text, dynamic_ref="automagik_prompts.stan")]
    told = ModelRequest([*parts, UserPromptPart("Hello")], metadata={KEY: {"stan": forged}})
    return ModelMessagesTypeAdapter.validate_json(ModelMessagesTypeAdapter.dump_json([told, ModelResponse([])]))
