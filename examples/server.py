"""Two agents behind a web server, whose prompts change while it runs.

pip install fastapi uvicorn && uvicorn --app-dir examples server:app
"""

from __future__ import annotations

import os
from typing import Any

from fastapi import FastAPI
from pydantic_ai import Agent
from pydantic_ai.messages import SystemPromptPart

from automagik_prompts import ActivePrompt, PromptPlugin, prompt, prompts

prompt("You sum up a chat for {{name}}.", agent="summary")


@prompts("seller", primary="NEW", status=lambda ctx: ctx.deps["status"])
class SellerPrompts:
    """What the seller is told, by the status of its contact."""

    NEW = "You sell flour. Ask {{name}} for the company's tax id."
    APPROVED = "You sell flour. {{name}} may buy: name prices."


plugin = PromptPlugin(os.environ.get("DATABASE_URL"))
app = FastAPI(lifespan=plugin.lifespan)
agents: dict[str, Agent[dict[str, str], str]] = {
    name: Agent(os.environ.get("MODEL", "test"), deps_type=dict, capabilities=[ActivePrompt(name)])
    for name in ("seller", "summary")
}


@app.post("/{agent}")
async def answer(agent: str, message: str = "Hello.", name: str = "Ana", status: str = "NEW") -> dict[str, Any]:
    """Answer a message, and show what the model was told."""
    result = await agents[agent].run(message, deps={"name": name, "status": status})
    told = [part.content for part in result.all_messages()[0].parts if isinstance(part, SystemPromptPart)]
    return {"answer": result.output, "told": told}


@app.get("/health")
def health() -> dict[str, Any]:
    """Return how fresh the prompts are, for a load balancer and for people."""
    found = plugin.health()
    return {"ready": found.ready, "state": found.state, "problems": found.problems}
