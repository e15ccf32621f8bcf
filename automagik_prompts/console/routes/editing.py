"""Writing a text: the editor, what it looks like filled, drafts, and new versions."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import JSONResponse, Response

from automagik_prompts.api.segments import AgentName, StatusName
from automagik_prompts.console.difference.merging import merged
from automagik_prompts.console.forms import Form, Sent
from automagik_prompts.console.pages.deciding.situation import Situation, situation, version_of
from automagik_prompts.console.pages.editing.clash import clash_of, theirs_of
from automagik_prompts.console.pages.editing.page import draft_of, edit_page, looked_at, opened
from automagik_prompts.console.pages.editing.typed import Typed, sent
from automagik_prompts.console.rendering import filled
from automagik_prompts.console.routes.statuses import STATUS, Number, revision_of
from automagik_prompts.console.visitor import Visitor, Who
from automagik_prompts.console.words import brief
from automagik_prompts.domain.policy import Operation
from automagik_prompts.domain.records import Prompt
from automagik_prompts.domain.review import Draft
from automagik_prompts.domain.validation import MAX_TEXT_LENGTH, is_blank
from automagik_prompts.exceptions import ConflictError, InvalidPromptError

router = APIRouter()

EDIT = f"{STATUS}/edit"


@router.get(EDIT)
async def edit(
    who: Who,
    agent: AgentName,
    status: StatusName,
    from_: Annotated[Number, Query(alias="from")] = None,
    beside: Number = None,
    based_on: Number = None,
    since: Number = None,
    done: Annotated[str | None, Query()] = None,
) -> Response:
    """Open the editor on one's own draft, or on a version."""
    at = await situation(who.service, agent, status)
    await who.service.authorize(Operation.CREATE, at.agent.name, at.status_key)
    typed, draft = await opened(who, at, base=from_, beside=beside, based_on=based_on)
    said = {"draft": "Draft saved.", "discarded": "The draft is gone."}.get(done or "")
    if since is not None and typed.beside is not None:
        before, other = [await version_of(who.service, at, number) for number in (since, typed.beside)]
        typed, said = _brought(typed, before, other)
    return await _show(who, at, typed, draft, said=said, is_sent=False)


@router.post(EDIT)
async def fill_again(who: Who, agent: AgentName, status: StatusName, form: Sent) -> Response:
    """Show the same text again: filled with other values, or with a problem mended."""
    at = await situation(who.service, agent, status)
    await who.service.authorize(Operation.CREATE, at.agent.name, at.status_key)
    typed = _mended(sent(form, revision_of(form)), form)
    if form.text("bring") == "both":
        return await _together(who, at, typed)
    return await _show(who, at, typed, await draft_of(who, at))


@router.post(f"{EDIT}/look")
async def look(who: Who, agent: AgentName, status: StatusName, form: Sent) -> Response:
    """Return what a text comes to, as the part of the page that a script puts in."""
    at = await situation(who.service, agent, status)
    await who.service.authorize(Operation.CREATE, at.agent.name, at.status_key)
    typed = sent(form, at.revision)
    return filled(
        "parts/looked.html", {"look": await looked_at(at, typed), "place": at, "allowed": typed.allow_invisible}
    )


@router.get(f"{STATUS}/drafts")
@router.get(f"{STATUS}/versions")
async def again(who: Who, agent: AgentName, status: StatusName) -> Response:
    """Open the editor where a form was sent to: a browser may come back to that address."""
    return who.go("agents", agent, status, "edit")


@router.post(f"{STATUS}/drafts")
async def save_draft(who: Who, agent: AgentName, status: StatusName, form: Sent) -> Response:
    """Save a draft, or discard it."""
    if form.text("do") == "discard":
        await who.service.discard_draft(agent, status)
        return who.go("agents", agent, status, "edit", done="discarded")
    by_script = form.text("do") == "auto"
    typed = sent(form, revision_of(form))
    try:
        saved = await who.service.save_draft(
            agent,
            status,
            typed.text,
            format=typed.format,
            note=typed.note or None,
            base_version=typed.base,
            counter=typed.counter,
        )
    except ConflictError:
        if by_script:
            draft = await who.service.get_draft(agent, status)
            if draft is not None and (draft.text, draft.note or "") == (typed.text, typed.note):
                return JSONResponse({"counter": draft.counter, "said": f"Draft saved {brief(draft.updated_at)}."})
            said = "Your draft was saved in another window meanwhile. Press Save draft to see both."
            return JSONResponse({"said": said}, 409)
        return await _draft_clash(who, agent, status, typed)
    except InvalidPromptError as error:
        if by_script:
            return JSONResponse({"said": error.message}, 422)
        at = await situation(who.service, agent, status)
        return await _show(who, at, typed, await draft_of(who, at), {"text": error.message})
    if by_script:
        return JSONResponse({"counter": saved.counter, "said": f"Draft saved {brief(saved.updated_at)}."})
    return who.go(
        "agents", agent, status, "edit", done="draft", based_on=typed.based_on or "", beside=typed.beside or ""
    )


@router.post(f"{STATUS}/versions")
async def save_version(who: Who, agent: AgentName, status: StatusName, form: Sent) -> Response:
    """Write a version, and ask for its activation or go there, if that was the button."""
    typed, service = sent(form, revision_of(form)), who.service
    at = await situation(service, agent, status)
    goes_on = form.text("then") == "activate"
    may_activate = await who.may(Operation.ACTIVATE, agent, status)
    asks = goes_on and may_activate and at.protection is not None
    if faults := _faults(typed):
        return await _show(who, at, typed, await draft_of(who, at), faults)
    try:
        made = await service.create(
            agent,
            status,
            typed.text,
            format=typed.format,
            note=typed.note,
            activate=asks,
            allow_invisible=typed.allow_invisible,
            based_on=typed.based_on,
            draft=typed.counter,
            expected_revision=typed.revision,
        )
        if goes_on and not may_activate and made.prompt is not None:
            made = await service.request(agent, status, made.prompt.version, note=typed.note)
    except ConflictError:
        return await _clash(who, agent, status, typed)
    except InvalidPromptError as error:
        return await _show(who, at, typed, await draft_of(who, at), {"text": error.message})
    if made.request is not None:
        return who.go("requests", made.request.id, done="asked")
    if goes_on and made.prompt is not None:
        return who.go("agents", agent, status, "activate", version=made.prompt.version)
    return who.go("agents", agent, status, done=made.agent.revision)


def _mended(typed: Typed, form: Form) -> Typed:
    """Return what was sent with one of its problems corrected, if that was the button."""
    start, _, rest = form.text("mend").partition(" ")
    end, _, word = rest.partition(" ")
    if not (start.isdecimal() and end.isdecimal() and len(start) < 9 and len(end) < 9 and int(start) <= int(end)):
        return typed
    return replace(typed, text=f"{typed.text[: int(start)]}{word}{typed.text[int(end) :]}")


async def _together(who: Visitor, at: Situation, typed: Typed) -> Response:
    """Show a text with what is active now brought into what was typed."""
    draft, before = await draft_of(who, at), await version_of(who.service, at, typed.base or 0)
    theirs = await theirs_of(who, at, typed)
    if theirs is None:
        return await _show(who, at, typed, draft)
    typed, said = _brought(typed, before, theirs)
    seen = at.active.version if at.active else None
    return await _show(who, at, replace(typed, base=theirs.version, seen=seen), draft, said=said)


def _brought(typed: Typed, before: Prompt, other: Prompt) -> tuple[Typed, str]:
    """Return a text with what another version has changed brought in, and what is said of it.

    Args:
        typed: The text; where both changed the same it stays as it is.
        before: The version that both began from.
        other: The other version, to be looked at beside it.
    """
    made = merged(before.prompt_text, typed.text, other.prompt_text)
    said = f"What version {other.version} changed is in the text now."
    if made.undecided:
        lines = ", ".join(map(str, made.undecided))
        said = f"{said} Where both changed the same, the text stayed as it was: look at line {lines}."
    return replace(typed, text=made.text, beside=other.version), said


def _faults(typed: Typed) -> dict[str, str]:
    """Return what is missing for a version."""
    found: dict[str, str] = {}
    if is_blank(typed.text):
        found["text"] = "The text is empty. Write what the model is to be told."
    elif len(typed.text) > MAX_TEXT_LENGTH:
        found["text"] = f"The text has {len(typed.text)} characters; {MAX_TEXT_LENGTH} are allowed."
    if is_blank(typed.note):
        found["note"] = "Say what changed, and why. It is kept for good."
    return found


async def _clash(who: Visitor, agent: str, status: str, typed: Typed) -> Response:
    """Show who was faster, and the typed text on today's state; of a form that was sent twice, what it has done."""
    at = await situation(who.service, agent, status)
    clash = await clash_of(who, at, typed)
    if clash.is_oneself and typed.seen == (at.active.version if at.active else None):
        newest = await version_of(who.service, at, at.summary.latest)
        if (newest.prompt_text, newest.note) == (typed.text, typed.note):
            return who.go("agents", agent, status, done=at.revision)
    today = replace(typed, revision=at.revision)
    return await _show(who, at, today, await draft_of(who, at), clash=clash, code=409)


async def _draft_clash(who: Visitor, agent: str, status: str, typed: Typed) -> Response:
    """Show the draft that was saved elsewhere beside what was typed here, which the next press saves over it."""
    at = await situation(who.service, agent, status)
    draft = await draft_of(who, at)
    typed = replace(typed, counter=draft.counter if draft is not None else None)
    words = "Your draft was saved elsewhere meanwhile, in another window for instance. Nothing is lost: what you typed "
    faults = {"": f"{words}here stands below, the other beside it. Save again to keep this one."}
    if draft is None:
        faults = {"": f"Your draft is gone: it was discarded, or became a version. {words.partition('. ')[2]}is below."}
    return await _show(who, at, typed, draft, faults, code=409, other=draft)


async def _show(
    who: Visitor,
    at: Situation,
    typed: Typed,
    draft: Draft | None,
    faults: dict[str, str] | None = None,
    *,
    code: int | None = None,
    **more: object,
) -> Response:
    page = await edit_page(who, at, typed, draft, faults=faults, **more)  # type: ignore[arg-type]  # as it takes them
    return await who.page("edit.html", status=code or (422 if faults else 200), at="agents", page=page)
