"""What a person at a terminal of 80 columns sees and is asked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.cells import cell_len

from automagik_prompts.domain.edits import Intent
from automagik_prompts.editing import commands
from automagik_prompts.storage.database import Database
from tests.operator import Operator, Terminal, fill

GREEN = "\x1b[32m"


@pytest.fixture
async def operator(tmp_path: Path, sqlite_url: str) -> Operator:
    """An operator of a database with three agents."""
    await fill(sqlite_url, agents=3, versions=2)
    return Operator(tmp_path, sqlite_url)


def editor(operator: Operator, *scripts: str) -> dict[str, str | None]:
    """Return the environment in which the editor does one thing after another to the text that it is given."""
    counter = operator.folder / "times"
    lines = [f'  {number}) {script} "$1" ;;' for number, script in enumerate(scripts, start=1)]
    program = operator.folder / "edit.sh"
    program.write_text(
        "\n".join(["#!/bin/sh", f'echo x >> "{counter}"', f'case $(wc -l < "{counter}") in', *lines, "esac", ""])
    )
    program.chmod(0o755)
    return {"EDITOR": str(program)}


def latest(operator: Operator) -> int:
    """Return the highest version of one status."""
    return int(operator.run("list", "agent_01", "--json").json["statuses"][0]["latest_version"])


def test_everything_fits_80_columns(operator: Operator) -> None:
    """No line is longer than the terminal is wide, and no name is lost."""
    for arguments in (("list",), ("agents",), ("history", "agent_01"), ("events",), ("--help",), ("doctor",)):
        with operator.at_terminal(*arguments) as terminal:
            assert terminal.end() == 0, terminal.shown
            assert max(cell_len(line) for line in terminal.shown.splitlines()) <= 80, arguments
    with operator.at_terminal("list") as terminal:
        terminal.end()
        assert terminal.shown.count("PENDING_REVIEW") == 3


def test_an_activation_shows_what_changes_and_for_whom_and_asks(operator: Operator) -> None:
    """Nothing happens after a no; after a yes the version is active."""
    with operator.at_terminal("activate", "agent_01", "NOT_REGISTERED", "1") as terminal:
        shown = " ".join(terminal.until("Activate it? [y/N]:").split())
        assert re.search(r"version 1 \(code, \d+[smh] ago\) replaces version 2 \(bruno, \d+[smh] ago\)", shown)
        assert "every run of the agent agent_01 in the status NOT_REGISTERED, and in every status that has no" in shown
        assert "\x1b[31m- " in terminal.raw
        terminal.type("n\n")
        assert terminal.end() == 1
        assert terminal.shown.endswith("Nothing was done.\n")
    assert "NOT_REGISTERED *       2" in operator.do("list", "agent_01")
    with operator.at_terminal("activate", "agent_01", "NOT_REGISTERED", "1") as terminal:
        terminal.until("[y/N]:")
        terminal.type("y\n")
        assert terminal.end() == 0
        assert "agent_01/NOT_REGISTERED: version 1 is active (before: 2)" in terminal.shown
    with operator.at_terminal("rollback", "agent_01", "NOT_REGISTERED", "--yes") as terminal:
        assert terminal.end() == 0
        assert "[y/N]" not in terminal.shown
        assert "replaces version 1" in " ".join(terminal.shown.split())
        assert terminal.shown.endswith("agent_01/NOT_REGISTERED: version 2 is active (before: 1)\n")


async def test_the_answer_is_about_what_was_shown(operator: Operator) -> None:
    """If somebody else writes while a person thinks, nothing is done, and they are told."""
    with operator.at_terminal("deactivate", "agent_01", "APPROVED") as terminal:
        assert "It is served version 2 of NOT_REGISTERED from then on." in terminal.until("[y/N]:")
        async with Database(operator.url) as database:
            await commands.create(database, "agent_01", "APPROVED", "meanwhile", intent=Intent("bruno"))
        terminal.type("y\n")
        assert terminal.end() == 1
        assert "somebody else wrote to it" in " ".join(terminal.shown.split())


def test_ctrl_c_at_a_question_does_nothing(operator: Operator) -> None:
    """A question that is left is a no."""
    with operator.at_terminal("deactivate", "agent_01", "APPROVED") as terminal:
        terminal.until("[y/N]:")
        assert terminal.interrupt() in {1, 130}
        assert "Traceback" not in terminal.shown
    assert "none" not in operator.do("list", "agent_01")


def test_the_editor_opens_on_the_active_text(operator: Operator) -> None:
    """What was edited is shown as a difference before it is written, without the line break that editors add."""
    environment = editor(operator, "printf 'Sell.\\n' >")
    with operator.at_terminal("create", "agent_01", "APPROVED", "--note", "why", environment=environment) as terminal:
        shown = terminal.until("Write it? [y/N]:")
        assert "--- agent_01/APPROVED version 2 (active)" in shown
        assert "Sell." in shown
        terminal.type("y\n")
        assert terminal.end() == 0
        assert "agent_01/APPROVED: version 3 is written; version 2 is active" in terminal.shown
    written = operator.run("show", "agent_01", "APPROVED", "--version", "3", "--json").json
    assert (written["text"], written["note"], written["author"]) == ("Sell.", "why", "ana")


@pytest.mark.parametrize(("status", "end"), [("REJECTED", "\n"), ("APPROVED", "")])
def test_the_editor_lists_the_variables(operator: Operator, status: str, end: str) -> None:
    """Below the text stands which may be used; those lines are taken out again, and not one character besides."""
    seen = operator.folder / "seen"
    environment = editor(operator, f'sh -c \'cp "$0" {seen}; printf "Bye.{end}" >> "$0"\'')
    before = operator.do("show", "agent_01", status)
    with operator.at_terminal("create", "agent_01", status, "--yes", environment=environment) as terminal:
        assert terminal.end() == 0, terminal.shown
    assert f"# agent_01/{status}, handlebars. These variables may be used:\n#   {{{{name}}}}\n" in seen.read_text()
    assert "{{agent_name}} {{run_id}} {{status_key}} {{today}}" in seen.read_text()
    assert max(map(len, seen.read_text().splitlines())) < 80
    between = "" if before.endswith("\n") else "\n"
    assert operator.do("show", "agent_01", status, "--version", "3") == f"{before}{between}Bye.{end}"


def test_what_is_left_of_the_list_is_no_text(operator: Operator) -> None:
    """Whoever takes half of the list away is asked to take all of it, and has lost nothing."""
    environment = editor(operator, "sed -i '/The text ends/d; s/brief/short/'", "sed -i '/^#/d'")
    with operator.at_terminal("create", "agent_01", "REJECTED", environment=environment) as terminal:
        assert "Remove all of them" in " ".join(terminal.until("Edit it again? [y/N]:").split())
        terminal.type("y\n")
        terminal.until("Write it? [y/N]:")
        terminal.type("y\n")
        assert terminal.end() == 0
    written = operator.do("show", "agent_01", "REJECTED", "--version", "3")
    assert written == operator.do("show", "agent_01", "REJECTED").replace("brief", "short")


def test_what_is_longer_than_the_terminal_is_paged(operator: Operator) -> None:
    """The person's pager shows it, in colour; what fits, a pipe and JSON are printed as they are."""
    shown = operator.folder / "paged"
    paging: dict[str, str | None] = {"PAGER": f"tee {shown}"}
    with operator.at_terminal("events", environment=paging) as terminal:
        assert terminal.end() == 0
        assert "\x1b[1mwhen" in shown.read_text()
        assert shown.read_text().count("activated") == terminal.shown.count("activated") == 24
    shown.unlink()
    quiet: list[tuple[tuple[str, ...], dict[str, str | None]]] = [
        (("list", "agent_01"), paging),
        (("events", "--json"), paging),
        (("events",), {"PAGER": ""}),
        (("events",), {**paging, "TERM": "dumb"}),
    ]
    for arguments, environment in quiet:
        with operator.at_terminal(*arguments, environment=environment) as terminal:
            assert terminal.end() == 0
            assert "agent_01" in terminal.shown
    assert not shown.exists()
    with operator.at_terminal("events", environment={"PAGER": "nowhere-to-be-found"}) as terminal:
        assert terminal.end() == 0
        assert "The pager 'nowhere-to-be-found' did not work" in terminal.shown
        assert terminal.shown.count("activated") == 24


def test_a_refused_text_can_be_edited_again(operator: Operator) -> None:
    """Whoever mistypes a variable is told, and goes on with what they wrote."""
    environment = editor(operator, "printf 'Hi {{nme}}\\n' >", "sed -i s/nme/name/")
    with operator.at_terminal("create", "agent_01", "APPROVED", environment=environment) as terminal:
        assert "uses nme, which" in " ".join(terminal.until("Edit it again? [y/N]:").split())
        terminal.type("y\n")
        terminal.until("Write it? [y/N]:")
        terminal.type("y\n")
        assert terminal.end() == 0
    assert operator.do("show", "agent_01", "APPROVED", "--version", "3") == "Hi {{name}}"


def test_what_was_edited_is_not_lost(operator: Operator) -> None:
    """A text that is not written in the end is kept in a file, which is named."""
    environment = editor(operator, "printf 'Long work.\\n' >")
    with operator.at_terminal("create", "agent_01", "APPROVED", environment=environment) as terminal:
        terminal.until("Write it? [y/N]:")
        terminal.type("n\n")
        assert terminal.end() == 1
        kept = Path("".join(terminal.shown.partition("Your text is kept in ")[2].split("Nothing")[0].split()))
    assert kept.read_text() == "Long work.\n"
    kept.unlink()
    assert latest(operator) == 2


def test_a_text_that_was_not_changed_is_not_written(operator: Operator) -> None:
    """Whoever leaves the editor without a change has written nothing, and is not asked."""
    with operator.at_terminal("create", "agent_01", "APPROVED", environment={"EDITOR": "true"}) as terminal:
        assert terminal.end() == 1
        assert "The text is as it was: nothing was written." in terminal.shown
    with operator.at_terminal(
        "create", "agent_01", "LATE", "--new-status", environment={"EDITOR": "true"}
    ) as terminal:  # of a status that has none yet, it is no text either
        assert terminal.end() == 1
        assert "The text is as it was: nothing was written." in terminal.shown
    with operator.at_terminal(
        "create", "agent_01", "APPROVED", environment={"EDITOR": "nowhere-to-be-found"}
    ) as terminal:
        assert terminal.end() == 1
        assert "The editor 'nowhere-to-be-found' did not work" in terminal.shown
    assert latest(operator) == 2


def test_an_editor_of_another_system(operator: Operator) -> None:
    """Where it ends each line with CR LF and the text had no CR, the version gets none."""
    environment = editor(operator, "printf 'One.\\r\\nTwo.\\r\\n' >")
    with operator.at_terminal("create", "agent_01", "APPROVED", environment=environment) as terminal:
        terminal.until("Write it? [y/N]:")
        terminal.type("y\n")
        assert terminal.end() == 0
    assert operator.do("show", "agent_01", "APPROVED", "--version", "3").splitlines() == ["One.", "Two."]
    assert "\r" not in operator.run("show", "agent_01", "APPROVED", "--version", "3", "--json").json["text"]


@pytest.mark.parametrize(
    ("editor", "said"),
    [
        ("rm", "The editor has removed the file with the text. Nothing was done."),
        ("vi 'x", "No closing quotation. Set EDITOR"),
        ("false", "it ended with exit code 1. Set EDITOR"),
    ],
)
def test_an_editor_that_does_not_work(operator: Operator, editor: str, said: str) -> None:
    """It is said in a sentence, and no file is left where nothing was typed."""
    folder = operator.folder / "temporary"
    folder.mkdir()
    environment: dict[str, str | None] = {"EDITOR": editor, "TMPDIR": str(folder)}
    with operator.at_terminal("create", "agent_01", "APPROVED", environment=environment, columns=200) as terminal:
        assert terminal.end() == 1
        assert said in terminal.shown
        assert "kept in" not in terminal.shown
    assert not list(folder.iterdir())
    assert latest(operator) == 2


@pytest.mark.parametrize("plain", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_without_colour_differences_are_marked(operator: Operator, plain: dict[str, str | None]) -> None:
    """Where colours do not reach the reader, marks say what was taken away and what was put in."""
    with operator.at_terminal("diff", "agent_01", "APPROVED", "1", environment=plain) as terminal:
        assert terminal.end() == 0
        assert "- Rule [-0-].0: ask {{name}}" in terminal.shown
        assert "+ Rule {+1+}.0: ask {{name}}" in terminal.shown
        assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", terminal.raw)
    with operator.at_terminal("diff", "agent_01", "APPROVED", "1") as terminal:
        assert terminal.end() == 0
        assert "- Rule 0.0: ask {{name}}" in terminal.shown
        assert GREEN in terminal.raw


def test_a_text_cannot_act_on_the_terminal(operator: Operator) -> None:
    """Control characters in a prompt are shown on a terminal, and are what they are in a pipe."""
    text = "a\x1b[2Jb\rc {{name}}"
    operator.do("create", "agent_01", "APPROVED", "-", "--activate", text=text)
    with operator.at_terminal("show", "agent_01", "APPROVED") as terminal:
        assert terminal.end() == 0
        assert "a␛[2Jb␍c" in terminal.shown
        assert "\x1b[2J" not in terminal.raw
    assert operator.do("show", "agent_01", "APPROVED") == text


def test_progress_is_shown_at_a_terminal_only(operator: Operator) -> None:
    """Long work shows how far it is where somebody watches, and prints only its result in a pipe."""
    operator.do("export", "prompts")
    for path in (operator.folder / "prompts").rglob("*.md"):
        path.write_text(path.read_text() + "changed\n")
    with operator.at_terminal("import", "prompts") as terminal:
        terminal.until("would be written")
        terminal.until("[y/N]:")
        terminal.type("y\n")
        assert terminal.end() == 0
        assert "importing" in terminal.shown
    assert "importing" not in operator.do("import", "prompts", "--activate")


@pytest.fixture
def watching(operator: Operator) -> Iterator[Terminal]:
    """A person who watches."""
    with operator.at_terminal("watch") as terminal:
        yield terminal


def test_watching_shows_changes_until_ctrl_c(operator: Operator, watching: Terminal) -> None:
    """The live table shows a change by itself, the latest first, and Ctrl-C is no error."""
    shown = watching.until("version 2 (database)")
    assert "live" in shown
    operator.do("activate", "agent_02", "REJECTED", "1")
    table = watching.until("version 1 (database)").rpartition("changed")[2]
    assert table.split()[:2] == ["agent_02", "REJECTED"]
    assert watching.interrupt() == 0
    assert "Traceback" not in watching.shown
