"""Whose prompt a file is: its agent and its status as the database keeps them, however the file spells them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from automagik_prompts.declaring.declared import DeclaredAgent
from automagik_prompts.domain.keys import PromptKey, StatusKeys, folded
from automagik_prompts.domain.records import AgentInfo
from automagik_prompts.domain.text import nearest
from automagik_prompts.domain.validation import normalized
from automagik_prompts.editing.files.folder import FoundFile
from automagik_prompts.exceptions import InvalidPromptError, PromptNotFoundError


def with_agents(files: Sequence[FoundFile], known: Collection[str]) -> list[FoundFile]:
    """Return files with their agents' names as they are kept.

    Args:
        files: The files.
        known: The names of the agents in the database.
    """
    names = {name: name if name in known else normalized(name) for name in {file.prompt.agent for file in files}}
    return [replace(file, prompt=replace(file.prompt, agent=names[file.prompt.agent])) for file in files]


def with_statuses(
    files: Sequence[FoundFile],
    known: Mapping[str, AgentInfo],
    stored: Collection[PromptKey],
    declared: Mapping[str, DeclaredAgent],
    *,
    new_status: bool,
) -> list[FoundFile]:
    """Return files with their statuses as they are kept.

    Args:
        files: The files.
        known: The agents in the database, by name.
        stored: The statuses in the database that have versions.
        declared: What the code declares, as far as it is here.
        new_status: Whether an agent may get a status that neither the database nor the code knows; one without any may.

    Raises:
        InvalidPromptError: Two files are for one status.
        PromptNotFoundError: There is no such status; the message names the files, and the nearest spelling for each.
    """
    keys = _status_keys({file.prompt.agent for file in files}, known, stored, declared)
    taught = {agent for agent, _ in stored} | declared.keys()
    found: list[FoundFile] = []
    unknown: list[FoundFile] = []
    paths: dict[PromptKey, Path] = {}
    for file in files:
        agent, status_key = file.prompt.key
        key = keys[agent].find(status_key)
        if key is None and agent in known and agent in taught and not new_status:
            unknown.append(file)
        # Two new spellings of one status are the same as well.
        other = paths.setdefault(PromptKey(agent, key or folded(status_key)), file.path)
        if other is not file.path:
            raise InvalidPromptError(
                f"{file.prompt.key} has two files, which spell it differently: {other} and {file.path}. Keep one.",
                agent=agent,
                status_key=status_key,
            )
        found.append(replace(file, prompt=replace(file.prompt, status_key=key or normalized(status_key))))
    if unknown:
        raise _not_found(unknown, keys)
    return found


def _status_keys(
    agents: Collection[str],
    known: Mapping[str, AgentInfo],
    stored: Collection[PromptKey],
    declared: Mapping[str, DeclaredAgent],
) -> dict[str, StatusKeys]:
    statuses: dict[str, list[str]] = {}
    for agent, status_key in stored:
        statuses.setdefault(agent, []).append(status_key)
    found: dict[str, StatusKeys] = {}
    for agent in agents:
        more = [*declared[agent].prompts] if agent in declared else []
        more += [known[agent].default_status_key] if agent in known else []
        found[agent] = StatusKeys(statuses.get(agent, ()), more)
    return found


def _not_found(files: Sequence[FoundFile], keys: Mapping[str, StatusKeys]) -> PromptNotFoundError:
    """Name all files at once, so that nobody has to correct one after the other."""
    words = [
        f"{file.path}: {file.prompt.agent} has no status {file.prompt.status_key!r}. "
        f"{nearest(file.prompt.status_key, keys[file.prompt.agent], 'statuses')}"
        for file in files
    ]
    first = files[0].prompt
    message = f"{' '.join(words)} To add a status that is not declared in code yet, say so: --new-status"
    return PromptNotFoundError(message, agent=first.agent, status_key=first.status_key)
