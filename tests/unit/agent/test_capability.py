from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import pytest
from pydantic_ai import RunContext
from pydantic_ai.models.test import TestModel
from pydantic_ai.usage import RunUsage

from automagik_prompts import ActivePrompt, DeclarationError, InvalidPromptError
from automagik_prompts.agent.history import features
from automagik_prompts.agent.run import Inject, OnChange, Pin


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"inject": "user"}, r"inject='user' is unknown. Use one of: system_prompt, instructions"),
        ({"on_change": "replace"}, r"on_change='replace' is unknown. Use one of: rewrite, append"),
        ({"pin": "run"}, r"pin='run' is unknown. Use one of: None, conversation"),
        ({"version": 0}, r"version=0 is no version. Versions are numbered from 1"),
        ({"version": 2, "pin": "conversation"}, r"version= and pin= exclude each other"),
        ({"defer_loading": True}, r"A prompt cannot be deferred"),
    ],
)
def test_arguments_that_cannot_be_right(arguments: dict[str, Any], message: str) -> None:
    """A wrong argument fails where the capability is made, with what would be right."""
    with pytest.raises(DeclarationError, match=message):
        ActivePrompt("stan", **arguments)


@pytest.mark.parametrize("name", ["", " ", " stan", "a\nb", "x" * 300])
def test_names_that_cannot_be(name: str) -> None:
    """A name that no agent can have is refused."""
    with pytest.raises(InvalidPromptError):
        ActivePrompt(name)


def test_ids_are_different_for_different_names() -> None:
    """Each name makes an id of its own, without the colon that Pydantic AI uses to take ids apart."""
    names = ["stan", "stan: seller", "stan- seller", "stan%3A seller", "stan/seller", "Größe"]
    ids = [ActivePrompt[object](name).id or "" for name in names]
    assert len(set(ids)) == len(names)
    assert not [one for one in ids if ":" in one]
    assert ActivePrompt[object]("stan").id == "active_prompt-stan"
    assert ActivePrompt[object]("stan", id="mine").id == "mine"


def test_two_are_equal_if_they_say_the_same() -> None:
    """Configurations are compared, so that the same one twice is one."""
    assert ActivePrompt[object]("stan", "A", variables={"a": 1}) == ActivePrompt[object](
        "stan", "A", variables={"a": 1}
    )
    assert ActivePrompt[object]("stan", "A") != ActivePrompt[object]("stan", "B")


def test_one_that_was_never_bound() -> None:
    """One without a name that no agent has seen says what to do."""
    unbound: ActivePrompt[None] = ActivePrompt()
    context = RunContext(deps=None, model=TestModel(), usage=RunUsage())

    async def run() -> None:
        async def handler() -> Any:
            return None

        await unbound.wrap_run(context, handler=handler)

    with pytest.raises(DeclarationError, match="was never bound to an agent"):
        asyncio.run(run())


def test_types_of_the_arguments() -> None:
    """The words that may be said are literals, so that editors offer them."""
    inject: Inject = "instructions"
    on_change: OnChange = "append"
    pin: Pin = "conversation"
    capability: ActivePrompt[object] = ActivePrompt("stan", inject=inject, on_change=on_change, pin=pin)
    assert (capability.inject, capability.on_change, capability.pin) == (inject, on_change, pin)


def test_appending_system_prompts_needs_a_release_that_can(monkeypatch: pytest.MonkeyPatch) -> None:
    """A release of Pydantic AI that cannot tell which system prompt replaces which is named; instructions it can."""
    monkeypatch.setattr(features, "APPENDS_SYSTEM_PROMPTS", False)
    with pytest.raises(DeclarationError, match=r"needs pydantic-ai-slim 2\.64 or later"):
        ActivePrompt[object]("stan", on_change="append")
    ActivePrompt[object]("stan", on_change="append", inject="instructions")


def test_the_representation_shows_no_values() -> None:
    """Values may be anything, also what must not stand in a log."""
    assert "secret" not in repr(ActivePrompt[object]("stan", variables={"key": "secret"}))


def test_what_an_agent_needs_loads_no_database_and_no_command_line() -> None:
    """Declaring prompts and building an agent loads neither the database's libraries nor the command line's."""
    code = (
        "import sys; from pydantic_ai import Agent; import pydantic_ai.capabilities; Agent(); theirs = {*sys.modules}\n"
        "import automagik_prompts as a\n"
        "a.prompt('Hello.', agent='x'); Agent(name='x', capabilities=[a.ActivePrompt()])\n"
        "heavy = {'tortoise', 'aerich', 'asyncpg', 'aiosqlite', 'typer', 'rich'}\n"
        "print(sorted((heavy & {*sys.modules}) - theirs))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == "[]"
