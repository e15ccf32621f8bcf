from __future__ import annotations

import asyncio
import copy
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import pytest
from pydantic_ai import Agent, DeferredToolRequests, DeferredToolResults, ModelMessage, ModelRequest, RunContext
from pydantic_ai.capabilities import AbstractCapability, ProcessHistory, ReinjectSystemPrompt
from pydantic_ai.messages import (
    InstructionDeltaPart,
    InstructionPart,
    ModelMessagesTypeAdapter,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestContext

from automagik_prompts import ActivePrompt
from automagik_prompts.agent.history.features import APPENDS_SYSTEM_PROMPTS
from automagik_prompts.agent.run import Inject, OnChange
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.plugin import PromptPlugin
from tests.listening import Heard, Listener, call
from tests.modes import MODES

OLD = "You are Stan. Ask for the tax id."
NEW = "You are Stan. Quote prices."
OTHER = "You are Ada, somebody else."
FOREIGN = "You are a bot from before, kept by hand."

_STATEMENT = re.compile(f"{re.escape(OLD)}|{re.escape(NEW)}")


@dataclass
class Contact:
    """Whom the agent talks to."""

    status: str = "OLD"


def status_of(ctx: Any) -> str:
    """Return the contact's status."""
    return str(ctx.deps.status)


@pytest.fixture(scope="module")
def plugin() -> Iterator[PromptPlugin]:
    """A plugin that serves Stan's two prompts and Ada's one; no test here changes anything in it."""
    registry = Registry()
    registry.declare("stan", {"OLD": OLD, "NEW": NEW}, where="here", primary="OLD")
    registry.declare("ada", {"default": OTHER}, where="here")
    with PromptPlugin("sqlite://:memory:", registry=registry) as plugin:
        assert plugin.resolve("stan").version == 1
        yield plugin


@dataclass
class Stan:
    """Makes agents for one of the modes."""

    plugin: PromptPlugin
    inject: Inject
    on_change: OnChange

    def agent(self, listener: Listener, *, name: str = "stan", **arguments: Any) -> Agent[Contact, Any]:
        """Return an agent with its active prompt."""
        own = ActivePrompt[Contact](
            name,
            status=status_of if name == "stan" else None,
            inject=self.inject,
            on_change=self.on_change,
            plugin=self.plugin,
        )
        capabilities = [*arguments.pop("capabilities", []), own]
        return Agent(listener.model, name=name, deps_type=Contact, capabilities=capabilities, **arguments)

    def check(self, heard: Heard, text: str = NEW) -> None:
        """Make sure that a request told a text once, and no other of the agent's texts as what holds."""
        stale = NEW if text == OLD else OLD
        if self.on_change == "rewrite":
            assert (heard.count(text), heard.count(stale)) == (1, 0)
        else:
            # Statements that a provider may have cached stay; the last one is what holds.
            statements = [text if found.group() == text else stale for found in _STATEMENT.finditer(heard.told())]
            assert statements[-2:] in ([text], [stale, text])


@pytest.fixture(params=MODES, ids="-".join)
def stan(request: pytest.FixtureRequest, plugin: PromptPlugin) -> Stan:
    """Agents in each of the modes."""
    inject, on_change = request.param
    return Stan(plugin, inject, on_change)


MakeHistory = Callable[[Stan], Awaitable[list[ModelMessage]]]


async def nothing(_stan: Stan) -> list[ModelMessage]:
    """No history."""
    return []


async def own(stan: Stan) -> list[ModelMessage]:
    """This agent's, under another status."""
    agent = stan.agent(Listener("hello"))
    return (await agent.run("hi", deps=Contact())).all_messages()


async def own_json(stan: Stan) -> list[ModelMessage]:
    """This agent's, through JSON."""
    return ModelMessagesTypeAdapter.validate_json(ModelMessagesTypeAdapter.dump_json(await own(stan)))


async def own_long(stan: Stan) -> list[ModelMessage]:
    """Three turns of this agent's, with a change of the status in between."""
    agent = stan.agent(Listener("one", "two", "three"))
    messages: list[ModelMessage] = []
    for status in ("OLD", "NEW", "OLD"):
        messages = (await agent.run("hi", deps=Contact(status), message_history=messages)).all_messages()
    return messages


async def own_other_place(stan: Stan) -> list[ModelMessage]:
    """This agent's, from the time when it was told in the other place."""
    inject: Inject = "instructions" if stan.inject == "system_prompt" else "system_prompt"
    on_change = stan.on_change if (inject, stan.on_change) in MODES else "rewrite"
    return await own(Stan(stan.plugin, inject, on_change))


async def own_other_change(stan: Stan) -> list[ModelMessage]:
    """This agent's, from the time when changes were delivered in the other way."""
    others = [mode for mode in MODES if mode[0] == stan.inject and mode[1] != stan.on_change]
    return await own_long(Stan(stan.plugin, *others[0]) if others else stan)


async def trimmed(stan: Stan) -> list[ModelMessage]:
    """This agent's, without its beginning."""
    return (await own_long(stan))[2:]


async def begins_with_answer(stan: Stan) -> list[ModelMessage]:
    """This agent's, without its first request."""
    return (await own_long(stan))[1:]


async def conversation_only(_stan: Stan) -> list[ModelMessage]:
    """What the user and the assistant said, as a user interface keeps it."""
    return [ModelRequest(parts=[UserPromptPart("hi")]), ModelResponse(parts=[TextPart("hello")])]


async def static(_stan: Stan) -> list[ModelMessage]:
    """From before this library: the text that the code declares, as a static system prompt."""
    return [
        ModelRequest(parts=[SystemPromptPart(OLD), UserPromptPart("hi")]),
        ModelResponse(parts=[TextPart("hello")]),
    ]


async def damaged(_stan: Stan) -> list[ModelMessage]:
    """The prompt several times, in places where it does not belong."""
    mine = SystemPromptPart(OLD, dynamic_ref="automagik_prompts.stan")
    return [
        ModelRequest(parts=[UserPromptPart("hi"), mine, SystemPromptPart(OLD)]),
        ModelResponse(parts=[TextPart("hello")]),
        ModelRequest(parts=[mine]),
        ModelResponse(parts=[TextPart("hello")]),
    ]


async def unanswered(stan: Stan) -> list[ModelMessage]:
    """This agent's, ending in a request that was never answered."""
    return [*await own(stan), ModelRequest(parts=[UserPromptPart("are you there?")])]


async def foreign(_stan: Stan) -> list[ModelMessage]:
    """Another agent's, with a prompt of its own."""
    agent = Agent(Listener("hello").model, name="bot", system_prompt=FOREIGN)
    return (await agent.run("hi")).all_messages()


async def foreign_managed(stan: Stan) -> list[ModelMessage]:
    """Another agent's that has its active prompt, too."""
    return (await stan.agent(Listener("hello"), name="ada").run("hi", deps=Contact())).all_messages()


async def handed_over(stan: Stan) -> list[ModelMessage]:
    """This agent's, then another one's."""
    ada = stan.agent(Listener("hello"), name="ada")
    return (await ada.run("hi", deps=Contact(), message_history=await own(stan))).all_messages()


HISTORIES: list[MakeHistory] = [
    nothing,
    own,
    own_json,
    own_long,
    own_other_place,
    own_other_change,
    trimmed,
    begins_with_answer,
    conversation_only,
    static,
    damaged,
    unanswered,
    foreign,
    foreign_managed,
    handed_over,
]


@pytest.fixture(params=HISTORIES, ids=lambda make: make.__name__)
def make_history(request: pytest.FixtureRequest) -> MakeHistory:
    """Each kind of history."""
    make: MakeHistory = request.param
    return make


async def test_each_request_tells_the_present_prompt_once(stan: Stan, make_history: MakeHistory) -> None:
    """Whatever history comes in, each of a run's requests tells the present prompt once."""
    history = await make_history(stan)
    listener = Listener(call("look"), "done")
    agent = stan.agent(listener)

    @agent.tool_plain
    def look() -> str:
        return "nothing"

    result = await agent.run("go on", deps=Contact("NEW"), message_history=history)
    assert listener.heard[0].user[-1] == "go on"
    assert len(listener.heard) == 2
    for heard in listener.heard:
        stan.check(heard)
    # And so does the next turn, with what was kept of this one.
    await agent.run("and then?", deps=Contact("NEW"), message_history=result.all_messages())
    stan.check(listener.last)


async def test_the_callers_messages_stay_as_they_were(stan: Stan, make_history: MakeHistory) -> None:
    """The history that a caller passes is not changed, nor is any message in it."""
    history = await make_history(stan)
    before = copy.deepcopy(history)
    await stan.agent(Listener()).run("go on", deps=Contact("NEW"), message_history=history)
    assert history == before


async def test_other_parts_stay_as_they_were(stan: Stan, make_history: MakeHistory) -> None:
    """What is not this agent's prompt is neither lost, nor doubled, nor moved."""
    history = await make_history(stan)
    listener = Listener()
    result = await stan.agent(listener).run("go on", deps=Contact("NEW"), message_history=history)
    assert _others(result.all_messages()) == [*_others(history), "go on", "ok"]
    kept = [text for text in _others(listener.last.messages) if not text.startswith(("<pyai:context", "<context id="))]
    assert kept == [*(text for text in _others(history) if text != OTHER or stan.on_change == "rewrite"), "go on"]
    if stan.inject == "system_prompt":  # another agent's appended instructions are withdrawn by Pydantic AI
        assert listener.last.count(OTHER) == (1 if OTHER in _others(history) else 0)


async def test_the_prompt_stands_at_the_head(plugin: PromptPlugin, make_history: MakeHistory) -> None:
    """A rewritten system prompt is the first part of the first request, before or among other system prompts."""
    stan = Stan(plugin, "system_prompt", "rewrite")
    history = await make_history(stan)
    listener = Listener()
    await stan.agent(listener).run("go on", deps=Contact("NEW"), message_history=history)
    parts = listener.last.parts()
    at = next(index for index, part in enumerate(parts) if part.content == NEW)
    assert all(isinstance(part, SystemPromptPart) for part in parts[:at])


def _others(messages: Sequence[ModelMessage]) -> list[str]:
    """Return what the parts say that are neither Stan's prompt nor Pydantic AI's notes on changed instructions."""
    return [
        str(part.content)
        for message in messages
        for part in message.parts
        if hasattr(part, "content") and not _is_stans(part) and not isinstance(part, InstructionDeltaPart)
    ]


def _is_stans(part: Any) -> bool:
    return isinstance(part, SystemPromptPart) and any(text in part.content for text in (OLD, NEW))


@pytest.mark.skipif(not APPENDS_SYSTEM_PROMPTS, reason="this Pydantic AI cannot append system prompts")
async def test_appended_statements_leave_what_was_answered_byte_for_byte(plugin: PromptPlugin) -> None:
    """What a provider has seen and may have cached is sent again as it was, while statuses come and go."""
    stan = Stan(plugin, "system_prompt", "append")
    listener = Listener("one", "two", call("look"), "three", "four")
    agent = stan.agent(listener)

    @agent.tool
    def look(ctx: RunContext[Contact]) -> str:
        ctx.deps.status = "OLD"
        return "nothing"

    messages: list[ModelMessage] = []
    for turn, status in enumerate(("OLD", "OLD", "NEW", "NEW")):
        result = await agent.run(f"turn {turn}", deps=Contact(status), message_history=messages)
        messages = ModelMessagesTypeAdapter.validate_json(result.all_messages_json())
    sent = [_wire(heard) for heard in listener.heard]
    for before, after in pairwise(sent):
        assert after[: len(before)] == before
    assert [len(heard.system) for heard in listener.heard] == [1, 1, 2, 3, 4]


async def test_appended_instructions_leave_what_was_answered_byte_for_byte(plugin: PromptPlugin) -> None:
    """The same for instructions: the first ones stay the prefix, a change is said in the request that brings it."""
    stan = Stan(plugin, "instructions", "append")
    listener = Listener()
    agent = stan.agent(listener)
    messages: list[ModelMessage] = []
    for turn, status in enumerate(("OLD", "OLD", "NEW", "NEW")):
        result = await agent.run(f"turn {turn}", deps=Contact(status), message_history=messages)
        messages = ModelMessagesTypeAdapter.validate_json(result.all_messages_json())
    assert len({heard.instructions for heard in listener.heard}) == 1
    sent = [_wire(heard) for heard in listener.heard]
    for before, after in pairwise(sent):
        assert after[: len(before)] == before
    stan.check(listener.last)


async def test_a_change_that_is_rewritten_leaves_nothing_of_the_old_text(plugin: PromptPlugin) -> None:
    """Without appending, each turn tells one text at the head, however often the status changes."""
    stan = Stan(plugin, "system_prompt", "rewrite")
    listener = Listener()
    agent = stan.agent(listener)
    messages: list[ModelMessage] = []
    for status in ("OLD", "NEW", "OLD", "NEW"):
        messages = (await agent.run("hi", deps=Contact(status), message_history=messages)).all_messages()
    assert [heard.system for heard in listener.heard] == [[OLD], [NEW], [OLD], [NEW]]


Process = Callable[[list[ModelMessage]], list[ModelMessage]]


def drop_first(messages: list[ModelMessage]) -> list[ModelMessage]:
    """Keep the latest messages only."""
    return messages[-1:]


def drop_system(messages: list[ModelMessage]) -> list[ModelMessage]:
    """Drop every system prompt."""
    return [
        ModelRequest(parts=[part for part in message.parts if not isinstance(part, SystemPromptPart)])
        if isinstance(message, ModelRequest)
        else message
        for message in messages
    ]


def rebuild(messages: list[ModelMessage]) -> list[ModelMessage]:
    """Build every message anew, as a store does."""
    return ModelMessagesTypeAdapter.validate_json(ModelMessagesTypeAdapter.dump_json(messages))


def double(messages: list[ModelMessage]) -> list[ModelMessage]:
    """Put the first message in twice."""
    return [messages[0], *messages]


def summarize(messages: list[ModelMessage]) -> list[ModelMessage]:
    """Replace everything by a summary."""
    return [ModelRequest(parts=[SystemPromptPart("Summary so far."), *messages[-1].parts])]


@pytest.mark.parametrize("process", [drop_first, drop_system, rebuild, double, summarize])
async def test_history_processors_do_not_lose_the_prompt(stan: Stan, process: Process) -> None:
    """What other capabilities do to the messages, the prompt is put right after them, on each request."""
    listener = Listener(call("look"), "done")
    agent = stan.agent(listener, capabilities=[ProcessHistory(process)])

    @agent.tool_plain
    def look() -> str:
        return "nothing"

    history = await own(stan)
    await agent.run("go on", deps=Contact("NEW"), message_history=history)
    assert len(listener.heard) == 2
    for heard in listener.heard:
        stan.check(heard)


@pytest.mark.parametrize("replace_existing", [True, False])
@pytest.mark.parametrize("make", [nothing, own_json, conversation_only, foreign])
async def test_reinjection_as_user_interfaces_do_it(stan: Stan, make: MakeHistory, replace_existing: bool) -> None:
    """With Pydantic AI's own reinjection, whichever way it is set, the prompt is told once; the status is read once."""
    reads: list[int] = []

    def status(ctx: Any) -> str:
        reads.append(ctx.run_step)
        return "NEW"

    own_prompt = ActivePrompt[Contact](
        "stan", status=status, inject=stan.inject, on_change=stan.on_change, plugin=stan.plugin
    )
    listener = Listener(call("look"), "done")
    agent = Agent(
        listener.model,
        deps_type=Contact,
        capabilities=[ReinjectSystemPrompt(replace_existing=replace_existing), own_prompt],
    )

    @agent.tool_plain
    def look() -> str:
        return "nothing"

    await agent.run("go on", deps=Contact(), message_history=await make(stan))
    assert len(listener.heard) == len(reads) == 2
    for heard in listener.heard:
        stan.check(heard)
        assert heard.count(FOREIGN) == (1 if make is foreign and not replace_existing else 0)


async def test_a_history_that_ends_in_a_tool_return_is_resumed(stan: Stan) -> None:
    """A run without a user prompt that goes on from a tool's return tells the prompt once."""
    history: list[ModelMessage] = [
        *(await own(stan)),
        ModelRequest(parts=[UserPromptPart("look")]),
        ModelResponse(parts=[ToolCallPart("look", {}, tool_call_id="1")]),
        ModelRequest(parts=[ToolReturnPart("look", "nothing", tool_call_id="1")]),
    ]
    listener = Listener()
    agent = stan.agent(listener)
    result = await agent.run(deps=Contact("NEW"), message_history=history)
    stan.check(listener.last)
    assert listener.last.count("nothing") == 1
    assert [type(message) for message in result.new_messages()] == [ModelResponse]


async def test_a_history_that_ends_in_tool_calls_is_resumed(stan: Stan) -> None:
    """A run without a user prompt that first makes the pending tool calls reads the status after them."""
    history: list[ModelMessage] = [
        *(await own(stan)),
        ModelRequest(parts=[UserPromptPart("approve me")]),
        ModelResponse(parts=[ToolCallPart("approve", {}, tool_call_id="1")]),
    ]
    listener = Listener()
    agent = stan.agent(listener)

    @agent.tool
    def approve(ctx: RunContext[Contact]) -> str:
        ctx.deps.status = "NEW"
        return "approved"

    await agent.run(deps=Contact("OLD"), message_history=history)
    assert len(listener.heard) == 1
    stan.check(listener.last)


async def test_a_run_without_a_user_prompt(stan: Stan) -> None:
    """The prompt alone is enough for a request."""
    listener = Listener()
    await stan.agent(listener).run(deps=Contact("NEW"))
    stan.check(listener.last)


async def test_deferred_tools(stan: Stan) -> None:
    """Results of deferred tool calls arrive in a second run, which tells the prompt once."""
    listener = Listener(call("approve"), "done")
    agent = stan.agent(listener, output_type=[str, DeferredToolRequests])

    @agent.tool_plain(requires_approval=True)
    def approve() -> str:
        return "approved"

    first = await agent.run("approve me", deps=Contact("OLD"))
    assert isinstance(first.output, DeferredToolRequests)
    results = DeferredToolResults(approvals={call.tool_call_id: True for call in first.output.approvals})
    await agent.run(deps=Contact("NEW"), message_history=first.all_messages(), deferred_tool_results=results)
    stan.check(listener.heard[0], OLD)
    stan.check(listener.heard[1], NEW)


async def test_output_tools_and_retries(stan: Stan) -> None:
    """A structured output that is refused once leads to a second request, which tells the prompt once, too."""
    listener = Listener(call("final_result", response="many"), call("final_result", response=3))
    agent = stan.agent(listener, output_type=int)
    assert (await agent.run("how many?", deps=Contact("NEW"))).output == 3
    assert len(listener.heard) == 2
    for heard in listener.heard:
        stan.check(heard)


async def test_streamed_runs(stan: Stan) -> None:
    """A streamed run tells the prompt once on each request."""
    listener = Listener(call("look"), "done")
    agent = stan.agent(listener)

    @agent.tool_plain
    def look() -> str:
        return "nothing"

    async with agent.run_stream("go on", deps=Contact("NEW"), message_history=await own(stan)) as result:
        assert await result.get_output() == "done"
    assert len(listener.heard) == 2
    for heard in listener.heard:
        stan.check(heard)


async def test_stepwise_runs(stan: Stan) -> None:
    """A run that is driven node by node tells the prompt once on each request."""
    listener = Listener(call("look"), "done")
    agent = stan.agent(listener)

    @agent.tool_plain
    def look() -> str:
        return "nothing"

    async with agent.iter("go on", deps=Contact("NEW"), message_history=await own(stan)) as run:
        async for _node in run:
            pass
    assert len(listener.heard) == 2
    for heard in listener.heard:
        stan.check(heard)


def test_synchronous_runs(stan: Stan) -> None:
    """`run_sync` outside an event loop tells the prompt once."""
    listener = Listener()
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)  # Pydantic AI makes one that nobody closes where there is none
    try:
        stan.agent(listener).run_sync("go on", deps=Contact("NEW"))
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    stan.check(listener.last)


async def test_an_agent_inside_another_ones_tool(stan: Stan) -> None:
    """Nested runs do not mix: neither another agent's, nor the same agent's with another contact."""
    inner = Listener()
    outer = Listener(call("delegate"), "done")
    agent, ada, again = stan.agent(outer), stan.agent(inner, name="ada"), stan.agent(inner)

    @agent.tool
    async def delegate(ctx: RunContext[Contact]) -> str:
        await ada.run("hi", deps=ctx.deps, usage=ctx.usage)
        await again.run("hi", deps=Contact("OLD"), usage=ctx.usage)
        return "delegated"

    await agent.run("go on", deps=Contact("NEW"))
    for heard in outer.heard:
        stan.check(heard)
        assert heard.count(OTHER) == 0
    assert inner.heard[0].count(OTHER) == 1
    assert inner.heard[0].count(NEW) == inner.heard[0].count(OLD) == 0
    stan.check(inner.heard[1], OLD)


async def test_overridden_parts_of_an_agent(stan: Stan) -> None:
    """What `agent.override` replaces is replaced, and the prompt is told once all the same."""
    listener = Listener()
    agent = stan.agent(Listener())
    with agent.override(model=listener.model, deps=Contact("NEW"), name="other"):
        await agent.run("go on", deps=Contact("OLD"))
    stan.check(listener.last)


async def test_overridden_instructions(plugin: PromptPlugin) -> None:
    """`agent.override(instructions=...)` replaces a prompt that is told as instructions, as Pydantic AI has it."""
    listener = Listener()
    agent = Stan(plugin, "instructions", "rewrite").agent(listener)
    for text in ("Only this.", NEW):
        with agent.override(instructions=text):
            result = await agent.run("go on", deps=Contact("NEW"))
        assert listener.last.instructions == text
        assert not any(message.metadata for message in result.all_messages())


async def test_instructions_made_anew_by_another_capability(plugin: PromptPlugin) -> None:
    """A capability that makes the instructions anew before the request does not lose the prompt."""

    class Minimal(AbstractCapability[Contact]):
        async def before_model_request(
            self, ctx: RunContext[Contact], request_context: ModelRequestContext
        ) -> ModelRequestContext:
            del ctx
            request_context.model_request_parameters = replace(
                request_context.model_request_parameters, instruction_parts=[InstructionPart("Be short.")]
            )
            return request_context

    listener = Listener()
    stan = Stan(plugin, "instructions", "rewrite")
    await stan.agent(listener, capabilities=[Minimal()]).run("go on", deps=Contact("NEW"))
    stan.check(listener.last)
    assert listener.last.count("Be short.") == 1


@pytest.mark.parametrize(
    "instructions", [OLD, f"{OLD}\n", ["Be short.", OLD], [OLD, "Be short."], ["Be", OLD, "short."]], ids=str
)
async def test_a_declared_text_in_the_agents_instructions(stan: Stan, instructions: Any) -> None:
    """A text that the agent still has as its instructions, from before this library, is not told beside the prompt."""
    listener = Listener()
    await stan.agent(listener, instructions=instructions).run("go on", deps=Contact("NEW"))
    stan.check(listener.last)
    assert listener.last.count(OLD) == 0
    if instructions not in (OLD, f"{OLD}\n"):
        assert listener.last.count("short.") == 1


@pytest.mark.parametrize("system_prompt", [OLD, ["Be short.", OLD], NEW])
async def test_a_declared_text_in_the_agents_system_prompt(stan: Stan, system_prompt: Any) -> None:
    """The same for a static system prompt, from the first turn on."""
    listener = Listener()
    agent = stan.agent(listener, system_prompt=system_prompt)
    result = await agent.run("go on", deps=Contact("NEW"))
    await agent.run("and then?", deps=Contact("NEW"), message_history=result.all_messages())
    for heard in listener.heard:
        assert (heard.count(NEW), heard.count(OLD)) == (1, 0)
        assert heard.count("Be short.") == ("Be short." in system_prompt)


async def test_instructions_that_only_contain_a_declared_text_stay(stan: Stan) -> None:
    """Instructions that quote a declared text in the middle of a sentence are the agent's own business."""
    quoting = f"Another agent is told: {OLD} You are not."
    listener = Listener()
    await stan.agent(listener, instructions=quoting).run("go on", deps=Contact("NEW"))
    assert listener.last.count(quoting) == 1
    assert listener.last.count(NEW) == 1


def _wire(heard: Heard) -> list[tuple[str, str]]:
    """Return what a provider is sent, part by part, without what only the program sees."""
    return [
        (part.part_kind, str(getattr(part, "content", None) or getattr(part, "args", None)))
        for message in heard.messages
        for part in message.parts
    ]
