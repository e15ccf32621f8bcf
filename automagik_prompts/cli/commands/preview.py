"""The command `preview`: a text as the model would be told, with values that somebody gives."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any

import typer

from automagik_prompts.cli.completion import complete_versions
from automagik_prompts.cli.input import read_text
from automagik_prompts.cli.options import Agent, Status, TextFormat
from automagik_prompts.cli.output.pager import paged
from automagik_prompts.cli.output.served import Previewed
from automagik_prompts.cli.output.text import is_terminal, plural, print_json, print_note, print_text
from automagik_prompts.cli.session import Session, command, looking
from automagik_prompts.exceptions import ConfigurationError


@command
@looking
@paged
def preview(
    session: Session,
    agent: Agent,
    status: Status,
    version: Annotated[
        int | None,
        typer.Option(
            "--version",
            metavar="N",
            min=1,
            help="This version; by default the active one.",
            autocompletion=complete_versions,
            show_default=False,
        ),
    ] = None,
    file: Annotated[
        str | None,
        typer.Option("--file", metavar="PATH", help="A text that is no version yet; - reads it.", show_default=False),
    ] = None,
    format: Annotated[
        TextFormat | None, typer.Option("--format", help="How that text is read.", show_default="handlebars")
    ] = None,
    given: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="A value, such as name=Ana or contact.city=Porto. May be given several times.",
            show_default=False,
        ),
    ] = None,
    values: Annotated[
        Path | None,
        typer.Option("--values", metavar="FILE", help="A JSON object with values.", show_default=False),
    ] = None,
) -> None:
    """Show a text filled with values, what is missing, and what it costs.

    In a pipe only the filled text is printed; the rest goes to stderr.
    """
    if version is not None and file is not None:
        raise typer.BadParameter("give --version or --file, not both")
    if format is not None and file is None:
        raise typer.BadParameter("--format goes with --file; a version is read as it was written")
    known = _values_of(values)
    for one in given or ():
        _set(known, one)
    text = read_text(file) if file is not None else None
    done = session.run(
        lambda database: session.edits(database).preview(
            agent, status, known, version=version, text=text, format=(format or TextFormat.HANDLEBARS).value
        )
    )
    if session.json:
        print_json(Previewed.of(done))
        return
    print_text(done.text)
    if is_terminal():
        print_note("")
    for name in done.missing:
        is_list = "[]" in name or any(one.startswith(f"{name}[]") for one in done.variables)
        option = f"--values FILE, with a list for {name.partition('[')[0]}" if is_list else f"--set {name}=..."
        print_note(f"No value for {name}. Give one: {option}")
    for one in given or ():
        _say_of_set(one, done.variables)
    print_note(
        f"{plural(len(done.text), 'character')}, about {plural(done.tokens, 'token')} (a rule of thumb); "
        f"{plural(done.units, 'unit')} of work, 20000 are allowed."
    )


def _values_of(path: Path | None) -> dict[str, Any]:
    """Return the values in a file.

    Raises:
        ConfigurationError: It cannot be read, or holds no JSON object.
    """
    if path is None:
        return {}
    try:
        found = json.loads(read_text(str(path)).removeprefix("\ufeff"))
    except ValueError as error:
        message = f"The file {path} is no JSON ({error}). Write an object with a value for each name."
        raise ConfigurationError(message) from error
    if not isinstance(found, dict):
        raise ConfigurationError(f"The file {path} holds no JSON object. Write one with a value for each name.")
    return found


def _say_of_set(given: str, variables: Collection[str]) -> None:
    """Say what a value does not do: nothing where the text does not use it, and a text is true whatever it says."""
    name, _, value = given.partition("=")
    parts = {one.rstrip("?") for one in variables}
    if not any(one == name or one.startswith((f"{name}.", f"{name}[")) for one in parts):
        names = ", ".join(sorted(parts)) or "none"
        print_note(f"--set {name}: the text does not use it. It uses: {names}.")
    elif value.lower() in {"false", "no", "null", "none", "0"} and f"{name}?" in variables:
        print_note(
            f"--set {name}={value} is a text, which counts as true. For {value} give --values FILE, a JSON object."
        )


def _set(values: dict[str, Any], given: str) -> None:
    """Put one value where its name says; a dot leads into what a name stands for."""
    name, equals, value = given.partition("=")
    *path, last = name.split(".")
    if "[" in name:
        raise typer.BadParameter(f"--set {given!r}: a list takes --values FILE, with a JSON object")
    if not equals or not all((*path, last)):
        raise typer.BadParameter(f"--set {given!r} is not of the form NAME=VALUE, such as name=Ana")
    place = values
    for part in path:
        inner = place.setdefault(part, {})
        if not isinstance(inner, dict):
            raise typer.BadParameter(f"--set {given!r} leads into {part!r}, which has a value already")
        place = inner
    place[last] = value
