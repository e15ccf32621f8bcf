"""The report: tables as Markdown, charts as SVG, and all numbers as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from html import escape
from pathlib import Path
from typing import Any

_WIDTH, _LEFT, _RIGHT, _ROW = 760, 300, 90, 26
_HEAD = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
    'font-family="system-ui, sans-serif" font-size="13">'
)
_STYLE = (
    "<style>text { fill: #24292f } .bar { fill: #8c959f } .ours { fill: #1a7f37 } .zero { stroke: #8c959f } "
    "@media (prefers-color-scheme: dark) "
    "{ text { fill: #e6edf3 } .bar { fill: #6e7681 } .ours { fill: #3fb950 } }</style>"
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One bar and where we stand.

    Attributes:
        what: What is measured, against what.
        value: Our value.
        bar: The bar.
        unit: Of both.
        at_least: Whether the bar is a lower one.
    """

    what: str
    value: float
    bar: float
    unit: str = ""
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether the bar is met."""
        return self.value >= self.bar if self.at_least else self.value <= self.bar

    def row(self) -> tuple[str, str, str, str]:
        """Return it as a line of the summary."""
        bound = "at least" if self.at_least else "at most"
        return self.what, _number(self.value, self.unit), f"{bound} {_number(self.bar, self.unit)}", _yes(self.met)


@dataclass(frozen=True, slots=True)
class Chart:
    """A bar chart.

    Attributes:
        name: The file's name, without suffix.
        title: What it shows, with the unit.
        bars: Label, value and the value in words, for each bar.
        ours: The labels that are this library's.
    """

    name: str
    title: str
    bars: tuple[tuple[str, float, str], ...]
    ours: frozenset[str]

    def svg(self) -> str:
        """Draw it; the colours are readable on a light and on a dark page."""
        height = 40 + _ROW * len(self.bars) + 8
        scale = (_WIDTH - _LEFT - _RIGHT) / max((value for _, value, _ in self.bars), default=1)
        lines = [
            _HEAD.format(width=_WIDTH, height=height),
            f"<title>{escape(self.title)}</title>",
            _STYLE,
            f'<text x="8" y="22" font-weight="600">{escape(self.title)}</text>',
        ]
        for number, (label, value, words) in enumerate(self.bars):
            top = 40 + _ROW * number
            length = max(0.0, value) * scale
            kind = "ours" if label in self.ours else "bar"
            lines += [
                f'<text x="{_LEFT - 8}" y="{top + 14}" text-anchor="end">{escape(label)}</text>',
                f'<rect class="{kind}" x="{_LEFT}" y="{top + 2}" width="{max(length, 1):.1f}" height="16" rx="2"/>',
                f'<text x="{_LEFT + max(length, 1) + 6:.1f}" y="{top + 14}">{escape(words)}</text>',
            ]
        lines.append(f'<line class="zero" x1="{_LEFT}" y1="36" x2="{_LEFT}" y2="{height - 6}"/>')
        return "\n".join([*lines, "</svg>", ""])


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the report.

    Attributes:
        title: The heading.
        text: How it was measured, and what to make of it.
        head: The table's columns.
        rows: Its lines.
        verdicts: The bars.
        charts: The charts.
        extra: More Markdown, after the table.
        data: The numbers.
    """

    title: str
    text: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    verdicts: tuple[Verdict, ...] = ()
    charts: tuple[Chart, ...] = ()
    extra: str = ""
    data: dict[str, Any] = field(default_factory=dict)

    def markdown(self) -> str:
        """Write it."""
        parts = [f"## {self.title}", self.text, table(self.head, self.rows)]
        parts += [f"![{chart.title}]({chart.name}.svg)" for chart in self.charts]
        if self.extra:
            parts.append(self.extra)
        return "\n\n".join(parts)


def write(folder: Path, introduction: str, facts: dict[str, Any], sections: Sequence[Section]) -> None:
    """Write the document, the charts and the numbers.

    Args:
        folder: Where to.
        introduction: What comes before the summary.
        facts: About the machine and the run, for the numbers.
        sections: The parts.
    """
    verdicts = [verdict for section in sections for verdict in section.verdicts]
    summary = table(("measure", "result", "bar", "met"), [verdict.row() for verdict in verdicts])
    parts = ["# Performance", introduction, "## Summary", summary, *(section.markdown() for section in sections)]
    (folder / "performance.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    for chart in (chart for section in sections for chart in section.charts):
        (folder / f"{chart.name}.svg").write_text(chart.svg(), encoding="utf-8")
    numbers = {
        **facts,
        "bars": [{**asdict(verdict), "met": verdict.met} for verdict in verdicts],
        "sections": {section.title: section.data for section in sections},
    }
    (folder / "performance.json").write_text(json.dumps(numbers, indent=2) + "\n", encoding="utf-8")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table as Markdown."""
    lines = [" | ".join(head), " | ".join("---" for _ in head), *(" | ".join(row) for row in rows)]
    return "\n".join(f"| {line} |" for line in lines)


def _number(value: float, unit: str) -> str:
    digits = 3 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{value:.{digits}f}{' ' + unit if unit else ''}"


def _yes(met: bool) -> str:
    return "yes" if met else "**no**"
