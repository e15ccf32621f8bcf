"""What the page about a version that cannot be served shows: why, what is served instead, and what one can do."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from automagik_prompts.console.difference.pieces import Piece, pieces_of
from automagik_prompts.console.pages.deciding.serving import Serving, serving
from automagik_prompts.console.pages.deciding.situation import Situation, situation
from automagik_prompts.console.visitor import Visitor
from automagik_prompts.domain.policy import Operation
from automagik_prompts.domain.records import Prompt
from automagik_prompts.editing import queries
from automagik_prompts.exceptions import InvalidPromptError, PromptNotFoundError, UnexposedVariableError
from automagik_prompts.templating.content import PromptContent

LINES = 400
"""Lines of the text that are shown, at most."""

_AT_LINE = re.compile(r"\bline (\d+)")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the text.

    Attributes:
        number: Its number, from 1.
        pieces: What is shown.
        is_wrong: Whether it is why the text cannot be served.
    """

    number: int
    pieces: Sequence[Piece]
    is_wrong: bool


@dataclass(frozen=True, slots=True)
class ProblemPage:
    """A version that cannot be served.

    Attributes:
        at: Where the status stands.
        reason: Why, as the database says what the code exposes; empty where the text is right by that.
        names: The names that the code does not expose.
        serving: Which processes refuse it; `None` where that may not be read.
        lines: The text, the first lines of it.
        more: How many lines more it has.
        earlier: The version to which a rollback goes back.
        can_edit: Whether the visitor may write a version.
        can_go_back: Whether they may go back, at once or by asking for it.
        is_protected: Whether going back needs approval.
    """

    at: Situation
    reason: str
    names: tuple[str, ...]
    serving: Serving | None
    lines: Sequence[Line]
    more: int
    earlier: Prompt | None
    can_edit: bool
    can_go_back: bool
    is_protected: bool

    @property
    def is_wrong(self) -> bool:
        """Whether anything is wrong with it."""
        return bool(self.reason or (self.serving is not None and self.serving.refusing))


async def problem_page(who: Visitor, agent: str, status: str) -> ProblemPage:
    """Return what the page shows.

    Args:
        who: Who looks.
        agent: The agent's name.
        status: The status.

    Raises:
        PromptNotFoundError: There is no such agent or status, or no version of it is active.
        NotAllowedError: The policy does not show the agent.
    """
    at = await situation(who.service, agent, status)
    if at.active is None:
        raise PromptNotFoundError(f"No version of {at.name} is active.", agent=agent, status_key=at.status_key)
    reason, names, wrong = _fault(at.active, at)
    lines = at.active.prompt_text.split("\n")
    known = await serving(who.service, at)
    return ProblemPage(
        at,
        reason,
        names,
        known,
        tuple(
            Line(number, pieces_of(line, at.active.format), number in wrong or any(_uses(line, name) for name in names))
            for number, line in enumerate(lines[:LINES], start=1)
        ),
        max(0, len(lines) - LINES),
        await _earlier(who, at),
        await who.may(Operation.CREATE, at.agent.name, at.status_key),
        await who.may(Operation.ROLLBACK, at.agent.name, at.status_key)
        or await who.may(Operation.REQUEST, at.agent.name, at.status_key),
        at.protection is not None,
    )


def _fault(prompt: Prompt, at: Situation) -> tuple[str, tuple[str, ...], set[int]]:
    """Return why a text cannot be served, the names that are not exposed, and the lines that an error names."""
    content = PromptContent(prompt.prompt_text, prompt.format)
    try:
        content.validate(at.agent.variables, agent=at.agent.name, status_key=at.status_key)
        content.check_unchanged(
            prompt.content_hash, agent=at.agent.name, status_key=at.status_key, version=prompt.version
        )
    except UnexposedVariableError as error:
        return error.message, tuple(name.rstrip("?") for name in error.names), set()
    except InvalidPromptError as error:
        return error.message, (), {int(number) for number in _AT_LINE.findall(error.message)}
    return "", (), set()


def _uses(line: str, name: str) -> bool:
    return "{{" in line and re.search(rf"(?<![\w.]){re.escape(name.replace('[]', ''))}(?![\w])", line) is not None


async def _earlier(who: Visitor, at: Situation) -> Prompt | None:
    try:
        return await who.service.look(lambda database: queries.find_earlier(database, at.agent.name, at.status_key))
    except PromptNotFoundError:
        return None
