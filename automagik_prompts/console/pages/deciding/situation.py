"""Where one status stands, as the pages that change it need it."""

from __future__ import annotations

from dataclasses import dataclass

from automagik_prompts.domain.policy import Operation
from automagik_prompts.domain.records import AgentInfo, Prompt, Protection
from automagik_prompts.domain.summaries import StatusSummary
from automagik_prompts.editing import queries
from automagik_prompts.editing.service import EditService
from automagik_prompts.exceptions import PromptNotFoundError
from automagik_prompts.storage.database import Database


@dataclass(frozen=True, slots=True)
class Situation:
    """Where one status stands.

    Attributes:
        agent: Its agent.
        status_key: The status.
        revision: What a write to it rests on.
        statuses: Where each status of the agent stands, the primary one first.
        active: The active version, if there is one.
        instead: What is served where none is: the active version of the primary status, if there is one.
    """

    agent: AgentInfo
    status_key: str
    revision: int
    statuses: tuple[StatusSummary, ...]
    active: Prompt | None
    instead: Prompt | None

    @property
    def summary(self) -> StatusSummary:
        """Where this status stands."""
        return next(one for one in self.statuses if one.status_key == self.status_key)

    @property
    def is_primary(self) -> bool:
        """Whether it is the agent's primary status."""
        return self.summary.primary

    @property
    def protection(self) -> Protection | None:
        """How it is protected, if it is."""
        return self.agent.protection(self.status_key)

    @property
    def falling_back(self) -> tuple[str, ...]:
        """The statuses that are served this one's text, as they have no active version of their own."""
        if not self.is_primary:
            return ()
        return tuple(one.status_key for one in self.statuses if one.active is None and one is not self.summary)

    @property
    def served(self) -> Prompt | None:
        """What is served for this status."""
        return self.active or self.instead

    @property
    def name(self) -> str:
        """What it is called: `seller / NEW`."""
        return f"{self.agent.name} / {self.status_key}"


async def situation(service: EditService, agent: str, status: str) -> Situation:
    """Return where a status stands.

    Args:
        service: Does what somebody may do.
        agent: The agent's name.
        status: The status.

    Raises:
        PromptNotFoundError: There is no such agent or status.
        NotAllowedError: The policy does not show the agent.
        DatabaseUnavailableError: The database cannot be read now.
    """
    await service.authorize(Operation.VIEW, agent)
    return await service.look(lambda database: _read(database, agent, status))


async def _read(database: Database, agent: str, status: str) -> Situation:
    # The revision first: what is written while the rest is read makes the next write a conflict.
    key, revision = await queries.status_revision(database, agent, status)
    known = await queries.get_agent(database, key.agent)
    found = await queries.summaries(database, key.agent)
    statuses = tuple(sorted(found, key=lambda one: (not one.primary, one.status_key)))
    active = await queries.get_active(database, *key)
    if known is None:
        raise PromptNotFoundError(f"There is no agent {agent!r}.", agent=agent)
    instead = None
    if active is None and any(one.primary and one.active is not None for one in statuses):
        instead = await queries.get_active(database, key.agent, known.default_status_key)
    return Situation(known, key.status_key, revision, statuses, active, instead)


async def version_of(service: EditService, found: Situation, version: int) -> Prompt:
    """Return a version of a status.

    Args:
        service: Does what somebody may do.
        found: The status.
        version: The version's number.

    Raises:
        PromptNotFoundError: There is no such version.
        DatabaseUnavailableError: The database cannot be read now.
    """
    return await service.look(lambda database: queries.get(database, found.agent.name, found.status_key, version))
