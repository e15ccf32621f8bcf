"""What every command has: the options they share, the settings, and an open database."""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Concatenate, ParamSpec, TypeVar

import typer

from automagik_prompts import discovery, migrations
from automagik_prompts.db import Database
from automagik_prompts.discovery import PromptModule
from automagik_prompts.exceptions import DatabaseUnavailableError
from automagik_prompts.settings import ENVIRONMENT_PREFIX, Settings, load_settings, redacted_url

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
    def place(self) -> str:
        """The database, without its password."""
        return redacted_url(self.settings.database_url)

    def at(self, url: str | None) -> Session:
        """Return the same call for another database, where one is named."""
        return self if url is None else Session(load_settings(database_url=url), self.json)

    def run(self, work: Callable[[Database], Awaitable[T]], *, create: bool = False, as_is: bool = False) -> T:
        """Do something with the open database, whose schema is that of this release.

        Args:
            work: What to do.
            create: Whether a missing SQLite file may be created.
            as_is: Whether to take the database with whatever schema it has.

        Raises:
            DatabaseUnavailableError: The database cannot be used.
            SchemaError: On a server: the schema is not up to date.
        """

        async def opened() -> T:
            async with open_database(self.settings.database_url, create=create) as database:
                if not as_is:
                    await prepare_schema(database)
                return await work(database)

        return asyncio.run(opened())


def import_modules(session: Session, named: Sequence[str] | None) -> tuple[PromptModule, ...]:
    """Import the prompt modules of installed packages, of the settings and of the command line.

    Modules are also looked for in the working directory, as by `python -m`.

    Raises:
        DeclarationError: A module cannot be imported, or declares something that cannot be right.
    """
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    return discovery.import_prompt_modules([*session.settings.modules, *(named or ())])


def open_database(url: str, *, create: bool = False) -> Database:
    """Return a database to be opened.

    Args:
        url: The database URL.
        create: Whether a missing SQLite file may be created: whoever only looks gets an error instead of an empty one.

    Raises:
        DatabaseUnavailableError: There is no such file.
    """
    database = Database(url)
    if not create and database.path is not None and not database.path.exists():
        raise DatabaseUnavailableError(
            f"There is no database file {database.path}. Name the right one by --database-url or "
            f"{ENVIRONMENT_PREFIX}DATABASE_URL, or make it with: automagik-prompts upgrade"
        )
    return database


async def prepare_schema(database: Database) -> None:
    """Bring the embedded schema up to date by itself; on a server a person decides when, as in an application."""
    if database.dialect == "sqlite" and os.access(database.path or ".", os.W_OK) and await migrations.pending(database):
        await migrations.upgrade(database)
    await migrations.check_schema(database)


def command(function: Callable[Concatenate[Session, P], None]) -> Callable[..., None]:
    """Make a function of a session a command: it gets the options that all commands share."""
    signature = inspect.signature(function, eval_str=True)
    shared = inspect.signature(_shared, eval_str=True).parameters.values()
    parameters = [*list(signature.parameters.values())[1:], *shared]

    @functools.wraps(function)
    def run(**given: Any) -> None:
        session = Session(load_settings(database_url=given.pop("database_url")), given.pop("json"))
        del given["debug"]  # `app.run` looks for it, as an error may come before this
        function(session, **given)  # type: ignore[call-arg]  # Typer passes each parameter by its name

    del run.__wrapped__  # what counts is the signature that follows
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]  # read by `inspect`
    return run


def _shared(*, database_url: DatabaseUrl = None, json: Json = False, debug: Debug = False) -> None:
    """Hold the options that all commands share."""
