"""Comparing files with code and database."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path

from automagik_prompts.declaring.locations import Place
from automagik_prompts.domain.keys import PromptKey, StatusKeys
from automagik_prompts.editing import queries
from automagik_prompts.editing.checks import Agents, hints_of, status_keys_of, unservable
from automagik_prompts.editing.files import exporting
from automagik_prompts.editing.files.folder import FoundFile, find_files, is_prompt, read_bytes
from automagik_prompts.editing.files.text import read_file
from automagik_prompts.editing.findings import Finding, Kind
from automagik_prompts.exceptions import InvalidPromptError
from automagik_prompts.storage.database import Database
from automagik_prompts.templating.content import PromptContent


async def check_files(
    folder: Path, declared: Agents, database: Database | None, only: Collection[str] | None = None
) -> list[Finding]:
    """Compare a folder of files with the code and, where one is given, with the database.

    Args:
        folder: What an export wrote.
        declared: What the code declares.
        database: An open database with the schema of this release; `None` to look at files and code alone.
        only: Only these agents.

    Raises:
        InvalidPromptError: There is no such folder.
        DatabaseUnavailableError: The database cannot be read now.
    """
    files, found = _read(folder)
    files = [file for file in files if only is None or file.prompt.agent in only]
    stored = {info.name: info.variables for info in await queries.agents(database)} if database is not None else {}
    for file in files:
        prompt, code = file.prompt, declared.get(file.prompt.agent)
        exposed = code.exposed if code is not None else stored.get(prompt.agent)
        content, place = PromptContent(prompt.text, prompt.format), Place(file.path, prompt.first_line)
        problems = list(unservable(prompt.key, content, exposed, where="The text", version=None, place=place))
        found += problems
        if not problems and exposed is not None:
            found += hints_of(prompt.key, content, exposed, where=str(prompt.key), version=None, place=place)
    if database is not None:
        found += await _compared_with_files(database, files, only)
    return found


async def _compared_with_files(
    database: Database, files: Sequence[FoundFile], only: Collection[str] | None
) -> list[Finding]:
    found = []
    present = {prompt.key: (prompt, version) for prompt, version in await exporting.read_prompts(database)}
    stored = status_keys_of(await queries.summaries(database))
    for file in files:
        prompt = file.prompt
        keys = stored.get(prompt.agent, StatusKeys(()))
        active = present.pop(PromptKey(prompt.agent, keys.find(prompt.status_key) or prompt.status_key), None)
        if active is not None and (active[0].text, active[0].format, active[0].name) == (
            prompt.text,
            prompt.format,
            prompt.name,
        ):
            continue
        is_active = f"version {active[1]} is active" if active is not None else "no version is active"
        found.append(
            Finding(
                Kind.FILE_DIFFERS,
                f"The file of {prompt.agent}/{prompt.status_key} is not what the database serves: {is_active}.",
                prompt.agent,
                prompt.status_key,
                active[1] if active is not None else None,
                Place(file.path, prompt.first_line),
                "automagik-prompts import --dry-run --activate DIR",
            )
        )
    for (agent, status_key), (_, version) in present.items():
        if only is None or agent in only:
            message = f"{agent}/{status_key} has an active version and no file."
            command = "automagik-prompts export DIR"
            found.append(Finding(Kind.FILE_MISSING, message, agent, status_key, version, command=command))
    return found


def _read(folder: Path) -> tuple[list[FoundFile], list[Finding]]:
    """Read what can be read, and report the rest."""
    files: dict[PromptKey, FoundFile] = {}
    found: list[Finding] = []
    for path in find_files(folder):
        try:
            content = read_bytes(path)
            if not is_prompt(path, content):
                message = f"{path} has no front matter and is passed over: it is no prompt until it has one."
                found.append(Finding(Kind.FILE_PASSED_OVER, message, place=Place(path)))
                continue
            prompt = read_file(content, str(path))
        except InvalidPromptError as error:
            line = re.search(r", line (\d+)", error.message)
            found.append(Finding(Kind.INVALID, error.message, place=Place(path, int(line.group(1)) if line else 1)))
            continue
        if (other := files.get(prompt.key)) is not None:
            message = f"{prompt.agent}/{prompt.status_key} has two files, the other is {other.path}. Keep one."
            found.append(Finding(Kind.INVALID, message, *prompt.key, place=Place(path)))
            continue
        files[prompt.key] = FoundFile(path, prompt)
    return list(files.values()), found
