"""What `doctor` is let loose upon, and how its report is compared with what `upgrade` does."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tests.operator import Operator, Outcome


@dataclass(slots=True)
class Patient:
    """What `doctor` is let loose upon.

    Attributes:
        operator: Who runs the commands.
        url: The database.
        environment: Further variables.
        arguments: Further arguments of `doctor`.
        powerless: Whether the modes of files count.
    """

    operator: Operator
    url: str
    environment: dict[str, str | None] = field(default_factory=dict)
    arguments: list[str] = field(default_factory=list)
    powerless: bool = False

    @property
    def path(self) -> Path:
        """The SQLite file."""
        return self.operator.folder / "data" / "prompts.db"

    def run(self, *arguments: str) -> Outcome:
        """Run a command."""
        environment = {"AUTOMAGIK_PROMPTS_DATABASE_URL": self.url, **self.environment}
        return self.operator.run(*arguments, environment=environment, powerless=self.powerless)

    def examine(self) -> list[dict[str, str]]:
        """Run `doctor`, make sure that it ends with a report, and return its checks."""
        outcome = self.run("doctor", "--json", *self.arguments)
        assert outcome.err == ""
        report = outcome.json
        failed = [check for check in report["checks"] if check["outcome"] == "failed"]
        assert (outcome.code, report["ok"]) == (bool(failed), not failed)
        assert "Unexpected" not in outcome.out, outcome.out
        checks: list[dict[str, str]] = report["checks"]
        return checks


def of(checks: list[dict[str, str]], name: str) -> dict[str, str]:
    """Return the one check with a name."""
    (found,) = [check for check in checks if check["name"] == name]
    return found


def agrees(patient: Patient) -> list[dict[str, str]]:
    """Make sure that `upgrade` does what `doctor` says, and return what that said."""
    checks = patient.examine()
    refused = [check for check in checks if check["name"] in {"connection", "settings"}]
    (first,) = refused
    schema = of(checks, "schema") if first["outcome"] == "ok" else first
    outcome = patient.run("upgrade", "--json")
    if schema["message"].startswith("There is no database file"):
        assert outcome.code == 0, outcome
    elif schema["outcome"] == "ok":
        assert (outcome.code, outcome.json["applied"]) == (0, []), outcome
        return checks
    elif "to be applied" in schema["message"]:
        assert outcome.code == 0, outcome
        number = int(schema["message"].partition(" ")[0])
        assert len(outcome.json["applied"]) == number, outcome
    else:
        assert schema["outcome"] == "failed"
        assert outcome.code == 1, outcome
        assert schema["message"] == outcome.err.removeprefix("Error: ").rstrip("\n")
        return checks
    assert "up to date" in of(patient.examine(), "schema")["message"]
    return checks
