"""Filling a text to look at it: with values that somebody gives, under the budget, and never with a run's own."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from automagik_prompts.domain.keys import Status
from automagik_prompts.domain.served import Gap
from automagik_prompts.domain.summaries import Preview
from automagik_prompts.domain.validation import Format
from automagik_prompts.editing.finding import find_agent, find_status, find_target, find_version
from automagik_prompts.exceptions import PromptNotFoundError
from automagik_prompts.storage import repository
from automagik_prompts.storage.database import Database
from automagik_prompts.templating.access import ABSENT, builtin_value
from automagik_prompts.templating.content import PromptContent

_CHARACTERS = 4
"""Characters of a token, by a rule of thumb: models differ, and languages more."""


def tokens(text: str) -> int:
    """Return how many tokens a text is, as a rule of thumb says."""
    return -(-len(text) // _CHARACTERS)


async def preview(
    database: Database,
    agent: str,
    status: Status,
    values: Mapping[str, object],
    *,
    version: int | None,
    text: str | None,
    format: Format,
    exposed: Collection[str] | None,
    statuses: Collection[str],
) -> Preview:
    """Fill a version, or a text that is no version yet."""
    known = await find_agent(database, agent)
    if text is None:
        if version is None:
            key = await find_status(database, known, status)
            found = await database.run(repository.get_active_prompt, known.id, key)
            if found is None:
                raise PromptNotFoundError(
                    f"{known.name}/{key} has no active version. Say which one to fill: --version N (version=N).",
                    agent=known.name,
                    status_key=key,
                )
        else:
            found = await find_version(database, known, status, version)
        content, status_key, number = PromptContent(found.prompt_text, found.format), found.status_key, found.version
    else:
        status_key = (await find_target(database, agent, status, new_status=True, statuses=statuses)).status_key
        content, number = PromptContent(text, format), None
    names = known.variables if exposed is None else exposed
    template = content.validate(names, agent=known.name, status_key=status_key)
    gaps: list[Gap] = []

    def lookup(name: str) -> object:
        value = values.get(name, ABSENT)
        return value if value is not ABSENT else builtin_value(name, known.name, status_key, "preview")

    filled = template.render(lookup, gaps=gaps)
    return Preview(
        agent=known.name,
        status_key=status_key,
        version=number,
        text=filled,
        missing=tuple(dict.fromkeys(gap.name for gap in gaps)),
        variables=tuple(sorted(template.variables)),
        units=template.estimate,
        tokens=tokens(filled),
    )
