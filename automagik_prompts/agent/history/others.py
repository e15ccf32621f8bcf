"""Taking the prompts of other managed agents out of a history that was handed over."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic_ai.messages import ModelMessage, ModelRequest, ModelRequestPart, SystemPromptPart

from automagik_prompts.agent.history.messages import REF, are_same

if TYPE_CHECKING:
    from pydantic_ai.models import ModelRequestContext


def drop_others(request: ModelRequestContext, kept: list[ModelMessage], own: Collection[str]) -> None:
    """Take the prompts of other managed agents out of the messages of a request, and of those of its run.

    Args:
        request: The request.
        kept: The messages of the run.
        own: What histories call the agent's own prompts.
    """
    made: dict[int, ModelRequest] = {}
    if (messages := _without_others(request.messages, own, made)) is not None:
        request.messages = messages
    if (messages := _without_others(kept, own, made)) is not None:
        kept[:] = messages


def _without_others(
    messages: Sequence[ModelMessage], own: Collection[str], made: dict[int, ModelRequest]
) -> list[ModelMessage] | None:
    """Return messages without the prompts of other managed agents, or `None` where there are none of these."""
    found: list[ModelMessage] = []
    for index, message in enumerate(messages):
        if isinstance(message, ModelRequest) and any(_is_foreign(part, own) for part in message.parts):
            parts = [part for part in message.parts if not _is_foreign(part, own)]
            if not parts and index < len(messages) - 1:
                continue
            message = made.setdefault(id(message), replace(message, parts=parts))
        found.append(message)
    return None if are_same(found, messages) else found


def _is_foreign(part: ModelRequestPart, own: Collection[str]) -> bool:
    return (
        isinstance(part, SystemPromptPart)
        and part.dynamic_ref is not None
        and part.dynamic_ref.startswith(REF)
        and part.dynamic_ref not in own
    )
