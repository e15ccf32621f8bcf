"""The report of `make bench`: what was measured is in it, what was missed has a reason, what failed is not hidden."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks import report
from benchmarks.charts import Chart
from benchmarks.reasons import reason
from benchmarks.report import Section, Verdict

MET = Verdict("reading", "0.5 µs", "the bar", 0.5, 1, "µs", kind="read")
MISSED = Verdict("agent run", "1.1 ms", "1.0 ms, an empty capability", 1.1, 1.02, kind="run")
FACTS: dict[str, Any] = {
    "packages": {"prompt-pivot": "0.1.3"},
    "cores": 2,
    "processor": "one",
    "memory_gb": 8,
    "system": "Linux",
    "python": "3.11",
    "sqlite": "3.40",
    "postgresql": "18",
}


@pytest.fixture
def sections() -> dict[str, Section]:
    """A part that was measured, and one that failed."""
    chart = Chart("performance-runs", "Added, in <µs>", (("ours & theirs", 2.0, "2 µs"), ("less", -1.0, "-1 µs")), ())
    measured = {"date": "2025-05-13", "minutes": 2.0, "load": [0.5, 1.5], "scale": 1.0}
    return {
        "runs": Section(
            "Runs", "How.", ("case",), (("ours",),), (MET, MISSED), "0.1 %", (chart,), "More.", {"a": 1.0}, "", measured
        ),
        "reads": Section("reads", failed="Traceback\nIt ended with code 1.", measured=measured),
    }


def test_the_document_holds_everything(sections: dict[str, Section]) -> None:
    """Tables, noise, machine, peers and the reason of each missed bar are in the document; what failed is named."""
    text = report.document(FACTS, sections)

    for words in (
        "1 of 2 bars are met",
        "| agent run | 1.1 ms | 1.0 ms, an empty capability | 1.100 | at most 1.020 |",
    ):
        assert words in text
    assert reason("run") in text
    assert reason("read") not in text
    assert "0.1 %" in text
    assert "prompt-pivot 0.1.3" in text
    assert "**Could not be measured this time: reads.**" in text
    assert "It ended with code 1." in text


def test_what_was_measured_is_read_again(sections: dict[str, Section], tmp_path: Path) -> None:
    """The numbers in the JSON file make the same document, so that single parts can be measured again."""
    report.write(tmp_path, FACTS, sections)

    assert report.read(tmp_path) == sections
    assert (tmp_path / report.DOCUMENT).read_text() == report.document(FACTS, sections)


def test_a_chart_is_readable_on_dark_pages(sections: dict[str, Section], tmp_path: Path) -> None:
    """A chart is well-formed, whatever stands in its labels, and has colours for dark pages."""
    report.write(tmp_path, FACTS, sections)
    path = tmp_path / report.IMAGES / "performance-runs.svg"

    assert ElementTree.parse(path).getroot().tag.endswith("svg")  # noqa: S314  # our own file
    assert "prefers-color-scheme: dark" in path.read_text()


@pytest.mark.parametrize(("value", "at_least", "met"), [(1.0, False, True), (1.1, False, False), (1.1, True, True)])
def test_a_bar_is_met_from_its_side(value: float, at_least: bool, met: bool) -> None:
    """A bar may be an upper or a lower one, and equal is enough."""
    assert Verdict("what", "", "", value, 1.0, at_least=at_least).met is met
