"""What the commands of releases print with `--json`: checks, files, seeding, migrations and diagnoses.

As for `shapes`: a field may be added in any release; a field is renamed or removed only in a major one.
"""

from __future__ import annotations

from typing import Literal

from automagik_prompts.cli.output.shape import Shape
from automagik_prompts.domain.edits import SyncResult
from automagik_prompts.editing.files.exporting import ExportedFile, Written
from automagik_prompts.editing.files.importing import Planned, Step
from automagik_prompts.editing.findings import Finding, Kind, Level, OneWay, ThreeWays


class OneWayLine(Shape):
    """One of the three texts of a drift."""

    version: int | None
    text: str

    @classmethod
    def of(cls, one: OneWay) -> OneWayLine:
        """Describe a text."""
        return cls(version=one.version, text=one.text)


class ThreeWaysLine(Shape):
    """What there is to decide between in a drift: what the code said, says now, and what a person made of it."""

    base: OneWayLine | None
    code: OneWayLine
    person: OneWayLine

    @classmethod
    def of(cls, ways: ThreeWays) -> ThreeWaysLine:
        """Describe three texts."""
        base = OneWayLine.of(ways.base) if ways.base is not None else None
        return cls(base=base, code=OneWayLine.of(ways.code), person=OneWayLine.of(ways.person))


class FindingLine(Shape):
    """One thing that does not fit."""

    kind: Kind
    level: Level
    message: str
    agent: str | None
    status_key: str | None
    version: int | None
    file: str | None
    line: int | None
    command: str | None
    three_ways: ThreeWaysLine | None

    @classmethod
    def of(cls, finding: Finding) -> FindingLine:
        """Describe a finding."""
        return cls(
            kind=finding.kind,
            level=finding.level,
            message=finding.message,
            agent=finding.agent,
            status_key=finding.status_key,
            version=finding.version,
            file=str(finding.place.path) if finding.place is not None else None,
            line=finding.place.line if finding.place is not None else None,
            command=finding.command,
            three_ways=ThreeWaysLine.of(finding.three_ways) if finding.three_ways is not None else None,
        )


class CheckReport(Shape):
    """`check`; `ok` is false where the exit code is 3."""

    ok: bool
    errors: int
    warnings: int
    modules: list[str]
    findings: list[FindingLine]


class ExportedLine(Shape):
    """One file of an export."""

    path: str
    agent: str
    status_key: str
    version: int | None
    outcome: Written

    @classmethod
    def of(cls, file: ExportedFile) -> ExportedLine:
        """Describe a file."""
        return cls(
            path=str(file.path),
            agent=file.agent,
            status_key=file.status_key,
            version=file.version,
            outcome=file.outcome,
        )


class Exported(Shape):
    """`export`."""

    folder: str
    files: list[ExportedLine]


class ImportedLine(Shape):
    """What an import did with one file, or would do."""

    path: str
    agent: str
    status_key: str
    action: Planned
    version: int | None
    active_version: int | None
    request: int | None

    @classmethod
    def of(cls, step: Step) -> ImportedLine:
        """Describe a step."""
        return cls(
            path=str(step.file.path),
            agent=step.file.prompt.agent,
            status_key=step.file.prompt.status_key,
            action=step.action,
            version=step.version,
            active_version=step.active,
            request=step.request,
        )


class Imported(Shape):
    """`import`; `active_version` is the one before it."""

    dry_run: bool
    new_agents: list[str]
    files: list[ImportedLine]


class SyncedLine(Shape):
    """One thing that `sync` did or saw."""

    agent: str
    status_key: str
    version: int | None
    outcome: str
    request: int | None
    replaced: int | None

    @classmethod
    def of(cls, seeded: SyncResult) -> SyncedLine:
        """Describe it."""
        return cls(
            agent=seeded.agent,
            status_key=seeded.status_key,
            version=seeded.version,
            outcome=seeded.outcome,
            request=seeded.request.id if seeded.request is not None else None,
            replaced=seeded.replaced,
        )


class Synced(Shape):
    """`sync`."""

    modules: list[str]
    agents: int
    done: list[SyncedLine]


class Upgraded(Shape):
    """`upgrade`."""

    database: str
    applied: list[str]
    revision: str | None
    inactive: list[str]


class Granted(Shape):
    """The statements that give a role of the database the rights of one of ours."""

    role: str
    to: str
    statements: list[str]


class GrantList(Shape):
    """`grants`."""

    grants: list[Granted]


class Diagnosed(Shape):
    """One thing that `doctor` looked at."""

    name: str
    outcome: Literal["ok", "warning", "failed"]
    message: str


class Diagnosis(Shape):
    """`doctor`; `ok` is false where the exit code is 1."""

    ok: bool
    versions: dict[str, str]
    settings: dict[str, str]
    checks: list[Diagnosed]
