"""The report: what each part measured, as numbers in JSON, and made from these the document with tables and charts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from benchmarks.charts import Chart
from benchmarks.reasons import reason

NUMBERS, DOCUMENT, IMAGES = "performance.json", "performance.md", "img"
"""What is written, in the folder of the documents."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One bar and where we stand.

    Attributes:
        what: What is measured.
        ours: What it takes with this library.
        against: What it is compared with, and what that takes.
        value: What the bar is about: mostly how many times as much.
        bar: The bar.
        unit: Of both.
        at_least: Whether the bar is a lower one.
        kind: Which reason would be given for missing it.
    """

    what: str
    ours: str
    against: str
    value: float
    bar: float
    unit: str = ""
    at_least: bool = False
    kind: str = ""

    @property
    def met(self) -> bool:
        """Whether the bar is met."""
        return self.value >= self.bar if self.at_least else self.value <= self.bar

    def row(self) -> tuple[str, ...]:
        """Return it as a line of the summary."""
        bound = "at least" if self.at_least else "at most"
        met = "yes" if self.met else "**no**"
        return (
            self.what,
            self.ours,
            self.against,
            self._in_words(self.value),
            f"{bound} {self._in_words(self.bar)}",
            met,
        )

    def _in_words(self, value: float) -> str:
        digits = 3 if abs(value) < 10 else 1 if abs(value) < 100 else 0
        return f"{value:.{digits}f}{' ' + self.unit if self.unit else ''}"


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the report.

    Attributes:
        title: The heading.
        text: How it was measured, and what to make of it.
        head: The table's columns.
        rows: Its lines.
        verdicts: The bars.
        noise: What two equal cases differed, in words.
        charts: The charts.
        extra: More Markdown, after the table.
        data: The numbers.
        failed: Why it could not be measured, if it could not.
        measured: When, for how long, and on how busy a machine.
    """

    title: str
    text: str = ""
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    noise: str = ""
    charts: tuple[Chart, ...] = ()
    extra: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    failed: str = ""
    measured: dict[str, Any] = field(default_factory=dict)

    def markdown(self) -> str:
        """Write it."""
        if self.failed:
            return f"## {self.title}\n\n**Could not be measured.**\n\n```text\n{self.failed}\n```"
        parts = [f"## {self.title}", self.text]
        if self.rows:
            parts.append(table(self.head, self.rows))
        parts += [f"![{chart.title}]({IMAGES}/{chart.name}.svg)" for chart in self.charts]
        if self.extra:
            parts.append(self.extra)
        return "\n\n".join(parts)


_SECTIONS = TypeAdapter(dict[str, Section])


def write(folder: Path, facts: Mapping[str, Any], sections: Mapping[str, Section]) -> None:
    """Write the numbers, and the document and charts that are made from them.

    Args:
        folder: Where to.
        facts: About the machine.
        sections: The parts, by name.
    """
    numbers = {"machine": dict(facts), "sections": _SECTIONS.dump_python(dict(sections), mode="json")}
    (folder / NUMBERS).write_text(json.dumps(numbers, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / DOCUMENT).write_text(document(facts, sections), encoding="utf-8")
    images = folder / IMAGES
    images.mkdir(exist_ok=True)
    for chart in (chart for section in sections.values() for chart in section.charts):
        (images / f"{chart.name}.svg").write_text(chart.svg(), encoding="utf-8")


def read(folder: Path) -> dict[str, Section]:
    """Return the parts that were written before, by name."""
    path = folder / NUMBERS
    if not path.exists():
        return {}
    return _SECTIONS.validate_python(json.loads(path.read_text(encoding="utf-8"))["sections"])


def document(facts: Mapping[str, Any], sections: Mapping[str, Section]) -> str:
    """Return the whole document."""
    verdicts = [verdict for section in sections.values() for verdict in section.verdicts]
    missed = [verdict for verdict in verdicts if not verdict.met]
    failed = [section.title for section in sections.values() if section.failed]
    noises = [f"- {section.title}: {section.noise}" for section in sections.values() if section.noise]
    summary = [
        f"{len(verdicts) - len(missed)} of {len(verdicts)} bars are met.",
        table(("measure", "ours", "against", "ratio", "bar", "met"), [verdict.row() for verdict in verdicts]),
    ]
    if failed:
        summary.insert(0, f"**Could not be measured this time: {', '.join(failed)}.**")
    parts = ["# Performance", _introduction(facts, sections), "## Summary", *summary]
    if noises:
        parts += ["The noise, which is what two equal cases differ in the same run:", "\n".join(noises)]
    if missed:
        parts += ["## Bars that are not met, and why", *_reasons(missed)]
    parts += [section.markdown() for section in sections.values()]
    return "\n\n".join(parts) + "\n"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table as Markdown."""
    lines = [" | ".join(head), " | ".join("---" for _ in head), *(" | ".join(row) for row in rows)]
    return "\n".join(f"| {line} |" for line in lines)


def _reasons(missed: Sequence[Verdict]) -> list[str]:
    found: dict[str, list[str]] = {}
    for verdict in missed:
        what = f"{verdict.what}: {verdict.row()[3]}, {verdict.row()[4]}"
        found.setdefault(verdict.kind, []).append(what)
    return ["\n".join(f"- {what}" for what in whats) + f"\n\n{reason(kind)}" for kind, whats in found.items()]


def _introduction(facts: Mapping[str, Any], sections: Mapping[str, Section]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in facts["packages"].items())
    loads = [load for section in sections.values() for load in section.measured.get("load", ())]
    dates = sorted({section.measured["date"] for section in sections.values() if "date" in section.measured})
    scales = {section.measured.get("scale", 1.0) for section in sections.values()}
    minutes = sum(section.measured.get("minutes", 0.0) for section in sections.values())
    quick = "" if scales <= {1.0} else " **A quick look: fewer rounds than the report needs.**"
    return (
        "What this library costs, beside what people would use instead. `make bench` measures all of it in one go, "
        f"writes this document, its charts and [{NUMBERS}]({NUMBERS}), and needs no network beyond this machine; "
        f"`make bench QUICK=1` takes a quick look and writes to `build/bench`.{quick}\n\n"
        f"Measured on {' and '.join(dates)} in {minutes:.0f} minutes on {facts['cores']} cores of {facts['processor']} "
        f"with {facts['memory_gb']} GB, {facts['system']}, Python {facts['python']}, SQLite {facts['sqlite']}, "
        f"PostgreSQL {facts['postgresql']}; {versions}. The load of the machine was between "
        f"{min(loads, default=0):.1f} and {max(loads, default=0):.1f}, of which the benchmark itself makes one to two. "
        "Cases that are compared "
        "take turns in random order, each part in processes of its own, and equal cases run twice as a control."
    )


def as_json(section: Section) -> str:
    """Return a part as JSON."""
    return json.dumps(TypeAdapter(Section).dump_python(section, mode="json"))


def from_json(text: str) -> Section:
    """Return a part that was written as JSON."""
    return TypeAdapter(Section).validate_json(text)


def numbers_of(value: Any) -> dict[str, Any]:
    """Return a dataclass as plain numbers."""
    found: dict[str, Any] = asdict(value)
    return found
