"""What a write rests on: entity tags of agents, statuses, drafts and requests, and `If-Match`."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Header

from automagik_prompts.api.problems import ProblemError
from automagik_prompts.domain.review import ApprovalRequest, Draft
from automagik_prompts.domain.validation import MAX_VERSION

# A proxy that compresses makes a tag weak; it says what it said.
_TAG = re.compile(r'(?:W/)?"(r|d)?(\d{1,10})"', re.ASCII)

IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        description='What the write rests on: the `ETag` of the status or of the agent, such as `"r7"` or `"7"`; `*` '
        "for whatever there is.",
        examples=['"r7"'],
    ),
]
IfNoneMatch = Annotated[
    str | None, Header(alias="If-None-Match", description="`*` for what is not there yet.", examples=["*"])
]


def agent_tag(revision: int) -> str:
    """Return the entity tag of an agent: its revision."""
    return f'"{revision}"'


def status_tag(revision: int) -> str:
    """Return the entity tag of a status: the highest revision of its events and of those of its agent's facts."""
    return f'"r{revision}"'


def draft_tag(draft: Draft) -> str:
    """Return the entity tag of a draft: how often it was saved."""
    return f'"d{draft.counter}"'


def request_tag(request: ApprovalRequest) -> str:
    """Return the entity tag of a request for approval: where it stands, and how many have approved."""
    return f'"{request.state.value}-{len(request.approved_by)}"'


def expected_revision(if_match: str | None, if_none_match: str | None = None) -> int | None:
    """Return the revision that a write rests on; `None` where it is to be done in any case.

    Raises:
        ProblemError: It is not said, or cannot be read.
    """
    if if_match is None and if_none_match == "*":
        return 0
    if if_match == "*":
        return None
    return _number(if_match, {"", "r"})


def expected_counter(if_match: str | None, if_none_match: str | None) -> int | None:
    """Return the counter that saving a draft rests on; `None` for the first time.

    Raises:
        ProblemError: It is not said, or cannot be read.
    """
    return None if if_match is None and if_none_match == "*" else _number(if_match, {"d"})


def check_request(if_match: str | None, request: ApprovalRequest) -> None:
    """Make sure that a request for approval is as who decides has seen it.

    Raises:
        ProblemError: It is not said, or it has moved on.
    """
    if if_match is None:
        raise _required()
    if if_match.removeprefix("W/") not in {"*", request_tag(request)}:
        raise ProblemError(
            412,
            "conflict",
            f"Request {request.id} is {request.state.value} now, with {len(request.approved_by)} approvals. Look at it "
            "and decide again.",
            {"ETag": request_tag(request)},
        )


def _number(tag: str | None, kinds: set[str]) -> int:
    if tag is None:
        raise _required()
    if "," in tag:
        raise ProblemError(422, "invalid-request", "If-Match takes one tag here: the ETag that reading it gave you.")
    found = _TAG.fullmatch(tag.strip())
    if found is None or (found[1] or "") not in kinds or int(found[2]) > MAX_VERSION:
        raise ProblemError(
            412, "conflict", f"If-Match {tag[:40]} is no tag of this. Give back the ETag that reading it gave you."
        )
    return int(found[2])


def _required() -> ProblemError:
    return ProblemError(
        428, "precondition-required", "Say what the write rests on: If-Match with the ETag that reading it gave you."
    )
