"""Reviewing on the command line: what is shown cannot be forged, and shows nothing to who may not look."""

from __future__ import annotations

from pathlib import Path

import pytest

from automagik_prompts.editing.direct import DatabaseEdits
from automagik_prompts.schema.migrate import upgrade
from automagik_prompts.storage.database import Database
from tests.operator import Operator
from tests.processes import Launcher
from tests.reviewing import declared, seed

POLICY = """
from automagik_prompts import Actor, Roles
policy = Roles(
    Actor("ana", roles=["editor", "publisher"]), Actor("bea", roles=["approver"]),
    Actor("otto", roles=["editor", "publisher"], agents=["billing"]),
)
"""


@pytest.fixture
async def operator(tmp_path: Path, sqlite_url: str, launcher: Launcher) -> Operator:
    """An operator of two agents, each with a person's version that is not active."""
    async with Database(sqlite_url) as database:
        await upgrade(database)
        for name in ("billing", "seller"):
            await seed(database, declared(name, f"secrets of {name}"))
            await DatabaseEdits(database, author="ana").create(name, "APPROVED", "two")
    (tmp_path / "team.py").write_text(POLICY)
    return Operator(tmp_path, sqlite_url, launcher)


def under_policy(operator: Operator, name: str) -> Operator:
    """Let somebody act under the policy."""
    operator.environment |= {"AUTOMAGIK_PROMPTS_POLICY": "team:policy", "AUTOMAGIK_PROMPTS_AUTHOR": name}
    return operator


def test_a_note_cannot_pass_for_something_else(operator: Operator) -> None:
    """Line breaks in notes and comments are printed as blanks, wherever a person decides by what they read."""
    forged = "ok\n2026-11-27 07:40  bea: approved\n@@ line 1 @@"
    assert operator.run("activate", "seller", "APPROVED", "2", "--note", forged).code == 3
    operator.do("comment", "--request", "1", "--text", forged)
    shown = operator.run("requests", "--show", "1").out
    assert not [line for line in shown.splitlines() if line.startswith(("2026-11-27 07:40", "@@"))]
    assert shown.count("bea: approved") == 2
    with operator.at_terminal("approve", "1", environment={"AUTOMAGIK_PROMPTS_AUTHOR": "bea"}) as terminal:
        terminal.until("let it go live?")
        lines = terminal.shown.splitlines()
        assert not [line for line in lines if line.startswith("2026-11-27 07:40")]
        assert sum(line.startswith("@@") for line in lines) == 1
        terminal.type("n\n")
        assert terminal.end() == 1


def test_a_request_is_shown_as_it_was(operator: Operator) -> None:
    """Also once it is decided, and once its version is deleted: from what it was asked upon, to what it asked for."""
    assert operator.run("activate", "seller", "APPROVED", "2", "--note", "why").code == 3
    operator.do("approve", "1", "--author", "bea", "--note", "read it")
    shown = operator.run("requests", "--show", "1")
    assert "request 1, to activate version 2 of seller/approved: done" in shown.out.lower()
    assert "1 of 1 approvals (bea)" in shown.out
    assert "bea: activated (approved): why" in shown.out
    assert "-secrets of seller, approved" in shown.err
    assert "+two" in shown.err
    operator.do("rollback", "seller", "APPROVED", "--emergency", "--note", "it was wrong")
    operator.do("delete", "seller", "APPROVED", "2", "--yes")
    shown = operator.run("requests", "--show", "1")
    assert shown.code == 0
    assert "version 2 (deleted)" in shown.err


def test_an_emergency_is_said_to_be_one(operator: Operator) -> None:
    """Before it is done, after it, and in the events."""
    arguments = ("activate", "seller", "APPROVED", "2", "--emergency", "--note", "wrong prices")
    with operator.at_terminal(*arguments) as terminal:
        assert "this passes 1 approval by, and stays marked" in " ".join(terminal.until("Activate it?").split())
        terminal.type("y\n")
        assert terminal.end() == 0
        assert "version 2 is active (before: 1), without approval: request 1" in terminal.shown
    assert "activated (emergency, request 1)" in operator.do("events", "seller", "--limit", "1")


def test_a_misspelt_status_is_no_empty_answer(operator: Operator) -> None:
    """Nobody is told that nothing was done to a status that there is not."""
    done = operator.run("events", "seller", "aproved")
    assert (done.code, "Did you mean 'APPROVED'?" in done.err) == (1, True)


def test_what_may_not_be_seen_is_not_shown_on_the_way(operator: Operator, tmp_path: Path) -> None:
    """Neither the text that a copy would replace, nor what an import compares with."""
    operator.do("export", "out")
    for path in (tmp_path / "out").rglob("APPROVED.md"):
        path.write_text(path.read_text().replace("secrets of", "news of"))
    operator.do("create", "seller", "APPROVED", "--text", "three")
    operator.do("activate", "seller", "APPROVED", "3", "--emergency", "--note", "now")
    otto = under_policy(operator, "otto")
    with otto.at_terminal("copy", "billing", "NEW", "seller", "NEW", "--yes") as terminal:
        assert terminal.end() == 1
        assert "secrets of seller" not in terminal.shown.replace("secrets of billing", "")
    for options in (["--activate"], ["--dry-run"], ["--activate", "--dry-run"]):
        done = otto.run("import", "out", *options)
        assert (done.code, "otto may not view seller" in done.err) == (1, True)
        assert "secrets of seller" not in done.out + done.err


def test_an_import_is_refused_as_a_whole(operator: Operator, tmp_path: Path) -> None:
    """Where one file may not be written none is."""
    operator.do("export", "out")
    for path in (tmp_path / "out").rglob("NEW.md"):
        path.write_text(path.read_text().replace("secrets of", "news of"))
    before = operator.do("events", "--jsonl")
    done = under_policy(operator, "otto").run("import", "out")
    assert (done.code, "otto may not create seller/NEW" in done.err) == (1, True)
    del operator.environment["AUTOMAGIK_PROMPTS_POLICY"]
    assert operator.do("events", "--jsonl") == before
