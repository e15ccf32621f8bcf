"""What every command has: the options they share, the settings, and an open database."""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Concatenate, ParamSpec, TypeVar

import typer

from automagik_prompts.cli.access import Access as Access
from automagik_prompts.cli.interaction import find_author
from automagik_prompts.database_url import redacted_url
from automagik_prompts.declaring import discovery
from automagik_prompts.declaring.declared import DeclaredAgent
from automagik_prompts.declaring.discovery import PromptModule
from automagik_prompts.declaring.registry import registry
from automagik_prompts.domain.keys import PromptKey
from automagik_prompts.domain.policy import Actor, Operation, Policy
from automagik_prompts.domain.validation import normalized
from automagik_prompts.editing.direct import DatabaseEdits
from automagik_prompts.editing.review import authorizing
from automagik_prompts.exceptions import (
    ConfigurationError,
    DeclarationError,
    PromptNotFoundError,
)
from automagik_prompts.schema import migrate
from automagik_prompts.settings import ENVIRONMENT_PREFIX, Settings, load_settings
from automagik_prompts.storage.database import LONGEST_COMMAND, Database
from automagik_prompts.storage.file_errors import unopenable

P = ParamSpec("P")
T = TypeVar("T")

DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        "--database-url",
        metavar="URL",
        help=f"The database; by default {ENVIRONMENT_PREFIX}DATABASE_URL, else sqlite://automagik_prompts.db.",
        rich_help_panel="Every command",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.", rich_help_panel="Every command")]
Debug = Annotated[
    bool, typer.Option("--debug", help="Print the traceback of an error.", rich_help_panel="Every command")
]

COMMAND_TIMEOUT = 60.0
"""Seconds that one statement of a command may take on a server; only those that change a schema may take longer."""

FOUND = 3
"""The exit code where it was done and something needs a look; 1 is left to what could not be done."""


@dataclass(frozen=True, slots=True)
class Session:
    """One call of one command.

    Attributes:
        settings: From options and `AUTOMAGIK_PROMPTS_*` variables.
        json: Whether to print for programs.
    """

    settings: Settings
    json: bool

    @property
    def policy(self) -> Policy | None:
        """What decides who may do what; the module is also looked for in the working directory.

        Raises:
            ConfigurationError: It cannot be loaded.
        """
        if self.settings.policy is None:
            return None
        look_here()
        return authorizing.load_policy(self.settings.policy)

    def edits(self, database: Database, declared: Mapping[str, DeclaredAgent] = MappingProxyType({})) -> DatabaseEdits:
        """Return what edits and looks on behalf of who called the command."""
        author = find_author(None, self.settings)
        return DatabaseEdits(database, declared, policy=self.policy, author=author)

    def authorize(self, agents: Iterable[str]) -> None:
        """Make sure that who called the command may look at some agents; `""` stands for all of them.

        Raises:
            NotAllowedError: The policy does not show one of them.
        """
        if (policy := self.policy) is None:
            return
        author = find_author(None, self.settings)

        async def ask() -> None:
            for agent in agents:
                key = PromptKey(normalized(agent), "")
                actor = Actor(author) if author is not None else None
                await authorizing.authorize(policy, actor, Operation.VIEW, key)

        asyncio.run(ask())

    @property
    def place(self) -> str:
        """The database, without its password."""
        return redacted_url(self.settings.database_url)

    def at(self, url: str | None) -> Session:
        """Return the same call for another database, where one is named."""
        return self if url is None else Session(load_settings(database_url=url), self.json)

    def run(self, work: Callable[[Database], Awaitable[T]], access: Access = Access.READ) -> T:
        """Do something with the open database.

        Args:
            work: What to do.
            access: What is done with it.

        Raises:
            DatabaseUnavailableError: The database cannot be used.
            SchemaError: Its schema is not the one that this needs; the message names the command that helps.
        """

        async def opened() -> T:
            patience = COMMAND_TIMEOUT if access in {Access.READ, Access.WRITE, Access.CREATE} else LONGEST_COMMAND
            async with open_database(
                self.settings.database_url, create=access.creates, command_timeout=patience, looking=access.looks
            ) as database:
                await _prepare(database, access)
                return await work(database)

        return asyncio.run(opened())


@dataclass(frozen=True, slots=True)
class ImportedModules:
    """The prompt modules that were found.

    Attributes:
        names: Those that were imported.
        problems: Why the others were not.
    """

    names: tuple[str, ...]
    problems: tuple[str, ...] = ()


def import_modules(session: Session, named: Sequence[str] | None) -> tuple[str, ...]:
    """Import the prompt modules of installed packages, of the settings and of the command line; return their names.

    Modules are also looked for in the working directory, as by `python -m`.

    Raises:
        DeclarationError: A module cannot be imported, or has an invalid declaration.
    """
    found = _find_modules(session, named)
    for module in found:
        discovery.import_prompt_module(module)
    return tuple(module.module for module in found)


def try_modules(session: Session, named: Sequence[str] | None) -> ImportedModules:
    """Import what can be imported; for commands that are needed most when something is broken."""
    names: list[str] = []
    problems: list[str] = []
    for module in _find_modules(session, named):
        try:
            discovery.import_prompt_module(module)
        except DeclarationError as error:
            problems.append(error.message)
        else:
            names.append(module.module)
    return ImportedModules(tuple(names), tuple(problems))


def with_code(session: Session, work: Callable[[Mapping[str, DeclaredAgent]], T]) -> T:
    """Do something by the statuses that the database knows; where one is unknown there, by those of the code as well.

    The code is imported only then: most commands name what is there, and importing an application takes its time.

    Args:
        session: The call.
        work: What to do, given what the code declares.

    Raises:
        PromptNotFoundError: There is no such agent, or neither knows the status.
    """
    try:
        return work({})
    except PromptNotFoundError as error:
        if error.status_key is None:
            raise
        try_modules(session, None)
        if not registry.agents:
            raise
    return work(registry.agents)


def look_here() -> None:
    """Look for modules in the working directory as well, as `python -m` does."""
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)


def _find_modules(session: Session, named: Sequence[str] | None) -> tuple[PromptModule, ...]:
    look_here()
    return discovery.find_prompt_modules([*session.settings.modules, *(named or ())])


def open_database(
    url: str, *, create: bool = False, command_timeout: float = COMMAND_TIMEOUT, looking: bool = False
) -> Database:
    """Return a database to be opened.

    Args:
        url: The database URL.
        create: Whether a missing SQLite file may be created: whoever only looks gets an error instead of an empty one.
        command_timeout: Seconds that one statement may take on a server.
        looking: Whether nothing is to be written.

    Raises:
        DatabaseUnavailableError: There is no such file, or it cannot be reached.
    """
    database = Database(url, command_timeout=command_timeout, looking=looking)
    if not create and database.path is not None and not os.access(database.path, os.F_OK):
        raise unopenable(database.path)
    return database


async def _prepare(database: Database, access: Access) -> None:
    """Make sure that the schema fits; whoever writes brings an embedded one up to date, as an application does."""
    if access is Access.READ:
        await migrate.check_schema(database)
    elif access in {Access.WRITE, Access.CREATE}:
        await migrate.prepare(database)
        await migrate.check_writable(database)


def command(
    function: Callable[Concatenate[Session, P], None],
    unsettled: Callable[[ConfigurationError, bool], None] | None = None,
) -> Callable[..., None]:
    """Make a function of a session a command: it gets the options that all commands share.

    Args:
        function: The function.
        unsettled: What is done where the settings cannot work, given why, and whether to print JSON.
    """
    signature = inspect.signature(function, eval_str=True)
    shared = inspect.signature(_shared, eval_str=True).parameters.values()
    parameters = [*list(signature.parameters.values())[1:], *shared]

    @functools.wraps(function)
    def run(**given: Any) -> None:
        url, as_json = given.pop("database_url"), given.pop("json")
        del given["debug"]  # `app.run` looks for it, as an error may come before this
        try:
            settings = load_settings(database_url=url)
        except ConfigurationError as error:
            if unsettled is None:
                raise
            unsettled(error, as_json)
            return
        function(Session(settings, as_json), **given)  # type: ignore[call-arg]  # Typer passes each parameter by its name

    del run.__wrapped__  # what counts is the signature that follows
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]  # read by `inspect`
    return run


def looking(function: Callable[Concatenate[Session, P], None]) -> Callable[Concatenate[Session, P], None]:
    """Let a command that only looks be for who may look at the agents that it names."""
    parameters = inspect.signature(function).parameters

    @functools.wraps(function)
    def look(session: Session, /, *arguments: P.args, **options: P.kwargs) -> None:
        given = dict(zip(list(parameters)[1:], arguments, strict=False)) | options
        named: Any = given.get("agent")
        session.authorize([named] if isinstance(named, str) else named or [])
        function(session, *arguments, **options)

    return look


def _shared(*, database_url: DatabaseUrl = None, json: Json = False, debug: Debug = False) -> None:
    """Hold the options that all commands share."""
