"""Who did what, in words."""

from __future__ import annotations

from automagik_prompts.domain.policy import Operation
from automagik_prompts.domain.records import Action, Event, Prompt
from automagik_prompts.domain.review import ApprovalRequest

_WORDS = {
    Action.CREATED: "created version {version}",
    Action.ACTIVATED: "activated version {version}",
    Action.DEACTIVATED: "deactivated version {version}",
    Action.ROLLED_BACK: "rolled back to version {version}",
    Action.DELETED: "deleted version {version}",
    Action.WITHDRAWN: "withdrew version {version}",
    Action.REINSTATED: "took the withdrawal of version {version} back",
    Action.DRIFT: "brought version {version} under a person\N{RIGHT SINGLE QUOTATION MARK}s version",
    Action.KEPT: "kept version {version}",
    Action.FACTS: "changed facts about the agent",
    Action.REQUESTED: "asked for approval of {what}",
    Action.APPROVED: "approved {what}",
    Action.DECLINED: "declined {what}",
    Action.REQUEST_WITHDRAWN: "withdrew the request for {what}",
    Action.COMMENTED: "commented on {what}",
    Action.RENDER_FAILED: "could not fill version {version}",
}


def deed(event: Event) -> str:
    """Return what was done, as it goes on after who did it: `activated version 8`."""
    what = f"version {event.version}" if event.version is not None else "a deactivation"
    return _WORDS[event.action].format(version=event.version, what=what)


def origin(prompt: Prompt) -> str:
    """Return who wrote a version: a person's name, or the code."""
    return "the code" if prompt.is_default_from_code else prompt.author or "somebody"


def asks(request: ApprovalRequest) -> str:
    """Return what a request asks for, without the status: `activate version 4`."""
    if request.operation is Operation.DEACTIVATE:
        return f"deactivate version {request.from_version}"
    verb = "roll back to" if request.operation is Operation.ROLLBACK else "activate"
    return f"{verb} version {request.version}"
