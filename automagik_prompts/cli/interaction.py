"""Who does it, and whether they are sure: authors, questions, and the editor."""

from __future__ import annotations

import getpass
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import typer

from automagik_prompts.cli.output.text import print_note
from automagik_prompts.exceptions import ConfigurationError, InvalidPromptError
from automagik_prompts.settings import Settings

_CUT = "# ----- The text ends above this line. What follows is left out. -----"
"""The first line of what an editor shows below a text."""


def find_author(given: str | None, settings: Settings) -> str | None:
    """Return who writes: as given, as configured, as git knows them, or as they are logged in."""
    return given or settings.author or _git_user() or _login()


def _git_user() -> str | None:
    if (git := shutil.which("git")) is None:
        return None
    try:
        found = subprocess.run(  # noqa: S603  # a fixed command
            [git, "config", "--get", "user.name"], capture_output=True, text=True, timeout=2, check=False
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None  # whoever it is, the login name will do
    return found.stdout.strip() or None


def _login() -> str | None:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return None  # a container's user may have no name


def can_ask() -> bool:
    """Return whether a person sits at a terminal: they type there, and see what is asked."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


def confirm(question: str) -> None:
    """Ask, and go on only after a yes.

    Raises:
        typer.Abort: No, or the question was left with Ctrl-C or Ctrl-D.
    """
    try:
        sure = typer.confirm(question, err=True)
    except typer.Abort:
        sys.stderr.write("\n")  # the question's line was left open
        raise
    if not sure:
        raise typer.Abort


class Editor:
    """A text in the person's own editor; the file stays until the text is safely written.

    Args:
        text: The text to begin with.
        suffix: The file's suffix, for the editor's highlighting.
        help: Lines for the person, below the text; they are taken out again.
    """

    def __init__(self, text: str, suffix: str, help: Sequence[str] = ()) -> None:
        self._began = text
        self._help = [_CUT, *(f"# {line}".rstrip() for line in help)] if help else []
        handle, name = tempfile.mkstemp(prefix="prompt-", suffix=suffix)
        self.path = Path(name)
        between = "" if not help or text.endswith("\n") else "\n"
        with os.fdopen(handle, "wb") as file:
            file.write("".join([text, between, *(f"{line}\n" for line in self._help)]).encode())
        self._made = self.path.stat().st_mtime_ns

    def edit(self) -> str:
        """Open the editor, wait for it, and return the text.

        Most editors end a file with a line break. Where the text had none before, a single one is taken for the
        editor's and left out. Some end each line with CR LF; where the text had no CR before, it gets none.

        Raises:
            ConfigurationError: The editor cannot be started or fails.
            InvalidPromptError: Of the lines for the person some are left, so that it is not certain what is text.
        """
        editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
        try:
            code = subprocess.run([*shlex.split(editor), str(self.path)], check=False).returncode  # noqa: S603  # the person's own choice
        except (OSError, ValueError) as error:  # it is not there, or its quotes are not closed
            raise _unusable(editor, str(error).rstrip(".")) from error
        if code != 0:
            raise _unusable(editor, f"it ended with exit code {code}")
        try:
            text = self.path.read_bytes().decode()
        except FileNotFoundError as error:
            raise ConfigurationError("The editor has removed the file with the text. Nothing was done.") from error
        except UnicodeDecodeError as error:
            raise ConfigurationError(f"The editor saved {self.path} in another encoding. Save it as UTF-8.") from error
        if "\r" not in self._began:
            text = text.replace("\r\n", "\n")
        text = self._without_help(text)
        if not self._began.endswith("\n") and text.endswith("\n") and not text.endswith("\n\n"):
            text = text.removesuffix("\n").removesuffix("\r")
        return text

    def _without_help(self, text: str) -> str:
        """Take out the lines for the person; whatever stands around them is text, and stays."""
        lines = text.splitlines(keepends=True)
        bare = [line.rstrip() for line in lines]
        count = len(self._help)
        for place in range(len(bare) - count, -1, -1):
            if count and bare[place : place + count] == self._help:
                return "".join(lines[:place] + lines[place + count :])
        if left := next((line for line in bare if line in self._help and len(line) > 1), None):
            raise InvalidPromptError(
                f"Some of the lines below the text were changed, and {left!r} is left of them. Remove all of them: "
                "they are no part of the text."
            )
        return text

    def keep(self) -> None:
        """Print where the text is, as it was not written; a file in which nothing was typed is removed."""
        with suppress(OSError):
            if self.path.stat().st_mtime_ns == self._made:
                self.discard()
        if not self.path.exists():
            return
        with suppress(OSError, UnicodeDecodeError, InvalidPromptError):  # then it stays as it was saved
            self.path.write_bytes(self._without_help(self.path.read_bytes().decode()).encode())
        print_note(f"Your text is kept in {self.path}")

    def discard(self) -> None:
        """Remove the file."""
        self.path.unlink(missing_ok=True)


def _unusable(editor: str, why: str) -> ConfigurationError:
    return ConfigurationError(f"The editor {editor!r} did not work: {why}. Set EDITOR, or give the text with --file.")
