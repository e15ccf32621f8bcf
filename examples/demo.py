"""The whole life of a prompt in ten seconds, offline: `make demo`.

Stan talks, his contact's status changes in the middle of a run, a person edits a prompt from another process, takes the
edit back, and the database goes away and comes back. What is claimed is checked: if anything is not as it should be the
exit code is not 0. Everything happens in a temporary folder; `--keep FOLDER` leaves a copy of the database, and says
how to open the web console on it.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import secrets
import sqlite3
import subprocess
import sys
import sysconfig
import tempfile
import textwrap
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from pydantic_ai.messages import ModelMessage, ToolCallPart, ToolReturnPart
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text
from stan import Contact, ContactStatus, StanAgent, StanDeps
from stan.prompts import approved
from stan.scripted import Watched, scripted, system_prompts

from automagik_prompts import PromptPlugin, Source, State

WIDTH = 110
SECONDS = 10.0  # for another process' edit to arrive; it takes a quarter of a second

CAMPAIGN = """\
You are Stan, who sells baking ingredients to business buyers. You are talking to {{contact.name}} of
{{contact.company}}, an approved buyer.

Today, {{today}}, delivery is free for every order, however small: say so in your first sentence.
{{#each products}}- {{name}}, {{unit}}: {{price}} BRL
{{/each}}
For more than one unit call `quote`.
"""

ANSWERS = (
    "Good morning, Ana. Prices are for registered businesses; what is your company's tax id?",
    ToolCallPart("verify_tax_id", {"tax_id": "11.222.333/0001-81"}),
    "Thank you, Padaria Aurora is approved. Wheat flour is 89.90 BRL per 25 kg bag; delivery 120 BRL below 1,500.",
    "Delivery is free today, Ana. One bag of wheat flour is 89.90 BRL.",
    "A bag is 89.90 BRL; below 1,500 BRL delivery is 120 BRL.",
    "Yes, I am still here. Dry yeast is 21.50 BRL per pack of 500 g.",
)


class DemoError(Exception):
    """Something was not as it should be."""


class Demo:
    """The stage: the running application on one side, a person with a terminal on the other.

    Args:
        folder: A temporary folder.
        console: Where everything is shown.
    """

    def __init__(self, folder: Path, console: Console) -> None:
        self.home = folder / "database"
        self.home.mkdir()
        self.url = f"sqlite://{self.home / 'prompts.db'}"
        self.console = console
        self.cache = folder / "cache"
        self.plugin = PromptPlugin(self.url, cache_dir=self.cache, startup_timeout=30)
        self.deps = StanDeps(Contact("Ana"), crm_token=secrets.token_hex())
        self.history: list[ModelMessage] = []
        self.told: list[str] = []

    def run(self) -> None:
        """Show everything."""
        with self.plugin.install():
            try:
                self.stan = StanAgent(Watched(scripted(*ANSWERS), self.tell))
                self.talk_and_be_approved()
                first = self.told[-1]
                self.edit_from_another_process(first)
                self.roll_back(first)
                self.lose_the_database(first)
                self.print_history()
            finally:
                self.plugin.uninstall()

    def talk_and_be_approved(self) -> None:
        """Show that the prompt follows the contact's status, also within one run."""
        self.title("Stan talks to a contact who is not registered")
        self.ask("Hello, Ana from Padaria Aurora here. What is a bag of wheat flour?")
        served = self.plugin.resolve("stan", "NOT_REGISTERED")
        self.check(served.source is Source.DATABASE, "the prompt is version 1 in the database")

        self.title("A tool changes the contact's status in the middle of a run")
        self.ask("Of course: 11.222.333/0001-81")
        self.check(self.deps.contact.status is ContactStatus.APPROVED, "the tool approved the contact")
        self.check(len(self.told) == 3, "the run made two model requests")
        self.check(self.told[1] != self.told[2], "the second request carried the other prompt")

    def edit_from_another_process(self, first: str) -> None:
        """Show that an activation elsewhere reaches this process, and that a text cannot reach a secret."""
        self.title("Marta writes a new version in another process")
        self.command("create", "stan", "APPROVED", "--text", CAMPAIGN, "--activate", "--author", "marta")
        self.wait(lambda: self.plugin.resolve("stan", "APPROVED").version == 2, "version 2 arrived in this process")
        self.ask("And a single bag?")
        self.check(self.told[-1] != first and "however small" in self.told[-1], "the next run was told version 2")
        self.command("create", "stan", "APPROVED", "--text", "Our token is {{crm_token}}.", "--activate", refused=True)
        self.check(self.plugin.resolve("stan", "APPROVED").version == 2, "the text that reads a secret was refused")

    def roll_back(self, first: str) -> None:
        """Show that the first text comes back byte for byte."""
        self.title("The campaign is over: she rolls back")
        self.command("rollback", "stan", "APPROVED", "--author", "marta")
        self.wait(lambda: self.plugin.resolve("stan", "APPROVED").version == 1, "version 1 arrived in this process")
        self.ask("So what is it tomorrow?")
        self.check(self.told[-1].encode() == first.encode(), "the model was told the first text, byte for byte")
        written = self.plugin.resolve("stan", "APPROVED").text
        self.check(written.encode() == approved.PROMPT.encode(), "it is the constant in the code, byte for byte")

    def lose_the_database(self, first: str) -> None:
        """Show that an agent run does not need the database."""
        self.title("The database file is taken away")
        away = self.home.rename(self.home.with_name("elsewhere"))
        self.wait(lambda: self.plugin.state is State.STALE, "the plugin noticed")
        self.ask("Are you still there? I need yeast, too.")
        self.check(self.told[-1] == first, "the agent answered, with the same prompt")
        self.say(str(self.plugin.explain("stan", "APPROVED")))
        away.rename(self.home)
        self.wait(lambda: self.plugin.state is State.LIVE, "the file is back, and the plugin follows it again")

    def print_history(self) -> None:
        """Print the versions that exist now."""
        self.title("What the database remembers of stan")
        table = Table()
        for name in ("status", "version", "active", "author", "written at", "characters", "sha-256"):
            table.add_column(name, justify="right" if name in {"version", "characters"} else "left")
        versions = asyncio.run(self.plugin.history("stan"))
        for item in versions:
            table.add_row(
                item.status_key,
                str(item.version),
                "yes" if item.is_active else "",
                item.author,
                f"{item.created_at:%H:%M:%S} UTC",
                str(len(item.prompt_text)),
                f"{item.content_hash[:16]}...",
                style="" if item.is_active else "dim",
            )
        self.console.print(Padding(table, (0, 0, 0, 5)))
        self.check(len(versions) == 5, "five versions: one for each status, and Marta's")
        self.check(sum(item.is_active for item in versions) == 4, "exactly one of each status is active")

    def ask(self, question: str) -> None:
        """Let the contact say something and Stan answer."""
        self.console.print(f"[bold cyan]Ana [/] {escape(question)}")
        result = self.stan.run_sync(question, deps=self.deps, message_history=self.history)
        self.history = result.all_messages()
        self.console.print(f"[bold green]Stan[/] {escape(result.output)}")

    def tell(self, messages: Sequence[ModelMessage]) -> None:
        """Show what a model request carries; called by the model itself."""
        texts = system_prompts(messages)
        if len(texts) != 1:
            raise DemoError(f"The request carried {len(texts)} system prompts.")
        served = self.plugin.explain("stan", self.deps.contact.status.value)
        for part in messages[-1].parts:
            if isinstance(part, ToolReturnPart):
                self.say(f"{part.tool_name}: {part.content}")
        title = f"the model is told {served.agent}/{served.served_status_key}, version {served.version}"
        if texts == self.told[-1:]:
            self.say(f"{title}, as before")
        else:
            panel = Panel(Text(texts[0].rstrip()), title=title, title_align="left", style="yellow")
            self.console.print(Padding(panel, (0, 0, 0, 5), expand=False))
        self.told += texts

    def command(self, *arguments: str, refused: bool = False) -> None:
        """Run the installed command in a process of its own."""
        shown = [f'"{textwrap.shorten(text, 32, placeholder="...")}"' if " " in text else text for text in arguments]
        self.console.print(f"[bold magenta]$[/] automagik-prompts {escape(' '.join(shown))}")
        done = subprocess.run(  # noqa: S603  # the command that this very environment installed
            [Path(sysconfig.get_path("scripts")) / "automagik-prompts", *arguments],
            env={
                **os.environ,
                "AUTOMAGIK_PROMPTS_DATABASE_URL": self.url,
                "AUTOMAGIK_PROMPTS_CACHE_DIR": str(self.cache),
            },
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.say((done.stdout + done.stderr).strip())
        if (done.returncode != 0) is not refused:
            raise DemoError(f"The command ended with exit code {done.returncode}.")

    def wait(self, arrived: Callable[[], bool], what: str) -> None:
        """Wait until something has happened, and say how long it took."""
        begun = time.monotonic()
        while not arrived():
            if time.monotonic() - begun > SECONDS:
                raise DemoError(f"It did not happen within {SECONDS:g} s: {what}")
            time.sleep(0.01)
        self.check(True, f"{what} after {time.monotonic() - begun:.2f} s")

    def check(self, holds: bool, what: str) -> None:
        """Print what holds; whatever does not ends the demo."""
        if not holds:
            raise DemoError(f"This does not hold: {what}")
        self.console.print(f"     [green]ok[/] {escape(what)}")

    def title(self, text: str) -> None:
        """Begin a part."""
        self.console.print()
        self.console.rule(f"[bold]{escape(text)}", align="left")

    def say(self, text: str) -> None:
        """Print a remark."""
        self.console.print(Padding(Text(text, style="dim"), (0, 0, 0, 5), expand=False))


class Lines(logging.Handler):
    """Shows the library's log lines where they happen."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.WARNING)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        """Print one line."""
        self._console.print(Padding(Text(f"log: {record.getMessage()}", style="red"), (0, 0, 0, 5), expand=False))


def keep(database: Path, folder: Path) -> Path:
    """Copy the demo's database to a folder, in place of an earlier one."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / database.name
    kept.unlink(missing_ok=True)
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(kept)) as target:
        source.backup(target)
    return kept


def main(arguments: Sequence[str] = ()) -> int:
    """Run the demo and return the exit code."""
    parser = argparse.ArgumentParser(description="Show the whole life of a prompt, offline.")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="leave a copy of the database there")
    chosen = parser.parse_args(arguments)
    kept: Path | None = None
    begun = time.monotonic()
    console = Console(width=WIDTH, highlight=False)
    logging.getLogger("automagik_prompts").addHandler(Lines(console))
    try:
        with tempfile.TemporaryDirectory(prefix="automagik-prompts-demo-") as folder:
            demo = Demo(Path(folder), console)
            demo.run()
            if chosen.keep is not None:
                kept = keep(demo.home / "prompts.db", chosen.keep)
    except DemoError as failure:
        console.print(f"\n[bold red]{escape(str(failure))}")
        return 1
    console.print(f"\nEverything was as it should be, in {time.monotonic() - begun:.1f} s.")
    if kept is not None:
        command = os.path.relpath(Path(sysconfig.get_path("scripts")) / "automagik-prompts")
        console.print("See it in a browser, with what Marta did:")
        console.print(f"  {escape(command)} console --database-url sqlite://{escape(str(kept))}", soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
