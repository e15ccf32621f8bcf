from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from opentelemetry import baggage, trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic_ai import Agent, RunContext
from pydantic_ai.capabilities import Instrumentation
from pydantic_ai.models.instrumented import InstrumentationSettings

from automagik_prompts import ActivePrompt
from automagik_prompts.agent import telemetry
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.plugin import PromptPlugin
from tests.conftest import MakePlugin
from tests.listening import Listener, call

VALUE = "a value that no span may hold"
OURS = ("gen_ai.prompt.", "automagik_prompts.")


@dataclass
class Contact:
    """Whom the agent talks to."""

    status: str = "OLD"
    name: str = VALUE


class Spans:
    """What was traced."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.settings = InstrumentationSettings(
            tracer_provider=self.provider, include_content=False, include_model_request_parameters=False
        )

    def named(self, word: str) -> list[ReadableSpan]:
        """Return the spans whose names begin with a word, in the order of their beginning."""
        found = [span for span in self._exporter.get_finished_spans() if span.name.startswith(word)]
        return sorted(found, key=lambda span: span.start_time or 0)

    def ours(self, word: str) -> list[dict[str, Any]]:
        """Return what spans say about prompts."""
        return [
            {key: value for key, value in (span.attributes or {}).items() if key.startswith(OURS)}
            for span in self.named(word)
        ]

    def everything(self) -> str:
        """Return all spans as one text."""
        return json.dumps([json.loads(span.to_json()) for span in self._exporter.get_finished_spans()])


@pytest.fixture
def spans() -> Iterator[Spans]:
    """An exporter in memory."""
    spans = Spans()
    yield spans
    spans.provider.shutdown()


@pytest.fixture
async def plugin(registry: Registry, make_plugin: MakePlugin) -> PromptPlugin:
    """A plugin that serves two statuses, one of them in its second version."""
    registry.declare("stan", {"OLD": "Old, {{name}}.", "NEW": "New, {{name}}."}, where="here", primary="OLD")
    plugin = make_plugin("sqlite://:memory:", baggage=True)
    await plugin.create("stan", "NEW", "New, version two, {{name}}.", activate=True)
    return plugin


def agent_of(listener: Listener, plugin: PromptPlugin, spans: Spans | None, **arguments: Any) -> Agent[Contact, str]:
    """Return an agent whose tool changes the status."""
    own: ActivePrompt[Contact] = ActivePrompt("stan", lambda ctx: ctx.deps.status, plugin=plugin, **arguments)
    agent = Agent(listener.model, name="seller", deps_type=Contact, capabilities=[own])
    if spans is not None:
        agent.instrument = spans.settings

    @agent.tool
    def approve(ctx: RunContext[Contact]) -> str:
        ctx.deps.status = "NEW"
        return "approved"

    return agent


def said(status: str, version: int, prompt_id: int) -> dict[str, Any]:
    """Return what a span says about a prompt, without the hash."""
    return {
        "gen_ai.prompt.name": f"stan/{status}",
        "automagik_prompts.agent": "stan",
        "automagik_prompts.status": status,
        "automagik_prompts.version": version,
        "automagik_prompts.id": prompt_id,
        "automagik_prompts.source": "database",
    }


@pytest.mark.parametrize("inject", ["system_prompt", "instructions"])
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_status_change_in_the_middle_of_a_run(
    plugin: PromptPlugin, spans: Spans, inject: str, streamed: bool
) -> None:
    """Two prompts in one run: the right one on each model request's span, both on the run's."""
    agent = agent_of(Listener(call("approve"), "done"), plugin, spans, inject=inject)
    if streamed:
        async with agent.run_stream("hi", deps=Contact()) as result:
            await result.get_output()
    else:
        await agent.run("hi", deps=Contact())
    ids = {prompt.status_key: prompt.id for prompt in await plugin.history("stan") if prompt.is_active}
    hashes = [attributes.pop("automagik_prompts.content_hash") for attributes in spans.ours("chat")]
    first, second = [_without_hash(attributes) for attributes in spans.ours("chat")]
    assert first == said("OLD", 1, ids["OLD"])
    assert second == said("NEW", 2, ids["NEW"])
    assert len(set(hashes)) == 2
    [run] = spans.ours("invoke_agent")
    assert run.pop("automagik_prompts.prompts") == ("stan/OLD@1", "stan/NEW@2")
    assert _without_hash(run) == second
    [tool] = spans.ours("execute_tool")
    assert _without_hash(tool) == first
    assert VALUE not in spans.everything()
    assert "version two" not in spans.everything()
    # The tree is as Pydantic AI makes it: nothing of ours gets in between.
    [parent] = spans.named("invoke_agent")
    assert {span.parent.span_id for span in (*spans.named("chat"), *spans.named("execute_tool")) if span.parent} == {
        parent.context.span_id if parent.context else 0
    }


async def test_baggage(plugin: PromptPlugin, spans: Spans) -> None:
    """What tools call, and what the model's client calls, carries the prompt as baggage; nothing is left afterwards."""
    carried: list[dict[str, Any]] = []

    async def note(_number: int = 0) -> None:
        carried.append({key: value for key, value in baggage.get_all().items() if str(key).startswith(OURS)})

    agent = agent_of(Listener(call("look"), "done", before=note), plugin, spans)

    @agent.tool_plain
    async def look() -> str:
        await note()
        return "nothing"

    before = baggage.get_all()
    await agent.run("hi", deps=Contact())
    assert baggage.get_all() == before
    prompt_id = next(prompt.id for prompt in await plugin.history("stan", "OLD"))
    expected = {key: str(value) for key, value in said("OLD", 1, prompt_id).items()}
    assert carried == [expected] * 3


async def test_baggage_reaches_nested_agents_and_gives_way_there(plugin: PromptPlugin, spans: Spans) -> None:
    """An agent that a tool runs has its own prompt on its spans, and the outer one has its own again afterwards."""
    plugin.registry.declare("ada", {"default": "Ada's."}, where="here")
    ada: Agent[object, str] = Agent(Listener().model, name="helper", capabilities=[ActivePrompt("ada", plugin=plugin)])
    ada.instrument = spans.settings
    agent = agent_of(Listener(call("delegate"), "done"), plugin, spans)

    @agent.tool_plain
    async def delegate() -> str:
        await ada.run("hi")
        assert baggage.get_baggage("gen_ai.prompt.name") == "stan/OLD"
        return "delegated"

    await agent.run("hi", deps=Contact())
    names = [attributes["gen_ai.prompt.name"] for attributes in spans.ours("chat")]
    assert names == ["stan/OLD", "ada/default", "stan/OLD"]
    runs = {span.name: span.attributes["gen_ai.prompt.name"] for span in spans.named("invoke_agent") if span.attributes}
    assert runs == {"invoke_agent seller": "stan/OLD", "invoke_agent helper": "ada/default"}


async def test_output_functions(plugin: PromptPlugin, spans: Spans) -> None:
    """The span of an output function is a child of the run as well."""

    def price(amount: int) -> str:
        assert baggage.get_baggage("gen_ai.prompt.name") == "stan/OLD"
        return f"{amount} euros"

    listener = Listener(call("final_result", amount=3))
    own: ActivePrompt[Contact] = ActivePrompt("stan", plugin=plugin)
    agent = Agent(listener.model, deps_type=Contact, output_type=price, capabilities=[own])
    agent.instrument = spans.settings
    assert (await agent.run("how much?", deps=Contact())).output == "3 euros"
    [output] = spans.ours("execute_tool")
    assert output["gen_ai.prompt.name"] == "stan/OLD"


async def test_two_prompts_on_one_agent(plugin: PromptPlugin, spans: Spans) -> None:
    """The first one speaks for the request; the run's span names all."""
    plugin.registry.declare("rules", {"default": "Rules."}, where="here")
    await plugin.sync()
    capabilities = [ActivePrompt[Contact](name, plugin=plugin) for name in ("stan", "rules")]
    agent = Agent(Listener().model, deps_type=Contact, capabilities=capabilities)
    agent.instrument = spans.settings
    await agent.run("hi", deps=Contact())
    [chat] = spans.ours("chat")
    assert chat["gen_ai.prompt.name"] == "stan/OLD"
    [run] = spans.ours("invoke_agent")
    assert run["automagik_prompts.prompts"] == ("stan/OLD@1", "rules/default@1")


async def test_a_text_without_a_version(registry: Registry, make_plugin: MakePlugin, spans: Spans) -> None:
    """A text from code has neither version nor id, and the spans claim none."""
    registry.declare("stan", {"OLD": "Old."}, where="here")
    plugin = make_plugin("sqlite:///nowhere/at/all.db", startup_timeout=0, disk_snapshot=False)
    await agent_of(Listener(), plugin, spans).run("hi", deps=Contact())
    [chat] = spans.ours("chat")
    assert chat["automagik_prompts.source"] == "code"
    assert not {"automagik_prompts.version", "automagik_prompts.id"} & set(chat)
    [run] = spans.ours("invoke_agent")
    assert run["automagik_prompts.prompts"] == ("stan/OLD@code",)


async def test_runs_that_fail_are_described_too(plugin: PromptPlugin, spans: Spans) -> None:
    """The span of a run that raises says which prompt it had: that is when somebody looks."""

    def fail(_messages: Any) -> str:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        await agent_of(Listener(fail), plugin, spans).run("hi", deps=Contact())
    assert [found["gen_ai.prompt.name"] for found in spans.ours("invoke_agent")] == ["stan/OLD"]


async def test_instrumentation_as_a_capability(plugin: PromptPlugin, spans: Spans) -> None:
    """It does not matter in which way an agent is instrumented."""
    own: ActivePrompt[Contact] = ActivePrompt("stan", plugin=plugin)
    for capabilities in (
        [own, Instrumentation(settings=spans.settings)],
        [Instrumentation(settings=spans.settings), own],
    ):
        agent = Agent(Listener().model, deps_type=Contact, capabilities=capabilities)
        await agent.run("hi", deps=Contact())
    assert [found["gen_ai.prompt.name"] for found in spans.ours("chat")] == ["stan/OLD"] * 2


async def test_a_hosts_own_spans_are_left_alone(plugin: PromptPlugin, spans: Spans) -> None:
    """Where agents are not instrumented, the span around a run is the host's, and nothing is written to it."""
    with spans.provider.get_tracer("host").start_as_current_span("a web request"):
        await agent_of(Listener(call("approve"), "done"), plugin, None).run("hi", deps=Contact())
        assert baggage.get_all() == {}
    assert spans.ours("a web request") == [{}]


async def test_nothing_is_computed_without_a_tracer(plugin: PromptPlugin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without instrumentation, and with it but without anybody who records, no attribute is made."""

    def never(*_arguments: object) -> dict[str, str]:
        raise AssertionError("it was computed")

    monkeypatch.setattr(telemetry, "attributes_of", never)
    monkeypatch.setattr(telemetry, "label_of", never)
    agent = agent_of(Listener(call("approve"), "done"), plugin, None)
    await agent.run("hi", deps=Contact())
    agent.instrument = InstrumentationSettings(tracer_provider=trace.NoOpTracerProvider())
    await agent.run("hi", deps=Contact())


def _without_hash(attributes: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in attributes.items() if key != "automagik_prompts.content_hash"}
