"""What is shown before the active version changes: the difference, the filled text, who is affected."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from automagik_prompts.console.difference.rows import Difference, difference
from automagik_prompts.console.pages.deciding.serving import Serving, serving
from automagik_prompts.console.pages.deciding.situation import Situation, version_of
from automagik_prompts.console.pages.filled import Filled, filled, named_values
from automagik_prompts.console.visitor import Visitor
from automagik_prompts.domain.policy import Operation, TextState
from automagik_prompts.domain.records import Prompt
from automagik_prompts.domain.review import ApprovalRequest
from automagik_prompts.editing import queries
from automagik_prompts.exceptions import NotAllowedError, PromptNotFoundError

REQUESTS = 100
"""Waiting requests of the status that are looked at, at most."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What stood in the form when it was refused.

    Attributes:
        note: The reason.
        faults: What is wrong, in words, by field; `""` for the whole.
    """

    note: str = field(default="", repr=False)
    faults: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ActivatePage:
    """What is shown before the active version changes.

    Attributes:
        at: Where the status stands.
        target: The version that would be active; `None` for a deactivation.
        after: What would be served then: the target, or what stands in for it.
        operation: What it is: `activate`, `rollback` or `deactivate`.
        difference: What changes in the text; `None` where nothing was or would be served from the database.
        filled_before: The filled text of today.
        filled_after: The filled text that would be.
        statuses: Other statuses that are served the same text.
        serving: How far the processes have followed.
        recent: To how many runs the text of today was sent in seven days.
        new_variables: Variables that the new text uses and the old one does not.
        lost_variables: Variables that it does not use any more.
        waiting: A request for the same that waits for approval, or is approved.
        may: Whether the visitor may do it, at once or once it is approved.
        needs_approval: Whether another person has to approve it.
        may_request: Whether they may ask for it.
        sent: What stood in the form when it was refused.
    """

    at: Situation
    target: Prompt | None
    after: Prompt | None
    operation: Operation
    difference: Difference | None
    filled_before: Filled | None
    filled_after: Filled | None
    statuses: tuple[str, ...]
    serving: Serving | None
    recent: int
    new_variables: tuple[str, ...]
    lost_variables: tuple[str, ...]
    waiting: ApprovalRequest | None
    may: bool
    needs_approval: bool
    may_request: bool
    sent: Sent

    @property
    def what(self) -> str:
        """What the button does, without the status."""
        if self.operation is Operation.DEACTIVATE:
            return f"deactivate version {self.at.active.version if self.at.active else 0}"
        assert self.target is not None  # noqa: S101  # it is one of the other two
        verb = "roll back to" if self.operation is Operation.ROLLBACK else "activate"
        return f"{verb} version {self.target.version}"

    @property
    def asks(self) -> bool:
        """Whether pressing it asks another person for approval, instead of doing it."""
        is_approved = self.waiting is not None and self.waiting.state == "approved"
        return not self.may or (self.needs_approval and not is_approved)


def _said_of(target: Prompt | None, at: Situation) -> str:
    """Return what was said of a version that was just written: mostly that is why it is to be active, too."""
    is_new = target is not None and target.version == at.summary.latest and not target.is_default_from_code
    return (target.note or "") if target is not None and is_new else ""


async def activate_page(who: Visitor, at: Situation, version: int | None, sent: Sent | None = None) -> ActivatePage:
    """Return what is shown before the active version changes.

    Args:
        who: Who looks.
        at: Where the status stands.
        version: The version that would be active; `None` for a deactivation.
        sent: What stood in the form when it was refused.

    Raises:
        PromptNotFoundError: There is no such version, or no active one to deactivate.
        NotAllowedError: The policy does not show the agent.
        DatabaseUnavailableError: The database cannot be read now.
    """
    service, agent, status = who.service, at.agent.name, at.status_key
    target = await version_of(service, at, version) if version is not None else None
    if target is None and at.active is None:
        raise PromptNotFoundError(
            f"{at.name} has no active version, so there is nothing to deactivate.", agent=agent, status_key=status
        )
    operation = await operation_for(who, at, version)
    after = target if target is not None else await _stand_in(who, at)
    before, values = at.served, named_values(at.agent.variables)
    filled_before = await filled(service, agent, before, values) if before is not None else None
    filled_after = await filled(service, agent, after, values) if after is not None else None
    old = set(filled_before.variables) if filled_before is not None else set()
    new = set(filled_after.variables) if filled_after is not None else set()
    may, needs_approval = await _decision(who, at, operation, target)
    requests = await service.requests(agent, status, waiting=True, limit=REQUESTS)
    usage = await service.usage(agent, before.status_key, version=before.version) if before is not None else {}
    used = usage.get((before.status_key, before.version)) if before is not None else None
    return ActivatePage(
        at=at,
        target=target,
        after=after,
        operation=operation,
        difference=(
            await asyncio.to_thread(difference, before.prompt_text, after.prompt_text, before.format, after.format)
            if before is not None and after is not None
            else None
        ),
        filled_before=filled_before,
        filled_after=filled_after,
        statuses=at.falling_back,
        serving=await serving(service, at),
        recent=used.recent if used is not None else 0,
        new_variables=tuple(sorted(new - old)),
        lost_variables=tuple(sorted(old - new)),
        waiting=next((one for one in requests.items if one.version == version), None),
        may=may,
        needs_approval=at.protection is not None or needs_approval,
        may_request=await who.may(Operation.REQUEST, agent, status, TextState.of(target)),
        sent=sent or Sent(_said_of(target, at)),
    )


async def _decision(who: Visitor, at: Situation, operation: Operation, target: Prompt | None) -> tuple[bool, bool]:
    """Return whether the policy lets the visitor do it, and whether another person has to approve it first."""
    try:
        needs = await who.service.authorize(operation, at.agent.name, at.status_key, TextState.of(target))
    except NotAllowedError:
        return False, False
    return True, needs


async def operation_for(who: Visitor, at: Situation, version: int | None) -> Operation:
    """Return what making a version the active one is called: a rollback, where it is the one that was active before."""
    if version is None:
        return Operation.DEACTIVATE
    try:
        earlier = await who.service.look(lambda database: queries.find_earlier(database, at.agent.name, at.status_key))
    except PromptNotFoundError:
        return Operation.ACTIVATE
    return Operation.ROLLBACK if earlier.version == version else Operation.ACTIVATE


async def _stand_in(who: Visitor, at: Situation) -> Prompt | None:
    """Return what is served once the status has no active version; `None` for what the code declares."""
    if at.is_primary:
        return None
    try:
        return await who.service.look(
            lambda database: queries.get_active(database, at.agent.name, at.agent.default_status_key)
        )
    except PromptNotFoundError:
        return None
