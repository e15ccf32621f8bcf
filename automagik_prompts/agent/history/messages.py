"""Putting a text into a history of messages exactly once, leaving everything else as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from operator import is_
from typing import TYPE_CHECKING, TypeGuard

from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    SystemPromptPart,
    UserPromptPart,
)

from automagik_prompts.agent.history.features import APPENDS_SYSTEM_PROMPTS, context

if TYPE_CHECKING:
    from pydantic_ai.models import ModelRequestContext


Known = tuple[Callable[[str, str | None], bool], str]
"""What tells whether a text may be sent again, as one of a status or of any (`None`), and the present status."""

_PROMPT_AND_QUESTION = 2

REF = "automagik_prompts."
"""What histories call a prompt of this library begins so; the name of the prompts follows."""


@dataclass(eq=False)
class Placement:
    """Where one prompt belongs in the messages of a request.

    Messages are never changed: those that must differ are replaced, and one that stands in several lists is replaced
    by the same one in each, as Pydantic AI tells by identity which request is being sent.

    Attributes:
        ref: What histories call this prompt (`SystemPromptPart.dynamic_ref`).
        text: The text that the model is sent; `None` to take the prompt out.
        declared: The agent's texts as its code declares them: one that stands there as a static system prompt, from
            the time before this library, is this prompt too.
        context_id: The id under which a later statement replaces an earlier one, or `None` where changes are written
            over the old text.
        is_known: What tells whether a text of the history may be sent again.
        is_paused: Whether the provider paused in the middle of an answer, and wants back exactly what it was sent.
    """

    ref: str
    text: str | None
    declared: frozenset[str] = frozenset()
    context_id: str | None = None
    is_known: Known | None = None
    is_paused: bool = False
    _new: dict[int, ModelRequest] = field(default_factory=dict, init=False, repr=False)

    def apply(self, messages: Sequence[ModelMessage]) -> list[ModelMessage] | None:
        """Return the messages put right, or `None` if they are right already."""
        if is_placed(messages, self.ref, self.text, self.declared, self.context_id):
            return None
        head = next((message for message in messages if isinstance(message, ModelRequest)), None)
        if head is None:
            return None
        last, has_own = messages[-1], any(map(self._has_own, messages))
        if (self.is_paused or not isinstance(last, ModelRequest)) and has_own and self.text is not None:
            # Who forges a history may have put a text there that the agent was never given, or one twice.
            changed = self._resent(messages, head, self.text)
        elif self.text is None:
            changed = self._cleared(messages)
        elif self.context_id is not None and has_own and isinstance(last, ModelRequest):
            changed = self._appended(messages, last, self.text)
        else:
            changed = self._stated_once(messages, self.text)
        return None if are_same(changed, messages) else changed

    def _resent(self, messages: Sequence[ModelMessage], head: ModelRequest, text: str) -> list[ModelMessage]:
        """Keep what was sent, as far as the agent may have been sent it; without that, state what is active."""
        if self.context_id is None:
            sent = next(
                (part.content for part in head.parts if self._is_own(part) and self._is_sent(part.content)), text
            )
            return self._stated_once(messages, sent)
        # Where changes are appended there may be several statements, of which the last one counts.
        found: list[ModelMessage] = []
        for message in messages:
            if self._has_own(message):
                parts = [part for part in message.parts if not self._is_own(part) or self._is_sent(part.content)]
                message = self._with_parts(message, parts)
            found.append(message)
        return found if any(map(self._has_own, found)) else self._stated_once(found, text)

    def _is_sent(self, content: str, *, now: bool = True) -> bool:
        """Return whether the conversation may have been sent a text, in the status that it has now or in any."""
        if content == self.text or self.is_known is None:
            return content == self.text
        ask, status_key = self.is_known
        return ask(content, status_key) or (not now and ask(content, None))

    def _stated_once(self, messages: Sequence[ModelMessage], text: str) -> list[ModelMessage]:
        """State the text over this prompt's part at the head of the first request; all others go."""
        first = next(index for index, message in enumerate(messages) if isinstance(message, ModelRequest))
        head = messages[first]
        assert isinstance(head, ModelRequest)  # noqa: S101  # it was found so
        stated = self._with_parts(head, self._stated_in(head.parts, text))
        return [*messages[:first], stated, *self._cleared(messages[first + 1 :])]

    def _is_own(self, part: ModelRequestPart) -> TypeGuard[SystemPromptPart]:
        return isinstance(part, SystemPromptPart) and is_own(part, self.ref, self.declared, self.context_id)

    def told(self, messages: Sequence[ModelMessage]) -> str | None:
        """Return the latest text that messages state."""
        own = [part.content for one in messages if self._has_own(one) for part in one.parts if self._is_own(part)]
        return own[-1] if own else None

    def _has_own(self, message: ModelMessage) -> TypeGuard[ModelRequest]:
        return isinstance(message, ModelRequest) and any(self._is_own(part) for part in message.parts)

    def _appended(self, messages: Sequence[ModelMessage], last: ModelRequest, text: str) -> list[ModelMessage]:
        """Leave what was answered as it is; state the text in the last request, if the latest one was another.

        Where a history has a text that the conversation was not sent, as far as is known, none of its texts is left.
        """
        told = (part.content for one in messages[:-1] if self._has_own(one) for part in one.parts if self._is_own(part))
        if not all(self._is_sent(content, now=False) for content in told):
            return self._stated_once(messages, text)
        earlier: list[ModelMessage] = []
        latest: str | None = None
        for message in messages[:-1]:
            if self._has_own(message):
                latest = [part.content for part in message.parts if self._is_own(part)][-1]
                # Marked where it is not: a text from the time before changes were appended opens the conversation.
                parts = [self._stated(part, part.content) if self._is_own(part) else part for part in message.parts]
                message = self._with_parts(message, parts)
            earlier.append(message)
        parts = self._without_own(last.parts) if latest == text else self._stated_in(last.parts, text)
        return [*earlier, self._with_parts(last, parts)]

    def _cleared(self, messages: Sequence[ModelMessage]) -> list[ModelMessage]:
        """Take this prompt out; a request that is left without parts goes, unless it is the one being sent."""
        result: list[ModelMessage] = []
        for index, message in enumerate(messages):
            if self._has_own(message):
                parts = self._without_own(message.parts)
                if not parts and index < len(messages) - 1:
                    continue
                message = self._with_parts(message, parts)
            result.append(message)
        return result

    def _stated_in(self, parts: Sequence[ModelRequestPart], text: str) -> list[ModelRequestPart]:
        """Return the parts with the text where this prompt stood, at the head if that was among the conversation."""
        own = ((index, part) for index, part in enumerate(parts) if self._is_own(part))
        at, part = next(own, (0, self._new_statement))
        if not all(isinstance(before, SystemPromptPart) for before in parts[:at]):
            at = 0
        return [*self._without_own(parts[:at]), self._stated(part, text), *self._without_own(parts[at:])]

    def _stated(self, part: SystemPromptPart, text: str) -> SystemPromptPart:
        """Return the part as it states a text, marked as this prompt's; the same one if it does so already."""
        stated = replace(part, content=text, dynamic_ref=self.ref, scope="conversation", **context(self.context_id))
        return part if stated == part else stated

    @cached_property
    def _new_statement(self) -> SystemPromptPart:
        return SystemPromptPart(self.text or "", dynamic_ref=self.ref, **context(self.context_id))

    def _without_own(self, parts: Iterable[ModelRequestPart]) -> list[ModelRequestPart]:
        return [part for part in parts if not self._is_own(part)]

    def _with_parts(self, request: ModelRequest, parts: Sequence[ModelRequestPart]) -> ModelRequest:
        """Return the request with other parts; the same one if they are the same."""
        if are_same(parts, request.parts):
            return request
        known = self._new.get(id(request))
        if known is None or list(known.parts) != list(parts):
            known = self._new[id(request)] = replace(request, parts=list(parts))
        return known


def are_same(some: Sequence[object], others: Sequence[object]) -> bool:
    """Return whether two sequences hold the same objects."""
    return len(some) == len(others) and all(map(is_, some, others))


def is_own(part: SystemPromptPart, ref: str, declared: frozenset[str], context_id: str | None) -> bool:
    """Return whether a system prompt is this one, or passes itself off as what replaces it."""
    if part.dynamic_ref is not None:
        return part.dynamic_ref == ref
    return part.content in declared or (context_id is not None and getattr(part, "context_id", None) == context_id)


def is_opening(sent: Sequence[ModelMessage], kept: Sequence[ModelMessage], ref: str, text: str) -> bool:
    """Return whether a conversation begins with a prompt and one part of the user's, as Pydantic AI has just built it.

    It is the short way of `is_placed`, for requests as they mostly are, where changes are written over the old text.
    """
    if (
        len(sent) != 1
        or len(kept) != 1
        or sent[0] is not kept[0]
        or len(parts := sent[0].parts) != _PROMPT_AND_QUESTION
    ):
        return False
    part, question = parts
    return (
        type(question) is UserPromptPart
        and type(part) is SystemPromptPart
        and part.content is text
        and part.dynamic_ref == ref
        and part.scope == "conversation"
        and not (APPENDS_SYSTEM_PROMPTS and part.context_id)
    )


def is_placed(
    messages: Sequence[ModelMessage],
    ref: str,
    text: str | None,
    declared: frozenset[str] = frozenset(),
    context_id: str | None = None,
) -> bool:
    """Return whether a prompt stands at the head of the first request and nowhere else, as it mostly does.

    The arguments are those of `Placement`, which puts right what is not.
    """
    at_head, stated = True, text is None
    for message in messages:
        if not isinstance(message, ModelRequest):
            continue
        for part in message.parts:
            if not isinstance(part, SystemPromptPart):
                at_head = False
            elif is_own(part, ref, declared, context_id):
                if (
                    stated
                    or not at_head
                    or part.content != text
                    or part.dynamic_ref != ref
                    or getattr(part, "context_id", None) != context_id
                    or part.scope != "conversation"
                ):
                    return False
                stated = True
        at_head = False
    return stated


def put_right(
    request: ModelRequestContext,
    kept: list[ModelMessage],
    ref: str,
    text: str | None,
    declared: frozenset[str],
    context_id: str | None,
    is_known: Known,
) -> bool:
    """Put the text where it belongs in the messages of a request, and in those of its run.

    Args:
        request: The request.
        kept: The messages of the run.
        ref: As for `Placement`, likewise the rest.
        text: The text.
        declared: The agent's texts as its code declares them.
        context_id: The id under which a later statement replaces an earlier one.
        is_known: As for `Placement`.

    Returns:
        Whether the text is what the model is told: an answer that goes on has been told what it was.
    """
    sent = request.messages
    # Mostly both lists hold the same messages, and those are right already.
    if is_placed(sent, ref, text, declared, context_id) and (
        are_same(sent, kept) or is_placed(kept, ref, text, declared, context_id)
    ):
        return True
    is_paused = bool(sent) and not isinstance(sent[-1], ModelRequest)
    place = Placement(ref, text, declared, context_id, is_known, is_paused)
    if (messages := place.apply(sent)) is not None:
        request.messages = messages
    if (messages := place.apply(kept)) is not None:
        kept[:] = messages
    return not is_paused or text is None or place.told(request.messages) == text


def leading_prompt(messages: Sequence[ModelMessage], ref: str, texts: frozenset[str]) -> tuple[str | None, bool]:
    """Return the first system prompt of a history that is not known to be ours, and whether one of ours is there.

    Args:
        messages: The history.
        ref: What histories call this prompt.
        texts: The agent's texts as its code declares them.
    """
    head = next((message for message in messages if isinstance(message, ModelRequest)), None)
    parts = [part for part in head.parts if isinstance(part, SystemPromptPart)] if head is not None else []
    has_own = any(part.dynamic_ref == ref for part in parts)
    others = (part for part in parts if part.dynamic_ref != ref and part.content not in texts)
    first = next(others, None)
    # Another agent's prompt is no plain one: nothing behind it is taken for ours.
    return (first.content if first is not None and first.dynamic_ref is None else None), has_own
