"""A conversation that wanders: saved by one process, continued by another, with agents from before and after."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic_ai import Agent
from pydantic_ai.models.test import TestModel

from automagik_prompts.declaring.registry import Registry
from tests.acceptance.commands import environment, run_script
from tests.conftest import MakePlugin

# Continues the conversation in the file with the contact in a status, and prints what the model was told.
TALK = """
import json, sys
from pathlib import Path

import automagik_prompts
from pydantic_ai.messages import ModelMessagesTypeAdapter
from stan import Contact, ContactStatus, StanAgent, StanDeps
from stan.scripted import Watched, scripted, system_prompts

status, file = ContactStatus(sys.argv[1]), Path(sys.argv[2])
history = ModelMessagesTypeAdapter.validate_json(file.read_bytes()) if file.exists() else None
requests = []
with automagik_prompts.install() as plugin:
    stan = StanAgent(Watched(scripted("Good morning."), lambda messages: requests.append(system_prompts(messages))))
    deps = StanDeps(Contact("Ana", status, "Padaria Aurora"))
    result = stan.run_sync("Hello.", deps=deps, message_history=history)
    file.write_bytes(result.all_messages_json())
    served = plugin.resolve("stan", status.value)
    print(json.dumps({"requests": requests, "saved": system_prompts(result.all_messages()), "source": served.source}))
"""


def test_saved_and_continued_elsewhere(tmp_path: Path, database_url: str) -> None:
    """A history saved as JSON, continued by another process in another status, carries the new prompt once, no old."""
    env = environment(tmp_path, AUTOMAGIK_PROMPTS_DATABASE_URL=database_url)
    file = tmp_path / "history.json"

    def talk(status: str) -> tuple[str, str]:
        """Continue in a process of its own; return the one prompt that the model was told, and the file's content."""
        answer = json.loads(run_script(TALK, status, file.name, cwd=tmp_path, env=env))
        ((told,),) = answer["requests"]
        assert answer["saved"] == [told]
        assert answer["source"] == "database"
        return told, file.read_text(encoding="utf-8")

    old, _ = talk("NOT_REGISTERED")
    assert "whose company is not registered yet" in old

    new, saved = talk("APPROVED")
    assert "Padaria Aurora, an approved buyer." in new
    assert saved.count('"part_kind":"system-prompt"') == 1
    assert saved.count('"part_kind":"user-prompt"') == 2

    # As a user interface keeps it: what was said, and nothing else.
    messages = json.loads(saved)
    for message in messages:
        message["parts"] = [part for part in message["parts"] if part["part_kind"] != "system-prompt"]
    file.write_text(json.dumps(messages), encoding="utf-8")
    last, saved = talk("REJECTED")
    assert "Padaria Aurora cannot buy from us at present" in last
    assert saved.count('"part_kind":"system-prompt"') == 1
    assert saved.count('"part_kind":"user-prompt"') == 3


async def test_agents_built_before_install(sqlite_url: str, registry: Registry, make_plugin: MakePlugin) -> None:
    """Agents that exist before the installation stay as they are; those built until it ends get their prompt."""
    registry.declare("seller", {"default": "You sell flour."}, where="here")

    def build() -> Agent:
        return Agent(TestModel(), name="seller", system_prompt="As it was.")

    async def told(agent: Agent) -> list[str]:
        result = await agent.run("Hello")
        return [part.content for part in result.all_messages()[0].parts if part.part_kind == "system-prompt"]

    before = build()
    plugin = make_plugin(sqlite_url, startup_timeout=30).install()
    between, nobody = build(), Agent(TestModel(), name="nobody", system_prompt="As it was.")
    plugin.uninstall()
    after = build()

    assert await told(before) == ["As it was."]
    assert await told(between) == ["As it was.", "You sell flour."]
    assert await told(nobody) == ["As it was."]
    assert await told(after) == ["As it was."]
