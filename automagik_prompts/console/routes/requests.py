"""Requests for approval: which there are, and deciding."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from automagik_prompts.api.problems import ProblemError
from automagik_prompts.api.segments import RequestNumber
from automagik_prompts.console.forms import Form
from automagik_prompts.console.forms import Sent as SentForm
from automagik_prompts.console.pages.deciding.requests import RequestPage, Sent, Show, request_page, requests_page
from automagik_prompts.console.routes.statuses import revision_of
from automagik_prompts.console.visitor import Visitor, Who
from automagik_prompts.domain.edits import EditResult
from automagik_prompts.domain.policy import Operation
from automagik_prompts.domain.validation import is_blank
from automagik_prompts.exceptions import ConflictError, InvalidPromptError, PromptNotFoundError

router = APIRouter()

REQUEST = "/requests/{number}"

_NEED_WORDS = {"decline": "Say why: who asked has to know.", "comment": "Say something: a comment needs words."}
"""What is said where a decision needs a comment and has none."""


@router.get("/requests")
async def requests(
    who: Who, show: Show = "waiting", after: Annotated[str | None, Query(max_length=40)] = None
) -> Response:
    """Show what waits for approval, what was decided, or one's own."""
    return await who.page("requests.html", at="requests", page=await requests_page(who, show, after))


@router.get(REQUEST)
async def request(
    who: Who, number: RequestNumber, done: Annotated[str | None, Query(max_length=20)] = None
) -> Response:
    """Show one request, with all that it takes to decide."""
    page = await request_page(who, number, done=done)
    return await who.page("request.html", at="requests", page=page)


@router.post(f"{REQUEST}/decide")
async def decide(who: Who, number: RequestNumber, form: SentForm) -> Response:
    """Approve, decline, carry out, or only say something."""
    decision, comment = form.text("decision"), form.text("comment").strip()
    sent = {"comment": comment}
    if decision in _NEED_WORDS and is_blank(comment):
        return await _again(who, number, Sent(sent, {"comment": _NEED_WORDS[decision]}))
    try:
        await _decide(who, number, decision, comment or None, form)
    except ConflictError as error:
        return await _again(who, number, Sent(sent, {"": error.message}), 409)
    except InvalidPromptError as error:
        return await _again(who, number, Sent(sent, {"": error.message}))
    return who.go("requests", number, done=decision)


async def _decide(who: Visitor, number: int, decision: str, comment: str | None, form: Form) -> EditResult:
    service = who.service
    match decision:
        case "approve":
            return await service.approve(number, note=comment)
        case "approve_only":
            return await service.approve(number, activate=False, note=comment)
        case "decline":
            return await service.decline(number, note=comment)
        case "comment":
            return await service.comment(text=comment or "", request_id=number)
        case "withdraw":
            return await service.withdraw_request(number, note=comment)
        case "carry_out":
            return await _carry_out(who, number, comment, revision_of(form))
        case _:
            raise ProblemError(422, "invalid-request", "The form does not say what is decided.")


async def _carry_out(who: Visitor, number: int, note: str | None, revision: int) -> EditResult:
    """Do what is approved, as its operation: that is how the service knows the request again."""
    found = await who.service.get_request(number)
    place = found.agent, found.status_key
    if found.operation is Operation.DEACTIVATE:
        return await who.service.deactivate(*place, note=note, expected_revision=revision)
    if found.operation is Operation.ROLLBACK:
        return await who.service.rollback(*place, note=note, expected_revision=revision)
    if found.version is None:
        raise PromptNotFoundError(f"The version of request {number} is not there any more.")
    return await who.service.activate(*place, found.version, note=note, expected_revision=revision)


async def _again(who: Visitor, number: int, sent: Sent, status: int = 422) -> Response:
    page = await request_page(who, number, sent=sent)
    return await who.page("request.html", status=status, at="requests", page=page)


@router.get(f"{REQUEST}/emergency")
async def ask_emergency(who: Who, number: RequestNumber) -> Response:
    """Ask whether to go on without approval."""
    page = await request_page(who, number)
    return await who.page("emergency.html", at="requests", page=page)


@router.post(f"{REQUEST}/emergency")
async def emergency(who: Who, number: RequestNumber, form: SentForm) -> Response:
    """Do what a request asks for without approval; the event is marked for good."""
    page = await request_page(who, number)
    fields = {name: form.text(name).strip() for name in ("reason", "incident", "typed")}
    faults: dict[str, str] = {}
    if is_blank(fields["reason"]):
        faults["reason"] = "Say what happens if this waits."
    if fields["typed"] != page.request.status_key:
        faults["typed"] = f"Type {page.request.status_key}, as it stands above."
    if faults:
        return await _ask_again(who, number, Sent(fields, faults))
    incident = f" ({fields['incident']})" if fields["incident"] else ""
    try:
        done = await _break_glass(who, page, fields["reason"] + incident, revision_of(form))
    except ConflictError as error:
        return await _ask_again(who, number, Sent(fields, {"": error.message}), 409)
    except InvalidPromptError as error:
        return await _ask_again(who, number, Sent(fields, {"": error.message}))
    return who.go("agents", page.request.agent, page.request.status_key, done=done.agent.revision)


async def _break_glass(who: Visitor, page: RequestPage, note: str, revision: int) -> EditResult:
    asked = page.request
    if not asked.is_waiting:
        raise InvalidPromptError(f"Request {asked.id} waits for nobody any more, so there is nothing to go on with.")
    place = asked.agent, asked.status_key
    if asked.operation is Operation.DEACTIVATE or asked.version is None:
        return await who.service.deactivate(*place, emergency=True, note=note, expected_revision=revision)
    return await who.service.activate(*place, asked.version, emergency=True, note=note, expected_revision=revision)


async def _ask_again(who: Visitor, number: int, sent: Sent, status: int = 422) -> Response:
    page = await request_page(who, number, sent=sent)
    return await who.page("emergency.html", status=status, at="requests", page=page)
