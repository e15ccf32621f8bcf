from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.agent.spec import AgentSpec
from pydantic_ai.models.test import TestModel

from automagik_prompts import ActivePrompt
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.plugin import PromptPlugin
from tests.conftest import MakePlugin
from tests.listening import Listener

YAML = """
name: stan
model: test
capabilities:
  - ActivePrompt:
      agent: stan
      status: APPROVED
      variables: {name: Ada}
      inject: instructions
      on_change: append
"""


@pytest.fixture
def default(registry: Registry, make_plugin: MakePlugin, monkeypatch: pytest.MonkeyPatch) -> PromptPlugin:
    """A default plugin, which is the one that a specification's capability reads from."""
    registry.declare("stan", {"default": "Default.", "APPROVED": "Approved, {{name}}."}, where="here")
    plugin = make_plugin("sqlite://:memory:")
    monkeypatch.setattr("automagik_prompts.agent.plugins._read", plugin)
    return plugin


@pytest.mark.parametrize("suffix", ["yaml", "json"])
async def test_an_agent_from_a_file(default: PromptPlugin, tmp_path: Path, suffix: str) -> None:
    """An agent can be described in a YAML or JSON file, its prompt included."""
    del default
    path = tmp_path / f"agent.{suffix}"
    path.write_text(YAML if suffix == "yaml" else json.dumps(_as_json()))
    agent = Agent.from_file(path, custom_capability_types=[ActivePrompt])
    listener = Listener()
    await agent.run("hi", model=listener.model)
    assert listener.last.instructions is not None
    assert listener.last.count("Approved, Ada.") == 1
    assert listener.last.system == []


@pytest.mark.parametrize(
    ("capability", "told"),
    [
        ("ActivePrompt", "Default."),
        ({"ActivePrompt": "stan"}, "Default."),
        ({"ActivePrompt": {"status": "APPROVED", "variables": {"name": "Ada"}}}, "Approved, Ada."),
        ({"ActivePrompt": {"agent": "stan", "pin": "conversation"}}, "Default."),
        ({"ActivePrompt": {"agent": "stan", "version": 1}}, "Default."),
    ],
)
async def test_each_form_of_a_specification(default: PromptPlugin, capability: Any, told: str) -> None:
    """The short forms work as they do for Pydantic AI's own capabilities."""
    del default
    spec = {"name": "stan", "capabilities": [capability]}
    agent = Agent.from_spec(spec, model=TestModel(), custom_capability_types=[ActivePrompt])
    listener = Listener()
    await agent.run("hi", model=listener.model)
    assert listener.last.system == [told]


def test_the_schema_of_a_specification() -> None:
    """Editors get a JSON schema that knows the capability and its arguments."""
    schema = AgentSpec.model_json_schema_with_capabilities([ActivePrompt])
    written = json.dumps(schema)
    assert "ActivePrompt" in written
    for name in ("status", "variables", "inject", "on_change", "pin", "version"):
        assert f'"{name}"' in written


def _as_json() -> dict[str, Any]:
    arguments = {
        "agent": "stan",
        "status": "APPROVED",
        "variables": {"name": "Ada"},
        "inject": "instructions",
        "on_change": "append",
    }
    return {"name": "stan", "model": "test", "capabilities": [{"ActivePrompt": arguments}]}
