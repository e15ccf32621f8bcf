"""The last known good texts on disk: lines that count only when they are whole, and one process that writes them."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from automagik_prompts.domain.records import ActiveVersion, AgentInfo
from automagik_prompts.domain.summaries import AgentState
from automagik_prompts.following import journal as journal_module
from automagik_prompts.following.journal import Journal
from automagik_prompts.following.memory.packing import Packed, pack
from automagik_prompts.settings import Settings, load_settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The settings of a plugin whose files are in a folder of the test's."""
    return load_settings(database_url=f"sqlite://{tmp_path / 'prompts.db'}", cache_dir=tmp_path / "cache")


def agent(name: str, number: int, text: str = "A text. \ud800 ü") -> Packed:
    """Return an agent with one version, with what a database may hold."""
    version = ActiveVersion(name, number, "default", number, text, "text", "0" * 64)
    return pack(AgentState(AgentInfo(number, name, variables=("a", "b")), (version,)))


def saved(settings: Settings) -> dict[str, Packed | None]:
    """Return what a new process finds."""
    return dict(Journal(settings).read())


def test_what_was_written_is_read(settings: Settings) -> None:
    """The last line of an agent counts, and one that is gone is known to be."""
    journal = Journal(settings)
    assert saved(settings) == {}
    journal.append([("a", agent("a", 1)), ("b", agent("b", 2))])
    journal.append([("a", agent("a", 3)), ("b", None)])
    assert saved(settings) == {"a": agent("a", 3), "b": None}
    journal.close()
    again = Journal(settings)
    assert dict(again.read())["a"] == agent("a", 3)
    again.append([("c", agent("c", 4))])
    assert not again.is_due
    assert saved(settings)["c"] == agent("c", 4)


def test_fault_70_killed_at_any_byte(settings: Settings) -> None:
    """What was not written whole does not count, and everything before does; the next writer writes it anew."""
    journal = Journal(settings)
    assert journal.path is not None
    lines = [(name, agent(name, number)) for number, name in enumerate("abcde", 1)]
    ends = []
    for line in lines:
        journal.append([line])
        ends.append(journal.path.stat().st_size)
    journal.close()
    whole = journal.path.read_bytes()
    for size in sorted({*random.Random(7).sample(range(60, len(whole)), 60), *ends}):
        journal.path.write_bytes(whole[:size])
        found = saved(settings)
        assert list(found) == ["a", "b", "c", "d", "e"][: sum(end <= size for end in ends)]
        next_ = Journal(settings)
        assert dict(next_.read()) == found
        next_.append([("f", agent("f", 9))])
        assert next_.is_due == (size not in ends)
        list(next_.rewrite([*found.items(), ("f", agent("f", 9))]))
        next_.close()
        assert saved(settings) == {**found, "f": agent("f", 9)}


def test_one_process_writes(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others leave the file to it, and one of them takes over when it has ended."""
    monkeypatch.setattr(journal_module, "_RETRY", 0.0)
    one, other = Journal(settings), Journal(settings)
    one.append([("a", agent("a", 1))])
    other.append([("a", agent("a", 2))])
    assert saved(settings) == {"a": agent("a", 1)}
    one.close()
    other.append([("a", agent("a", 3))])
    assert other.is_due  # it has not written what is there
    list(other.rewrite([("a", agent("a", 3))]))
    assert saved(settings) == {"a": agent("a", 3)}
    one.append([("a", agent("a", 4))])
    assert saved(settings) == {"a": agent("a", 3)}


def test_it_is_written_anew_when_most_of_it_is_old(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file does not grow for ever; what a killed process left is removed."""
    monkeypatch.setattr(journal_module, "_SLACK", 3000)
    journal = Journal(settings)
    assert journal.path is not None
    journal.path.parent.mkdir()
    left = journal.path.parent / f"{journal.path.stem}-abc.tmp"
    left.write_text("x")
    number = 0
    while not journal.is_due:
        number += 1
        journal.append([("a", agent("a", number))])
    assert not left.exists()
    assert journal.path.stat().st_size > 3000
    steps = journal.rewrite([("a", agent("a", number))])
    next(steps)
    journal.append([("a", agent("a", number + 1))])  # goes to the file that is there
    assert saved(settings)["a"] == agent("a", number + 1)
    list(steps)
    assert journal.path.stat().st_size < 1000
    assert (journal.path.stat().st_mode & 0o777, len([*journal.path.parent.iterdir()])) == (0o600, 1)
