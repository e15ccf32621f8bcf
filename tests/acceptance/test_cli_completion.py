from __future__ import annotations

from pathlib import Path

import pytest

from tests.operator import Operator, fill


@pytest.fixture
async def operator(tmp_path: Path, sqlite_url: str) -> Operator:
    """An operator of a database with two agents."""
    await fill(sqlite_url, agents=2, versions=2)
    return Operator(tmp_path, sqlite_url)


def complete(operator: Operator, line: str) -> list[str]:
    """Return what bash offers for the last word of a line."""
    words = line.split(" ")
    outcome = operator.run(
        environment={
            "_AUTOMAGIK_PROMPTS_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(words) - 1),
        }
    )
    assert (outcome.code, outcome.err) == (0, ""), outcome
    return outcome.out.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("automagik-prompts de", ["deactivate", "delete", "decline"]),
        ("automagik-prompts show ", ["agent_00", "agent_01"]),
        ("automagik-prompts show agent_01 P", ["PENDING_REVIEW"]),
        ("automagik-prompts activate agent_01 APPROVED ", ["2", "1"]),
        ("automagik-prompts diff agent_01 APPROVED 2 ", ["2", "1"]),
        ("automagik-prompts show agent_01 APPROVED --version ", ["2", "1"]),
        ("automagik-prompts copy agent_00 APPROVED agent_01 R", ["REJECTED"]),
        ("automagik-prompts search word --agent agent_01", ["agent_01"]),
        ("automagik-prompts check --format g", ["github"]),
        ("automagik-prompts show nobody ", []),
        ("automagik-prompts show --database-url sqlite://missing.db ", []),
    ],
)
def test_the_shell_completes_what_there_is(operator: Operator, line: str, offered: list[str]) -> None:
    """Commands, agents, statuses, versions and values come from where they are, and none where nothing can be read."""
    assert complete(operator, line) == offered
    assert not (operator.folder / "missing.db").exists()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_can_be_taught(operator: Operator, shell: str) -> None:
    """The script for a shell is printed for whoever installs it by hand."""
    outcome = operator.run(
        "--show-completion", shell, environment={"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    )
    assert outcome.code == 0, outcome
    assert "_AUTOMAGIK_PROMPTS_COMPLETE" in outcome.out
