"""What a conversation goes on with: the version that it was sent last, if that can be believed.

A history can come from anywhere, also from the browser of somebody who would like to be sent another prompt. So it only
ever names a version, and never brings a text: the version must belong to the status in question, must have been active
once, and must have the hash that is named. Where there are keys, it must be signed, for this conversation.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from pydantic_ai.tools import RunContext

from automagik_prompts.agent.history.signing import is_signed
from automagik_prompts.agent.history.used import UsedPrompt
from automagik_prompts.agent.run import MemoryRun
from automagik_prompts.domain.protocols import PromptReader
from automagik_prompts.domain.served import Reason, ReasonCode, Selection, ServedPrompt, Source


async def choose(
    run: MemoryRun, pinned: UsedPrompt, asked: str, selection: Selection, conversation: str | None
) -> Selection:
    """Return the version that a conversation goes on with; what is active, where that cannot be believed.

    Args:
        run: The run.
        pinned: What the conversation was sent last.
        asked: The status in question.
        selection: What is active.
        conversation: The id of the conversation.
    """
    if pinned.source is Source.OVERRIDE:
        return selection
    statuses = dict.fromkeys((asked, selection.prompt.status_key))
    if not pinned.is_opaque and pinned.status_key not in statuses:
        words = f"names a version of another status than {asked!r}, which does not stand in for it"
        return _disbelieved(run, words, selection)
    if pinned.is_opaque:
        found = await _opaque(run, pinned, asked, [*statuses], selection, conversation)
        return _going_on(found, selection) if found is not None else selection
    keys = run.reader.history.keys
    if keys and not run.is_vouched and not is_signed(keys, pinned, conversation, pinned.proof):
        return _disbelieved(run, "is not signed for this conversation with one of the keys (history_key)", selection)
    active = selection.prompt
    if active.content_hash == pinned.content_hash and pinned.version in {None, active.version}:
        return selection
    found = await run.reader.recall(pinned.agent, pinned.status_key, pinned.version, pinned.content_hash)
    return _going_on(found, selection) if found is not None else selection


async def _opaque(
    run: MemoryRun, pinned: UsedPrompt, asked: str, statuses: list[str], selection: Selection, conversation: str | None
) -> ServedPrompt | None:
    """Return the version that a token stands for, or `None`."""
    reader: PromptReader = run.reader
    is_known = False
    for status_key in statuses:
        active = selection.prompt
        found: ServedPrompt | None = active
        if (active.status_key, active.version) != (status_key, pinned.version):
            found = await reader.recall(pinned.agent, status_key, pinned.version, None)
        is_known |= found is not None
        if found is not None and is_signed(
            reader.history.keys, UsedPrompt.of(found, asked), conversation, pinned.proof
        ):
            return found
    if is_known:
        _disbelieved(run, "has a token that is of no key (history_key), status or conversation of this run", selection)
    return None


def _going_on(found: ServedPrompt, selection: Selection) -> Selection:
    if found is selection.prompt:
        return selection
    return Selection(found, (Reason(ReasonCode.PINNED),), selection.code)


def _disbelieved(run: MemoryRun, words: str, selection: Selection) -> Selection:
    """Take note that a history was not believed, and return what is active."""
    run.reader.report_pin(run.capability.name, f"What a conversation is to go on with {words}")
    return selection


async def ask(ctx: RunContext[Any], pin: Callable[[RunContext[Any]], Any], run: MemoryRun) -> None:
    """Ask the application what it has kept of a run's conversation."""
    name, kept = run.capability.name, pin(ctx)
    if inspect.isawaitable(kept):
        kept = await kept
    run.is_vouched = True
    if isinstance(kept, str):
        run.pinned = UsedPrompt.from_token(kept)
        if run.pinned is None:
            run.reader.report_pin(name, "What pin= returned for a conversation is no token of prompt_used(...)")
    elif kept is None or isinstance(kept, UsedPrompt):
        run.pinned = kept
    else:
        kind = type(kept).__name__
        run.reader.report_pin(
            name, f"What pin= returned for a conversation is {kind}, and no token of prompt_used(...)"
        )
    if run.pinned is not None and run.pinned.agent != name:
        run.pinned = None
