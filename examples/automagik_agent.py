"""A small runtime with agents as classes, the names that its users know, and its prompts in the database.

python examples/automagik_agent.py
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models import Model
from pydantic_ai.models.function import AgentInfo, FunctionModel

import automagik_prompts
from automagik_prompts import NoActivePromptError, PromptPlugin, prompt


class AutomagikAgent:
    """An agent whose prompts are declared in code and served from the database.

    Attributes:
        name: The name under which its prompts are kept.
        current_prompt_template: The text that was loaded last, before it is filled.
        template_vars: The variables that it uses.
    """

    name: str

    def __init__(self, model: Model, plugin: PromptPlugin | None = None) -> None:
        self.plugin = plugin or automagik_prompts.default_plugin()
        self.current_prompt_template: str | None = None
        self.template_vars: tuple[str, ...] = ()
        self._status_key: str | None = None
        self._agent = Agent(model)

    def _register_code_defined_prompt(
        self,
        code_prompt_text: str,
        status_key: str = "default",
        prompt_name: str | None = None,
        is_primary_default: bool = False,
    ) -> None:
        """Declare a text. It becomes a version the first time that the database sees it, and active if none is."""
        prompt(code_prompt_text, agent=self.name, status_key=status_key, name=prompt_name, primary=is_primary_default)

    async def load_active_prompt_template(self, status_key: str = "default") -> bool:
        """Take the active text of a status, or of the primary one where that has none; say whether there is one."""
        await self.plugin.ready()
        try:
            served = self.plugin.resolve(self.name, status_key)
        except NoActivePromptError:
            return False
        self.current_prompt_template, self.template_vars, self._status_key = served.text, served.variables, status_key
        return True

    def get_filled_system_prompt(self, values: Mapping[str, object] | None = None) -> str:
        """Return the loaded text, filled."""
        return self.plugin.render(self.name, self._status_key, values)

    async def run(self, message: str, values: Mapping[str, object] | None = None) -> str:
        """Answer a message."""
        filled = self.get_filled_system_prompt(values)
        return (await self._agent.run(message, instructions=filled)).output


class SimpleAgent(AutomagikAgent):
    """An agent with one prompt."""

    name = "simple_agent"
    PROMPT = "You are a helpful assistant. Today is {{today}}."

    def __init__(self, model: Model, plugin: PromptPlugin | None = None) -> None:
        super().__init__(model, plugin)
        self._register_code_defined_prompt(
            self.PROMPT, prompt_name="Default SimpleAgent Prompt", is_primary_default=True
        )

    async def run(self, message: str, values: Mapping[str, object] | None = None) -> str:
        """Answer a message."""
        await self.load_active_prompt_template()
        return await super().run(message, values)


@dataclass
class Contact:
    """Whom Stan talks to."""

    name: str
    status: str


class StanAgent(AutomagikAgent):
    """An agent whose prompt depends on its contact's status."""

    name = "stan_agent"
    PRIMARY = "NOT_REGISTERED"
    PROMPTS = {  # noqa: RUF012  # a constant
        "NOT_REGISTERED": "You are Stan. Ask {{name}} for the company's tax id.",
        "APPROVED": "You are Stan. {{name}} may buy: name prices.",
        "REJECTED": "You are Stan. Tell {{name}} kindly that we cannot sell to the company.",
    }

    def __init__(self, model: Model, plugin: PromptPlugin | None = None) -> None:
        super().__init__(model, plugin)
        # The primary one first: it stands in for a status that has no text of its own.
        for status_key in sorted(self.PROMPTS, key=lambda key: key != self.PRIMARY):
            self._register_code_defined_prompt(
                self.PROMPTS[status_key],
                status_key=status_key,
                prompt_name=f"StanAgent {status_key.replace('_', ' ').title()} Prompt",
                is_primary_default=status_key == self.PRIMARY,
            )

    async def answer(self, message: str, contact: Contact) -> str:
        """Answer a contact, as its status wants it."""
        await self.load_active_prompt_template(contact.status)
        return await self.run(message, {"name": contact.name})


def repeat(_messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Answer with what the model was told, without a model vendor."""
    return ModelResponse([TextPart(f"I was told: {info.instructions}")])


async def main() -> None:
    """Let both agents answer."""
    model = FunctionModel(repeat)
    # Built first: what they declare is written into the database when the plugin starts.
    simple, stan = SimpleAgent(model), StanAgent(model)
    async with automagik_prompts.default_plugin():
        print(await simple.run("Hello."))
        for status in ("NOT_REGISTERED", "APPROVED", "ON_HOLD"):
            print(f"{status}: {await stan.answer('Hello.', Contact('Ana', status))}")


if __name__ == "__main__":
    asyncio.run(main())
