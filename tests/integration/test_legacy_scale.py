"""Five thousand agents: up, compared, down, compared, up again, and imported, on both engines."""

from __future__ import annotations

import asyncio

from automagik_prompts.domain.text import content_hash
from automagik_prompts.schema import migrate
from automagik_prompts.schema.legacy import importer, preview
from automagik_prompts.storage.database import Database
from tests.hosts import Host, downgrade, fill_agents, make_agents, upgrade

AGENTS = 5_000


def imported(url: str, source: str) -> dict[str, str]:
    """Import into a new database, twice, and return the active texts."""

    async def work() -> None:
        async with Database(url) as database:
            await migrate.upgrade(database)
            for _ in range(2):
                await importer.import_texts(database, importer.TextSource(source))

    asyncio.run(work())
    host = Host(url)
    assert host.one("SELECT COUNT(*) FROM prompts") == AGENTS - 3
    return dict(
        host.rows("SELECT a.name, p.prompt_text FROM agents a JOIN prompts p ON p.id = a.active_default_prompt_id")
    )


def test_five_thousand_agents(empty_url: str, sqlite_url: str, real_prompts: dict[str, str]) -> None:
    """Each real text arrives, goes back and arrives again byte for byte; so do NULL, empty and blank ones."""
    real = list(real_prompts.values())
    texts: dict[str, str | None] = {f"agent {number:04}": real[number % len(real)] for number in range(AGENTS - 3)}
    texts |= {"null": None, "empty": "", "blank": " \n"}
    host = Host(empty_url)
    make_agents(host)
    fill_agents(host, texts)
    shape, agents = host.shape(), host.content()["agents"]
    assert len(asyncio.run(preview.preview(host.url)).agents) == AGENTS
    served = {name: text for name, text in texts.items() if text and text.strip()}
    assert imported(f"{sqlite_url}.other", host.url) == served

    def compare() -> None:
        rows = host.rows(
            "SELECT a.name, p.prompt_text, p.content_hash FROM agents a LEFT JOIN prompts p "
            "ON p.id = a.active_default_prompt_id AND p.is_active = true AND p.version = 1"
        )
        assert {name: text for name, text, _ in rows if text is not None} == served
        assert all(text is None or digest == content_hash(text) for _, text, digest in rows)

    upgrade(host.url)
    compare()
    content = host.content()
    downgrade(host.url)
    assert dict(host.rows("SELECT name, system_prompt FROM agents")) == texts
    assert host.content()["agents"] == agents
    now = host.shape()
    assert all(row in now[kind] for kind, rows in shape.items() for row in rows)
    upgrade(host.url)
    compare()
    assert host.content() == content
