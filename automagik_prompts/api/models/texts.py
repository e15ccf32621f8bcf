"""What is read off texts, as models: matches, previews, differences, checks."""

from __future__ import annotations

from typing import Self

from pydantic import Field

from automagik_prompts.api.models.base import View
from automagik_prompts.domain.differences import Line
from automagik_prompts.domain.summaries import Match, Preview


class MatchView(View):
    """A line in which the searched words stand."""

    agent: str
    status_key: str
    version: int
    active: bool
    line: int
    excerpt: str
    start: int
    end: int

    @classmethod
    def of(cls, match: Match) -> Self:
        """Describe a match."""
        return cls(
            agent=match.agent,
            status_key=match.prompt.status_key,
            version=match.prompt.version,
            active=match.prompt.is_active,
            line=match.line,
            excerpt=match.excerpt,
            start=match.start,
            end=match.end,
        )


class PreviewView(View):
    """A text filled to be looked at."""

    agent: str
    status_key: str
    version: int | None
    text: str
    missing: list[str]
    variables: list[str]
    units: int
    tokens: int = Field(description="A rule of thumb: a quarter of the characters.")

    @classmethod
    def of(cls, one: Preview) -> Self:
        """Describe a preview."""
        facts = {name: getattr(one, name) for name in set(cls.model_fields) - {"missing", "variables"}}
        return cls(missing=list(one.missing), variables=list(one.variables), **facts)


class SpanView(View):
    """A part of a line that changed or did not."""

    text: str
    changed: bool


class LineView(View):
    """A line of a difference, as people read it."""

    kind: str
    old: list[SpanView]
    new: list[SpanView]
    old_number: int | None
    new_number: int | None

    @classmethod
    def of(cls, line: Line) -> Self:
        """Describe a line."""
        old, new = (
            [SpanView(text=one.text, changed=one.is_changed) for one in spans] for spans in (line.old, line.new)
        )
        return cls(kind=line.kind, old=old, new=new, old_number=line.old_number, new_number=line.new_number)


class DiffView(View):
    """How two versions differ."""

    old: int
    new: int
    equal: bool
    unified: str
    lines: list[LineView]


class CheckView(View):
    """What writing a text would say."""

    agent: str
    status_key: str
    hints: list[str]
