"""What a person sees who brings a moment back."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.operator import Operator
from tests.processes import Launcher


@pytest.fixture
def operator(tmp_path: Path, sqlite_url: str, launcher: Launcher) -> Operator:
    """An operator in São Paulo, of an agent with two statuses."""
    operator = Operator(tmp_path, sqlite_url, launcher)
    operator.environment["TZ"] = "America/Sao_Paulo"
    operator.do("create", "seller", "NEW", "--text", "We open at 9.", "--activate", "--new-agent")
    operator.do("create", "seller", "APPROVED", "--text", "Quote prices.", "--activate", "--new-status")
    # SQLite knows to the second since when an agent is there.
    begun = datetime.now(UTC).replace(microsecond=0)
    while datetime.now(UTC).replace(microsecond=0) == begun:
        time.sleep(0.05)  # nothing but the time can end this
    return operator


def moment() -> str:
    """Return the present moment as a person would give it with its zone."""
    return datetime.now(UTC).isoformat()


def test_it_is_shown_before_it_is_asked(operator: Operator) -> None:
    """The moment with its zone, each status, and the differences; after a no nothing was done."""
    then = moment()
    operator.do("create", "seller", "NEW", "--text", "We open at 10.", "--activate")
    operator.do("deactivate", "seller", "APPROVED")
    with operator.at_terminal("restore", "--as-of", then) as terminal:
        shown = terminal.until("Bring back 2 statuses? [y/N]:")
        assert "-03:00 (your time)" in shown
        assert "seller  APPROVED    none     1  activated" in shown
        assert "seller  NEW            2     1  activated" in shown
        assert "- We open at 10." in shown
        assert "+ We open at 9." in shown
        assert max(map(len, shown.splitlines())) <= 80
        terminal.type("n\n")
        assert terminal.end() == 1
    assert operator.do("show", "seller", "NEW") == "We open at 10."
    with operator.at_terminal("restore", "--as-of", then, "--yes") as terminal:
        assert terminal.end() == 0
        assert "seller/NEW: version 1 is active (before: 2)" in terminal.shown
    assert operator.do("restore", "--as-of", then) == "Nothing has changed since.\n"


def test_in_a_script(operator: Operator) -> None:
    """What is said is done, and what could not be done is named with exit code 3."""
    operator.do("create", "seller", "NEW", "--text", "We open at 10.", "--activate")
    then = moment()
    operator.do("activate", "seller", "NEW", "1")
    operator.do("withdraw", "seller", "NEW", "2")
    operator.do("deactivate", "seller", "APPROVED")
    planned = operator.run("restore", "--as-of", then, "--dry-run", "--json")
    assert planned.code == 0
    assert [(line["status_key"], line["version"], line["active_version"]) for line in planned.json["statuses"]] == [
        ("APPROVED", 1, None),
        ("NEW", 2, 1),
    ]
    done = operator.run("restore", "--as-of", then)
    assert (done.code, done.out) == (3, "seller/APPROVED: version 1 is active\n")
    assert done.err.startswith("seller/NEW stays as it is. Version 2 of seller/NEW is withdrawn.")


def test_a_request_that_waits(operator: Operator) -> None:
    """A dry run says of a protected status that it would ask for approval, and whether that waits already."""
    (operator.folder / "shop.py").write_text(
        "from automagik_prompts import prompt\n"
        "prompt('We open at 9.', agent='seller', status_key='NEW', protected=True, approvals=1)\n"
    )
    operator.environment["AUTOMAGIK_PROMPTS_MODULES"] = "shop"
    operator.do("sync")
    then = moment()
    operator.do("create", "seller", "NEW", "--text", "We open at 10.")
    operator.do("activate", "seller", "NEW", "2", "--emergency", "--note", "early")
    assert "asks for approval" in operator.run("restore", "--as-of", then, "--dry-run").out
    assert operator.run("restore", "--as-of", then).code == 3
    assert "waits for approval already" in operator.run("restore", "--as-of", then, "--dry-run").out


def test_no_moment(operator: Operator) -> None:
    """A moment is asked for, and one that is none, or yet to come, or before the agent, is refused."""
    assert "'--as-of'" in operator.run("restore").err
    assert "is no moment: say 2026-11-24" in operator.run("restore", "--as-of", "yesterday").err
    assert "is yet to come" in operator.run("restore", "--as-of", "2100-01-01").err
    assert "was not there yet" in operator.run("restore", "--as-of", "2d", "--agent", "seller").err
    left = operator.run("restore", "--as-of", "2d")
    assert (left.code, left.out) == (0, "Nothing has changed since.\n")
    assert left.err == "Not there yet, and left alone: seller.\n"
