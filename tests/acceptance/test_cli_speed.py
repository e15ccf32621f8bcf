"""How long an operator waits: on 50 agents with 2000 versions, start-up included."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time

import pytest

from automagik_prompts.cli.app import COMMANDS
from tests.operator import PATIENCE, Operator, fill

BUDGET = 0.6
"""Seconds that a command may take on a machine that imports the libraries in half of that."""

ATTEMPTS = 6
"""The machine may be busy with something else; the best attempt counts."""

CALLS = {
    "agents": "",
    "list": "",
    "show": "agent_07 APPROVED",
    "history": "agent_07",
    "events": "",
    "explain": "agent_07 APPROVED",
    "diff": "agent_07 APPROVED 1 10",
    "search": "prices",
    "create": "agent_07 APPROVED --text new",
    "activate": "agent_07 APPROVED 3",
    "rollback": "agent_08 APPROVED",
    "deactivate": "agent_1{n} APPROVED",
    "copy": "agent_07 APPROVED agent_08 APPROVED",
    "delete": "agent_07 PENDING_REVIEW {n} --yes",
    "check": "--ignore inactive",
    "export": "prompts",
    "import": "prompts",
    "sync": "",
    "upgrade": "",
    "downgrade": "--step 99 --yes",
    "migrate-legacy": "--dry-run",
    "doctor": "",
    "watch": "--for 0",
}

LIBRARIES = "import typer, tortoise.backends.sqlite, pydantic_settings, pydantic_handlebars"


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Operator:
    """An operator of a crowded database."""
    folder = tmp_path_factory.mktemp("crowd")
    url = f"sqlite://{folder / 'prompts.db'}"
    asyncio.run(fill(url))
    return Operator(folder, url)


@pytest.fixture(scope="module")
def allowed() -> float:
    """Seconds that a command may take here: more on a machine that imports the libraries slowly."""
    return max(BUDGET, 2 * min(_imported() for _ in range(5)))


def _imported() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", LIBRARIES], check=True, timeout=PATIENCE)
    return time.perf_counter() - began


def test_every_command_is_timed() -> None:
    """A new command is put into the table."""
    assert set(CALLS) == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_answers_at_once(operator: Operator, allowed: float, name: str) -> None:
    """Each command answers within 0.6 s on SQLite, from the shell's prompt to the next one."""
    best = float("inf")
    for number in range(1, ATTEMPTS + 1):
        # The same thing cannot be deleted twice, so each attempt has a number of its own; version 1 came from code.
        arguments = CALLS[name].format(n=number + 1).split()
        began = time.perf_counter()
        outcome = operator.run(name, *arguments)
        best = min(best, time.perf_counter() - began)
        assert outcome.code == 0, outcome
        if best < allowed:
            return
    raise AssertionError(f"{name} took {best:.2f} s at best; {allowed:.2f} s are allowed")


def test_help_and_version_load_no_database_library(operator: Operator) -> None:
    """What needs no database does not wait for its library."""
    outcome = operator.run("--help", environment={"PYTHONPROFILEIMPORTTIME": "1"})
    assert outcome.code == 0
    assert "typer" in outcome.err
    assert not {"tortoise", "pydantic_ai", "pydantic_settings"} & set(outcome.err.replace("|", " ").split())


def test_no_command_loads_pydantic_ai(operator: Operator) -> None:
    """The library of the agents takes longer to import than everything that the command line needs."""
    for name in ("list", "explain", "create", "doctor"):
        arguments = CALLS[name].format(n=1).split()
        outcome = operator.run(name, *arguments, environment={"PYTHONPROFILEIMPORTTIME": "1"})
        assert outcome.code == 0
        loaded = set(outcome.err.replace("|", " ").split())
        assert "tortoise" in loaded, name
        assert not [module for module in loaded if module.partition(".")[0] == "pydantic_ai"], name
