"""Each action as each role: the page has what was found, and the command line comes to the same as Python."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from automagik_prompts.cli.app import COMMANDS
from automagik_prompts.domain.policy import Actor, Operation
from automagik_prompts.domain.roles import ROLES
from tests.acceptance import roles
from tests.acceptance.roles import ACTIONS, PEOPLE, UNTRIED, Action, Found, Seeded, Try
from tests.operator import Operator
from tests.processes import Launcher

BY_COMMAND = tuple(action for action in ACTIONS if action.command is not None)
LOOKS = tuple(action for action in BY_COMMAND if not action.changes)


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Seeded:
    """A database that all tries begin with a copy of."""
    return asyncio.run(roles.seeded(tmp_path_factory.mktemp("roles") / "seeded.db"))


def test_the_page_is_current(tmp_path: Path) -> None:
    """The table on the page is what was found when each action was tried in Python, and no operation is left out."""
    policy = roles.Asked()
    found = asyncio.run(roles.table(tmp_path, policy))
    assert policy.operations == set(Operation), "these have no row"
    assert roles.PAGE.read_text(encoding="utf-8") == roles.page(found), "run: make docs"


def test_nothing_is_left_out() -> None:
    """Each role has a column, and each command a row, or it is among those that the page names."""
    assert {role for actor in PEOPLE.values() for role in actor.roles} == set(ROLES)
    tried = {action.command[0] for action in BY_COMMAND if action.command is not None}
    assert tried | UNTRIED == set(COMMANDS)
    text = roles.PAGE.read_text(encoding="utf-8")
    assert [command for command in UNTRIED if f"`{command}`" not in text] == []


def commands_of(role: str) -> tuple[Action, ...]:
    """Return what is tried by the command: all of it as nobody in particular, else one way to look and what changes.

    Who has a role for others only is refused as nobody in particular is, so of what names the agent one is tried.
    """
    if role == "none":
        return BY_COMMAND
    look = LOOKS[list(PEOPLE).index(role) % len(LOOKS)]
    is_elsewhere = not PEOPLE[role].covers("seller")
    return tuple(
        action
        for action in BY_COMMAND
        if action is look or (action.changes and not (is_elsewhere and action.names_agent and action.row != "`create`"))
    )


@pytest.mark.parametrize("role", PEOPLE)
def test_the_command_line_comes_to_the_same(role: str, seed: Seeded, tmp_path: Path, launcher: Launcher) -> None:
    """What is done, asked for or refused in Python is so by the command, in the same words; no refusal writes a row."""
    actor, actions = PEOPLE[role], commands_of(role)
    operator = Operator(tmp_path, "sqlite://never.db", launcher)
    roles.prepare(operator)
    by_command = [roles.try_by_command(actor, action, seed, operator) for action in actions]
    in_python = asyncio.run(_in_python(actor, actions, seed, tmp_path))
    for action, tried, expected in zip(actions, by_command, in_python, strict=True):
        assert tried == expected, action.row
        assert tried.unchanged is (tried.found is Found.REFUSED or not action.changes), action.row


async def _in_python(actor: Actor, actions: tuple[Action, ...], seed: Seeded, folder: Path) -> list[Try]:
    return [await roles.try_in_python(actor, action, seed, folder) for action in actions]


def test_the_other_commands(seed: Seeded, tmp_path: Path, launcher: Launcher) -> None:
    """To who may not look, what names no agent shows nothing of one, and the rest is refused as looking is."""
    operator = Operator(tmp_path, f"sqlite://{seed.copy_to(tmp_path / 'prompts.db')}", launcher)
    roles.prepare(operator)
    operator.environment["AUTOMAGIK_PROMPTS_AUTHOR"] = PEOPLE["none"].id
    for command in (("requests",), ("export", "out")):
        assert "seller" not in operator.do(*command)
    assert not list((tmp_path / "out").rglob("*.md"))
    for line in ("agents", "list", "diff seller NEW 1", "explain seller", "check", "watch"):
        said = roles.refusal(operator.run(*line.split()))
        assert said is not None, line
        assert said.startswith("nina may not view "), line
