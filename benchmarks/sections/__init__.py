"""The parts of the report: each measures, compares with the bar, and says what it found."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.bench import Bench
from benchmarks.report import Section
from benchmarks.sections.agents import agent_runs, many_threads
from benchmarks.sections.database import idling, versions, writing
from benchmarks.sections.first import first_run, memory_of_many
from benchmarks.sections.following import commit_to_served
from benchmarks.sections.many import many_followers, many_prompts
from benchmarks.sections.reading import cached_reads, filling
from benchmarks.sections.starting import importing, starting

SECTIONS: dict[str, Callable[[Bench], Section]] = {
    "runs": agent_runs,
    "threads": many_threads,
    "reads": cached_reads,
    "filling": filling,
    "first": first_run,
    "memory": memory_of_many,
    "starting": starting,
    "importing": importing,
    "served": commit_to_served,
    "versions": versions,
    "writing": writing,
    "idling": idling,
    "many": many_prompts,
    "followers": many_followers,
}
"""All of them, by the name that `--only` takes."""
