"""A day of an operator at a terminal of 80 columns, with 50 agents and 2 000 versions."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.operator import Operator, fill

TOPIC = "agent_07"


@pytest.fixture
async def operator(tmp_path: Path, sqlite_url: str) -> Operator:
    """An operator of a crowded database, whose editor changes a price."""
    await fill(sqlite_url)
    operator = Operator(tmp_path, sqlite_url)
    editor = tmp_path / "editor.sh"
    editor.write_text("#!/bin/sh\nsed -i 's/^Rule 9.7: ask {{name}} politely/Rule 9.7: ask {{name}} twice/' \"$1\"\n")
    editor.chmod(0o755)
    operator.environment["EDITOR"] = str(editor)
    return operator


def test_a_day(operator: Operator) -> None:
    """Find, look, preview, edit, compare, activate, look back, restore: each screen fits and says what is needed."""
    screens: list[str] = []

    def see(*arguments: str, answer: str | None = None, code: int = 0) -> str:
        with operator.at_terminal(*arguments) as terminal:
            if answer is not None:
                terminal.until("[y/N]:")
                terminal.type(f"{answer}\n")
            assert terminal.end() == code, terminal.shown
            screens.append(f"$ automagik-prompts {' '.join(arguments)}\n{terminal.shown}")
            assert max(cell_len(line) for line in terminal.shown.splitlines()) <= 80, terminal.shown
            return terminal.shown

    assert len(see("list").splitlines()) == 201
    assert len(see("list", "agent_0[67]", "--author", "bruno").splitlines()) == 9
    assert see("list", "--drift") == "None of 200 statuses is so.\n"
    assert "Rule 9.7: ask Ana politely" in see("preview", TOPIC, "APPROVED", "--set", "name=Ana")
    then = datetime.now(UTC).isoformat()
    created = see("create", TOPIC, "APPROVED", "--note", "ask twice", answer="y")
    assert "- Rule 9.7: ask {{name}} politely, and be brief." in created
    assert "+ Rule 9.7: ask {{name}} twice, and be brief." in created
    compared = see("diff", TOPIC, "APPROVED", "10", "11")
    assert sum(line.startswith(("- ", "+ ")) for line in compared.splitlines()) == 2
    assert "It is served to every run of the agent agent_07" in " ".join(
        see("activate", TOPIC, "APPROVED", "11", "--note", "agreed with sales", answer="y").split()
    )
    events = see("events", "--author", "ana", "--since", "1h")
    assert [line.split()[4] for line in events.splitlines()[1::2]] == ["activated", "created"]
    assert "ask twice" in see("history", TOPIC, "APPROVED", "-n", "3")
    assert "agent_07/APPROVED 11:8: Rule 9.7: ask {{name}} twice" in " ".join(see("search", "twice").split())
    restored = see("restore", "--as-of", then, answer="y")
    assert "Bring back 1 status?" in restored
    assert restored.endswith("agent_07/APPROVED: version 10 is active (before: 11)\n")
    assert see("requests") == "Nothing waits for approval.\n"
    assert "version 10" in see("explain", TOPIC, "APPROVED")
    see("doctor")
    see("--help")
    (operator.folder / "screens.txt").write_text("\n".join(screens))
