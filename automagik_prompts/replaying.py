"""Looking at another version before it is activated: for one context, or over a conversation that was had already."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pydantic_ai import ModelMessage, ModelResponse, RunContext, UserContent
from pydantic_ai.agent import AbstractAgent
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.messages import ToolCallPart, ToolReturnPart, UserPromptPart, repair_messages

from automagik_prompts.agent import overrides
from automagik_prompts.agent.capability import ActivePrompt, InstalledPrompt
from automagik_prompts.agent.dynamic import unwrapped
from automagik_prompts.agent.history.provenance import prompt_used
from automagik_prompts.agent.history.used import UsedPrompt
from automagik_prompts.agent.overrides import Override
from automagik_prompts.default import default_plugin
from automagik_prompts.domain.keys import Status, StatusKeys, new_key
from automagik_prompts.domain.protocols import PromptSource
from automagik_prompts.domain.served import ServedPrompt, Source
from automagik_prompts.domain.validation import check_name
from automagik_prompts.exceptions import ConfigurationError

Tools = Literal["recorded", "run"]
UserPrompt = str | Sequence[UserContent]

NOT_RECORDED = "This call was not made in the conversation that is replayed, so its result is not known."
"""What a replay answers to a tool call that the conversation does not hold."""


class prompt_version:  # noqa: N801  # used like a function: `with prompt_version("stan", "APPROVED", 3):`
    """Serves one version, in this context only: for previews.

    `with` waits for the version to be read, which blocks the thread for a moment the first time; on an event loop use
    `async with`. Runs that begin inside send this version for the status, whatever is active; other tasks and threads
    do not. `resolve`, `render` and `explain` see it as well.

    Args:
        agent: The agent's name.
        status_key: The status, a string or an enum member.
        version: The version's number.
        plugin: The plugin to read it from; the default plugin of the process by default.

    Raises:
        PromptNotFoundError: There is no such agent, status or version.
        InvalidPromptError: This process cannot serve it.
        DatabaseUnavailableError: It cannot be read now.
    """

    def __init__(self, agent: str, status_key: Status, version: int, *, plugin: PromptSource | None = None) -> None:
        self._agent = check_name(agent, "agent name")
        check_name(new_key(status_key), "status key")
        self._status_key = status_key
        self._version = version
        self._plugin = plugin
        self._override: Override | None = None

    def __enter__(self) -> ServedPrompt:
        # Read on a loop of its own: this thread may have one that is running.
        with ThreadPoolExecutor(1) as pool:
            return self._begin(pool.submit(asyncio.run, self._find()).result())

    async def __aenter__(self) -> ServedPrompt:
        return self._begin(await self._find())

    def __exit__(self, *_error: object) -> None:
        if self._override is not None:
            overrides.end(self._override)

    async def __aexit__(self, *_error: object) -> None:
        self.__exit__()

    async def _find(self) -> ServedPrompt:
        plugin = self._plugin if self._plugin is not None else default_plugin()
        return await plugin.reader.find_version(self._agent, self._status_key, self._version)

    def _begin(self, prompt: ServedPrompt) -> ServedPrompt:
        self._override = overrides.begin(prompt)
        return prompt


@dataclass(frozen=True, slots=True)
class ReplayedTurn:
    """One turn of a conversation, as it was and as it is under the other version.

    Attributes:
        prompt: What the user said.
        before: The messages of the turn as it was.
        after: The messages of the turn as it was replayed.
    """

    prompt: UserPrompt
    before: tuple[ModelMessage, ...] = field(repr=False)
    after: tuple[ModelMessage, ...] = field(repr=False)

    @property
    def before_text(self) -> str:
        """What the agent answered then."""
        return _last_text(self.before)

    @property
    def after_text(self) -> str:
        """What the agent answers now."""
        return _last_text(self.after)


@dataclass(frozen=True, slots=True)
class Replay:
    """Both sides of a replayed conversation.

    Attributes:
        turns: The turns, in order.
    """

    turns: tuple[ReplayedTurn, ...]

    @property
    def before(self) -> list[ModelMessage]:
        """The conversation as it was."""
        return [message for turn in self.turns for message in turn.before]

    @property
    def after(self) -> list[ModelMessage]:
        """The conversation as it was replayed."""
        return [message for turn in self.turns for message in turn.after]

    def __str__(self) -> str:
        lines = []
        for number, turn in enumerate(self.turns, 1):
            said = turn.prompt if isinstance(turn.prompt, str) else "(several parts)"
            lines += [f"{number}. user:   {said}", f"   before: {turn.before_text}", f"   after:  {turn.after_text}"]
        return "\n".join(lines)


async def replay(
    messages: Sequence[ModelMessage],
    *,
    agent: AbstractAgent[Any, Any],
    version: int | None = None,
    status_key: Status | None = None,
    name: str | None = None,
    deps: Any = None,
    tools: Tools = "recorded",
    **arguments: Any,
) -> Replay:
    """Run the user turns of a conversation again, under another version.

    Args:
        messages: The conversation, for example from `result.all_messages()`, also through JSON.
        agent: The agent; its own `ActivePrompt` says how the prompt is sent.
        version: The version to try; `None` for what is active now.
        status_key: The status whose version is tried; may be left out where the conversation had only one. Other
            statuses keep the versions that the conversation had.
        name: The name of the prompts, for an agent with several or none of its own.
        deps: The agent's dependencies.
        tools: `"recorded"`: no tool is run; a call that the conversation holds, with the same arguments, gets the
            answer that it got then, and each request has the status that it had then. `"run"`: tools run, with all
            that they do, and the agent's own status function gives the status.
        arguments: Further arguments of `Agent.run`, such as `model`.

    Returns:
        Both sides, turn by turn.

    Raises:
        ConfigurationError: It is not known which agent's prompt or which status is meant.
        PromptNotFoundError: There is no such version.
        DatabaseUnavailableError: A version cannot be read now.
    """
    own = _own_prompt(agent, name)
    used = [sent for request in prompt_used(messages).requests for sent in request if sent.agent == own.name]
    if status_key is not None:
        status_key = StatusKeys(one.status_key for one in used).find(status_key) or status_key
    forced = await _forced(own, used, status_key, version)
    recorded = _RecordedTools(_answers(messages))
    turns: list[ReplayedTurn] = []
    after: list[ModelMessage] = []
    with ExitStack() as stack:
        for one in forced:
            stack.callback(overrides.end, overrides.begin(one))
        for prompt, before in _turns(messages):
            capabilities: list[AbstractCapability[Any]] = [own]
            if tools == "recorded":
                capabilities = [replace(own, status=_status_as(own, before, status_key)), recorded]
            result = await agent.run(
                prompt, message_history=repair_messages(after), deps=deps, capabilities=capabilities, **arguments
            )
            new = result.new_messages()
            after += new
            turns.append(ReplayedTurn(prompt, tuple(before), tuple(new)))
    return Replay(tuple(turns))


@dataclass
class _RecordedTools(AbstractCapability[Any]):
    """Answers tool calls from a conversation, so that a replay does nothing in the world."""

    answers: Mapping[tuple[str, str], list[Any]] = field(default_factory=dict)

    async def wrap_tool_execute(self, ctx: RunContext[Any], *, call: ToolCallPart, **_call: Any) -> Any:
        """Return what the call returned then; the same call again gets the next answer, if there was one."""
        del ctx
        answers = self.answers.get(_key(call))
        if not answers:
            return NOT_RECORDED
        return answers.pop(0) if len(answers) > 1 else answers[0]


def _key(call: ToolCallPart) -> tuple[str, str]:
    arguments = call.args_as_dict()
    return call.tool_name, repr(sorted(arguments.items(), key=lambda item: item[0]))


def _answers(messages: Sequence[ModelMessage]) -> dict[tuple[str, str], list[Any]]:
    """Return what tools answered, by tool and arguments."""
    calls: dict[str, ToolCallPart] = {}
    found: dict[tuple[str, str], list[Any]] = {}
    for message in messages:
        for part in message.parts:
            if isinstance(part, ToolCallPart):
                calls[part.tool_call_id] = part
            elif isinstance(part, ToolReturnPart) and (call := calls.get(part.tool_call_id)) is not None:
                found.setdefault(_key(call), []).append(part.content)
    return found


def _turns(messages: Sequence[ModelMessage]) -> list[tuple[UserPrompt, list[ModelMessage]]]:
    """Take a conversation apart: each turn begins with what the user said."""
    turns: list[tuple[UserPrompt, list[ModelMessage]]] = []
    for message in messages:
        said = [part.content for part in message.parts if isinstance(part, UserPromptPart)]
        if len(said) == 1:
            turns.append((said[0], [message]))
        elif said:
            parts: list[UserContent] = []
            for content in said:
                parts += [content] if isinstance(content, str) else content
            turns.append((parts, [message]))
        elif turns:
            turns[-1][1].append(message)
    return turns


def _own_prompt(agent: AbstractAgent[Any, Any], name: str | None) -> ActivePrompt[Any]:
    """Return the agent's capability as it is given to the runs of a replay: only what is forced decides there."""
    found: list[AbstractCapability[Any]] = []
    agent.root_capability.apply(found.append)
    prompts = [one for one in map(unwrapped, found) if isinstance(one, ActivePrompt) and name in {None, one.agent}]
    if len(prompts) > 1:
        names = ", ".join(repr(one.agent) for one in prompts)
        raise ConfigurationError(f"The agent has several prompts: {names}. Say which is replayed with name=....")
    if prompts:
        own = prompts[0]
        if isinstance(own, InstalledPrompt):
            return ActivePrompt(own.agent, plugin=own.plugin)
        return replace(own, pin=None, version=None)
    if name is None:
        raise ConfigurationError("The agent has no ActivePrompt. Say whose prompt is replayed with name=....")
    return ActivePrompt(name)


async def _forced(
    own: ActivePrompt[Any], used: Sequence[UsedPrompt], status_key: Status | None, version: int | None
) -> list[ServedPrompt]:
    """Return the versions that the replay sends: the one to try, and for other statuses the recorded ones."""
    recorded = {one.status_key: one for one in used}
    if status_key is None and version is not None:
        if len(recorded) != 1:
            which = f"the statuses {', '.join(map(repr, recorded))}" if recorded else "no status that is known"
            raise ConfigurationError(
                f"The conversation had {which}. Say of which one version {version} is meant with status_key=....",
                agent=own.name,
            )
        [status_key] = recorded
    wanted: list[tuple[Status, int]] = [
        (key, one.version)
        for key, one in recorded.items()
        if key != status_key and one.version is not None and one.source is not Source.OVERRIDE
    ]
    if status_key is not None and version is not None:
        wanted.append((status_key, version))
    return [await own.reader.find_version(own.name, status, number) for status, number in wanted]


def _status_as(
    own: ActivePrompt[Any], before: Sequence[ModelMessage], status_key: Status | None
) -> Callable[[RunContext[Any]], str] | Any:
    """Return the status of each request of a turn as it was then; the last one for requests beyond."""
    statuses = [
        sent.asked_status_key for request in prompt_used(before).requests for sent in request if sent.agent == own.name
    ]
    if not statuses:
        return status_key if status_key is not None else own.status
    return lambda ctx: statuses[min(max(ctx.run_step - 1, 0), len(statuses) - 1)]


def _last_text(messages: Sequence[ModelMessage]) -> str:
    return next((message.text or "" for message in reversed(messages) if isinstance(message, ModelResponse)), "")
