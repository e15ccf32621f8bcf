"""Which processes follow a database, and how far they have followed what is active; nothing is written."""

from __future__ import annotations

from automagik_prompts.domain.keys import Status, StatusKeys, new_key
from automagik_prompts.domain.running.fleet import Fleet, FleetProcess, Followers, Following, FollowingProcess
from automagik_prompts.editing.finding import find_agent
from automagik_prompts.storage import repository
from automagik_prompts.storage.database import Database


async def fleet(database: Database) -> Fleet:
    """Return the processes that follow.

    Raises:
        DatabaseUnavailableError: The database cannot be read now, or not by this user.
    """
    return _fleet(await database.run(repository.get_processes), await database.run(repository.count_listeners))


async def followers(database: Database, agent: str, status: Status) -> Followers:
    """Return how far the living processes have followed what is active for an agent and status.

    Raises:
        PromptNotFoundError: There is no such agent.
        DatabaseUnavailableError: The database cannot be read now, or not by this user.
    """
    known = await find_agent(database, agent)
    key = StatusKeys(await database.run(repository.get_status_keys, known.id)).find(status) or new_key(status)
    active = await database.run(repository.get_active_prompt, known.id, key)
    version = active.version if active is not None else None
    found = _fleet(
        await database.run(repository.get_processes, known.id), await database.run(repository.count_listeners)
    )
    living = [one for one in found.processes if one.is_alive]
    return Followers(
        known.name, key, version, tuple(_follower(one, known.name, key, version) for one in living), found.unknown
    )


def _fleet(processes: list[FleetProcess], listeners: int) -> Fleet:
    return Fleet(tuple(processes), max(0, listeners - sum(one.is_alive for one in processes)))


def _follower(process: FleetProcess, agent: str, status_key: str, version: int | None) -> FollowingProcess:
    """Return how far a process has followed."""
    if process.follows is not None and agent not in process.follows:
        return FollowingProcess(process, Following.APART)
    if process.behind is None:
        return FollowingProcess(process, Following.UNKNOWN)
    if process.behind:
        return FollowingProcess(process, Following.BEHIND)
    for problem in process.problems:
        if (problem.agent, problem.status_key, problem.version) == (agent, status_key, version):
            return FollowingProcess(process, Following.REFUSES, problem.reason)
    return FollowingProcess(process, Following.SERVES)
