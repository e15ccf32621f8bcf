"""How any two versions of a status differ, or a version and one's own draft."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from automagik_prompts.console.difference.rows import CONTEXT, Difference, difference
from automagik_prompts.console.pages.deciding.situation import Situation, version_of
from automagik_prompts.console.visitor import Visitor
from automagik_prompts.domain.policy import Operation
from automagik_prompts.domain.records import Prompt
from automagik_prompts.domain.review import Draft
from automagik_prompts.exceptions import PromptNotFoundError

VERSIONS = 25
"""Versions that can be chosen from a list, at most; any two can be compared by their address."""

DRAFT = "draft"
"""What stands for one's own draft in an address."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two texts.

    Attributes:
        key: What stands for it in an address: a version's number, or `draft`.
        label: What it is called.
        prompt: The version; `None` for one's own draft.
        draft: One's own draft, if it is that.
    """

    key: str
    label: str
    prompt: Prompt | None = None
    draft: Draft | None = None

    @property
    def text(self) -> str:
        """The text."""
        if self.draft is not None:
            return self.draft.text
        return self.prompt.prompt_text if self.prompt is not None else ""


@dataclass(frozen=True, slots=True)
class ComparePage:
    """How two texts of a status differ.

    Attributes:
        at: Where the status stands.
        old: The text before.
        new: The text after.
        choices: What can be chosen: the key of a text, and what it is called.
        difference: How they differ.
        whole: Whether all equal lines are shown.
        may_edit: Whether the visitor may write a version.
        may_change: Whether they may activate one, or ask for it.
    """

    at: Situation
    old: Side
    new: Side
    choices: tuple[tuple[str, str], ...]
    difference: Difference
    whole: bool
    may_edit: bool
    may_change: bool


async def compare_page(who: Visitor, at: Situation, old: str, new: str, *, whole: bool) -> ComparePage:
    """Return how two texts differ.

    Args:
        who: Who looks.
        at: Where the status stands.
        old: The key of the text before.
        new: The key of the text after.
        whole: Whether to show all equal lines.

    Raises:
        PromptNotFoundError: There is no such version or draft.
        NotAllowedError: The policy does not show the agent.
        DatabaseUnavailableError: The database cannot be read now.
    """
    agent, status = at.agent.name, at.status_key
    draft = await who.service.get_draft(agent, status) if await who.may(Operation.DRAFT, agent, status) else None
    sides = [await _side(who, at, key, draft) for key in (old, new)]
    left, right = sides
    listed = (await who.service.versions(agent, status, limit=VERSIONS)).items
    choices = {str(one.version): _choice(one) for one in listed}
    for side in sides:
        if side.prompt is not None:
            choices.setdefault(side.key, _choice(side.prompt))
    if draft is not None:
        choices[DRAFT] = "My draft"
    formats = [side.draft.format if side.draft else side.prompt.format if side.prompt else "text" for side in sides]
    return ComparePage(
        at=at,
        old=left,
        new=right,
        choices=tuple(choices.items()),
        difference=await asyncio.to_thread(
            difference, left.text, right.text, formats[0], formats[1], context=None if whole else CONTEXT
        ),
        whole=whole,
        may_edit=await who.may(Operation.CREATE, agent, status),
        may_change=await who.may(Operation.ACTIVATE, agent, status) or await who.may(Operation.REQUEST, agent, status),
    )


async def _side(who: Visitor, at: Situation, key: str, draft: Draft | None) -> Side:
    if key == DRAFT:
        if draft is None:
            raise PromptNotFoundError(
                f"You have no draft for {at.name}.", agent=at.agent.name, status_key=at.status_key
            )
        return Side(DRAFT, "My draft", draft=draft)
    prompt = await version_of(who.service, at, int(key))
    active = ", active" if prompt.is_active else ""
    return Side(key, f"Version {key}{active}, {_by(prompt)}", prompt)


def _by(prompt: Prompt) -> str:
    return "from code" if prompt.is_default_from_code else f"by {prompt.author or 'somebody'}"


def _choice(prompt: Prompt) -> str:
    active = " · active" if prompt.is_active else ""
    who = "code" if prompt.is_default_from_code else prompt.author or "somebody"
    return f"Version {prompt.version} · {who}{active}"
