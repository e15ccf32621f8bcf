"""What `restore` prints with `--json`."""

from __future__ import annotations

from datetime import datetime

from automagik_prompts.cli.output.review import RequestLine
from automagik_prompts.cli.output.shape import Shape
from automagik_prompts.domain.edits import EditResult, RestoreStep


class RestoredLine(Shape):
    """One status that a restoration is about."""

    agent: str
    status_key: str
    version: int | None
    previous_version: int | None
    active_version: int | None
    blocker: str | None
    request: RequestLine | None

    @classmethod
    def of(cls, step: RestoreStep, change: EditResult | None) -> RestoredLine:
        """Describe a step, and what became of it."""
        return cls(
            agent=step.agent,
            status_key=step.status_key,
            version=step.version,
            previous_version=step.active_version,
            active_version=change.active_version if change is not None else step.active_version,
            blocker=step.blocker,
            request=RequestLine.of(change.request) if change is not None and change.request is not None else None,
        )


class Restored(Shape):
    """`restore`: what was active at a moment and is not now, and what is active after it."""

    as_of: datetime
    added: list[str]
    statuses: list[RestoredLine]
