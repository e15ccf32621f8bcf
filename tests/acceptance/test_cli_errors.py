from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from automagik_prompts.editing import commands
from automagik_prompts.schema import migrate
from automagik_prompts.storage.database import Database
from tests.operator import COMMAND, PATIENCE, Operator
from tests.processes import Launcher


@pytest.fixture
async def operator(tmp_path: Path, sqlite_url: str, launcher: Launcher) -> Operator:
    """An operator of a database with one agent."""
    async with Database(sqlite_url) as database:
        await migrate.upgrade(database)
        await commands.create(database, "stan", "NEW", "one", activate=True, new_agent=True, new_status=True)
    return Operator(tmp_path, sqlite_url, launcher)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("lst", "No such command 'lst'. Did you mean 'list'? See: automagik-prompts --help"),
        ("list --nope", "No such option"),
        ("activate stan", "Missing argument 'STATUS'. See: automagik-prompts activate --help"),
        ("activate stan NEW two", "VERSION"),
        ("activate stan NEW 0", "VERSION"),
        ("show stan NEW --code --version 1", "Choose one of --version, --active and --code"),
        ("diff stan NEW", "Name one or two versions, or say --code"),
        ("create stan NEW", "There is no terminal to edit at: use --text, --file, or - for standard input"),
        ("create stan NEW - --text x", "Give the text once"),
        ("create stan NEW --format jinja --text x", "'jinja' is not one of 'handlebars', 'simple', 'text'"),
        ("check --no-database", "leaves nothing to compare without --files DIR"),
        ("delete stan NEW 1", "say --yes to delete what cannot be brought back"),
        ("activate stan NEW 1 --wait nan", "nan is no number of seconds"),
        ("activate stan NEW 1 --wait inf", "inf is not in the range"),
        ("watch --for nan", "nan is no number of seconds"),
        ("health 127.0.0.1:1 --timeout nan", "nan is no number of seconds"),
        ("token create ci --role viewer --expires 0d", "'0d' is no time at all"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(operator: Operator, arguments: str, words: str) -> None:
    """Whoever mistypes is told on one line what is wrong and where help is."""
    outcome = operator.run(*arguments.split())
    assert (outcome.code, outcome.out) == (2, ""), outcome
    assert outcome.err.count("\n") == 1, outcome
    assert outcome.err.startswith("Error: "), outcome
    assert words in outcome.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("show stam NEW", "There is no agent 'stam' in the database. Did you mean 'stan'?"),
        ("show stan NEWS", "stan has no prompts for the status 'NEWS'. Did you mean 'NEW'?"),
        ("activate stan NEW 7", "has no version 7; its versions go from 1 to 1"),
        ("rollback stan NEW", "no version that was active before"),
        ("create stan NEW --text {{secret}}", "uses secret, which the agent's code does not expose"),
        ("create stan NEW --file nowhere.txt", "The file nowhere.txt cannot be read: No such file or directory"),
        ("activate stan NEW 1 --expect-revision 9", "has revision 1, not 9"),
        ("import nowhere", "There is no folder nowhere"),
        ("list --database-url sqlite://missing.db", "or make it with: automagik-prompts upgrade"),
        ("list --database-url oracle://x", "These settings cannot work: database_url"),
        ("explain stan --database-url sqlite://missing.db", "There is no database file"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_code_1(operator: Operator, arguments: str, words: str) -> None:
    """What went wrong is said on one line with what to do next, without a traceback; nothing is made or changed."""
    outcome = operator.run(*arguments.split())
    assert (outcome.code, outcome.out) == (1, ""), outcome
    assert outcome.err.count("\n") == 1, outcome
    assert words in outcome.err
    assert not (operator.folder / "missing.db").exists()


def test_debug_prints_the_traceback_and_no_password(operator: Operator) -> None:
    """With `--debug` the traceback comes before the line; a password is in neither."""
    url = "postgresql://ann:hunter2@127.0.0.1:1/prompts"
    outcome = operator.run("list", "--debug", "--database-url", url)
    assert outcome.code == 1
    assert "Traceback (most recent call last)" in outcome.err
    assert outcome.err.splitlines()[-1].startswith("Error: The database postgresql://ann:***@127.0.0.1:1/prompts")
    assert "hunter2" not in outcome.err + operator.run("doctor", "--database-url", url).out


def test_without_arguments_the_commands_are_listed(operator: Operator) -> None:
    """Whoever types the name alone gets the list of commands, and a script the exit code of wrong usage."""
    outcome = operator.run()
    assert (outcome.code, outcome.err) == (2, "")
    assert "migrate-legacy" in outcome.out
    helped = operator.run("--help")
    assert (helped.code, helped.out.split()) == (0, outcome.out.split())
    assert operator.do("--version").startswith("automagik-prompts ")


@pytest.mark.parametrize("arguments", ["list", "list --json", "show stan NEW"])
def test_a_reader_that_goes_away_is_no_error(operator: Operator, arguments: str) -> None:
    """Whoever pipes into `head` sees no traceback."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [str(COMMAND), *arguments.split()],
            cwd=operator.folder,
            env=operator.environment,
            stdout=writer,
            stderr=subprocess.PIPE,
            timeout=PATIENCE,
            check=False,
        )
    finally:
        os.close(writer)
    assert done.stderr == b""


async def test_a_read_only_database_can_be_looked_at(operator: Operator) -> None:
    """Looking works where nothing can be written; a change says why not."""
    path = operator.folder / "prompts.db"
    url = f"sqlite://{path}?immutable=1&mode=ro" if os.geteuid() == 0 else operator.url
    path.chmod(0o444)
    assert "stan" in operator.do("list")
    if url == operator.url:
        outcome = operator.run("activate", "stan", "NEW", "1")
        assert (outcome.code, "read-only" in outcome.err) == (1, True)


def test_the_author_is_found(operator: Operator) -> None:
    """An author is who the option names, else the variable, else git, else the login."""
    nobody: dict[str, str | None] = {"AUTOMAGIK_PROMPTS_AUTHOR": None, "LOGNAME": "login"}

    def author(*arguments: str, environment: dict[str, str | None]) -> str:
        operator.run("create", "stan", "NEW", "--text", "two", *arguments, environment=environment)
        found: str = operator.run("history", "stan", "--json").json["versions"][0]["author"]
        return found

    assert author("--author", "option", environment={}) == "option"
    assert author(environment={}) == "ana"
    assert author(environment=nobody) == "login"
    config = operator.folder / "home" / ".gitconfig"
    config.write_text("[user]\n\tname = Git User\n")
    assert author(environment=nobody) == "Git User"


def test_lines_of_another_system(operator: Operator) -> None:
    """A text in a file is kept byte for byte; that its lines end with CR LF is said where they did not before."""
    (operator.folder / "new.txt").write_bytes(b"One.\r\nTwo.\r\n")
    done = operator.run("create", "stan", "NEW", "--file", "new.txt")
    assert "The text ends its lines with CR LF; it is kept byte for byte." in done.err
    assert operator.run("show", "stan", "NEW", "--version", "2", "--json").json["text"] == "One.\r\nTwo.\r\n"
