from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from automagik_prompts.cli.output.served import Watched
from tests.operator import COMMAND, PATIENCE, Operator, fill


@pytest.fixture
async def operator(tmp_path: Path, empty_url: str) -> Operator:
    """An operator of a database with two agents, on each engine."""
    await fill(empty_url, agents=2, versions=2)
    return Operator(tmp_path, empty_url)


def test_each_change_is_a_line_of_json(operator: Operator) -> None:
    """A program that reads along gets everything that is served, at once and again with each change."""
    watching = subprocess.Popen(
        [str(COMMAND), "watch", "agent_01", "--json", "--for", str(PATIENCE)],
        cwd=operator.folder,
        env=operator.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert watching.stdout is not None
        first = Watched.model_validate_json(watching.stdout.readline())
        assert {(line.agent, line.version) for line in first.prompts} == {("agent_01", 2)}
        operator.do("activate", "agent_01", "APPROVED", "1")
        second = Watched.model_validate_json(watching.stdout.readline())
        assert {line.status_key for line in second.prompts if line.version == 1} == {"APPROVED"}
    finally:
        watching.kill()
        watching.communicate()


def test_watching_writes_nothing(operator: Operator) -> None:
    """Whoever only looks, with whatever code, puts no text into the database."""
    declaration = "prompt('Old: {{name}}', agent='agent_01', status_key='NOT_REGISTERED')"
    (operator.folder / "other.py").write_text(f"from automagik_prompts import prompt\n{declaration}\n")
    before = operator.do("list", "--json")
    for arguments in (("watch", "--for", "0"), ("explain", "agent_01"), ("doctor",)):
        operator.do(*arguments, "--module", "other")
    assert operator.do("list", "--json") == before
