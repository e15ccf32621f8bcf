"""On the command line a status is found in any case, and a misspelt one does nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from automagik_prompts.editing import commands
from automagik_prompts.schema import migrate
from automagik_prompts.storage.database import Database
from tests.operator import Operator
from tests.processes import Launcher

MODULE = """from automagik_prompts import prompts


@prompts("seller", primary="NEW")
class Seller:
    NEW = "Ask for the tax id."
    APPROVED = "Quote prices."
    DEFAULT = "Say that you do not know."
"""


@pytest.fixture
async def operator(tmp_path: Path, sqlite_url: str, launcher: Launcher) -> Operator:
    """An operator of a seller whose code is known; two of three statuses are in the database."""
    async with Database(sqlite_url) as database:
        await migrate.upgrade(database)
        for key in ("NEW", "DEFAULT"):
            await commands.create(database, "seller", key, f"{key} 1.", activate=True, new_agent=True, new_status=True)
    (tmp_path / "shop.py").write_text(MODULE)
    operator = Operator(tmp_path, sqlite_url, launcher)
    operator.environment["AUTOMAGIK_PROMPTS_MODULES"] = "shop"
    return operator


def statuses(operator: Operator) -> list[str]:
    """Return the statuses in the database."""
    return [line["status_key"] for line in operator.run("list", "--json").json["statuses"]]


def test_a_misspelt_status_is_not_made(operator: Operator) -> None:
    """`create`, `copy` and `import` offer the nearest spelling and write nothing, unless told that it is new."""
    folder = operator.folder / "prompts"
    operator.do("export", "prompts")
    path = folder / "seller" / "NEW.md"
    path.write_text(path.read_text().replace("status: NEW", "status: APROVED").replace("primary: true\n", ""))
    tries = [
        ("create", "seller", "APROVED", "--text", "Hi.", "--activate"),
        ("copy", "seller", "NEW", "seller", "APROVED"),
        ("import", "prompts"),
    ]
    for arguments in tries:
        outcome = operator.run(*arguments)
        assert (outcome.code, outcome.out) == (1, ""), outcome
        assert outcome.err.count("\n") == 1, outcome
        assert "no status 'APROVED'. Did you mean 'APPROVED'?" in outcome.err, "the code's status is near"
        assert "--new-status" in outcome.err
    assert statuses(operator) == ["DEFAULT", "NEW"]
    operator.environment["AUTOMAGIK_PROMPTS_MODULES"] = ""
    assert "no status 'APROVED'. Known statuses: DEFAULT, NEW." in operator.run(*tries[0]).err, "no code is known here"
    for arguments in tries:
        assert operator.run(*arguments, "--new-status").code == 0
    assert statuses(operator) == ["APROVED", "DEFAULT", "NEW"]


def test_a_status_of_the_code_needs_no_word(operator: Operator) -> None:
    """What the code declares is no new status, also where it was never written, and it keeps the code's spelling."""
    assert operator.do("create", "seller", "approved", "--text", "Hi.") == (
        "seller/APPROVED: version 1 is written; none is active\n"
    )
    assert operator.do("copy", "seller", "new", "seller", "Approved", "--activate") == (
        "seller/APPROVED: version 2 is active\n"
    )


def test_a_new_agents_first_status_needs_no_word(operator: Operator) -> None:
    """There is nothing beside which it could be misspelt; its second one is another matter."""
    assert operator.run("create", "porter", "OPEN", "--text", "Hi.", "--new-agent").code == 0
    outcome = operator.run("create", "porter", "OPNE", "--text", "Hi.", "--new-agent")
    assert "no status 'OPNE'. Did you mean 'OPEN'?" in outcome.err


def test_every_command_finds_a_status_in_any_case(operator: Operator) -> None:
    """It is named as it is kept; `create default` beside DEFAULT is a version of DEFAULT."""
    assert operator.do("create", "seller", "default", "--text", "Two.", "--activate") == (
        "seller/DEFAULT: version 2 is active (before: 1)\n"
    )
    assert operator.do("rollback", "seller", "Default") == "seller/DEFAULT: version 1 is active (before: 2)\n"
    assert operator.do("activate", "seller", "default", "2") == "seller/DEFAULT: version 2 is active (before: 1)\n"
    assert operator.do("show", "seller", "default") == "Two."
    assert "+++ seller/DEFAULT version 2 (active)" in operator.do("diff", "seller", "default", "1")
    assert "+++ seller/DEFAULT in code" in operator.do("diff", "seller", "default", "--code")
    assert operator.run("diff", "seller", "default", "1", "--json").json["status_key"] == "DEFAULT"
    for command in ("history", "events"):
        assert "DEFAULT" in operator.do(command, "seller", "default")
    assert operator.do("explain", "seller", "default").startswith(
        "seller/DEFAULT: version 2 of 'DEFAULT' from database"
    )
    assert (
        operator.run("create", "seller", "default", "--text", "x", "--dry-run", "--json").json["status_key"]
        == "DEFAULT"
    )
    operator.do("deactivate", "seller", "default")
    assert operator.run("show", "seller", "default").err.startswith("Error: seller/DEFAULT has no active version.")
    assert (
        operator.do("delete", "seller", "default", "2", "--yes")
        == "seller/DEFAULT: version 2 is deleted; none is active\n"
    )
    assert statuses(operator) == ["DEFAULT", "NEW"]


def test_what_is_told_of_a_status_that_the_code_does_not_know(operator: Operator) -> None:
    """`check`, `doctor` and `explain` do not call it healthy."""
    operator.do("sync")
    operator.do("create", "seller", "APROVED", "--text", "Hi.", "--activate", "--new-status")
    found = operator.run("check", "--json", "--ignore", "drift").json
    assert [(one["kind"], one["level"], one["status_key"]) for one in found["findings"]] == [
        ("unknown-status", "warning", "APROVED")
    ]
    diagnosis = operator.run("doctor", "--json").json
    (told,) = [check for check in diagnosis["checks"] if check["name"] == "statuses"]
    assert (told["outcome"], "seller/APROVED" in told["message"]) == ("warning", True)
    assert "note: the code does not declare the status 'APROVED'. Did you mean" in operator.do(
        "explain", "seller", "APROVED"
    )


def test_a_sync_of_another_spelling(operator: Operator) -> None:
    """It is told on stderr, and as data; `check` finds it; nothing is written for it."""
    (operator.folder / "shop.py").write_text(
        'from automagik_prompts import prompt\n\nprompt("New.", agent="seller", status_key="new")\n'
    )
    outcome = operator.run("sync")
    assert (outcome.code, outcome.out) == (0, "No text is new: the database has those of 1 agent.\n")
    assert "the status 'new' and the database 'NEW', which differ only in case" in outcome.err
    (done,) = operator.run("sync", "--json").json["done"]
    assert (done["status_key"], done["version"], done["outcome"]) == ("new", None, "alike")
    found = operator.run("check", "--json")
    assert (found.code, [one["kind"] for one in found.json["findings"]]) == (3, ["alike", "unknown-status"])
    assert operator.run("doctor").code == 1
    assert statuses(operator) == ["DEFAULT", "NEW"]
