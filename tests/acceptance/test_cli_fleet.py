"""What an operator sees of a fleet: who follows, who does not in time, and how often versions were sent."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.operator import Operator
from tests.processes import Child, Launcher

TEXTS = {"stan": {"default": "You are Stan."}}


@pytest.fixture
def operator(tmp_path: Path, empty_url: str) -> Operator:
    """An operator of an empty database."""
    operator = Operator(tmp_path, empty_url)
    operator.run("upgrade")
    return operator


@pytest.fixture
def members(operator: Operator, launcher: Launcher) -> Iterator[list[Child]]:
    """Three processes that follow, all of which the operator can see."""
    members = [
        launcher.fork("tests.member:serve", operator.url, TEXTS, {"release": f"r{number}"}) for number in range(3)
    ]
    for member in members:
        member.ask("start")
    until_seen(operator, 3)
    yield members
    for member in members:
        member.send_signal(signal.SIGCONT)
        member.hang_up()
    assert {member.close() for member in members} == {0}


def until_seen(operator: Operator, count: int) -> None:
    """Wait until so many processes count as alive and following."""
    deadline = time.monotonic() + 30
    while True:
        found = operator.run("fleet", "--json").json["processes"]
        if [one["state"] for one in found].count("follows") == count:
            return
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


@pytest.mark.parametrize("empty_url", ["sqlite", pytest.param("postgres", marks=pytest.mark.soak)], indirect=True)
def test_an_operator_waits_for_the_fleet(operator: Operator, members: list[Child]) -> None:
    """All of them follow; one that is stopped is named, with exit code 3, and is listed as behind."""
    operator.do("create", "stan", "default", "--text", "Be brief.")
    done = operator.run("activate", "stan", "default", "2", "--wait", "20")
    assert (done.code, done.out) == (0, "stan/default: version 2 is active (before: 1)\n3 processes serve it\n")

    stopped = members[1]
    stopped.send_signal(signal.SIGSTOP)
    operator.do("create", "stan", "default", "--text", "Be kind.")
    began = time.monotonic()
    late = operator.run("activate", "stan", "default", "3", "--wait=6")
    assert 6 <= time.monotonic() - began < 25
    assert late.code == 3
    lines = late.out.splitlines()
    assert lines[:2] == ["stan/default: version 3 is active (before: 2)", "2 of 3 processes serve it; not:"]
    assert lines[2].startswith("  ")
    assert f":{stopped.pid} has not read it, seen " in lines[2]

    told = operator.run("rollback", "stan", "default", "--wait", "8", "--json")
    assert told.code == 3
    fleet = told.json["fleet"]
    assert (told.json["active_version"], fleet["version"], fleet["late"]) == (2, 2, 1)
    assert {one["pid"]: one["following"] for one in fleet["processes"]} == {
        member.pid: "behind" if member is stopped else "serves" for member in members
    }
    explained = operator.do("explain", "stan", "--fleet")
    assert "  fleet: version 2 is active\n" in explained
    assert explained.count(" serves it\n") == 2
    assert explained.count(" has not read it, seen ") == 1
    assert operator.run("explain", "stan", "--fleet", "--json").json["fleet"]["late"] == 1

    table = operator.do("fleet", "--late").splitlines()
    assert len(table) == 2
    assert "r1" in table[1]
    assert "behind by 1 agent " in table[1]
    assert [one["release"] for one in operator.run("fleet", "--release", "r2", "--json").json["processes"]] == ["r2"]
    with operator.at_terminal("fleet") as terminal:
        assert terminal.end() == 0
        assert max(cell_len(line) for line in terminal.shown.splitlines()) <= 80
        assert terminal.shown.count("follows") == 2

    stopped.send_signal(signal.SIGCONT)
    assert operator.run("activate", "stan", "default", "3", "--yes", "--wait").code == 0
    assert operator.do("fleet", "--late") == "None of 3 processes is so.\n"


def test_how_often_versions_were_sent(operator: Operator, members: list[Child]) -> None:
    """Where nothing was counted nothing is said; then each version says how many runs, or that there were none."""
    assert "runs" not in operator.do("list")
    assert operator.run("list", "--json").json["statuses"][0]["usage"] == {
        "runs": 0,
        "runs_in_7_days": 0,
        "last_day": None,
    }
    operator.do("create", "stan", "default", "--text", "Be brief.")
    for member in members[:2]:
        for _ in range(3):
            member.ask("run", "stan")
        member.ask("close")
    head, line = operator.do("list").splitlines()
    assert (head.split()[-2:], line.split()[-1]) == (["runs", "(7d)"], "6")
    head, second, first = operator.do("history", "stan").splitlines()
    assert "runs (7d)" in head
    assert second.endswith(" never sent")
    assert first.endswith(" 6")
    found = operator.run("history", "stan", "--json").json["versions"]
    assert [one["usage"]["runs_in_7_days"] for one in found] == [0, 6]
    with operator.at_terminal("list") as terminal:
        assert terminal.end() == 0
        assert max(cell_len(line) for line in terminal.shown.splitlines()) <= 80
        assert "runs (7d)" in terminal.shown


def test_nobody_follows(operator: Operator) -> None:
    """Without a process there is nothing to wait for, and the command says so."""
    assert operator.do("fleet") == "No process says that it follows this database.\n"
    operator.do("create", "stan", "default", "--text", "One.", "--new-agent")
    done = operator.run("activate", "stan", "default", "1", "--wait")
    assert (done.code, done.out.splitlines()[1:]) == (0, ["No process says that it follows."])
    assert operator.run("deactivate", "stan", "default", "--wait", "5000", "--yes").code == 2
    operator.do("explain", "stan", "--fleet")
    operator.do("watch", "--for", "1")
    assert operator.run("fleet", "--json").json == {"processes": [], "unknown": 0}
