"""Durable runs under Prefect, where that is installed: it brings seventy packages, which developing does not need."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic_ai import Agent, ModelMessage
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from automagik_prompts import ActivePrompt, prompt_used
from automagik_prompts.declaring.registry import Registry
from tests.conftest import MakePlugin

pytest.importorskip("prefect")


async def test_a_flow_that_is_tried_again(sqlite_url: str, registry: Registry, make_plugin: MakePlugin) -> None:
    """A flow fails in a tool, another version is activated, and the flow's next attempt goes on under the first one."""
    from prefect import flow
    from prefect.testing.utilities import prefect_test_harness
    from pydantic_ai.durable_exec.prefect import PrefectDurability

    registry.declare("stan", {"default": "One."}, where="here")
    plugin = make_plugin(sqlite_url, disk_snapshot=False, startup_timeout=30)
    attempts: list[int] = []

    def answer(messages: list[ModelMessage], _info: AgentInfo) -> ModelResponse:
        calls = sum(isinstance(one, ModelResponse) for one in messages)
        if calls < 2:
            return ModelResponse([ToolCallPart("work", {"number": calls}, tool_call_id=f"call-{calls}")])
        return ModelResponse([TextPart("done")])

    engine: Any = PrefectDurability()
    agent = Agent(FunctionModel(answer), name="stan", capabilities=[ActivePrompt(plugin=plugin), engine])

    @agent.tool_plain
    async def work(number: int) -> str:
        attempts.append(number)
        if attempts.count(1) == 1 and number == 1:
            await plugin.create("stan", "default", "Two.", activate=True)
            raise RuntimeError("the plug was pulled")
        return "worked"

    @flow(retries=1)  # type: ignore[untyped-decorator]  # Prefect need not be installed where this is checked
    async def converse() -> list[int | None]:
        result = await agent.run("Hello.")
        return [used.version for [used] in prompt_used(result).requests]

    with prefect_test_harness():
        assert await converse() == [1, 1, 1]
        assert await converse() == [2, 2, 2]
