"""The functions of the table `prompts` that an application may call with a connection of its own.

`async with plugin.connection() as db` gives one, inside a transaction. Each function takes it first, and gives values,
never rows: a `Prompt` is a frozen dataclass.
"""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from automagik_prompts.domain.records import Action, AgentInfo, EventCreate, Prompt, PromptCreate
from automagik_prompts.storage import repository as _repository
from automagik_prompts.storage.connection import Client
from automagik_prompts.storage.database import run_in_context

_P = ParamSpec("_P")
_T = TypeVar("_T")

_Query = Callable[Concatenate[Client, _P], Awaitable[_T]]


def _public(function: _Query[_P, _T]) -> _Query[_P, _T]:
    @wraps(function)
    async def query(db: Client, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        return await run_in_context(function, db, *args, **kwargs)

    return query


get_prompts_by_agent_id = _public(_repository.get_prompts_by_agent_id)
get_prompt_by_id = _public(_repository.get_prompt_by_id)
get_active_prompt = _public(_repository.get_active_prompt)
get_latest_version_for_status = _public(_repository.get_latest_version_for_status)
find_code_default_prompt = _public(_repository.find_code_default_prompt)


@_public
async def create_prompt(db: Client, data: PromptCreate) -> Prompt:
    """Write a new version with the next number of its agent and status, and its event; the agent is locked meanwhile.

    No policy is asked, and a protected status needs no approval here: whoever has a connection can do everything.

    Args:
        db: The connection of a transaction.
        data: What to write.

    Raises:
        InvalidPromptError: The text or a name cannot be kept.
    """
    locked = await _repository.lock_agent(db, data.agent_id)  # so that numbers have no gap, and other processes notice
    before = await _repository.get_active_prompt(db, data.agent_id, data.status_key)
    written = await _repository.create_prompt(db, data)
    if locked is not None:
        actions = [Action.CREATED, *([Action.ACTIVATED] if written.is_active else [])]
        await _repository.add_events(db, [_event(locked, action, written, before, data) for action in actions])
    return written


def _event(
    agent: AgentInfo, action: Action, prompt: Prompt, before: Prompt | None, data: PromptCreate | None = None
) -> EventCreate:
    """Return the event of a write, so that whoever goes by the history sees it."""
    return EventCreate(
        agent.id,
        prompt.status_key,
        action,
        agent.revision,
        prompt.id,
        prompt.version,
        before.version if before is not None and action is not Action.CREATED else None,
        author=data.author if data is not None else None,
        note=data.note if data is not None else None,
    )


@_public
async def set_prompt_active(db: Client, agent_id: int, prompt_id: int | None, status_key: str) -> Prompt | None:
    """Make one version the active one of its agent and status, or none, with an event; the agent is locked meanwhile.

    As for `create_prompt`, nobody is asked.

    Args:
        db: The connection of a transaction.
        agent_id: The agent's id.
        prompt_id: The version's id, or `None` to leave the status without an active version.
        status_key: The status.

    Returns:
        The active version, or `None` if there is none now or the id belongs to another agent or status.
    """
    locked = await _repository.lock_agent(db, agent_id)  # as above
    before = await _repository.get_active_prompt(db, agent_id, status_key)
    active = await _repository.set_prompt_active(db, agent_id, prompt_id, status_key)
    about, action = (active, Action.ACTIVATED) if active is not None else (before, Action.DEACTIVATED)
    is_done = active is not None or (prompt_id is None and before is not None)
    if locked is not None and about is not None and is_done:
        await _repository.add_events(db, [_event(locked, action, about, before)])
    return active


__all__ = [
    "Prompt",
    "PromptCreate",
    "create_prompt",
    "find_code_default_prompt",
    "get_active_prompt",
    "get_latest_version_for_status",
    "get_prompt_by_id",
    "get_prompts_by_agent_id",
    "set_prompt_active",
]
