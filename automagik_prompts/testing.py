"""For tests of applications: texts for one test, a database in memory, and what an agent was sent.

The fixtures of the pytest plugin are made of these; they serve other test frameworks just as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from automagik_prompts.agent import overrides, plugins
from automagik_prompts.agent.overrides import Override
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.declaring.registry import registry as default_registry
from automagik_prompts.domain.keys import Status, StatusKeys, new_key
from automagik_prompts.domain.served import ServedPrompt, Source
from automagik_prompts.domain.text import content_hash, nearest
from automagik_prompts.domain.validation import Format, check_name, normalized
from automagik_prompts.exceptions import ConfigurationError, InvalidPromptError
from automagik_prompts.plugin import PromptPlugin
from automagik_prompts.templating.content import PromptContent

if TYPE_CHECKING:
    from automagik_prompts.agent.history.used import UsedPrompt

_STARTUP_SECONDS = 30.0
"""What the first load of a test may take: a busy machine must not change what is tested."""


@contextmanager
def override(
    agent: str,
    status_key: Status,
    text: str,
    *,
    format: Format = "handlebars",
    new_status: bool = False,
    registry: Registry = default_registry,
) -> Iterator[ServedPrompt]:
    """Serve a text instead of whatever is active, in this context only.

    A context is this task or thread and what it starts: tests that run at the same time do not see it. Runs that begin
    inside send the text; `resolve`, `render` and `explain` see it as well.

    Args:
        agent: The agent's name.
        status_key: The status, a string or an enum member, as everywhere by its value or its name.
        text: The text.
        format: `"handlebars"`, `"simple"` to fill nothing but the tags of exposed names, or `"text"` to serve it
            verbatim.
        new_status: Whether the status may be one that neither the code nor what the default plugin serves knows.
        registry: The declarations that say which statuses the agent has and which variables its texts may use.

    Raises:
        InvalidPromptError: The text could not be served: it is blank, no template, or uses unexposed variables. Or the
            agent has no such status; the message names the nearest one.
    """
    begun = begin_override(agent, status_key, text, format=format, new_status=new_status, registry=registry)
    try:
        yield begun.prompt
    finally:
        overrides.end(begun)


def begin_override(
    agent: str,
    status_key: Status,
    text: str,
    *,
    format: Format = "handlebars",
    new_status: bool = False,
    registry: Registry = default_registry,
) -> Override:
    """Begin what `override` does in a block; `end_override` ends it, from any context.

    Raises:
        InvalidPromptError: As for `override`.
    """
    agent = check_name(agent, "agent name")
    key = _known_status(agent, status_key, registry, new_status=new_status)
    declared, content = registry.agents.get(agent), PromptContent(text, format)
    template = content.validate(declared.exposed if declared is not None else None, agent=agent, status_key=key)
    return overrides.begin(
        ServedPrompt(
            agent=agent,
            status_key=key,
            version=None,
            prompt_id=None,
            text=text,
            format=format,
            content_hash=content.digest,
            source=Source.OVERRIDE,
            template=template,
        )
    )


def _known_status(agent: str, status: Status, registry: Registry, *, new_status: bool) -> str:
    """Return the status that is meant, of those that the code declares or the default plugin serves.

    An agent that is known nowhere here may have any: for it, an override is enough to have a prompt.

    Raises:
        InvalidPromptError: Such are known for the agent, and it is none of them: it would override nothing.
    """
    declared, plugin = registry.agents.get(agent), plugins.current()
    served = plugin.reader.status_keys(agent) if plugin is not None else ()
    keys = StatusKeys(served, declared.prompts if declared is not None else ())
    if (found := keys.find(status)) is not None:
        return found
    key = check_name(new_key(status), "status key")
    if list(keys) and not new_status:
        raise InvalidPromptError(
            f"{agent} has no status {key!r}, so that nothing would be overridden. {nearest(key, keys, 'statuses')} For "
            "a status that does not exist yet, say so: new_status=True.",
            agent=agent,
            status_key=key,
        )
    return key


def end_override(begun: Override) -> None:
    """End an override, from any context."""
    overrides.end(begun)


@contextmanager
def memory_plugin(registry: Registry = default_registry, **settings: Any) -> Iterator[PromptPlugin]:
    """Serve from a fresh database in memory, with what the code declares.

    In this process it stands in for the default plugin, also for agents that exist already and read from that one, and
    for the one that was installed. So no test writes into the application's database, and none sees what another wrote.

    Args:
        registry: What the code declares.
        settings: Further settings of `PromptPlugin`.

    Raises:
        ConfigurationError: The database in memory could not be prepared.
    """
    settings.setdefault("startup_timeout", _STARTUP_SECONDS)
    plugin = PromptPlugin("sqlite://:memory:", registry=registry, **settings)
    with plugins.replaced(plugin) as replaced:
        readers = [replaced] if replaced is not None else []
        with overrides.standing_in(plugin, *readers), ThreadPoolExecutor(1) as pool:
            try:
                pool.submit(asyncio.run, plugin.ready()).result()
                if plugin.health().error is not None:
                    raise ConfigurationError(f"The database in memory could not be prepared: {plugin.health().error}")
                yield plugin
            finally:
                plugin.uninstall()
                plugin.close()


def assert_prompt_used(
    result_or_messages: Any,
    agent: str,
    status_key: Status | None = None,
    *,
    version: int | None = None,
    text: str | None = None,
    source: Source | str | None = None,
) -> UsedPrompt:
    """Make sure that a model was sent a prompt, and return what identifies it.

    Args:
        result_or_messages: The result of a run, or a history.
        agent: The agent's name.
        status_key: The status that the text belongs to.
        version: Its number.
        text: The text before it was filled.
        source: Where it came from.

    Raises:
        AssertionError: No request sent it; the message says what the requests sent.
    """
    from automagik_prompts.agent.history.provenance import (
        prompt_used,  # loads Pydantic AI, which `override` does not need
    )

    wanted: dict[str, object] = {
        "agent": normalized(agent),
        "version": version,
        "content_hash": content_hash(text) if text is not None else None,
        "source": Source(source) if source is not None else None,
    }
    wanted = {name: value for name, value in wanted.items() if value is not None}
    sent = [used for request in prompt_used(result_or_messages).requests for used in request]
    for used in sent:
        if status_key is not None and StatusKeys([used.status_key]).find(status_key) is None:
            continue
        if all(getattr(used, name) == value for name, value in wanted.items()):
            return used
    if status_key is not None:
        wanted["status_key"] = new_key(status_key)
    shown = "\n".join(f"  {used}, {used.content_hash[:12]}" for used in sent) or "  nothing: no managed agent sent one"
    asked = ", ".join(f"{name}={value!s}" for name, value in wanted.items())
    raise AssertionError(f"No request sent the prompt with {asked}. The requests sent:\n{shown}")
