"""A day of an operator, on each engine, with everything that is printed for programs held against its model."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest

from automagik_prompts.cli.app import COMMANDS
from automagik_prompts.cli.commands import legacy
from automagik_prompts.cli.output import reports, restored, review, running, schemas, served, serving
from automagik_prompts.cli.output.shape import Shape
from automagik_prompts.schema.migrations import all_migrations
from tests.operator import Operator

S = TypeVar("S", bound=Shape)

SHAPES: dict[str, type[Shape]] = {
    "agents": schemas.AgentList,
    "list": schemas.StatusList,
    "show": schemas.VersionText,
    "history": schemas.VersionList,
    "events": schemas.EventList,
    "explain": served.Explained,
    "fleet": running.FleetList,
    "diff": schemas.Difference,
    "preview": served.Previewed,
    "search": schemas.MatchList,
    "create": schemas.EditOutput,
    "activate": schemas.EditOutput,
    "rollback": schemas.EditOutput,
    "restore": restored.Restored,
    "grants": reports.GrantList,
    "deactivate": schemas.EditOutput,
    "copy": schemas.EditOutput,
    "keep": schemas.EditOutput,
    "withdraw": schemas.EditOutput,
    "delete": schemas.EditOutput,
    "request": schemas.EditOutput,
    "requests": review.RequestList,
    "approve": schemas.EditOutput,
    "decline": schemas.EditOutput,
    "comment": schemas.EditOutput,
    "check": reports.CheckReport,
    "export": reports.Exported,
    "import": reports.Imported,
    "sync": reports.Synced,
    "upgrade": reports.Upgraded,
    "downgrade": legacy.Downgraded,
    "migrate-legacy": legacy.LegacyReport,
    "token": serving.TokenList,
    "console": serving.Served,
    "serve": serving.Served,
    "health": serving.SeenHealth,
    "doctor": reports.Diagnosis,
    "watch": served.Watched,
}

MODULE = """
from automagik_prompts import prompts

@prompts("maria", primary="NEW")
class Maria:
    NEW = "Ask {{name}}."
    APPROVED = "Quote prices to {{name}}."
"""


def test_every_command_has_a_shape() -> None:
    """A new command gets a model for what it prints."""
    assert set(SHAPES) == set(COMMANDS)


class Day:
    """Runs commands with `--json` and reads what they print through their models, strictly.

    Args:
        operator: Runs them.
    """

    def __init__(self, operator: Operator) -> None:
        self.operator = operator
        self.used: set[str] = set()

    def run(self, name: str, *arguments: str, code: int = 0, text: str | None = None) -> Any:
        """Run a command and return its result."""
        outcome = self.operator.run(name, *arguments, "--json", text=text)
        assert outcome.code == code, outcome
        assert outcome.err == "", outcome
        self.used.add(name)
        return SHAPES[name].model_validate_json(outcome.out)


@pytest.fixture
def day(tmp_path: Path, empty_url: str) -> Day:
    """A day that begins with an empty database."""
    (tmp_path / "shop.py").write_text(MODULE)
    operator = Operator(tmp_path, empty_url)
    operator.environment["AUTOMAGIK_PROMPTS_MODULES"] = "shop"
    return Day(operator)


@pytest.mark.parametrize("empty_url", ["sqlite", pytest.param("postgres", marks=pytest.mark.soak)], indirect=True)
def test_a_day_of_an_operator(day: Day, tmp_path: Path) -> None:
    """See, change, compare, check, move and undo, from an empty database on; each result is what its model says."""
    run = day.run
    assert len(run("upgrade").applied) == len(all_migrations())
    assert [(line.status_key, line.outcome) for line in run("sync").done] == [
        ("APPROVED", "created"),
        ("NEW", "created"),
    ]
    assert run("sync").done == []
    change = run("create", "maria", "APPROVED", "-", "--note", "shorter", text="Quote to {{name}}.\n")
    assert (change.version, change.active_version, change.revision) == (2, 1, 2)
    assert run("activate", "maria", "APPROVED", "2", "--expect-revision", "2").active_version == 2
    (active,) = [line for line in run("list", "maria").statuses if line.status_key == "APPROVED"]
    assert (active.active_version, active.origin, active.author, active.note) == (2, "person", "ana", "shorter")
    shown = run("show", "maria", "APPROVED")
    assert (shown.version, shown.text, shown.length, shown.active) == (2, "Quote to {{name}}.\n", 19, True)
    assert run("show", "maria", "APPROVED", "--code").version == 1
    assert [version.version for version in run("history", "maria", "APPROVED").versions] == [2, 1]
    assert [event.action.value for event in run("events", "maria", "-n", "2").events] == ["activated", "created"]
    assert (run("explain", "maria", "APPROVED").version, run("explain", "maria").served_status_key) == (2, "NEW")
    assert "-Quote prices to {{name}}." in run("diff", "maria", "APPROVED", "1", "2").unified
    assert not run("diff", "maria", "APPROVED", "--code").equal
    assert [match.line for match in run("search", "QUOTE").matches] == [1]
    assert run("check").findings == []
    filled = run("preview", "maria", "APPROVED", "--set", "name=Ana")
    assert (filled.version, filled.text, filled.missing, filled.tokens) == (2, "Quote to Ana.\n", [], 4)

    assert [file.outcome for file in run("export", "prompts").files] == ["written", "written"]
    path = tmp_path / "prompts" / "maria" / "APPROVED.md"
    path.write_text(path.read_text().replace("Quote", "Offer"))
    assert [finding.kind.value for finding in run("check", "--files", "prompts").findings] == ["file-differs"]
    (wanted,) = [file for file in run("import", "prompts", "--dry-run").files if file.action != "unchanged"]
    assert (wanted.action, wanted.version, wanted.active_version) == ("create", None, 2)
    (written,) = [file for file in run("import", "prompts", "--activate").files if file.action != "unchanged"]
    assert (written.action, written.version) == ("create", 3)

    assert run("rollback", "maria", "APPROVED").active_version == 2
    (granted,) = run("grants", "--role", "viewer", "--schema", "public").grants
    assert granted.to == "prompts_viewer"
    back = run("restore", "--agent", "maria", "--as-of", f"{datetime.now(UTC).isoformat()}")
    assert (back.statuses, back.added) == ([], [])
    assert run("copy", "maria", "APPROVED", "maria", "ON_HOLD", "--new-status", "--activate").version == 1
    assert run("deactivate", "maria", "ON_HOLD").active_version is None
    assert run("withdraw", "maria", "APPROVED", "2", "--activate", "1").active_version == 1
    assert [version.withdrawn for version in run("history", "maria", "APPROVED").versions] == [False, True, False]
    assert run("show", "maria", "APPROVED", "--version", "2").withdrawn
    assert run("withdraw", "maria", "APPROVED", "2", "--undo").version == 2
    assert run("activate", "maria", "APPROVED", "2").active_version == 2
    assert run("delete", "maria", "APPROVED", "3", "--yes").version == 3
    report = run("check", code=3)
    assert (report.ok, [(finding.kind.value, finding.status_key) for finding in report.findings]) == (
        False,
        [("inactive", "ON_HOLD"), ("unknown-status", "ON_HOLD")],
    )
    (agent,) = run("agents").agents
    assert (agent.primary_status, agent.statuses, agent.versions, agent.variables) == ("NEW", 3, 4, ["name"])
    assert [line.active_version for line in run("list").statuses] == [2, 1, None]
    asked = run("request", "maria", "APPROVED", "1", "--note", "as it was", code=3).request
    assert (asked.request, asked.state.value, asked.author) == (1, "open", "ana")
    assert run("comment", "maria", "APPROVED", "--text", "Looks good.", "--request", "1").request.request == 1
    assert [line.request for line in run("requests").requests] == [1]
    day.operator.environment["AUTOMAGIK_PROMPTS_AUTHOR"] = "bea"
    assert run("decline", "1", "--note", "not yet").request.state.value == "declined"
    assert run("request", "maria", "APPROVED", "1", code=3).request.request == 2
    day.operator.environment["AUTOMAGIK_PROMPTS_AUTHOR"] = "ana"
    assert (run("approve", "2").active_version, run("requests").requests) == (1, [])
    assert run("activate", "maria", "APPROVED", "2").active_version == 2
    assert run("activate", "maria", "APPROVED", "2", "--wait").fleet.processes == []
    assert run("fleet").processes == []
    diagnosis = run("doctor")
    assert diagnosis.ok
    # No process has served here yet, and whoever only looks keeps nothing.
    assert {check.name for check in diagnosis.checks if check.outcome != "ok"} == {"disk snapshot"}
    assert len(diagnosis.checks) in {7, 8}  # a server is asked about TLS, too
    watched = run("watch", "--for", "0")
    assert {line.status_key: line.version for line in watched.prompts} == {"APPROVED": 2, "NEW": 1}
    module = tmp_path / "shop.py"
    module.write_text(module.read_text().replace("Quote prices", "Quote all prices"))
    assert [(line.status_key, line.outcome) for line in run("sync").done] == [("APPROVED", "drift")]
    (drift,) = [one for one in run("check", code=3).findings if one.kind.value == "drift"]
    assert "Quote all prices" in drift.three_ways.code.text
    assert run("keep", "maria", "APPROVED").active_version == 2
    assert not [one for one in run("check", code=3).findings if one.kind.value == "drift"]
    made = run("token", "create", "ci", "--role", "editor", "--agent", "maria", "--expires", "12h")
    assert (made.tokens[0].actor_id, made.tokens[0].created_by, len(made.secret)) == ("token:ci", "ana", 47)
    assert [(one.name, one.agents, one.state) for one in run("token", "list").tokens] == [("ci", ["maria"], "usable")]
    assert [one.state for one in run("token", "revoke", "1").tokens] == ["revoked"]
    assert run("token", "list").tokens == []
    assert run("migrate-legacy", "--dry-run").pending == []
    assert len(run("downgrade", "--step", "4", "--yes").taken_back) == len(all_migrations()) - 4
    # What goes on until it is ended, and what asks it, is tried in test_serve and test_console_command.
    assert day.used == set(COMMANDS) - {"console", "serve", "health"}


def test_a_dry_run_of_create_says_what_would_be_written(day: Day) -> None:
    """With `--dry-run` a text is checked and compared, and nothing is written."""
    operator = day.operator
    operator.do("upgrade")
    operator.do("sync")
    outcome = operator.run("create", "maria", "NEW", "--text", "Greet {{name}}.", "--dry-run", "--json")
    checked = schemas.Checked.model_validate_json(outcome.out)
    assert (checked.active_version, checked.length) == (1, 15)
    assert "+Greet {{name}}." in checked.unified
    refused = operator.run("create", "maria", "NEW", "--text", "Greet {{secret}}.", "--dry-run", "--json")
    assert (refused.code, refused.out) == (1, "")
    assert [line.latest_version for line in day.run("list").statuses] == [1, 1]


def test_prompts_move_between_engines(tmp_path: Path, sqlite_url: str, postgres_url: str) -> None:
    """What is exported from one engine and imported into another is there byte for byte, and a round trip is empty."""
    operator = Operator(tmp_path, sqlite_url)
    texts = {"A": "Windows\r\nlines\r\n", "B": "no line feed", "C": "two\n\n", "D": "\n--- é 👩‍👩‍👧 \u202e"}
    operator.do("upgrade")
    for status_key, text in texts.items():
        more = ["--allow-invisible"] if status_key == "D" else []
        operator.do("create", "maria", status_key, "-", "--new-agent", "--new-status", "--activate", *more, text=text)
    operator.do("export", "prompts", "--from", sqlite_url)
    operator.do("upgrade", "--database-url", postgres_url)
    operator.do("import", "prompts", "--to", postgres_url, "--activate", "--allow-invisible")
    for status_key, text in texts.items():
        shown = operator.run("show", "maria", status_key, "--database-url", postgres_url)
        assert (shown.code, shown.out) == (0, text)
        assert ("U+202E" in shown.err) == (status_key == "D")
    assert operator.do("export", "prompts", "--from", postgres_url) == "0 files written, 4 unchanged\n"
    assert "Nothing to write" in operator.do("import", "prompts", "--to", sqlite_url)
