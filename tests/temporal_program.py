"""A worker of `tests.temporal_flow` without a server: `python -m tests.temporal_program STEP`.

`begin` leaves each conversation before its second tool, `recover` goes on with them, `warm` replays what the others did
in a process that serves prompts already and has conversations of its own, `replay` replays everything and does nothing
else. Tapes and findings are kept in the folder that the environment names.
"""

from __future__ import annotations

import asyncio
import json
import pickle
import sys
import threading
from typing import Any

from automagik_prompts.agent import plugins
from tests import temporal_flow
from tests.durable_folder import FOLDER
from tests.temporal_driver import Driver
from tests.temporal_tape import Tape, renamed, replay

STEP = sys.argv[1]


def load(name: str) -> dict[str, Tape]:
    """Return the tapes that a step has left."""
    tapes: dict[str, Tape] = pickle.loads((FOLDER / f"{name}.tapes").read_bytes())  # noqa: S301  # our own
    return tapes


def save(tapes: dict[str, Tape]) -> None:
    """Keep tapes."""
    (FOLDER / f"{STEP}.tapes").write_bytes(pickle.dumps(tapes))


async def begin() -> dict[str, Any]:
    """Begin conversations, in a process that has served nothing yet, and leave each before its second tool."""
    tapes = {name: Tape(f"workflow-{name}") for name in temporal_flow.AGENTS}
    threads: set[str] = set()
    for name, tape in tapes.items():
        driver = Driver(temporal_flow.Conversation, tape)

        def is_second_tool(activity: str, tape: Tape = tape) -> bool:
            asked = [one for task in tape.commands for _, one in task]
            return "call_tool" in activity and sum("model_request" in one for one in asked) == 2

        assert await driver.run(name, until=is_second_tool) is None
        threads |= driver.threads
    save(tapes)
    return {"threads": sorted(threads), **commands_of(tapes)}


async def recover() -> dict[str, Any]:
    """Go on with all conversations."""
    tapes = load("begin")
    found = {name: await Driver(temporal_flow.Conversation, tape).run(name) for name, tape in tapes.items()}
    save(tapes)
    return {"found": found, **commands_of(tapes)}


async def warm() -> dict[str, Any]:
    """Replay the recovered conversations where prompts are served already, and begin others."""
    await temporal_flow.plugin.ready()
    refused = {name: await replay(temporal_flow.Conversation, tape) for name, tape in load("recover").items()}
    tapes = {name: Tape(f"fresh-{name}") for name in temporal_flow.AGENTS}
    found = {name: await Driver(temporal_flow.Conversation, tape).run(name) for name, tape in tapes.items()}
    save(tapes)
    return {"refused": refused, "found": found}


async def replay_all() -> dict[str, Any]:
    """Replay everything in a process that does nothing else, and a history that is not what the workflow does."""
    loaded = set(sys.modules)
    refused = {
        f"{step}-{name}": await replay(temporal_flow.Conversation, tape)
        for step in ("recover", "warm")
        for name, tape in load(step).items()
    }
    forged = renamed(load("recover")["system"], "agent__system__model_request", "agent__system__something_else")
    default = plugins.current()
    return {
        "refused": refused,
        "forged": await replay(temporal_flow.Conversation, forged),
        "loaded": sorted({name.partition(".")[0] for name in set(sys.modules) - loaded}),
        "threads": [thread.name for thread in threading.enumerate()],
        "started": [temporal_flow.plugin.is_started, default is not None and default.is_started],
    }


def commands_of(tapes: dict[str, Tape]) -> dict[str, Any]:
    """Return what each workflow has asked for, in order."""
    return {"commands": {name: [one for task in tape.commands for one in task] for name, tape in tapes.items()}}


async def main() -> None:
    """Do what was asked."""
    found = await {"begin": begin, "recover": recover, "warm": warm, "replay": replay_all}[STEP]()
    (FOLDER / f"{STEP}.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    try:
        asyncio.run(main())
    finally:
        temporal_flow.plugin.close()
        if (default := plugins.current()) is not None:
            default.close()  # type: ignore[attr-defined]  # it is a plugin
