"""Requests for approval: what waits for whom, one with all that it takes to decide, and what was decided."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Literal

from automagik_prompts.console.difference.rows import Difference, difference
from automagik_prompts.console.pages.deciding.serving import Serving, serving
from automagik_prompts.console.pages.deciding.situation import Situation, situation, version_of
from automagik_prompts.console.pages.filled import Filled, filled, named_values
from automagik_prompts.console.visitor import Visitor
from automagik_prompts.domain.policy import Operation, TextState
from automagik_prompts.domain.records import Action, Event, Prompt
from automagik_prompts.domain.review import ApprovalRequest, RequestState
from automagik_prompts.exceptions import PromptNotFoundError

REQUESTS = 25
"""Requests on one page."""

TALK = 100
"""Events about one request that are shown, at most."""

Show = Literal["waiting", "decided", "mine"]


@dataclass(frozen=True, slots=True)
class RequestsPage:
    """A list of requests.

    Attributes:
        show: Which: those that wait, those that were decided, or one's own.
        rows: The requests, newest first.
        next: What to give as `after` for the ones before these.
    """

    show: Show
    rows: tuple[ApprovalRequest, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class Sent:
    """What stood in a form when it was refused.

    Attributes:
        fields: What was typed, by field.
        faults: What is wrong, in words, by field; `""` for the whole.
    """

    fields: dict[str, str] = field(default_factory=dict, repr=False)
    faults: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RequestPage:
    """One request, with all that it takes to decide.

    Attributes:
        request: The request.
        at: Where its status stands now.
        target: The version that would be active; `None` for a deactivation, or where it was deleted.
        before: The version that was active when it was asked.
        difference: How the two differ.
        filled: The filled text that would be.
        talk: What was said and done about it, the oldest first.
        serving: How far the processes follow what is active now.
        recent: To how many runs the text of today was sent in seven days.
        is_own: Whether the visitor has asked for it, and so may not approve it.
        may_approve: Whether they may approve.
        may_decline: Whether they may decline.
        may_comment: Whether they may say something.
        may_carry_out: Whether they may activate what is approved.
        may_withdraw: Whether they may withdraw it.
        may_emergency: Whether they may change it without approval.
        done: What the visitor has just done with it, in words.
        sent: What stood in the form when it was refused.
    """

    request: ApprovalRequest
    at: Situation
    target: Prompt | None
    before: Prompt | None
    difference: Difference | None
    filled: Filled | None
    talk: tuple[Event, ...]
    serving: Serving | None
    recent: int
    is_own: bool
    may_approve: bool
    may_decline: bool
    may_comment: bool
    may_carry_out: bool
    may_withdraw: bool
    may_emergency: bool
    done: str | None
    sent: Sent

    @property
    def is_approved(self) -> bool:
        """Whether enough have approved and nobody has carried it out."""
        return self.request.state is RequestState.APPROVED

    @property
    def is_last_approval(self) -> bool:
        """Whether one approval more is enough."""
        return len(self.request.approved_by) + 1 >= self.request.approvals


async def requests_page(who: Visitor, show: Show, after: str | None) -> RequestsPage:
    """Return a list of requests.

    Args:
        who: Who looks.
        show: Which to show.
        after: The `next` of the page before.

    Raises:
        DatabaseUnavailableError: The database cannot be read now.
    """
    if show == "waiting":
        page = await who.service.requests(waiting=True, after=after, limit=REQUESTS)
        return RequestsPage(show, page.items, page.next)
    found: list[ApprovalRequest] = []
    while True:
        page = await who.service.requests(waiting=False, after=after, limit=REQUESTS)
        found += [one for one in page.items if _is_shown(who, show, one)]
        after = page.next
        # A page may have few of its own: what is left over is on the next one.
        if after is None or len(found) >= REQUESTS:
            return RequestsPage(show, tuple(found), after)


def _is_shown(who: Visitor, show: Show, one: ApprovalRequest) -> bool:
    return one.actor_id == who.actor.id if show == "mine" else not one.is_waiting


async def request_page(who: Visitor, number: int, *, done: str | None = None, sent: Sent | None = None) -> RequestPage:
    """Return one request with all that it takes to decide.

    Args:
        who: Who looks.
        number: Its number.
        done: What they have just done with it, as the address says.
        sent: What stood in the form when it was refused.

    Raises:
        PromptNotFoundError: There is no such request.
        NotAllowedError: The policy does not show its agent.
        DatabaseUnavailableError: The database cannot be read now.
    """
    service = who.service
    request = await service.get_request(number)
    at = await situation(service, request.agent, request.status_key)
    target, before = await _version(who, at, request.version), await _version(who, at, request.from_version)
    state = TextState.of(target)
    talk = await service.events(request.agent, request.status_key, request_id=request.id, limit=TALK)
    usage = await service.usage(request.agent, before.status_key, version=before.version) if before is not None else {}
    used = usage.get((before.status_key, before.version)) if before is not None else None
    is_own = request.actor_id == who.actor.id

    async def may(operation: Operation) -> bool:
        return request.is_waiting and await who.may(operation, request.agent, request.status_key, state)

    return RequestPage(
        request=request,
        at=at,
        target=target,
        before=before,
        difference=(
            await asyncio.to_thread(difference, before.prompt_text, target.prompt_text, before.format, target.format)
            if before is not None and target is not None
            else None
        ),
        filled=await filled(service, at.agent.name, target, named_values(at.agent.variables)) if target else None,
        talk=tuple(event for event in reversed(talk.items) if event.action is not Action.REQUESTED),
        serving=await serving(service, at),
        recent=used.recent if used is not None else 0,
        is_own=is_own,
        may_approve=not is_own and await may(Operation.APPROVE),
        may_decline=not is_own and await may(Operation.DECLINE),
        may_comment=await who.may(Operation.COMMENT, request.agent, request.status_key, state),
        may_carry_out=request.state is RequestState.APPROVED and await may(request.operation),
        may_withdraw=is_own and await may(Operation.REQUEST),
        may_emergency=(at.protection is not None and await may(Operation.EMERGENCY) and await may(request.operation)),
        done=_done(request, done),
        sent=sent or Sent(),
    )


def _done(request: ApprovalRequest, done: str | None) -> str | None:
    """Return what is so now, in words; the address says only that it was this visitor who did something."""
    if done is None:
        return None
    if done == "comment":
        return "Your comment is kept with the request."
    over = {
        RequestState.OPEN: f"Request {request.id} waits for approval. Nothing has changed yet.",
        RequestState.APPROVED: f"Request {request.id} is approved. Whoever may activate carries it out.",
        RequestState.DONE: f"It is done: {request.what}.",
        RequestState.DECLINED: f"Request {request.id} is declined. Nothing has changed.",
        RequestState.WITHDRAWN: f"Request {request.id} is withdrawn. Nothing has changed.",
    }
    return over.get(request.state)


async def _version(who: Visitor, at: Situation, version: int | None) -> Prompt | None:
    if version is None:
        return None
    try:
        return await version_of(who.service, at, version)
    except PromptNotFoundError:
        return None  # deleted since
