"""Twenty processes with the rights of people on one agent: whatever they do at once, everything that must hold does."""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from automagik_prompts.domain.policy import Operation
from automagik_prompts.domain.records import SWITCHING, Action, AgentInfo, Event, Prompt
from automagik_prompts.domain.review import WAITING, ApprovalRequest, RequestState
from automagik_prompts.editing import finding, queries, sync
from automagik_prompts.storage.database import Database
from tests.contract.history import REMARKS, events_of, rows
from tests.contract.reviewers import CAST, DRAFT_MARK, PROTECTED, STATUSES, VERBS, Report, Saved, code
from tests.processes import Launcher

STEPS = 30

PATIENCE = 50_000
"""Milliseconds that a process waits for an SQLite file to which the others write."""

CODE = "code"
"""The author of what comes from code."""

RIGHTS: dict[Action, set[Operation]] = {
    Action.CREATED: {Operation.CREATE},
    Action.ACTIVATED: {Operation.ACTIVATE},
    Action.ROLLED_BACK: {Operation.ROLLBACK},
    Action.DEACTIVATED: {Operation.DEACTIVATE},
    Action.WITHDRAWN: {Operation.WITHDRAW},
    Action.REINSTATED: {Operation.REINSTATE},
    Action.KEPT: {Operation.KEEP},
    Action.REQUESTED: {Operation.REQUEST, Operation.ACTIVATE, Operation.ROLLBACK, Operation.DEACTIVATE},
    Action.APPROVED: {Operation.APPROVE},
    Action.DECLINED: {Operation.DECLINE},
    Action.REQUEST_WITHDRAWN: {Operation.REQUEST},
    Action.COMMENTED: {Operation.COMMENT},
}
"""What of somebody must have been allowed who is named in an event: any of these."""

CARRYING_OUT = {Operation.APPROVE, Operation.ACTIVATE, Operation.ROLLBACK, Operation.DEACTIVATE}
"""What allows somebody to carry out what is approved, likewise."""

COUNTED = {
    Action.DECLINED: {"decline"},
    Action.REQUEST_WITHDRAWN: {"withdraw request"},
    Action.COMMENTED: {"comment"},
    Action.KEPT: {"keep"},
}
"""What leaves one event each time that it is done."""

CREATING = {"create", "create and activate", "count", "stale", "emergency create"}


@dataclass
class Past:
    """What the database says of an agent in the end.

    Attributes:
        info: The agent.
        events: What was done, oldest first.
        versions: Its versions, by id.
        requests: Its requests for approval, oldest first.
        drafts: Its drafts, as rows.
    """

    info: AgentInfo
    events: list[Event]
    versions: dict[int, Prompt]
    requests: list[ApprovalRequest]
    drafts: list[dict[str, Any]]

    @classmethod
    async def read(cls, database: Database, agent: str) -> Self:
        """Read all of it."""
        info = await finding.find_agent(database, agent)
        return cls(
            info=info,
            events=[*reversed(await events_of(database, agent))],
            versions={one.id: one for one in await queries.versions(database, agent)},
            requests=[*reversed(await queries.requests(database, agent, waiting=False))],
            drafts=await database.run(rows, f"SELECT * FROM prompt_drafts WHERE agent_id = {info.id}"),
        )

    @cached_property
    def requested(self) -> dict[int, ApprovalRequest]:
        """The requests, by number."""
        return {one.id: one for one in self.requests}

    def of_request(self, request: ApprovalRequest, *actions: Action) -> list[Event]:
        """Return the events of a request."""
        return [event for event in self.events if event.request_id == request.id and event.action in actions]

    def switches(self, status_key: str, after: int, before: int | None = None) -> list[Event]:
        """Return what has changed the active version of a status between two events."""
        return [
            event
            for event in self.events
            if event.action in SWITCHING and event.status_key == status_key
            if event.id > after and (before is None or event.id < before)
        ]

    def asks_for_code(self, status_key: str, revision: int) -> bool:
        """Return whether what the code activates needed approval, too, after a write."""
        asks = False
        for event in self.events:
            if event.action is Action.FACTS and event.revision <= revision:
                for words in re.findall(rf"\b{status_key} is protected \(([^)]*)\)", event.note or ""):
                    asks = words.endswith(", code too")
        return asks


async def test_reviewers_at_random(shared_url: str, database: Database, agent: str, launcher: Launcher) -> None:
    """No update is lost, nobody does what they may not, and nothing protected changes without its approval."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # to do the same again after a failure
    await sync.seed(database, code(agent, None).agents)
    # On a busy machine twenty processes wait for a file longer than people would.
    url = f"{shared_url}?busy_timeout={PATIENCE}" if database.is_embedded else shared_url
    children = [
        launcher.fork("tests.contract.reviewers:review", url, agent, seed, number, STEPS) for number in range(len(CAST))
    ]
    for child in children:
        child.answer()  # it is connected
    for child in children:
        child.tell("go")
    reports: list[Report] = [child.answer() for child in children]
    for child in children:
        assert child.close() == 0
    past = await Past.read(database, agent)
    check_enough(past, reports)
    check_versions(past)
    check_active(past)
    check_optimistic(past)
    check_protection(past)
    check_requests(past)
    check_rights(past, reports)
    check_reports(past, reports)
    check_drafts(past, reports)


def check_enough(past: Past, reports: list[Report]) -> None:
    """Check that enough was done for the other checks to mean something."""
    done = Counter(step.verb if step.outcome == "done" else step.outcome for one in reports for step in one.done)
    assert sum(done.values()) == len(CAST) * STEPS
    wanted = {"count", "request", "approve", "comment", "draft", "start"}
    assert wanted | {"ConflictError", "InvalidPromptError", "NotAllowedError"} <= set(done), done
    assert any(event.approval == "approved" and event.status_key in PROTECTED for event in past.events)


def check_versions(past: Past) -> None:
    """Check that versions have no gap and no double, and that nothing of a draft is among them."""
    numbers: dict[str, list[int]] = defaultdict(list)
    for prompt in past.versions.values():
        numbers[prompt.status_key].append(prompt.version)
        assert DRAFT_MARK not in prompt.prompt_text
    assert set(numbers) == set(STATUSES)
    for status_key, found in numbers.items():
        assert sorted(found) == list(range(1, len(found) + 1)), status_key


def check_active(past: Past) -> None:
    """Check that the events, done again, fit each other, and that they give the state that there is."""
    active: dict[str, int] = {}
    withdrawn: set[tuple[str, int]] = set()
    count: Counter[str] = Counter()
    revision = 0
    writers: dict[int, str | None] = {}
    for event in past.events:
        assert event.revision <= past.info.revision
        if event.action in REMARKS:
            continue
        assert revision <= event.revision, "the events are not in the order of the writes"
        revision = event.revision
        assert writers.setdefault(revision, event.actor_id) == event.actor_id, "two have written with one lock"
        if event.action is Action.FACTS:
            continue
        key = event.status_key, event.version or 0
        assert event.prompt_id is not None
        prompt = past.versions[event.prompt_id]
        assert (prompt.status_key, prompt.version) == key
        if event.action is Action.CREATED:
            count[event.status_key] += 1
            assert event.version == count[event.status_key]
        elif event.action is Action.KEPT:
            assert active[event.status_key] == event.version
        elif event.action is Action.WITHDRAWN:
            assert active.get(event.status_key) != event.version
            assert key not in withdrawn
            withdrawn.add(key)
        elif event.action is Action.REINSTATED:
            withdrawn.remove(key)
        elif event.action is Action.DRIFT:
            assert event.from_version == active.get(event.status_key)
        else:
            assert event.action in SWITCHING
            assert event.from_version == active.get(event.status_key)
            if event.action is Action.DEACTIVATED:
                assert active.pop(event.status_key) == event.version
            else:
                assert key not in withdrawn
                active[event.status_key] = key[1]
    present = sorted((one.status_key, one.version) for one in past.versions.values() if one.is_active)
    assert present == sorted(active.items())
    assert {(one.status_key, one.version) for one in past.versions.values() if one.is_withdrawn} == withdrawn
    assert count == Counter(one.status_key for one in past.versions.values())
    pointed = past.versions[past.info.active_default_prompt_id] if past.info.active_default_prompt_id else None
    primary = past.info.default_status_key
    assert (pointed.version if pointed is not None else None) == active.get(primary)
    assert pointed is None or pointed.status_key == primary


def check_optimistic(past: Past) -> None:
    """Check that who wrote upon a revision wrote upon what there was, and that nobody wrote in between."""
    for event in past.events:
        upon = re.fullmatch(r"upon (\d+)(?:, instead of (\d+|None))?", event.note or "")
        if upon is None or event.action is Action.COMMENTED:  # which is what a second one says who asks for the same
            continue
        revision, instead = int(upon[1]), upon[2]
        if instead is not None:
            assert str(event.from_version) == instead
        if event.action is Action.CREATED:
            assert event.prompt_id is not None
            text = past.versions[event.prompt_id].prompt_text
            assert text.startswith(f"after {(event.version or 0) - 1}, "), f"an update is lost: {event}"
        if event.request_id is not None and event.action is not Action.REQUESTED:
            continue  # approved since: what was asked is what the revision is of
        if event.action is Action.REQUESTED:
            assert event.revision <= revision
        for other in past.events:
            is_before = other.id < event.id and other.revision != event.revision
            if is_before and other.status_key in {event.status_key, ""}:
                assert other.revision <= revision, f"{event} was written upon a state before {other}"


def check_protection(past: Past) -> None:
    """Check that what is protected changed by approval, in an emergency with a reason, or by code that was reviewed."""
    for event in past.events:
        if event.action not in SWITCHING:
            assert event.approval is None
            continue
        is_protected = event.status_key in PROTECTED
        if event.actor_id == CODE:
            assert event.approval == ("code" if is_protected else None)
            assert not is_protected or not past.asks_for_code(event.status_key, event.revision), f"not asked: {event}"
            continue
        assert event.approval in ({"approved", "emergency"} if is_protected else {"approved", None}), event
        assert (event.approval is None) == (event.request_id is None)
        if event.approval is None:
            continue
        request = past.requested[event.request_id or 0]
        assert request.state is (RequestState.DONE if event.approval == "approved" else RequestState.EMERGENCY)
        assert request.note == event.note
        if event.approval == "emergency":
            assert (event.note or "").strip()
            assert request.actor_id == event.actor_id


def check_requests(past: Past) -> None:
    """Check that each request is where its events have brought it, and that approvals were for what became active."""
    waiting = Counter((one.status_key, one.prompt_id) for one in past.requests if one.state in WAITING)
    assert all(count == 1 for count in waiting.values()), "the same is asked for twice"
    for request in past.requests:
        done = past.of_request(request, *SWITCHING)
        assert len(done) == (request.state in {RequestState.DONE, RequestState.EMERGENCY})
        for event in done:
            check_carried_out(past, request, event)
        if request.state is RequestState.EMERGENCY:
            assert not past.of_request(request, Action.REQUESTED, Action.APPROVED, Action.DECLINED)
            continue
        [asked] = past.of_request(request, Action.REQUESTED)
        assert (asked.actor_id, asked.version) == (request.actor_id, request.version)
        approved = past.of_request(request, Action.APPROVED)
        closed = past.of_request(request, Action.DECLINED, Action.REQUEST_WITHDRAWN)
        end = (done + closed)[0].id if done or closed else None
        for event in approved:
            assert event.actor_id != request.actor_id, f"somebody has approved their own request: {event}"
            assert event.version == request.version
            assert event.id > asked.id
            assert end is None or event.id < end
            assert not past.switches(request.status_key, asked.id, event.id), "it had lapsed"
        people = {event.actor_id for event in approved}
        assert len(people) == len(approved), "somebody has approved twice"
        assert None not in people
        assert request.approvals == PROTECTED.get(request.status_key, 1)
        is_enough = len(people) >= request.approvals
        switches = past.switches(request.status_key, asked.id)
        if request.state is RequestState.DONE:
            assert is_enough
            assert switches[0].id == done[0].id, "it was carried out although another version was active meanwhile"
        elif request.state in {RequestState.DECLINED, RequestState.WITHDRAWN}:
            [event] = closed
            is_declined = request.state is RequestState.DECLINED
            assert event.action is (Action.DECLINED if is_declined else Action.REQUEST_WITHDRAWN)
            assert (event.actor_id != request.actor_id) == is_declined
            assert not past.switches(request.status_key, asked.id, event.id)
        elif request.state is RequestState.LAPSED:
            assert switches or overtaken(past, request, asked.id + 1)
        else:
            assert not switches
            assert request.state is (RequestState.APPROVED if is_enough else RequestState.OPEN)
        assert bool(closed) == (request.state in {RequestState.DECLINED, RequestState.WITHDRAWN})


def overtaken(past: Past, request: ApprovalRequest, since: int) -> bool:
    """Return whether a request has lapsed though nothing was switched: its version is gone, or the code moved on."""
    for event in past.events:
        if event.id < since or event.status_key != request.status_key:
            continue
        if event.action in {Action.WITHDRAWN, Action.DELETED} and event.prompt_id == request.prompt_id:
            return True
        if request.actor_id == CODE and event.action is Action.REQUESTED and event.actor_id == CODE:
            return event.request_id != request.id
    return False


def check_carried_out(past: Past, request: ApprovalRequest, event: Event) -> None:
    """Check that what became active is what was asked for, in the place of what was active then."""
    assert (event.status_key, event.from_version) == (request.status_key, request.from_version)
    if request.operation is Operation.DEACTIVATE:
        assert (request.prompt_id, request.version, request.content_hash) == (None, None, None)
        assert (event.action, event.version) == (Action.DEACTIVATED, request.from_version)
        return
    is_rollback = request.operation is Operation.ROLLBACK
    assert event.action is (Action.ROLLED_BACK if is_rollback else Action.ACTIVATED)
    assert (event.prompt_id, event.version) == (request.prompt_id, request.version)
    assert request.prompt_id is not None
    assert past.versions[request.prompt_id].content_hash == request.content_hash


def check_rights(past: Past, reports: list[Report]) -> None:
    """Check that everybody did what their roles allow, by what they say and by the events, and was refused the rest."""
    for report in reports:
        for step in report.done:
            needed, allowed = set(VERBS[step.verb]), report.part.operations
            if step.outcome == "done":
                assert needed <= allowed, f"{report.part} was not refused: {step}"
            elif step.refused is not None:
                is_about_people = step.verb in {"approve", "approve only", "decline", "withdraw request"}
                assert not needed <= allowed or is_about_people, f"{report.part} was refused: {step}"
    may = {report.part.id: report.part.operations for report in reports}
    for event in past.events:
        if event.actor_id == CODE:
            continue
        assert event.actor_id is not None
        allowed = may[event.actor_id]
        assert allowed & (CARRYING_OUT if event.approval == "approved" else RIGHTS[event.action]), event
        assert event.approval != "emergency" or Operation.EMERGENCY in allowed, event


def check_reports(past: Past, reports: list[Report]) -> None:
    """Check that what somebody was told is what the events tell: nothing more was written, and nothing less."""
    told = {
        (report.part.id, step.status_key, step.version)
        for report in reports
        for step in report.done
        if step.verb in CREATING and step.outcome == "done"
    }
    created = [event for event in past.events if event.action is Action.CREATED and event.actor_id != CODE]
    assert {(event.actor_id, event.status_key, event.version) for event in created} == told
    for action, verbs in COUNTED.items():
        said = Counter(
            report.part.id
            for report in reports
            for step in report.done
            if step.verb in verbs and step.outcome == "done"
        )
        # Why somebody asks for what another one has asked for is a comment, too.
        found = [event for event in past.events if event.action is action]
        found = [event for event in found if action is not Action.COMMENTED or event.note == "hm"]
        assert said == Counter(event.actor_id for event in found), action


def check_drafts(past: Past, reports: list[Report]) -> None:
    """Check that each save was upon the one before, in whatever window, and that the last one is kept."""
    saved: dict[tuple[str, str], list[Saved]] = defaultdict(list)
    for report in reports:
        for one in report.saved:
            saved[report.part.id, one.status_key].append(one)
    last: dict[tuple[str, str], tuple[int, str]] = {}
    for key, found in saved.items():
        found.sort(key=lambda one: one.counter)
        assert [one.counter for one in found] == list(range(1, len(found) + 1))
        assert [one.upon for one in found] == [None, *(one.text for one in found[:-1])], "a draft is lost"
        last[key] = (found[-1].counter, found[-1].text)
    kept = {(row["actor_id"], row["status_key"]): (row["counter"], row["prompt_text"]) for row in past.drafts}
    assert kept == last
