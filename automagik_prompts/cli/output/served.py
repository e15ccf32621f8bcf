"""What the commands that show what is served print with `--json`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from automagik_prompts.cli.output.running import FollowerList
from automagik_prompts.cli.output.shape import Shape
from automagik_prompts.domain.running.fleet import Followers
from automagik_prompts.domain.served import Explanation, ReasonCode, Source, State
from automagik_prompts.domain.summaries import Preview


class Explained(Shape):
    """`explain`."""

    agent: str
    status_key: str
    served_status_key: str
    version: int | None
    served_from: Source
    reason: str
    reasons: list[ReasonCode]
    state: State
    error: str | None
    content_hash: str
    variables: list[str]
    notes: list[str]
    fleet: FollowerList | None
    process: Literal["started now"] = "started now"

    @classmethod
    def of(cls, explanation: Explanation, notes: Sequence[str] = (), followers: Followers | None = None) -> Explained:
        """Describe what is served."""
        return cls(
            agent=explanation.agent,
            status_key=explanation.status_key,
            served_status_key=explanation.served_status_key,
            version=explanation.version,
            served_from=explanation.source,
            reason=explanation.reason,
            reasons=[reason.code for reason in explanation.reasons],
            state=explanation.state,
            error=explanation.error,
            content_hash=explanation.content_hash,
            variables=list(explanation.variables),
            notes=[*explanation.notes, *notes],
            fleet=FollowerList.of(followers) if followers is not None else None,
        )


class ServedLine(Shape):
    """What is served for one status."""

    agent: str
    status_key: str
    served_status_key: str
    version: int | None
    served_from: Source
    reason: str
    content_hash: str


class Watched(Shape):
    """`watch`: one line of JSON now and for each change, each with everything that is served."""

    at: datetime
    state: State
    error: str | None
    problems: list[str]
    prompts: list[ServedLine]


class Previewed(Shape):
    """`preview`."""

    agent: str
    status_key: str
    version: int | None
    text: str
    missing: list[str]
    variables: list[str]
    units: int
    tokens: int

    @classmethod
    def of(cls, preview: Preview) -> Previewed:
        """Describe a filled text."""
        return cls(
            agent=preview.agent,
            status_key=preview.status_key,
            version=preview.version,
            text=preview.text,
            missing=list(preview.missing),
            variables=list(preview.variables),
            units=preview.units,
            tokens=preview.tokens,
        )
