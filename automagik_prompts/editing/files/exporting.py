"""Which files an export writes, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from automagik_prompts.domain.records import AgentInfo, Prompt
from automagik_prompts.editing import queries
from automagik_prompts.editing.files.folder import file_paths, find_files, is_prompt, read_bytes, replace_file
from automagik_prompts.editing.files.text import PromptFile, read_file, write_file
from automagik_prompts.exceptions import InvalidPromptError
from automagik_prompts.storage.database import Database

Written = Literal["written", "unchanged", "removed", "stale"]
"""What an export did with a file; a stale one is for a prompt that is not active any more."""


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """One file of an export.

    Attributes:
        path: Where it is.
        agent: The agent's name.
        status_key: The status.
        version: The version it holds; `None` for one that is stale.
        outcome: What was done.
    """

    path: Path
    agent: str
    status_key: str
    version: int | None
    outcome: Written


async def read_prompts(database: Database, agents: Sequence[str] | None = None) -> list[tuple[PromptFile, int]]:
    """Return every active version as a file says it, with its number.

    Args:
        database: An open database.
        agents: Only these agents.

    Raises:
        PromptNotFoundError: There is no such agent.
        DatabaseUnavailableError: The database cannot be read now.
    """
    found = await queries.active_prompts(database, agents)
    by_agent: dict[str, set[str]] = {}
    for info, prompt in found:
        by_agent.setdefault(info.name, set()).add(prompt.status_key)
    return [(_as_file(info, prompt, by_agent[info.name]), prompt.version) for info, prompt in found]


def export(
    prompts: Sequence[tuple[PromptFile, int]],
    folder: Path,
    *,
    agents: Collection[str] | None = None,
    prune: bool = False,
) -> list[ExportedFile]:
    """Write one file for each prompt; a file that is right already is not touched.

    Args:
        prompts: The prompts with their versions.
        folder: Where to write; made if it is not there.
        agents: The agents whose prompts these are; `None` for all.
        prune: Whether to remove their files for prompts that are not active any more.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = file_paths(prompt.key for prompt, _ in prompts)
    done = [_export_one(prompt, version, folder / paths[prompt.key]) for prompt, version in prompts]
    kept = {file.path for file in done}
    for path in find_files(folder):
        old = _prompt_of(path) if path not in kept else None
        if old is None or (agents is not None and old.agent not in agents):
            continue
        if prune:
            path.unlink()
            if path.parent != folder and not any(path.parent.iterdir()):
                path.parent.rmdir()
        done.append(ExportedFile(path, old.agent, old.status_key, None, "removed" if prune else "stale"))
    return done


def _prompt_of(path: Path) -> PromptFile | None:
    """Return what a file says; `None` for one that is not a prompt's, which an export leaves alone."""
    try:
        content = read_bytes(path)
        return read_file(content, str(path)) if is_prompt(path, content) else None
    except InvalidPromptError:
        return None


def _export_one(prompt: PromptFile, version: int, path: Path) -> ExportedFile:
    content = write_file(prompt)
    same = path.is_file() and not path.is_symlink() and path.read_bytes() == content
    if not same:
        replace_file(path, content)
    return ExportedFile(path, prompt.agent, prompt.status_key, version, "unchanged" if same else "written")


def _as_file(agent: AgentInfo, prompt: Prompt, statuses: set[str]) -> PromptFile:
    """Describe a version; one file of the agent has the variables: that of the primary status, where it is active."""
    primary = agent.default_status_key
    holder = primary if primary in statuses else min(statuses)
    return PromptFile(
        agent=agent.name,
        status_key=prompt.status_key,
        text=prompt.prompt_text,
        format=prompt.format,
        name=prompt.name,
        primary=prompt.status_key == primary,
        variables=agent.variables if prompt.status_key == holder else (),
        version=prompt.version,
        hash=prompt.content_hash,
    )
