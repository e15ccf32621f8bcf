"""Which versions an import of files creates."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from automagik_prompts.declaring.declared import DeclaredAgent
from automagik_prompts.domain.edits import EditResult
from automagik_prompts.domain.keys import DEFAULT_STATUS_KEY, PromptKey, StatusKeys
from automagik_prompts.domain.policy import Operation, TextState
from automagik_prompts.domain.records import AgentInfo, Prompt
from automagik_prompts.domain.text import content_hash
from automagik_prompts.editing import commands, queries
from automagik_prompts.editing.files.folder import FoundFile
from automagik_prompts.editing.files.keys import with_agents, with_statuses
from automagik_prompts.editing.service import EditService
from automagik_prompts.exceptions import InvalidPromptError
from automagik_prompts.storage import repository
from automagik_prompts.storage.database import Database
from automagik_prompts.storage.repository import VersionDigest
from automagik_prompts.templating.exposure import check_variable_name

Planned = Literal["unchanged", "create", "activate", "exists"]
"""What an import does with a file: an equal version may be active, or exist without being active."""


@dataclass(frozen=True, slots=True)
class Step:
    """What an import does with one file.

    Attributes:
        file: The file.
        action: What is to be done.
        active: The active version, if there is one.
        version: The version that holds the file's text; `None` while it is not written.
        request: The number of the request by which it waits for approval, if it does.
    """

    file: FoundFile
    action: Planned
    active: int | None
    version: int | None = None
    request: int | None = None


@dataclass(frozen=True, slots=True)
class Outdated:
    """A file that was made from a version which is not the active one any more.

    Attributes:
        file: The file.
        base: The version that it was made from.
        active: What is active now; `None` if nothing is.
    """

    file: FoundFile
    base: Prompt
    active: Prompt | None


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What an import would do; nothing is written yet.

    Attributes:
        steps: One for each file, sorted by agent and status.
        new_agents: The agents that the database does not know.
        outdated: The files whose version another one has replaced since, where the files' texts are to be active.
        hints: What may be meant otherwise in the texts that are to be written.
    """

    steps: tuple[Step, ...]
    new_agents: tuple[AgentInfo, ...]
    outdated: tuple[Outdated, ...] = ()
    hints: tuple[tuple[FoundFile, tuple[str, ...]], ...] = ()

    @property
    def work(self) -> tuple[Step, ...]:
        """The steps that write."""
        return tuple(step for step in self.steps if step.action in {"create", "activate"})


async def plan_import(
    database: Database,
    files: Sequence[FoundFile],
    *,
    activate: bool,
    new_status: bool = False,
    allow_invisible: bool = False,
    declared: Mapping[str, DeclaredAgent] = MappingProxyType({}),
) -> ImportPlan:
    """Compare files with the database and check every text that would be written.

    Args:
        database: An open database.
        files: What was read.
        activate: Whether the files' texts are to be active.
        new_status: Whether an agent may get a status that neither the database nor the code knows; a new agent gets
            those of its files.
        allow_invisible: Whether texts may hold invisible characters that nothing in them explains.
        declared: What the code declares, as far as it is here.

    Raises:
        InvalidPromptError: A text is refused, or two files are for one status; the message names the file.
        PromptNotFoundError: There is no such status; the message names the files, and the nearest spelling for each.
        DatabaseUnavailableError: The database cannot be read now.
    """
    known = {info.name: info for info in await queries.agents(database)}
    files = with_agents(files, known)
    versions: dict[PromptKey, list[VersionDigest]] = {}
    for name in sorted({file.prompt.agent for file in files} & known.keys()):
        for version in await database.run(repository.get_version_digests, known[name].id):
            versions.setdefault(PromptKey(name, version.status_key), []).append(version)
    files = with_statuses(files, known, versions, declared, new_status=new_status)
    new = {name: _new_agent(name, files) for name in sorted({file.prompt.agent for file in files} - known.keys())}
    steps = [_step(file, versions.get(file.prompt.key, []), activate=activate) for file in files]
    hints: list[tuple[FoundFile, tuple[str, ...]]] = []
    for step in steps:
        if step.action == "create":
            agent = new.get(step.file.prompt.agent)
            hints.append((step.file, await _check(database, step.file, agent, allow_invisible=allow_invisible)))
    outdated = [
        found
        for step in steps
        if activate and step.action in {"create", "activate"}
        if (found := await _outdated(database, known.get(step.file.prompt.agent), step)) is not None
    ]
    return ImportPlan(tuple(steps), tuple(new.values()), tuple(outdated), tuple(hints))


async def _outdated(database: Database, agent: AgentInfo | None, step: Step) -> Outdated | None:
    """Return what replaced the version that a file was made from; `None` for a file of another database's, too."""
    prompt = step.file.prompt
    if agent is None or prompt.version is None or step.active == prompt.version:
        return None
    base = await database.run(repository.get_version, agent.id, prompt.status_key, prompt.version)
    if base is None or base.content_hash != prompt.hash:
        return None
    active = await database.run(repository.get_active_prompt, agent.id, prompt.status_key)
    if active is not None and active.content_hash == base.content_hash:
        return None
    return Outdated(step.file, base, active)


async def carry_out(
    database: Database,
    edits: EditService,
    plan: ImportPlan,
    *,
    activate: bool,
    author: str | None = None,
    note: str | None,
    emergency: bool = False,
    progress: Callable[[Step], None],
) -> ImportPlan:
    """Write what a plan says; each file is a change of its own, so an import that was interrupted can be said again.

    Args:
        database: An open database.
        edits: What writes to it, on behalf of who imports.
        plan: What to do.
        activate: Whether to activate what is written.
        author: Who imports, where there is no policy.
        note: Why.
        emergency: Whether protected statuses are changed without approval.
        progress: Called after each change.

    Returns:
        The plan, with the versions that were written.

    Raises:
        InvalidPromptError: A text is refused.
        DatabaseUnavailableError: The database cannot be written now.
    """
    for step in plan.work:
        # All of them first, so that a refusal leaves everything as it was.
        key, text = step.file.prompt.key, TextState(step.file.prompt.text, step.file.prompt.format, step.version)
        if step.action == "create":
            await edits.authorize(Operation.CREATE, *key, text)
        if activate:
            await edits.authorize(Operation.ACTIVATE, *key, text)
    if plan.new_agents:
        await database.transaction(repository.add_agents, plan.new_agents)
    done: list[Step] = []
    for step in plan.steps:
        prompt, version = step.file.prompt, step.version
        because = note or f"imported from {step.file.path.name}"
        request: int | None = None
        if step.action == "create":
            change = await edits.create(
                prompt.agent,
                prompt.status_key,
                prompt.text,
                format=prompt.format,
                name=prompt.name,
                activate=activate,
                new_status=True,  # as it was planned
                allow_invisible=True,  # as it was planned
                emergency=emergency,
                author=author,
                note=because,
            )
            version = change.prompt.version if change.prompt is not None else None
            request = waiting_of(change)
        elif step.action == "activate" and version is not None:
            change = await edits.activate(
                prompt.agent, prompt.status_key, version, emergency=emergency, author=author, note=because
            )
            request = waiting_of(change)
        done.append(Step(step.file, step.action, step.active, version, request))
        if step.action in {"create", "activate"}:
            progress(done[-1])
    return ImportPlan(tuple(done), plan.new_agents)


def waiting_of(change: EditResult) -> int | None:
    """Return the number of the request by which a change waits for approval, if it does."""
    return change.request.id if change.request is not None and change.is_waiting else None


def _step(file: FoundFile, versions: Iterable[VersionDigest], *, activate: bool) -> Step:
    prompt = file.prompt
    wanted = (content_hash(prompt.text), prompt.format, prompt.name)
    found = list(versions)
    active = next((version for version in found if version.is_active), None)
    number = active.version if active is not None else None
    same = [version for version in found if (version.content_hash, version.format, version.name) == wanted]
    if active is not None and active in same:
        return Step(file, "unchanged", number, active.version)
    if same:
        return Step(file, "activate" if activate else "exists", number, same[0].version)
    return Step(file, "create", number)


async def _check(
    database: Database, file: FoundFile, new: AgentInfo | None, *, allow_invisible: bool
) -> tuple[str, ...]:
    prompt = file.prompt
    try:
        target = await commands.check(
            database,
            prompt.agent,
            prompt.status_key,
            prompt.text,
            format=prompt.format,
            name=prompt.name,
            new_agent=new is not None,
            new_status=True,  # as above
            exposed=new.variables if new is not None else None,
            allow_invisible=allow_invisible,
        )
    except InvalidPromptError as error:
        error.message = f"{file.path}: {error.message}"
        error.args = (error.message,)
        raise
    return target.hints


def _new_agent(name: str, files: Sequence[FoundFile]) -> AgentInfo:
    """Return an agent that the database does not know, as its files describe it."""
    mine = [file for file in files if file.prompt.agent == name]
    primary = [file for file in mine if file.prompt.primary]
    statuses = {file.prompt.status_key for file in mine}
    if len(primary) > 1:
        raise InvalidPromptError(
            f"Two files say that theirs is the primary status of {name}: {primary[0].path} and {primary[1].path}. "
            "Keep `primary: true` in one.",
            agent=name,
        )
    if primary:
        key = primary[0].prompt.status_key
    elif len(statuses) == 1:
        key = next(iter(statuses))
    elif (default := StatusKeys(statuses).find(DEFAULT_STATUS_KEY)) is not None:
        key = default
    else:
        raise InvalidPromptError(
            f"The database does not know the agent {name}, and no file says which status is its primary one. Put "
            "`primary: true` into that file.",
            agent=name,
        )
    names = {check_variable_name(variable) for file in mine for variable in file.prompt.variables}
    return AgentInfo(id=0, name=name, default_status_key=key, variables=tuple(sorted(names)))
