"""An application that uses Tortoise for its own models: own loop, own `agents` table, own time zone, own router.

Run as a program, it serves an agent beside its own work and prints what it saw as JSON: `python -m tests.tortoise_host
ORDER FOLDER`, where ORDER says who comes first, `host` or `prompts`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic_ai import Agent
from tortoise import Tortoise, fields
from tortoise.context import get_current_context
from tortoise.models import Model
from tortoise.router import router
from tortoise.timezone import get_default_timezone, get_use_tz
from tortoise.transactions import in_transaction

from automagik_prompts import ActivePrompt, PromptPlugin, prompt
from tests.listening import Listener


class Person(Model):
    """The host's own agents: sales people, in a table of the same name as ours."""

    id = fields.IntField(primary_key=True)
    name = fields.CharField(50)
    hired = fields.DatetimeField()

    class Meta:
        """The table's name is the point."""

        table = "agents"
        app = "models"


class Routes:
    """The host's router: reads and writes go to its one database."""

    asked = 0

    def db_for_read(self, model: type[Model]) -> str:
        """Name the connection."""
        Routes.asked += 1
        del model
        return "default"

    def db_for_write(self, model: type[Model]) -> str:
        """Name the connection."""
        Routes.asked += 1
        del model
        return "default"


HIRED = datetime(2025, 5, 13, 18, 31)
CONFIG: dict[str, Any] = {
    "apps": {"models": {"models": ["tests.tortoise_host"], "default_connection": "default"}},
    "use_tz": False,
    "timezone": "Asia/Tokyo",
    "routers": [Routes],
}


def process_state() -> list[object]:
    """Return what Tortoise keeps for the whole process."""
    routers = [type(one).__name__ for one in router._routers or []]
    return [os.environ.get("USE_TZ"), os.environ.get("TIMEZONE"), get_use_tz(), str(get_default_timezone()), routers]


async def start_host(folder: Path) -> None:
    """Start the host's database."""
    await Tortoise.init(config={"connections": {"default": f"sqlite://{folder / 'host.db'}"}, **CONFIG})
    await Tortoise.generate_schemas()


async def work(number: int) -> list[str]:
    """Do the host's work: write, read, in a transaction and outside."""
    async with in_transaction("default"):
        created = await Person.create(name=f"person {number}", hired=HIRED)
        assert created.id > number
    found = await Person.all().order_by("id")
    assert all(person.hired == HIRED for person in found), [person.hired for person in found]
    return [person.name for person in found]


async def talk(agent: Agent[None, str]) -> str:
    """Let the agent talk, and return what its model was told."""
    listener = Listener()
    await agent.run("hi", model=listener.model)
    return listener.last.system[0]


async def main(order: str, folder: Path) -> dict[str, Any]:
    """Use both, in the order asked for."""
    prompt("Hello.", agent="seller")
    plugin = PromptPlugin(f"sqlite://{folder / 'prompts.db'}", poll_interval=0.01, disk_snapshot=False)
    agent: Agent[None, str] = Agent(name="seller", capabilities=[ActivePrompt(plugin=plugin)])
    seen: dict[str, Any] = {"told": [], "people": [], "state": []}
    if order == "prompts":
        seen["told"].append(await talk(agent))
        assert get_current_context() is None, "the host sees nothing of ours"
    await start_host(folder)
    seen["state"].append(process_state())
    context = get_current_context()
    for number in range(3):
        seen["told"].append(await talk(agent))
        seen["people"] = await work(number)
        await plugin.create("seller", "default", f"Text {number}.", activate=True)
        assert get_current_context() is context
        assert process_state() == seen["state"][0], process_state()
    [newest, *_] = await plugin.history("seller", "default")
    seen["age"] = abs((datetime.now(UTC) - newest.created_at).total_seconds())
    asked = Routes.asked
    await work(3)
    seen["routed"] = Routes.asked > asked
    await Tortoise.close_connections()
    # Its database is closed; ours goes on, and writes.
    await plugin.create("seller", "default", "After the host.", activate=True)
    seen["told"].append(await talk(agent))
    # And the host may begin again after we have ended.
    await asyncio.to_thread(plugin.close)
    await start_host(folder)
    seen["people"] = await work(4)
    seen["state"].append(process_state())
    await Tortoise.close_connections()
    seen["told"].append(await talk(agent))
    return seen


if __name__ == "__main__":
    from tests import tortoise_host  # Tortoise knows the models by this name

    print(json.dumps(asyncio.run(tortoise_host.main(sys.argv[1], Path(sys.argv[2])))))
