"""Routes of review: requests for approval, comments, events."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import StreamingResponse

from automagik_prompts.api import stream
from automagik_prompts.api.conditions import IfMatch, check_request, expected_revision, request_tag
from automagik_prompts.api.document import TAGGED
from automagik_prompts.api.door import After, Caller, Key, Limit, Who
from automagik_prompts.api.models.base import items
from automagik_prompts.api.models.bodies import Approval, CommentBody, Reason, RequestBody
from automagik_prompts.api.models.pages import EventPage, RequestPage
from automagik_prompts.api.models.views import EditView, EventView, RequestView
from automagik_prompts.api.problems import ProblemError
from automagik_prompts.api.routes.looking import STATUS
from automagik_prompts.api.routes.writing import WAITS
from automagik_prompts.api.segments import AgentName, Flag, Number, RequestNumber, StatusName
from automagik_prompts.domain.records import Action
from automagik_prompts.domain.validation import MAX_VERSION

router = APIRouter()
OnlyAgent = Annotated[str | None, Query(description="Only this agent.", max_length=255)]
OnlyStatus = Annotated[str | None, Query(description="Only this status; needs the agent.", max_length=255)]


@router.post(f"{STATUS}/requests", status_code=201, operation_id="requestApproval", tags=["requests"], responses=WAITS)
async def request(
    who: Who, agent: AgentName, status: StatusName, body: RequestBody, key: Key = None, if_match: IfMatch = None
) -> EditView:
    """Ask another person to approve that a version becomes active, or that none is."""
    revision, given = expected_revision(if_match), body.model_dump()
    return await who.write(  # type: ignore[return-value]  # the response itself; the model is its description
        key, lambda service: service.request(agent, status, **given, expected_revision=revision), created=True
    )


@router.get("/requests", operation_id="listRequests", tags=["requests"])
async def requests(
    who: Who,
    agent: OnlyAgent = None,
    status_key: OnlyStatus = None,
    waiting: Annotated[Flag, Query(description="Only those that something can still become of.")] = True,
    after: After = None,
    limit: Limit = 100,
) -> RequestPage:
    """List requests for approval, newest first."""
    page = await who.service.requests(agent, status_key, waiting=waiting, after=after, limit=limit)
    return RequestPage(items=items(RequestView, page.items), next=page.next)


@router.get("/requests/{number}", operation_id="getRequest", tags=["requests"], responses=TAGGED)
async def get_request(who: Who, number: RequestNumber, response: Response) -> RequestView:
    """Return a request for approval; its `ETag` is what deciding rests on."""
    found = await who.service.get_request(number)
    response.headers["ETag"] = request_tag(found)
    return RequestView.of(found)


async def _checked(who: Caller, number: int, if_match: str | None) -> None:
    check_request(if_match, await who.service.get_request(number))


@router.post("/requests/{number}/approve", operation_id="approveRequest", tags=["requests"], responses=WAITS)
async def approve(
    who: Who, number: RequestNumber, body: Approval, key: Key = None, if_match: IfMatch = None
) -> EditView:
    """Approve a request of another person; with the last approval that it needs it is carried out."""
    return await who.write(  # type: ignore[return-value]  # as above
        key,
        lambda service: service.approve(number, **body.model_dump()),
        unless=lambda: _checked(who, number, if_match),
    )


@router.post("/requests/{number}/decline", operation_id="declineRequest", tags=["requests"])
async def decline(who: Who, number: RequestNumber, body: Reason, key: Key = None, if_match: IfMatch = None) -> EditView:
    """Decline a request of another person; the note says why."""
    return await who.write(  # type: ignore[return-value]  # as above
        key,
        lambda service: service.decline(number, note=body.note),
        unless=lambda: _checked(who, number, if_match),
    )


@router.post("/requests/{number}/withdraw", operation_id="withdrawRequest", tags=["requests"])
async def withdraw(
    who: Who, number: RequestNumber, body: Reason, key: Key = None, if_match: IfMatch = None
) -> EditView:
    """Take back one's own request."""
    return await who.write(  # type: ignore[return-value]  # as above
        key,
        lambda service: service.withdraw_request(number, note=body.note),
        unless=lambda: _checked(who, number, if_match),
    )


@router.post("/comments", status_code=201, operation_id="comment", tags=["events"])
async def comment(who: Who, body: CommentBody, key: Key = None) -> EditView:
    """Say something about a version, a status or a request; it is kept with the events and is nobody's conflict."""
    return await who.write(  # type: ignore[return-value]  # as above
        key,
        lambda service: service.comment(
            body.agent, body.status_key, body.version, text=body.text, request_id=body.request
        ),
        created=True,
        waits=False,
    )


@router.get("/events", operation_id="listEvents", tags=["events"])
async def events(
    who: Who,
    agent: OnlyAgent = None,
    status_key: OnlyStatus = None,
    action: Annotated[list[Action] | None, Query(description="Only these.")] = None,
    author: Annotated[str | None, Query(description="Only by this person, by name or id.", max_length=255)] = None,
    since: Annotated[datetime | None, Query(description="Only what is not older; with its zone.")] = None,
    request: Annotated[Number | None, Query(ge=1, le=MAX_VERSION, description="Only of this request.")] = None,
    after: After = None,
    limit: Limit = 100,
) -> EventPage:
    """List what was done, newest first."""
    if since is not None:
        since = _in_utc(since)
    page = await who.service.events(
        agent,
        status_key,
        request_id=request,
        actions=action,
        author=author,
        since=since,
        after=after,
        limit=limit,
    )
    return EventPage(items=items(EventView, page.items), next=page.next)


def _in_utc(moment: datetime) -> datetime:
    """Return a moment in UTC.

    Raises:
        ProblemError: It has no zone, or is none that a database knows.
    """
    if moment.tzinfo is None:
        raise ProblemError(422, "invalid-request", "since needs a zone, such as 2026-11-24T14:00:00Z.")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ProblemError(422, "invalid-request", "since is before all time.") from None


Last = Annotated[Number, Query(ge=0, le=MAX_VERSION, description="The number of the event that you have.")]


@router.get("/events/feed", operation_id="readFeed", tags=["events"])
async def feed(who: Who, last: Last = 0, limit: Limit = 100) -> EventPage:
    """Return what was done after an event, in its order; `next` is what to give as `last`, also where nothing is new.

    Nothing is passed that may still come to be: an event is handed out only when no older transaction goes on.
    """
    until = await who.door.feed.follow(last)
    found, reached = await stream.read(who.service, last, until, limit)
    return EventPage(items=items(EventView, found), next=str(max(last, reached)))


@router.get(
    "/events/stream",
    operation_id="streamEvents",
    tags=["events"],
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def stream_events(
    who: Who,
    last: Annotated[Number | None, Query(ge=0, le=MAX_VERSION, description="Where to begin; by default now.")] = None,
    last_event_id: Annotated[
        str | None, Header(alias="Last-Event-ID", pattern=r"^\d{1,10}$", description="Where the stream was cut off.")
    ] = None,
) -> StreamingResponse:
    """Stream what is done, in its order; who comes back with `Last-Event-ID` misses nothing and gets nothing twice."""
    given = int(last_event_id) if last_event_id is not None else last
    if given is None:
        given = await who.door.feed.now()
    else:
        await who.door.feed.follow(given)
    listener = stream.Listener(who.actor, who.service, who.request, who.door.identify)
    body = stream.stream(who.door.feed, listener, given)
    await anext(body)  # refused here, while there is still a status to say so
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(body, media_type="text/event-stream", headers=headers)
