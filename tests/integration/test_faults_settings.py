"""Faults 63 and 75: what a server's settings for a user or a database get in the way of is told, with what helps."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.served import State
from automagik_prompts.editing.direct import DatabaseEdits
from automagik_prompts.exceptions import DatabaseUnavailableError, InvalidPromptError
from automagik_prompts.schema.migrate import upgrade
from automagik_prompts.storage.database import Database
from tests.conftest import MakePlugin
from tests.faults import execute, told
from tests.operator import Operator
from tests.servers import PostgresServer
from tests.waiting import until

PERSON = "From a person."


@pytest.fixture
def role(postgres: PostgresServer) -> str:
    """A user of the server that owns nothing."""
    name = f"app_{uuid.uuid4().hex[:12]}"
    postgres.execute(f"CREATE ROLE {name} LOGIN")
    return name


async def prepared(url: str, role: str) -> str:
    """Write a person's version, let a user read and write, and return that user's URL."""
    async with Database(url) as database:
        await upgrade(database)
        edits = DatabaseEdits(database)
        await edits.create("a", "default", PERSON, activate=True, new_agent=True, new_status=True)
    await execute(
        url,
        f"GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO {role}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}",
    )
    return urlunsplit(urlsplit(url)._replace(netloc=f"{role}:@{urlsplit(url).netloc.rpartition('@')[2]}"))


async def test_fault_75_rows_that_are_hidden(
    postgres_url: str, role: str, registry: Registry, make_plugin: MakePlugin, tmp_path: Path
) -> None:
    """Row-level security may hide what should be served: `health`, `explain` and `doctor` say so, until it is over."""
    url = await prepared(postgres_url, role)
    await execute(postgres_url, "ALTER TABLE prompts ENABLE ROW LEVEL SECURITY")
    registry.declare("a", {"default": "From code."}, where="here")
    plugin = make_plugin(url, poll_interval=0.05)
    await plugin.ready()
    assert await told(plugin, "a") == "From code."
    assert any("Row-level security may hide rows" in problem for problem in plugin.health().problems)
    assert any("Row-level security may hide rows" in note for note in plugin.explain("a").notes)
    doctor = Operator(tmp_path, url).run("doctor")
    assert "row-level security may hide rows" in doctor.out
    assert f"let a policy show {role} all of their rows" in doctor.out.replace("\n", " ")
    await execute(postgres_url, "ALTER TABLE prompts DISABLE ROW LEVEL SECURITY")
    await execute(postgres_url, "UPDATE agents SET revision = revision + 1")
    await until(lambda: plugin.resolve("a").text == PERSON, "what was hidden is served")
    await until(lambda: not any("Row-level" in problem for problem in plugin.health().problems), "it is over")


async def test_fault_75_a_user_who_may_only_read(
    postgres_url: str, role: str, registry: Registry, make_plugin: MakePlugin, tmp_path: Path
) -> None:
    """With `default_transaction_read_only` texts are served and followed, edits say why not, and so does `doctor`."""
    url = await prepared(postgres_url, role)
    await execute(postgres_url, f"ALTER ROLE {role} SET default_transaction_read_only = on")
    registry.declare("a", {"default": "From code."}, where="here")
    plugin = make_plugin(url, poll_interval=0.05)
    await plugin.ready()
    assert await told(plugin, "a") == PERSON
    assert plugin.state is State.LIVE
    assert "read-only" in (plugin.health().unwritten or "")
    with pytest.raises(DatabaseUnavailableError, match="is read-only"):
        await plugin.create("a", "default", "x", activate=True)
    assert "the transactions of" in Operator(tmp_path, url).run("doctor").out


async def test_fault_75_sessions_that_are_cut_off(
    postgres_url: str, role: str, registry: Registry, make_plugin: MakePlugin, tmp_path: Path
) -> None:
    """A short `idle_in_transaction_session_timeout` disturbs nothing here, and `doctor` tells of it."""
    url = await prepared(postgres_url, role)
    await execute(postgres_url, f"ALTER ROLE {role} SET idle_in_transaction_session_timeout = '200ms'")
    registry.declare("a", {"default": "From code."}, where="here")
    plugin = make_plugin(url, poll_interval=0.05)
    await plugin.ready()
    assert (await plugin.create("a", "default", "Edited.", activate=True)).active_version == 3
    assert await told(plugin, "a") == "Edited."
    assert "idle_in_transaction_session_timeout is 200 ms" in Operator(tmp_path, url).run("doctor").out


async def test_fault_63_an_encoding_that_cannot_hold_a_text(
    postgres: PostgresServer, registry: Registry, make_plugin: MakePlugin, tmp_path: Path
) -> None:
    """A text with a character that the database has no place for is refused by name; everything else goes on."""
    name = f"narrow_{uuid.uuid4().hex[:12]}"
    made = f"CREATE DATABASE {name} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    await asyncio.to_thread(postgres.execute, made)
    url = urlunsplit(urlsplit(postgres.url)._replace(path=f"/{name}"))
    async with Database(url) as database:
        await upgrade(database)
    registry.declare("a", {"default": "Grüße."}, where="here")
    plugin = make_plugin(url, poll_interval=0.05)
    await plugin.ready()
    await until(lambda: plugin.resolve("a").version == 1, "what it can hold is written")
    with pytest.raises(InvalidPromptError, match=r"has the character '€' \(U\+20AC\), which the database"):
        await plugin.create("a", "default", "That is 5 €.", activate=True)
    assert await told(plugin, "a") == "Grüße."
    assert (await plugin.create("a", "default", "Größe.", activate=True)).active_version == 2
    assert plugin.state is State.LIVE
    assert "its encoding is LATIN1" in Operator(tmp_path, url).run("doctor").out
    plugin.close()
