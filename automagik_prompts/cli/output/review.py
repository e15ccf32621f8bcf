"""What the commands of review print with `--json`."""

from __future__ import annotations

from datetime import datetime

from automagik_prompts.cli.output.shape import Shape
from automagik_prompts.domain.policy import Operation
from automagik_prompts.domain.review import ApprovalRequest, RequestState


class RequestLine(Shape):
    """One request for approval: `requests --show`, and a part of what writes print."""

    request: int
    agent: str
    status_key: str
    operation: Operation
    version: int | None
    content_hash: str | None
    from_version: int | None
    state: RequestState
    author: str | None
    note: str | None
    approvals: int
    approved_by: list[str]
    created_at: datetime
    decided_at: datetime | None
    decided_by: str | None

    @classmethod
    def of(cls, one: ApprovalRequest) -> RequestLine:
        """Describe a request."""
        return cls(
            request=one.id,
            agent=one.agent,
            status_key=one.status_key,
            operation=one.operation,
            version=one.version,
            content_hash=one.content_hash,
            from_version=one.from_version,
            state=one.state,
            author=one.author,
            note=one.note,
            approvals=one.approvals,
            approved_by=list(one.approved_by),
            created_at=one.created_at,
            decided_at=one.decided_at,
            decided_by=one.decided_by,
        )


class RequestList(Shape):
    """`requests`."""

    requests: list[RequestLine]
