"""Processes that write, ask and decide at random with the rights of people; `test_reviewers` starts twenty of them."""

from __future__ import annotations

import asyncio
import random
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from multiprocessing.connection import Connection
from typing import NamedTuple

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.edits import EditResult
from automagik_prompts.domain.policy import Actor, Operation
from automagik_prompts.domain.records import Prompt
from automagik_prompts.domain.review import ApprovalRequest, Draft, OnDrift
from automagik_prompts.domain.roles import ROLES, Roles
from automagik_prompts.editing import finding, queries, sync
from automagik_prompts.editing.direct import DatabaseEdits
from automagik_prompts.editing.service import EditService
from automagik_prompts.exceptions import (
    ConflictError,
    DriftError,
    InvalidPromptError,
    NotAllowedError,
    PromptNotFoundError,
)
from automagik_prompts.storage.database import Database

PROTECTED = {"ONE": 1, "TWO": 2}
"""The protected statuses, with how many have to approve."""

STATUSES = ("OPEN", *PROTECTED)

ELSEWHERE = "elsewhere-*"
"""Agents that are none of the test's."""

DRAFT_MARK = "nobody else's business"
"""Stands in each draft, and so must not stand in any version."""

V = Operation
VERBS: dict[str, tuple[Operation, ...]] = {
    "create": (V.CREATE,),
    "create and activate": (V.CREATE, V.ACTIVATE),
    "activate": (V.ACTIVATE,),
    "careful activate": (V.ACTIVATE,),
    "rollback": (V.ROLLBACK,),
    "deactivate": (V.DEACTIVATE,),
    "count": (V.CREATE,),
    "stale": (V.CREATE,),
    "request": (V.REQUEST,),
    "request deactivation": (V.REQUEST,),
    "approve": (V.APPROVE,),
    "approve only": (V.APPROVE,),
    "carry out": (V.ACTIVATE,),
    "decline": (V.DECLINE,),
    "withdraw request": (V.REQUEST,),
    "comment": (V.COMMENT,),
    "keep": (V.KEEP,),
    "draft": (V.DRAFT,),
    "withdraw": (V.WITHDRAW,),
    "replace": (V.WITHDRAW, V.ACTIVATE),
    "reinstate": (V.REINSTATE,),
    "emergency": (V.ACTIVATE, V.EMERGENCY),
    "emergency replace": (V.WITHDRAW, V.ACTIVATE, V.EMERGENCY),
    "emergency create": (V.CREATE, V.ACTIVATE, V.EMERGENCY),
    "sync": (V.SYNC,),
    "start": (),
}
"""What a process may do in one step, with what it must be allowed for it; a start of code asks nobody."""

WEIGHTS: dict[str, float] = {
    "approve": 8,
    "approve only": 4,
    "carry out": 4,
    "request": 4,
    "draft": 3,
    "count": 3,
    "keep": 2,
    "start": 0.2,
    "emergency": 0.3,
    "emergency replace": 0.3,
    "emergency create": 0.3,
    "withdraw": 0.5,
    "decline": 0.5,
    "withdraw request": 0.5,
}
"""How often a step is taken, where that is not once; much that is asked for must last until two have approved it."""


@dataclass(frozen=True)
class Part:
    """Whose part a process plays.

    Attributes:
        id: Who acts.
        here: The roles for the agent.
        elsewhere: The roles for other agents.
        is_member: Whether the policy knows the roles, and not the actor.
        release: What becomes of drift, and whether the code wants approval, in the code that it starts and syncs.
    """

    id: str
    here: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
    is_member: bool = False
    release: tuple[OnDrift, bool] = ("keep", False)

    @property
    def operations(self) -> frozenset[Operation]:
        """What the roles allow for the agent."""
        return frozenset().union(*(ROLES[role] for role in self.here))

    @property
    def holders(self) -> tuple[Actor, ...]:
        """The person with the roles, once for each of the agents they hold for."""
        here, elsewhere = Actor(self.id, roles=self.here), Actor(self.id, roles=self.elsewhere, agents=(ELSEWHERE,))
        return (here, elsewhere)

    @property
    def actor(self) -> Actor:
        """Who acts, with the roles that the application gives."""
        mine, other = self.holders
        return Actor(self.id, self.id.title()) if self.is_member else mine if self.here else other


CAST = (
    Part("ana", ("editor",)),
    Part("ana", ("editor",)),  # in another window
    Part("bea", ("editor",)),
    Part("carl", ("publisher",)),
    Part("dora", ("publisher",), is_member=True),
    Part("emil", ("editor", "approver")),
    Part("fay", ("editor", "publisher")),
    Part("gus", ("approver",)),
    Part("hana", ("approver",), elsewhere=("admin",), is_member=True),
    Part("ivo", ("approver", "publisher")),
    Part("joao", ("admin",)),
    Part("kim", ("admin",), release=("code", False)),
    Part("lea", ("viewer",)),
    Part("max", (), elsewhere=("editor", "publisher")),
    Part("nina", (), elsewhere=("admin",)),
    Part("otto", ("approver",), is_member=True, release=("keep", True)),
    Part("pia", ("publisher", "editor"), release=("code", False)),
    Part("quim", ("admin",), release=("fail", True)),
    Part("rui", (), elsewhere=("approver",), is_member=True),
    Part("sol", ("publisher", "approver", "editor")),
)

POLICY = Roles(*(holder for part in CAST if part.is_member for holder in part.holders if holder.roles))


class Done(NamedTuple):
    """What became of one step.

    Attributes:
        verb: What it was.
        status_key: Of which status.
        outcome: `"done"`, or the name of the error.
        refused: The operation that was refused, if one was.
        version: The version that was written or concerned.
    """

    verb: str
    status_key: str
    outcome: str
    refused: str | None = None
    version: int | None = None


class Saved(NamedTuple):
    """A draft that was saved.

    Attributes:
        status_key: The status.
        counter: Its counter.
        text: The text.
        upon: The text that was seen before; `None` for the first one.
    """

    status_key: str
    counter: int
    text: str
    upon: str | None


@dataclass
class Report:
    """What a process has done.

    Attributes:
        part: Whose part it played.
        done: What became of each step.
        saved: The drafts that it has saved.
    """

    part: Part
    done: list[Done] = field(default_factory=list)
    saved: list[Saved] = field(default_factory=list)


def code(
    agent: str, chance: random.Random | None, *, on_drift: OnDrift = "keep", approve_code: bool = False
) -> Registry:
    """Return code with some texts of six releases, or the first one."""
    pick = chance or random.Random(0)
    newest, rare = (6, 2) if chance is not None else (1, 1)
    registry = Registry()
    registry.declare(
        agent,
        {"OPEN": f"release {pick.randint(1, newest)}", "ONE": f"release {pick.randint(1, newest)}"},
        where="one",
        primary=pick.choice(("OPEN", "ONE")) if chance is not None else "OPEN",
        protected=("ONE",),
        approvals=PROTECTED["ONE"],
        approve_code=approve_code,
        on_drift=on_drift,
    )
    registry.declare(
        agent,
        {"TWO": f"release {pick.randint(1, rare)}"},
        where="two",
        protected=("TWO",),
        approvals=PROTECTED["TWO"],
        approve_code=approve_code,
    )
    return registry


def review(connections: list[Connection], url: str, agent: str, seed: int, number: int, steps: int) -> None:
    """Play a part when all are ready, tell what was done, and wait for the test to say goodbye."""
    report = Report(CAST[number])
    try:
        asyncio.run(_review(connections[0], url, agent, random.Random(f"{seed} {number}"), report, steps))
    except Exception:  # noqa: BLE001  # the test shows it, with the seed
        connections[0].send((False, traceback.format_exc()))
    else:
        connections[0].send((True, report))
    connections[0].poll(None)


async def _review(
    connection: Connection, url: str, agent: str, chance: random.Random, report: Report, steps: int
) -> None:
    async with Database(url) as database:
        await finding.find_agent(database, agent)  # connected
        connection.send((True, None))
        connection.recv()
        reviewer = Reviewer(database, agent, report, chance)
        for _ in range(steps):
            await reviewer.step()


class Reviewer:
    """Somebody who does one thing after another.

    Args:
        database: An open database.
        agent: The agent's name.
        report: Takes what was done.
        chance: Decides what to do.
    """

    def __init__(self, database: Database, agent: str, report: Report, chance: random.Random) -> None:
        self._database = database
        self._agent = agent
        self._report = report
        self._chance = chance
        self._part = report.part
        self._seen: dict[str, tuple[int, int]] = {}
        self._drafts: dict[str, Draft] = {}

    async def step(self) -> None:
        """Do something: mostly what the roles allow, and sometimes anything."""
        mine = [verb for verb, needed in VERBS.items() if self._part.operations.issuperset(needed)]
        verbs = mine if self._part.here and self._chance.random() < 0.8 else list(VERBS)
        [verb] = self._chance.choices(verbs, [WEIGHTS.get(one, 1) for one in verbs])
        status_key = self._chance.choices(STATUSES, (4, 4, 3))[0]
        method: Callable[[str], Awaitable[EditResult | Draft | None]] = getattr(self, f"_{verb.replace(' ', '_')}")
        refused, outcome, result = None, "done", None
        try:
            result = await method(status_key)
        except NotAllowedError as error:
            refused, outcome = str(error.operation), type(error).__name__
        except (ConflictError, DriftError, InvalidPromptError, PromptNotFoundError, Nothing) as error:
            outcome = type(error).__name__
        prompt = result.prompt if isinstance(result, EditResult) else None
        status_key = result.status_key if isinstance(result, EditResult) else status_key
        version = prompt.version if prompt is not None else None
        self._report.done.append(Done(verb, status_key, outcome, refused, version))

    @cached_property
    def _edits(self) -> EditService:
        on_drift, approve_code = self._part.release
        declared = code(self._agent, self._chance, on_drift=on_drift, approve_code=approve_code).agents
        if self._chance.random() < 0.5:
            return DatabaseEdits(self._database, declared, policy=POLICY).acting_as(self._part.actor)
        return DatabaseEdits(self._database, declared, policy=POLICY, actor=self._part.actor)

    # Looking, past the policy: what there is to do is not what is tested.

    async def _revision(self) -> int:
        return (await finding.find_agent(self._database, self._agent)).revision

    async def _versions(self, status_key: str) -> list[Prompt]:
        return await queries.versions(self._database, self._agent, status_key)

    async def _active_version(self, status_key: str) -> int | None:
        return next((one.version for one in await self._versions(status_key) if one.is_active), None)

    async def _any_version(self, status_key: str) -> int:
        """Return a version, rather a new one."""
        newest = max(one.version for one in await self._versions(status_key))
        return max(1, newest - int(self._chance.expovariate(0.3)))

    async def _waiting(self) -> ApprovalRequest:
        """Return a request, rather one that waits."""
        waits = self._chance.random() < 0.95
        found = await queries.requests(self._database, self._agent, waiting=waits)
        found = [one for one in found if one.is_waiting or not waits]
        if not found:
            raise Nothing
        return self._chance.choice(found)

    def _text(self) -> str:
        return f"by {self._part.id}: {self._chance.getrandbits(60)}"

    # Writing.

    async def _create(self, status_key: str) -> EditResult:
        return await self._edits.create(self._agent, status_key, self._text())

    async def _create_and_activate(self, status_key: str) -> EditResult:
        return await self._edits.create(self._agent, status_key.lower(), self._text(), activate=True)

    async def _count(self, status_key: str) -> EditResult:
        revision = await self._revision()
        newest = max(one.version for one in await self._versions(status_key))
        return await self._upon(status_key, newest, revision)

    async def _stale(self, status_key: str) -> EditResult:
        """Write upon what was seen some steps ago, and look anew."""
        revision = await self._revision()
        newest = max(one.version for one in await self._versions(status_key))
        before = self._seen.get(status_key)
        self._seen[status_key] = (newest, revision)
        if before is None:
            raise Nothing
        return await self._upon(status_key, *before)

    async def _upon(self, status_key: str, newest: int, revision: int) -> EditResult:
        text, note = f"after {newest}, {self._text()}", f"upon {revision}"
        return await self._edits.create(self._agent, status_key, text, note=note, expected_revision=revision)

    # Switching.

    async def _activate(self, status_key: str) -> EditResult:
        return await self._edits.activate(self._agent, status_key, await self._any_version(status_key))

    async def _careful_activate(self, status_key: str) -> EditResult:
        revision = await self._revision()
        active, version = await self._active_version(status_key), await self._any_version(status_key)
        note = f"upon {revision}, instead of {active}"
        return await self._edits.activate(self._agent, status_key, version, note=note, expected_revision=revision)

    async def _rollback(self, status_key: str) -> EditResult:
        return await self._edits.rollback(self._agent, status_key)

    async def _deactivate(self, status_key: str) -> EditResult:
        return await self._edits.deactivate(self._agent, status_key)

    async def _emergency(self, status_key: str) -> EditResult:
        version = await self._any_version(status_key)
        return await self._edits.activate(self._agent, status_key, version, emergency=True, note=self._reason())

    async def _emergency_replace(self, status_key: str) -> EditResult:
        active = await self._active_version(status_key) or 1
        other, note = await self._any_version(status_key), self._reason()
        return await self._edits.withdraw(self._agent, status_key, active, activate=other, emergency=True, note=note)

    async def _emergency_create(self, status_key: str) -> EditResult:
        edits, note = self._edits, self._reason()
        return await edits.create(self._agent, status_key, self._text(), activate=True, emergency=True, note=note)

    def _reason(self) -> str | None:
        return self._chance.choice(("it burns", "it burns", "it burns", " ", None))

    async def _carry_out(self, status_key: str) -> EditResult:  # noqa: ARG002  # what was approved says which
        found = await queries.requests(self._database, self._agent)
        approved = [one for one in found if one.state == "approved" and one.version is not None]
        if not approved:
            raise Nothing
        one = self._chance.choice(approved)
        assert one.version is not None
        return await self._edits.activate(self._agent, one.status_key, one.version)

    async def _withdraw(self, status_key: str) -> EditResult:
        return await self._edits.withdraw(self._agent, status_key, await self._any_version(status_key))

    async def _replace(self, status_key: str) -> EditResult:
        active = await self._active_version(status_key) or await self._any_version(status_key)
        return await self._edits.withdraw(self._agent, status_key, active, activate=await self._any_version(status_key))

    async def _reinstate(self, status_key: str) -> EditResult:
        withdrawn = [one.version for one in await self._versions(status_key) if one.is_withdrawn]
        if not withdrawn:
            raise Nothing
        return await self._edits.withdraw(self._agent, status_key, self._chance.choice(withdrawn), undo=True)

    # Reviewing.

    async def _request(self, status_key: str) -> EditResult:
        return await self._edits.request(self._agent, status_key, await self._any_version(status_key))

    async def _request_deactivation(self, status_key: str) -> EditResult:
        return await self._edits.request(self._agent, status_key, None, note="nobody needs it")

    async def _approve(self, status_key: str) -> EditResult:  # noqa: ARG002  # the request says which
        return await self._edits.approve((await self._waiting()).id)

    async def _approve_only(self, status_key: str) -> EditResult:  # noqa: ARG002
        return await self._edits.approve((await self._waiting()).id, activate=False, note="read it")

    async def _decline(self, status_key: str) -> EditResult:  # noqa: ARG002
        return await self._edits.decline((await self._waiting()).id, note="no")

    async def _withdraw_request(self, status_key: str) -> EditResult:  # noqa: ARG002
        return await self._edits.withdraw_request((await self._waiting()).id)

    async def _comment(self, status_key: str) -> EditResult:
        if self._chance.random() < 0.5:
            return await self._edits.comment(request_id=(await self._waiting()).id, text="hm")
        return await self._edits.comment(self._agent, status_key, await self._any_version(status_key), text="hm")

    async def _keep(self, status_key: str) -> EditResult:
        return await self._edits.keep(self._agent, status_key)

    async def _draft(self, status_key: str) -> Draft:
        """Save upon what was seen last, in this window or, after a conflict, in the other one."""
        before = self._drafts.get(status_key)
        text = f"{DRAFT_MARK}: {self._text()}"
        save = partial(self._edits.save_draft, self._agent, status_key, text)
        try:
            draft = await save(counter=before.counter if before is not None else None)
        except ConflictError:
            seen = await self._edits.get_draft(self._agent, status_key)
            if seen is not None:
                self._drafts[status_key] = seen
            raise
        upon = before.text if before is not None else None
        self._report.saved.append(Saved(status_key, draft.counter, text, upon))
        self._drafts[status_key] = draft
        return draft

    # Code.

    async def _sync(self, status_key: str) -> None:  # noqa: ARG002  # all of them
        self.__dict__.pop("_edits", None)  # another release
        await self._edits.sync()

    async def _start(self, status_key: str) -> None:  # noqa: ARG002
        on_drift, approve_code = self._part.release
        release = code(self._agent, self._chance, on_drift=on_drift, approve_code=approve_code)
        await sync.seed(self._database, release.agents)


class Nothing(Exception):  # noqa: N818  # it is no error
    """There is nothing to do it to."""
