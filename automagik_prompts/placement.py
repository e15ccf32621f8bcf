"""Putting a text into a history of messages exactly once, leaving everything else as it was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeGuard

from pydantic_ai.messages import ModelMessage, ModelRequest, ModelRequestPart, SystemPromptPart


@dataclass(frozen=True, slots=True)
class Placement:
    """Where one prompt belongs in the messages of a request.

    Attributes:
        ref: What histories call this prompt (`SystemPromptPart.dynamic_ref`).
        text: The text that the model shall be told; `None` to take the prompt out.
        declared: The agent's texts as its code declares them: one that stands there as a static system prompt, from
            the time before this library, is this prompt too.
        context_id: The id under which a later statement replaces an earlier one, or `None` where changes are written
            over the old text.
    """

    ref: str
    text: str | None
    declared: frozenset[str]
    context_id: str | None = None

    def apply(self, messages: Sequence[ModelMessage]) -> list[ModelMessage] | None:
        """Return the messages put right, or `None` if they are right already; the given ones are never changed."""
        requests = [(index, message) for index, message in enumerate(messages) if isinstance(message, ModelRequest)]
        own = [(index, part) for index, message in requests for part in message.parts if self._is_own(part)]
        if self.text is None:
            return _map_parts(messages, self._without) if own else None
        if not requests:
            return None
        if self.context_id is not None and own:
            return self._appended(messages, [part for _, part in own], self.text)
        first, head = requests[0]
        if len(own) == 1 and own[0][0] == first and own[0][1] == self._stated(own[0][1], self.text):
            return None
        return self._rewritten(messages, first, head, self.text)

    def _is_own(self, part: ModelRequestPart) -> TypeGuard[SystemPromptPart]:
        return isinstance(part, SystemPromptPart) and (
            part.dynamic_ref == self.ref or (part.dynamic_ref is None and part.content in self.declared)
        )

    def _stated(self, part: SystemPromptPart, text: str) -> SystemPromptPart:
        """Return the part as it states a text, marked as this prompt's."""
        return replace(part, content=text, dynamic_ref=self.ref, context_id=self.context_id)

    def _marked(self, part: ModelRequestPart) -> ModelRequestPart:
        """Return the part with the ids that let a later statement replace it, if it is this prompt's."""
        return self._stated(part, part.content) if self._is_own(part) else part

    def _without(self, parts: Sequence[ModelRequestPart]) -> list[ModelRequestPart]:
        return [part for part in parts if not self._is_own(part)]

    def _rewritten(
        self, messages: Sequence[ModelMessage], first: int, head: ModelRequest, text: str
    ) -> list[ModelMessage]:
        """Write the text over this prompt's part in the first request, or at its head, and remove all others."""
        places = [(index, part) for index, part in enumerate(head.parts) if self._is_own(part)]
        place, part = places[0] if places else (0, SystemPromptPart(text))
        parts = [*self._without(head.parts[:place]), self._stated(part, text), *self._without(head.parts[place:])]
        later = _map_parts(messages[first + 1 :], self._without)
        return [*messages[:first], replace(head, parts=parts), *later]

    def _appended(
        self, messages: Sequence[ModelMessage], own: Sequence[SystemPromptPart], text: str
    ) -> list[ModelMessage] | None:
        """Leave earlier statements where they are; state the text anew, in the last request, if it is another one."""
        last = messages[-1]
        told = own[-1].content == text or not isinstance(last, ModelRequest)
        if told and all(part == self._marked(part) for part in own):
            return None
        result = _map_parts(messages, lambda parts: [self._marked(part) for part in parts])
        if not told and isinstance(request := result[-1], ModelRequest):
            # After the latest statement if that is in this request, which no model has answered yet; else in front.
            places = [index for index, part in enumerate(request.parts) if self._is_own(part)]
            at = places[-1] + 1 if places else 0
            new = self._stated(SystemPromptPart(text), text)
            result[-1] = replace(request, parts=[*request.parts[:at], new, *request.parts[at:]])
        return result


def _map_parts(
    messages: Sequence[ModelMessage], change: Callable[[Sequence[ModelRequestPart]], list[ModelRequestPart]]
) -> list[ModelMessage]:
    """Change the parts of each request; one that is left without parts goes, unless it is the last message."""
    result: list[ModelMessage] = []
    for index, message in enumerate(messages):
        if isinstance(message, ModelRequest):
            parts = change(message.parts)
            if not parts and message.parts and index != len(messages) - 1:
                continue
            if parts != list(message.parts):
                message = replace(message, parts=parts)
        result.append(message)
    return result
