"""What becomes of the texts of a database that had agents before this library: decided here, written nowhere.

The preview and the migrations ask the same functions, so that what was announced is what happens.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from automagik_prompts.schema.legacy.frozen import DEFAULT_STATUS_KEY, Format, text_refusal
from automagik_prompts.schema.legacy.text_format import format_of

MIGRATED_NAME = "Migrated Default Prompt"
"""The name of versions that come from a text column."""

AUTHOR = "migration"
"""The author of what migrations write."""


_NO_UTF8 = re.compile(r"[\ud800-\udfff]")
"""How bytes that are no text look after reading."""


class Outcome(StrEnum):
    """What becomes of one agent's text.

    `created`: a new version, active. `inactive`: a new version that is not active, as another one is. `present`: there
    is an equal version already. `activated`: there is one, and it becomes active. `null`, `empty`, `blank`: there is no
    text to serve; what stood there is kept for the way back. `refused`: it cannot be imported; the reason says why.
    """

    CREATED = "created"
    INACTIVE = "inactive"
    PRESENT = "present"
    ACTIVATED = "activated"
    NULL = "null"
    EMPTY = "empty"
    BLANK = "blank"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class LegacyAgent:
    """An agent as the host's table has it.

    Attributes:
        id: The row's id.
        name: Its name.
        text: What stands in its text column.
        pointer: What stands in `active_default_prompt_id`, whether it is true or stale.
        archived: Whether a downgrade has put this agent's versions aside and they are back now.
        archived_text: What the downgrade left in the text column.
    """

    id: int
    name: str
    text: str | None = field(default=None, repr=False)
    pointer: int | None = None
    archived: bool = False
    archived_text: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class PlannedVersion:
    """A version that exists already, as far as adoption must know it.

    Attributes:
        id: The row's id.
        agent_id: The agent's id.
        status_key: The status.
        version: The number.
        text: The text.
        is_active: Whether it is active.
        format: How it is read; `None` in a table of the first shape, which did not know.
    """

    id: int
    agent_id: int
    status_key: str
    version: int
    text: str = field(repr=False)
    is_active: bool
    format: Format | None = None


@dataclass(frozen=True, slots=True)
class SourceText:
    """One text of another database.

    Attributes:
        name: The agent's name; `None` where there is none.
        text: The text.
        status_key: The status.
        is_active: Whether it is active there.
        format: How it is read; `None` where that is not known.
        title: Its name for people.
        author: Who wrote it.
        note: Why.
        created_at: When it was written.
        updated_at: When it was last activated or deactivated.
        where: Where it stands, for messages.
    """

    name: str | None
    text: str | None = field(repr=False)
    status_key: str = DEFAULT_STATUS_KEY
    is_active: bool = True
    format: Format | None = None
    title: str | None = None
    author: str | None = None
    note: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    where: str = ""


@dataclass(frozen=True, slots=True)
class AgentPlan:
    """What becomes of one agent's text.

    Attributes:
        agent_id: The agent's id; `None` for one that does not exist yet.
        agent: The agent's name.
        outcome: What becomes of it.
        status_key: The status of the version.
        version: The version's number, where there is one.
        version_id: The id of the version that is there already.
        from_version: The version that was active before.
        format: How the text is read.
        reason: Why it is kept verbatim, is not activated, or is refused.
        uses: The variables that the text uses.
        variables: All names that the agent's versions use, to be exposed.
        primary: The primary status that the host's pointer tells, `None` to leave it as it is.
        text: The text.
        source: Where the text came from, in an import.
    """

    agent_id: int | None
    agent: str
    outcome: Outcome
    status_key: str = DEFAULT_STATUS_KEY
    version: int | None = None
    version_id: int | None = None
    from_version: int | None = None
    format: Format = "handlebars"
    reason: str = ""
    uses: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    primary: str | None = None
    text: str | None = field(default=None, repr=False)
    source: SourceText | None = field(default=None, repr=False)

    @property
    def verbatim(self) -> bool:
        """Whether a new version is kept verbatim because it is no valid template."""
        return self.format == "text" and self.outcome in {Outcome.CREATED, Outcome.INACTIVE}

    def __str__(self) -> str:
        return f"{self.agent}: {self._words()}"

    def _words(self) -> str:
        match self.outcome:
            case Outcome.NULL:
                return "NULL, nothing to serve"
            case Outcome.EMPTY:
                return "empty text, nothing to serve"
            case Outcome.BLANK:
                return f"blank text of {len(self.text or '')} characters, nothing to serve"
            case Outcome.REFUSED:
                return f"refused: {self.reason}"
            case Outcome.PRESENT:
                return f"version {self.version} of {self.status_key!r} is this text{self._because()}"
            case Outcome.ACTIVATED:
                return f"version {self.version} of {self.status_key!r} is this text and becomes active"
        active = "active" if self.outcome is Outcome.CREATED else "not activated"
        what = "verbatim" if self.format == "text" else "template" if self.uses else "text"
        uses = f", uses {', '.join(name.rstrip('?') for name in self.uses)}" if self.uses else ""
        return f"version {self.version} of {self.status_key!r}, {active}, {what}{uses}{self._because()}"

    def _because(self) -> str:
        return f" ({self.reason})" if self.reason else ""


def refusal(text: str) -> str:
    """Return why a text cannot be kept on every engine, or nothing."""
    if _NO_UTF8.search(text):
        return "its bytes are no valid UTF-8"
    return text_refusal(text)


def adopted_versions(
    versions: Iterable[PlannedVersion], pointers: Mapping[int, int | None]
) -> tuple[PlannedVersion, ...]:
    """Return the versions of a table of the first shape as they will stand: with a format, and one active per status.

    Args:
        versions: The versions as they stand.
        pointers: `active_default_prompt_id` by agent: of two active versions the one that it names stays active, else
            the newer one.
    """
    active: dict[tuple[int, str], PlannedVersion] = {}
    found = sorted(versions, key=lambda version: (version.agent_id, version.status_key, version.version))
    for version in found:
        key = (version.agent_id, version.status_key)
        if version.is_active and (key not in active or active[key].id != pointers.get(version.agent_id)):
            active[key] = version
    return tuple(
        replace(
            version,
            is_active=active.get((version.agent_id, version.status_key)) == version,
            format=version.format or format_of(version.text)[0],
        )
        for version in found
    )


def plan_texts(agents: Sequence[LegacyAgent], versions: Iterable[PlannedVersion]) -> tuple[AgentPlan, ...]:
    """Say what becomes of each agent's text.

    Args:
        agents: The agents with their texts.
        versions: The versions that exist already, as `adopted_versions` gives them.
    """
    by_agent: defaultdict[int, list[PlannedVersion]] = defaultdict(list)
    for version in versions:
        by_agent[version.agent_id].append(version)
    return tuple(_plan(agent, by_agent[agent.id]) for agent in sorted(agents, key=lambda agent: agent.name))


def plan_text(
    agent_id: int | None,
    agent: str,
    text: str | None,
    versions: Sequence[PlannedVersion],
    *,
    wins: bool = False,
    status_key: str = DEFAULT_STATUS_KEY,
    is_active: bool = True,
    format: Format | None = None,
) -> AgentPlan:
    """Say what becomes of one text, given the versions of its agent.

    Args:
        agent_id: The agent's id, if it exists.
        agent: The agent's name.
        text: The text.
        versions: The agent's versions.
        wins: Whether the text becomes active in any case; otherwise a version that is active stays so, and a text that
            differs from it is kept beside it.
        status_key: The status that it is for.
        is_active: Whether it is to be active at all.
        format: How it is read, where that is known.
    """
    if text is None or not text.strip():
        return AgentPlan(agent_id, agent, _kind(text), status_key, text=text)
    mine = sorted((version for version in versions if version.status_key == status_key), key=_number)
    active = next((version for version in mine if version.is_active), None)
    plan = AgentPlan(
        agent_id,
        agent,
        Outcome.PRESENT,
        status_key,
        from_version=active.version if active is not None else None,
        text=text,
    )
    beside = f"version {active.version} is active" if active is not None and not wins else ""
    if not is_active:
        beside = beside or "it is not active there"
    same = active if active is not None and active.text == text else None
    same = same or next((version for version in reversed(mine) if version.text == text), None)
    if same is not None:
        plan = replace(plan, version=same.version, version_id=same.id, format=same.format or "handlebars")
        if same is active:
            return plan
        return replace(plan, reason=beside) if beside else replace(plan, outcome=Outcome.ACTIVATED)
    if reason := refusal(text):
        return replace(plan, outcome=Outcome.REFUSED, reason=reason)
    kind, uses, verbatim = format_of(text)
    if format == "text":
        kind, uses, verbatim = "text", (), ""
    return replace(
        plan,
        outcome=Outcome.INACTIVE if beside else Outcome.CREATED,
        version=mine[-1].version + 1 if mine else 1,
        format=kind,
        reason="; ".join(filter(None, (verbatim, beside))),
        uses=uses,
    )


def _plan(agent: LegacyAgent, versions: Sequence[PlannedVersion]) -> AgentPlan:
    """Say what becomes of an agent of the host's table."""
    unchanged = agent.archived and agent.text == agent.archived_text
    same = max((version for version in versions if version.text == agent.text), key=_number, default=None)
    if unchanged and same is not None:
        # What the downgrade had written there; what is active now was brought back from the archive.
        plan = AgentPlan(
            agent.id,
            agent.name,
            Outcome.PRESENT,
            status_key=same.status_key,
            version=same.version,
            version_id=same.id,
            text=agent.text,
        )
    else:
        # A text that was changed since the downgrade is the newest wish.
        plan = plan_text(agent.id, agent.name, agent.text, versions, wins=agent.archived and not unchanged)
    names = set(plan.uses)
    for version in versions:
        if version.format != "text":
            names.update(format_of(version.text)[1])
    pointed = next((version for version in versions if version.id == agent.pointer), None)
    primary = None if agent.archived else pointed.status_key if pointed is not None else DEFAULT_STATUS_KEY
    return replace(plan, variables=tuple(sorted(names)), primary=primary)


def _kind(text: str | None) -> Outcome:
    """Tell apart what is no text."""
    if text is None:
        return Outcome.NULL
    return Outcome.BLANK if text else Outcome.EMPTY


def _number(version: PlannedVersion) -> int:
    return version.version
