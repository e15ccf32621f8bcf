"""The table of commands, and what happens around each of them: loading it, and turning errors into one line.

A command's module is imported when the command is used. So `--help` and the shell's completion of command names answer
at once: the database library alone takes a quarter of a second.
"""

from __future__ import annotations

import gc
import io
import logging
import os
import re
import sys
import traceback
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from automagik_prompts._version import __version__
from automagik_prompts.cli.output.text import print_error, print_note
from automagik_prompts.exceptions import PromptsError

PROGRAM = "automagik-prompts"

CONTEXT = {"help_option_names": ["-h", "--help"]}

WAIT = 30
"""Seconds for which `--wait` waits where it says nothing."""

USAGE, FAILURE, INTERRUPTED = 2, 1, 130
"""The exit codes besides 0; `check` has one of its own."""


class _Command(TyperCommand):
    """A command whose option `--wait` may stand alone, which Typer has no way to say."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put in how long to wait where that is not said."""
        if "--wait" in args and any(option.name == "wait" for option in self.params):
            place = args.index("--wait")
            if not _SECONDS.fullmatch("".join(args[place + 1 : place + 2])):
                args = [*args[:place], f"--wait={WAIT}", *args[place + 1 :]]
        return super().parse_args(ctx, args)


_SECONDS = re.compile(r"-?(\d+(\.\d*)?|nan|inf)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class CommandEntry:
    """A command before its module is loaded.

    Attributes:
        module: The module in `automagik_prompts.cli.commands`.
        function: The function in it.
        summary: The line in the list of commands: the first line of the function's docstring.
        panel: The heading under which it is listed.
    """

    module: str
    function: str
    summary: str
    panel: str

    def load(self, name: str) -> TyperCommand:
        """Import the module and return the command."""
        name_of_module = f"automagik_prompts.cli.commands.{self.module}"
        # What is imported stays. To look for garbage in it, again and again and once more when the process ends, would
        # take a quarter of the time that a command takes.
        gc.disable()
        try:
            module = import_module(name_of_module)
        finally:
            gc.freeze()
            gc.enable()
        single = typer.Typer(add_completion=False)
        single.command(name, cls=_Command, context_settings=CONTEXT)(getattr(module, self.function))
        command = get_command(single)
        assert isinstance(command, TyperCommand)  # noqa: S101  # one function makes one command
        return command


COMMANDS = {
    "agents": CommandEntry("browse", "agents", "List the agents.", "See"),
    "list": CommandEntry("browse", "list_prompts", "List each status with its active version.", "See"),
    "show": CommandEntry("browse", "show", "Show one version and its text.", "See"),
    "history": CommandEntry("history", "history", "List the versions of an agent's texts, newest first.", "See"),
    "events": CommandEntry("history", "events", "List what was done, by whom and why, newest first.", "See"),
    "explain": CommandEntry("explain", "explain", "Show which version is served, from where and why.", "See"),
    "diff": CommandEntry("diff", "diff", "Show the difference between two versions.", "See"),
    "preview": CommandEntry(
        "preview", "preview", "Show a text filled with values, what is missing, and what it costs.", "See"
    ),
    "search": CommandEntry("search", "search", "Find lines of active versions that contain a text.", "See"),
    "create": CommandEntry("changing.create", "create", "Write a new version of a text.", "Change"),
    "activate": CommandEntry("changing.write", "activate", "Make a version the active one.", "Change"),
    "rollback": CommandEntry("changing.write", "rollback", "Go back to the version that was active before.", "Change"),
    "restore": CommandEntry(
        "changing.restore", "restore", "Bring back what was active at a moment, of one agent or of all.", "Change"
    ),
    "deactivate": CommandEntry(
        "changing.write", "deactivate", "Leave a status without an active version of its own.", "Change"
    ),
    "copy": CommandEntry(
        "changing.write", "copy", "Copy a text to another agent or status, as a new version there.", "Change"
    ),
    "keep": CommandEntry("check", "keep", "Keep a person's version although the code has changed.", "Change"),
    "withdraw": CommandEntry("changing.withdraw", "withdraw", "Have nobody sent a version any more.", "Change"),
    "delete": CommandEntry(
        "changing.write", "delete", "Delete a version that a person wrote and that is not active.", "Change"
    ),
    "request": CommandEntry(
        "review", "request", "Ask another person to approve that a version becomes active.", "Review"
    ),
    "requests": CommandEntry("review", "requests", "List the requests for approval that wait, newest first.", "Review"),
    "approve": CommandEntry("review", "approve", "Approve a request that another person has made.", "Review"),
    "decline": CommandEntry(
        "review", "decline", "Decline a request that another person has made; --note says why.", "Review"
    ),
    "comment": CommandEntry(
        "review",
        "comment",
        "Say something about a version, a status, or a request; it is kept with the events.",
        "Review",
    ),
    "check": CommandEntry("check", "check", "Compare code, database and files, for CI.", "Check and move"),
    "export": CommandEntry("transfer", "export", "Write each active version to a Markdown file.", "Check and move"),
    "import": CommandEntry(
        "transfer", "import_files", "Write a new version for each file that differs.", "Check and move"
    ),
    "sync": CommandEntry("schema", "sync", "Write what the code declares, as a release step.", "Run"),
    "upgrade": CommandEntry("schema", "upgrade", "Bring the database's schema up to date.", "Run"),
    "grants": CommandEntry(
        "schema", "grants", "Print the SQL that gives a role of PostgreSQL the least rights.", "Run"
    ),
    "downgrade": CommandEntry("legacy", "downgrade", "Take the schema back to an older one.", "Run"),
    "migrate-legacy": CommandEntry(
        "legacy", "migrate_legacy", "Adopt the texts of a database from before this library.", "Run"
    ),
    "fleet": CommandEntry(
        "running.fleet",
        "fleet",
        "List the processes that follow the database, and how far.",
        "Run",
    ),
    "token": CommandEntry(
        "serving.token",
        "token",
        "Make, list or revoke tokens, which let programs in over the network.",
        "Run",
    ),
    "serve": CommandEntry(
        "serving.serve",
        "serve",
        "Serve the REST API by itself, to programs with tokens.",
        "Run",
    ),
    "console": CommandEntry(
        "serving.console",
        "console",
        "Open the web console, as who calls this command.",
        "Run",
    ),
    "health": CommandEntry(
        "serving.health",
        "health",
        "Show how a running process fares, by asking its health route.",
        "Run",
    ),
    "doctor": CommandEntry("doctor", "doctor", "Look for what could keep prompts from being served.", "Run"),
    "watch": CommandEntry("watch", "watch", "Follow what is served, live.", "Run"),
}


class LazyGroup(TyperGroup):
    """Lists commands from the table, and loads the one that is used."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = {
            name: TyperCommand(name, help=entry.summary, rich_help_panel=entry.panel)
            for name, entry in COMMANDS.items()
        }
        self._listing = False

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command; while commands are listed, only what the list shows of it."""
        if self._listing or cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        return COMMANDS[cmd_name].load(cmd_name)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """List the commands without loading any."""
        self._listing = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self._listing = False

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """Complete the names of commands without loading any."""
        self._listing = True
        try:
            return super().shell_complete(ctx, incomplete)
        finally:
            self._listing = False


app = typer.Typer(
    name=PROGRAM,
    cls=LazyGroup,
    context_settings=CONTEXT,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    epilog=(
        "AUTOMAGIK_PROMPTS_POLICY=module:object says who may do what. Here it guards against mistakes: only the "
        "database's own rights guard against people."
    ),
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"{PROGRAM} {__version__}")
        raise typer.Exit


@app.callback(no_args_is_help=True)
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """See, change, compare, check and undo the prompts of your agents."""


# Typer does not export the class of all usage errors.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]


def main() -> None:
    """Run the command that the process was started with, and exit."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever started the command
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115  # open until the process ends
        elif isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a character gets its number instead of an error.
            stream.reconfigure(errors="backslashreplace")
    # What goes wrong is printed once, by the command; the library's log is for applications.
    logging.getLogger("automagik_prompts").addHandler(logging.NullHandler())
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run a command line.

    Returns:
        The exit code: 0, 2 for a usage error, 1 for any other error.
    """
    debug = "--debug" in arguments
    try:
        outcome = get_command(app)(arguments, prog_name=PROGRAM, standalone_mode=False)
        sys.stdout.flush()  # here, where a reader that has gone is no error, and not when the interpreter ends
    except _UsageError as error:
        return _usage_error(error)
    except typer.Abort:
        print_note("Nothing was done.")
        return FAILURE
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has gone, as `head` does; what is still kept back goes nowhere.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        return FAILURE
    except PromptsError as error:
        if debug:
            traceback.print_exc()
        print_error(error.message)
        return FAILURE
    except Exception as error:  # noqa: BLE001  # the last resort: a line for the operator, the rest by --debug
        if debug:
            traceback.print_exc()
        # Not its message, which may repeat a prompt's text.
        print_error(f"Unexpected {type(error).__name__}. Run it again with --debug and report what it prints.")
        return FAILURE
    return outcome if isinstance(outcome, int) else 0


def _usage_error(error: Exception) -> int:
    context, words = getattr(error, "ctx", None), getattr(error, "format_message", error.__str__)()
    if type(error).__name__ == "NoArgsIsHelpError":
        typer.echo(words.rstrip()) if words else None
        return USAGE
    command = context.command_path if context is not None else PROGRAM
    words = words.removeprefix("Invalid value: ").replace(": Value error, ", ": ").rstrip(".")
    end = "" if words.endswith("?") else "."
    print_error(f"{words[:1].upper()}{words[1:]}{end} See: {command} --help")
    return USAGE
