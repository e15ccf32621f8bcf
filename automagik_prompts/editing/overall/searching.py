"""The lines in which words stand; the comparison is made here, because each engine folds letters in its own way."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from automagik_prompts.domain.records import AgentInfo, Prompt
from automagik_prompts.domain.summaries import Match
from automagik_prompts.editing.finding import find_agent
from automagik_prompts.exceptions import InvalidPromptError
from automagik_prompts.storage import repository
from automagik_prompts.storage.database import Database

AT_ONCE = 200
"""Agents whose texts are read in one statement."""

_EXCERPT = 60
"""Characters shown on each side of what was searched for, at most."""


async def search(
    database: Database,
    text: str,
    *,
    agent: str | None = None,
    agents: Sequence[AgentInfo] | None = None,
    every_version: bool = False,
    match_case: bool = False,
) -> list[Match]:
    """Return the lines that contain a text, sorted by agent and status.

    Args:
        database: An open database.
        text: What to look for, on one line.
        agent: Only this agent.
        agents: Only these, in this order; all by default.
        every_version: Whether to look at every version instead of the active ones.
        match_case: Whether upper and lower case are told apart.

    Raises:
        InvalidPromptError: There is nothing to look for.
        PromptNotFoundError: There is no such agent.
        DatabaseUnavailableError: The database cannot be read now.
    """
    if not text.strip():
        raise InvalidPromptError("There is nothing to search for. Give at least one visible character.")
    # Not by folding both: a folded letter may be longer, and then the place in the line is wrong.
    wanted = re.compile(re.escape(text), 0 if match_case else re.IGNORECASE)
    if agent is not None:
        agents = [await find_agent(database, agent)]
    elif agents is None:
        agents = await database.run(repository.get_agents)
    found: list[Match] = []
    for start in range(0, len(agents), AT_ONCE):
        names = {info.id: info.name for info in agents[start : start + AT_ONCE]}
        texts = await database.run(repository.get_plain_texts, names, active_only=not every_version)
        # Most texts do not have the words, and need not be taken apart, nor the rest of their versions be read.
        ids = [prompt_id for prompt_id, one in texts if wanted.search(one) is not None]
        prompts = await database.run(repository.get_prompts, ids)
        order = {agent_id: place for place, agent_id in enumerate(names)}
        for prompt in sorted(prompts, key=lambda one: (order[one.agent_id], one.status_key, -one.version)):
            found += _matches(names[prompt.agent_id], prompt, wanted)
    return found


def _matches(agent: str, prompt: Prompt, wanted: re.Pattern[str]) -> Iterator[Match]:
    for number, line in enumerate(prompt.prompt_text.split("\n"), start=1):
        place = wanted.search(line)
        if place is None:
            continue
        first = max(0, place.start() - _EXCERPT)
        last = min(len(line), place.end() + _EXCERPT)
        before, after = "…" if first else "", "…" if last < len(line) else ""
        shift = len(before) - first
        excerpt = f"{before}{line[first:last]}{after}"
        yield Match(agent, prompt, number, excerpt, place.start() + shift, place.end() + shift)
