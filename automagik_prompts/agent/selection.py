"""Which prompt a run sends for a status: one in force, the version asked for, the conversation's, or the active one."""

from __future__ import annotations

import inspect
from enum import Enum
from typing import Any

from pydantic_ai.tools import RunContext

from automagik_prompts.agent import overrides, pinning
from automagik_prompts.agent.run import MemoryRun
from automagik_prompts.domain.protocols import StatusFunction
from automagik_prompts.domain.served import Reason, ReasonCode, Selection
from automagik_prompts.exceptions import NoActivePromptError


async def read_status(ctx: RunContext[Any], status: str | Enum | StatusFunction | None) -> Any:
    """Return the present status, `None` for the primary one; what a status function raises is not swallowed."""
    if callable(status) and not isinstance(status, Enum):
        told = status(ctx)
        return await told if inspect.isawaitable(told) else told
    return status


async def wait_for_database(run: MemoryRun) -> None:
    """Wait, bounded, for the statuses of an agent that only the database knows: what a status means depends on them."""
    if (snapshot := await run.reader.loaded()) is not None:
        run.snapshot = snapshot


async def choose(ctx: RunContext[Any], run: MemoryRun, name: str, status_key: str | None) -> Selection:
    """Choose the prompt for a status, once for each status of a run.

    Args:
        ctx: The run.
        run: What is known of it.
        name: The name of the prompts.
        status_key: The status; `None` for the primary one.

    Raises:
        NoActivePromptError: Neither the database nor the code has anything to serve.
        PromptNotFoundError: The version that was asked for does not exist.
        DatabaseUnavailableError: It cannot be read now.
    """
    if (known := run.selections.get(status_key)) is not None:
        return known
    version, pinned = run.capability.version, run.pinned
    if version is None and pinned is None and not run.overrides:
        selection = await _select(run, name, status_key)
        run.selections = {**run.selections, status_key: selection}
        if status_key is not None and selection.prompt.status_key != status_key:
            run.reader.report_fallback(name, status_key)
        return selection
    selection = overrides.choose(run.snapshot, name, status_key, run.overrides)
    if any(selection.prompt is prompt for prompt in run.overrides):
        pass
    elif version is not None:
        found = await run.reader.find_version(name, selection.prompt.status_key, version)
        selection = Selection(found, (Reason(ReasonCode.REQUESTED),))
    elif pinned is not None:
        asked = status_key or run.snapshot.status_key(name, selection.prompt.status_key) or selection.prompt.status_key
        if pinned.is_opaque or run.snapshot.status_key(name, pinned.asked_status_key) == asked:
            selection = await pinning.choose(run, pinned, asked, selection, ctx.conversation_id)
        else:
            run.pinned = None  # the status has changed: from here on, what is active
    run.selections = {**run.selections, status_key: selection}
    return selection


async def _select(run: MemoryRun, name: str, status_key: str | None) -> Selection:
    """Return what is served; an agent that only the database knows waits for the first load, bounded.

    Raises:
        NoActivePromptError: Neither the database nor the code has anything to serve, or the database was not read.
    """
    try:
        return run.snapshot.select(name, status_key)
    except NoActivePromptError as error:
        if run.snapshot.is_loaded:
            raise
        if (snapshot := await run.reader.loaded()) is None:
            raise NoActivePromptError(
                f"{error.message} {run.reader.unread}", agent=name, status_key=status_key
            ) from error
        run.snapshot = snapshot
        return snapshot.select(name, status_key)
