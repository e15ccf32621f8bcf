"""The preview says per agent what an upgrade would do, does what it says, and cannot write."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from automagik_prompts.database_url import sqlite_path
from automagik_prompts.exceptions import DatabaseUnavailableError
from automagik_prompts.schema import migrate, migrations
from automagik_prompts.schema.legacy import preview as legacy
from automagik_prompts.schema.legacy.planned import Outcome
from automagik_prompts.schema.legacy.preview import Preview
from automagik_prompts.storage.database import Database
from automagik_prompts.storage.dialects.base import DatabaseReader
from automagik_prompts.storage.readonly import read_only
from tests.hosts import TEXTS, Host, downgrade, fill_agents, make_agents, make_first_shape, upgrade, work_on
from tests.operator import Operator

Make = Callable[[Host], None]


def simple(host: Host) -> None:
    """Make agents with every kind of text."""
    make_agents(host)
    fill_agents(host, TEXTS)


def restored(host: Host) -> None:
    """Make a database that was upgraded, worked on and taken back, and whose old application has written since."""
    make_first_shape(host)
    upgrade(host.url)
    work_on(host.url)
    downgrade(host.url)
    host.run("UPDATE agents SET system_prompt = 'Changed.' WHERE name = 'plain'")


def halfway(host: Host) -> None:
    """Make a database whose last step was taken back, and whose old application has written since."""
    simple(host)
    upgrade(host.url)
    downgrade(host.url, 2)
    host.run("UPDATE agents SET system_prompt = 'Changed.' WHERE name = 'plain'")


def preview(host: Host) -> Preview:
    """Ask for the preview."""
    return asyncio.run(legacy.preview(host.url))


@contextmanager
def untouched(host: Host) -> Iterator[None]:
    """Make sure that nothing is written meanwhile: neither rows nor tables, and no byte of a file."""

    def state() -> Any:
        path = sqlite_path(host.url)
        if path is None:
            # A row that was written again, though with the same values, is at another place and of another transaction.
            places = [f'SELECT ctid::text, xmin::text, xmax::text FROM "{table}"' for table in host.tables()]
            return host.shape(), host.content(), host.all_rows(places)
        files = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in path.parent.glob(f"{path.name}*")}
        return files, path.stat().st_mtime_ns

    before = state()
    yield
    assert state() == before


@pytest.mark.parametrize("make", [simple, make_first_shape, restored, halfway])
def test_what_is_announced_is_what_happens(empty_url: str, make: Make) -> None:
    """Each agent has the announced version afterwards, active or not, with the announced format and names."""
    host = Host(empty_url)
    make(host)
    announced = preview(host)
    assert [plan.agent for plan in announced.agents] == sorted(name for (name,) in host.rows("SELECT name FROM agents"))

    async def go() -> None:
        async with Database(host.url) as database:
            assert await migrate.upgrade(database, adopt=True) == announced.pending

    asyncio.run(go())
    rows = host.rows(
        "SELECT a.name, p.status_key, p.version, p.is_active, p.format, p.prompt_text FROM prompts p "
        "JOIN agents a ON a.id = p.agent_id"
    )
    found = {(name, status, version): (bool(active), kind, text) for name, status, version, active, kind, text in rows}
    for plan in announced.agents:
        if plan.outcome in {Outcome.NULL, Outcome.EMPTY, Outcome.BLANK}:
            continue
        assert plan.version is not None
        active, kind, text = found[plan.agent, plan.status_key, plan.version]
        assert text == plan.text
        if plan.outcome is not Outcome.PRESENT:
            assert active == (plan.outcome in {Outcome.CREATED, Outcome.ACTIVATED})
        if plan.outcome in {Outcome.CREATED, Outcome.INACTIVE}:
            assert kind == plan.format
    assert preview(host) == Preview()


def test_each_kind_is_told(empty_url: str) -> None:
    """NULL, empty, blank, template, text and what is no template are told apart, with the names that are used."""
    host = Host(empty_url)
    simple(host)
    told = {plan.agent: str(plan) for plan in preview(host).agents}
    assert told["null"] == "null: NULL, nothing to serve"
    assert told["empty"] == "empty: empty text, nothing to serve"
    assert told["blank"] == "blank: blank text of 3 characters, nothing to serve"
    assert told["plain"] == "plain: version 1 of 'default', active, text"
    assert told["template"] == "template: version 1 of 'default', active, template, uses contact.name"
    assert told["loop"] == "loop: version 1 of 'default', active, template, uses items, items[].price, vip"
    assert told["broken"].startswith(
        "broken: version 1 of 'default', active, verbatim (no valid template: Unclosed block"
    )


def test_a_table_without_the_column(empty_url: str, tmp_path: Path) -> None:
    """Where the texts are in a column of another name, nobody has to wonder why nothing is adopted."""
    host = Host(empty_url)
    host.run("CREATE TABLE agents (id {id}, name TEXT NOT NULL UNIQUE, instructions TEXT)")
    host.run("INSERT INTO agents (name, instructions) VALUES ('plain', 'You are kind.')")
    assert preview(host).without_texts
    operator = Operator(tmp_path, empty_url)
    before = host.shape(), host.content()
    for command in (["migrate-legacy", "--dry-run"], ["migrate-legacy"], ["upgrade"]):
        refused = operator.run(*command)
        assert refused.code == 1
        assert "another schema with ?schema=NAME" in refused.err
        assert "upgrade --adopt" in refused.err
    assert (host.shape(), host.content()) == before
    told = operator.do("migrate-legacy", "--dry-run", "--adopt")
    assert "The table agents has no column system_prompt, so that there are no texts to adopt." in told


def test_the_first_shape_is_told(empty_url: str) -> None:
    """It says which of two active versions stays so, and which text stands beside an active version."""
    host = Host(empty_url)
    make_first_shape(host)
    found = preview(host)
    assert found.doubled == (
        "template/default: versions 2, 3 are active, version 3 stays so",
        "loop/APPROVED: versions 1, 2 are active, version 2 stays so",
    )
    told = {plan.agent: str(plan) for plan in found.agents}
    assert told["plain"] == "plain: version 1 of 'default' is this text"
    assert told["template"].endswith(
        "version 4 of 'default', not activated, template, uses contact.name (version 3 is active)"
    )
    assert told["jinja"] == "jinja: version 1 of 'default' is this text and becomes active"


@pytest.mark.parametrize("make", [simple, make_first_shape, restored])
def test_it_writes_nothing(empty_url: str, make: Make) -> None:
    """Checksums are the same before and after: of the file and what lies beside it, of every table."""
    host = Host(empty_url)
    make(host)
    with untouched(host):
        assert preview(host).agents


def test_it_cannot_write(empty_url: str) -> None:
    """It is no matter of good will: the connection refuses to write."""
    host = Host(empty_url)
    simple(host)

    async def write(db: DatabaseReader) -> None:
        await db.rows("UPDATE agents SET system_prompt = 'x'")

    with untouched(host), pytest.raises(DatabaseUnavailableError, match=r"read-?only"):
        asyncio.run(read_only(host.url, write))


def test_a_file_that_somebody_writes_to(sqlite_url: str) -> None:
    """While the old application has the file open in WAL mode the preview sees what it has committed."""
    host = Host(sqlite_url)
    path = sqlite_path(sqlite_url)
    assert path is not None
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        simple(host)
        writer.execute("UPDATE agents SET system_prompt = 'Just now.' WHERE name = 'null'")
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE agents SET system_prompt = 'Not yet.' WHERE name = 'empty'")
        outcomes = {plan.agent: plan.outcome for plan in preview(host).agents}
        writer.execute("ROLLBACK")
    assert (outcomes["null"], outcomes["empty"]) == (Outcome.CREATED, Outcome.EMPTY)


def test_nothing_to_preview(empty_url: str, tmp_path: Path) -> None:
    """An empty database, one of ours and a file that does not exist are told apart."""
    host = Host(empty_url)
    if host.dialect == "sqlite":
        with pytest.raises(DatabaseUnavailableError, match="There is no database file"):
            preview(host)
        host.run("VACUUM")
    assert preview(host) == Preview(pending=tuple(step.version for step in migrations.all_migrations()))
    upgrade(host.url)
    assert preview(host) == Preview()
    assert not list(tmp_path.glob("*-wal"))


def test_the_command(empty_url: str, tmp_path: Path) -> None:
    """`migrate-legacy --dry-run` prints a line per agent and the next command, and writes nothing; then it is done."""
    host = Host(empty_url)
    make_first_shape(host)
    operator = Operator(tmp_path, empty_url)
    with untouched(host):
        lines = operator.do("migrate-legacy", "--dry-run").splitlines()
    assert lines[: len(TEXTS)] == [str(plan) for plan in preview(host).agents]
    summary = "13 agents: 6 new versions (1 verbatim) (1 not activated); 1 activated; 1 there already; without a text: "
    assert "jinja/default: 1 version, none active" in lines
    assert lines[-5:] == [
        "template/default: versions 2, 3 are active, version 3 stays so",
        "loop/APPROVED: versions 1, 2 are active, version 2 stays so",
        f"{summary}1 null, 1 empty, 3 blank",
        "Nothing was written. 9 migrations would be applied by:",
        "automagik-prompts upgrade",
    ]
    done = operator.run("upgrade")
    assert done.code == 0
    assert "kept verbatim (format text): broken" in done.err
    heads = [line.split()[0] for line in done.out.splitlines()]
    assert heads[:10] == ["Applied"] * 9 + ["The"]
    assert operator.do("migrate-legacy") == operator.do("migrate-legacy", "--dry-run")
    assert operator.run("downgrade").code == 1
    back = operator.do("downgrade", "--yes").splitlines()
    assert [line.split()[0] for line in back] == ["Took"] * 9 + ["Versions"]
    told = operator.run("migrate-legacy", "--json")
    assert told.code == 0
    assert told.json["restored"] == 16
    assert len(told.json["applied"]) == 9
    assert {line["outcome"] for line in told.json["agents"]} == {"present", "null", "empty", "blank"}


def test_the_command_tells_obstacles(empty_url: str, tmp_path: Path) -> None:
    """What stands in the way is listed, a line each, with exit code 1; nothing is changed, --dry-run or not."""
    host = Host(empty_url)
    simple(host)
    host.run("CREATE VIEW texts AS SELECT name, system_prompt FROM agents", "CREATE TABLE prompt_events (id INTEGER)")
    operator = Operator(tmp_path, empty_url)
    with untouched(host):
        for arguments in (("--dry-run",), ()):
            outcome = operator.run("migrate-legacy", *arguments)
            assert outcome.code == 1
            first, *blockers = outcome.out.splitlines()
            assert first.endswith("cannot be adopted as it is, and nothing was changed:")
            assert [line[:2] for line in blockers] == ["- ", "- "]
