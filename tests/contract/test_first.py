from __future__ import annotations

from automagik_prompts.constants import Registry
from tests.conftest import MakePlugin


async def test_smoke(database_url: str, registry: Registry, make_plugin: MakePlugin) -> None:
    registry.declare("a", {"default": "hello"}, where="here")
    plugin = make_plugin(database_url)
    await plugin.ready()
    assert plugin.resolve("a").version == 1
