"""The console's page about a version that cannot be served, on each engine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.policy import Actor
from automagik_prompts.domain.roles import Roles
from automagik_prompts.plugin import PromptPlugin
from automagik_prompts.storage.connection import Connection
from automagik_prompts.storage.database import Database
from tests.api_server import PATIENT, declare
from tests.conftest import MakePlugin
from tests.console_server import ServedConsole, served_console
from tests.tampering import unkeep
from tests.waiting import wait_until


@pytest.fixture
def plugin(database_url: str, make_plugin: MakePlugin, registry: Registry) -> PromptPlugin:
    """A plugin that says what it serves."""
    declare(registry)
    return make_plugin(database_url, **{**PATIENT, "heartbeat": 1.0}, policy=Roles())


@pytest.fixture
def console(plugin: PromptPlugin) -> Iterator[ServedConsole]:
    """Its console."""
    with served_console(plugin) as running:
        yield running


async def test_a_text_past_the_check(plugin: PromptPlugin, console: ServedConsole, database_url: str) -> None:
    """What plain SQL has made active is named with its line, its reason, and what one can do; home and fleet say so."""
    await plugin.ready()
    edits = plugin.acting_as(Actor("ana", roles=("editor", "publisher")))
    await edits.create("stan", "NEW", "Ask {{name}}.", activate=True)
    with console.client("ana editor,publisher") as client:
        fine = client.get("agents/stan/NEW/problem")
        assert (fine.status_code, "can be served</h1>" in fine.text) == (200, True)

        async def break_it(connection: Connection) -> None:
            await connection.run(
                "UPDATE prompts SET prompt_text = ?, content_hash = '' WHERE is_active = true AND status_key = 'NEW'",
                "Ask {{name}}.\nWrite to <b>{{case.owner_email}}</b>.",
            )

        async with Database(database_url) as database:
            await unkeep(database)
            await database.transaction(lambda client: break_it(Connection(client)))
        page = client.get("agents/stan/NEW/problem").text
        assert "Version 2 of stan / NEW cannot be served</h1>" in page
        assert "uses case.owner_email, which the agent&#39;s code does not expose" in page
        assert '<div class="cm-line err" data-n="2">' in page
        assert '<div class="cm-line" data-n="1">' in page
        assert "<b>" not in page.partition("<main")[2]
        assert "Roll back to version 1…" in page
        assert 'href="../../../agents/stan/NEW/edit?from=2"' in page

        wait_until(
            lambda: "Cannot be served <b>1</b>" in client.get("").text, "the process says that it cannot serve it"
        )
        assert 'href="./agents/stan/NEW/problem"' in client.get("", params={"chip": "bad"}).text
        assert "1 of 1 process cannot serve what is active." in client.get("").text
        fleet = client.get("fleet").text
        assert "The only process follows</h1>" in fleet
        assert "Cannot serve 1" in fleet
        assert "1 process refuses it" in client.get("agents/stan/NEW/problem").text
        assert "No process is so" in client.get("fleet", params={"state": "dead"}).text
    with console.client("rui viewer") as client:
        page = client.get("agents/stan/NEW/problem").text
        assert "Roll back" not in page
        assert "Correct as" not in page
    with console.client("rui viewer other*") as client:
        assert client.get("agents/stan/NEW/problem").status_code == 403
        assert client.get("agents/stan/NO/problem").status_code == 403
