"""Tries each action as each role, in Python and by the command, and writes what came of it into `docs/roles.md`.

`python -m tests.acceptance.roles`, or `make docs`.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.edits import EditResult
from automagik_prompts.domain.policy import Actor, Decision, Operation, Policy, TextState
from automagik_prompts.domain.roles import Roles
from automagik_prompts.editing import sync
from automagik_prompts.editing.direct import DatabaseEdits
from automagik_prompts.exceptions import NotAllowedError
from automagik_prompts.schema import migrate
from automagik_prompts.storage.database import Database
from tests.acceptance.commands import REPOSITORY
from tests.operator import Operator, Outcome

PAGE = REPOSITORY / "docs" / "roles.md"

PEOPLE = {
    "none": Actor("nina"),
    "viewer": Actor("vera", roles=("viewer",)),
    "editor": Actor("eva", roles=("editor",)),
    "publisher": Actor("paul", roles=("publisher",)),
    "approver": Actor("abel", roles=("approver",)),
    "admin": Actor("ada", roles=("admin",)),
    "editor of others": Actor("otto", roles=("editor",), agents=("billing*",)),
}
"""Who tries, by the heading of the table's column."""

OTHER = Actor("joao")
"""Who has written what is there, and asks for approval."""


class Found(Enum):
    """What came of a try, as the table shows it."""

    DONE = "yes"
    ASKED = "request"
    REFUSED = "no"


@dataclass(frozen=True, slots=True)
class Try:
    """What came of one try.

    Attributes:
        found: What the table shows.
        said: The refusal.
        written: The events that it left, without their times.
        unchanged: Whether each row of each table is as it was.
    """

    found: Found
    said: str | None
    written: tuple[tuple[object, ...], ...]
    unchanged: bool


Call = Callable[[DatabaseEdits, int], Awaitable[object]]
"""Does it in Python: with what edits, and the number of the actor's own request."""


@dataclass(frozen=True, slots=True)
class Action:
    """Something that a role may do or not.

    Attributes:
        row: The words of the table; several actions of one row must come to the same.
        call: How it is done in Python.
        command: How it is done on the command line; `None` where it cannot be. `OWN` is the actor's own request.
        names_agent: Whether the command names the agent, so that it asks first whether the actor may look at it.
        changes: Whether it writes anything.
    """

    row: str
    call: Call
    command: tuple[str, ...] | None
    names_agent: bool = True
    changes: bool = True


OWN = "OWN"

SELLER = ("seller", "NEW")
"""The agent and the status to which most of it is done."""

_LOOK = "look: `list`, `show`, `history`, `events`, `search`"
_CODE = {"NEW": "Ask for the tax id.", "APPROVED": "Quote prices.", "VIP": "Greet by name."}
NEW_CODE = "Ask for the tax id, politely."

ACTIONS = (
    Action(_LOOK, lambda edits, _: edits.statuses("seller"), ("list", "seller"), changes=False),
    Action(_LOOK, lambda edits, _: edits.versions(*SELLER, limit=1), ("show", *SELLER), changes=False),
    Action(_LOOK, lambda edits, _: edits.versions("seller"), ("history", "seller"), changes=False),
    Action(_LOOK, lambda edits, _: edits.events("seller"), ("events", "seller"), changes=False),
    Action(
        _LOOK,
        lambda edits, _: edits.search("tax", agent="seller"),
        ("search", "tax", "--agent", "seller"),
        changes=False,
    ),
    Action(
        "`comment`",
        lambda edits, _: edits.comment(*SELLER, 2, text="Too long?"),
        ("comment", *SELLER, "--version", "2", "--text", "Too long?"),
    ),
    Action(
        "save a draft (`save_draft`; in Python and over REST)", lambda edits, _: edits.save_draft(*SELLER, "Ask"), None
    ),
    Action("`create`", lambda edits, _: edits.create(*SELLER, "Ask."), ("create", *SELLER, "--text", "Ask.")),
    Action(
        "`create --activate`",
        lambda edits, _: edits.create(*SELLER, "Ask.", activate=True),
        ("create", *SELLER, "--text", "Ask.", "--activate"),
    ),
    Action("`copy`", lambda edits, _: _copy(edits), ("copy", *SELLER, "seller", "VIP", "--version", "2")),
    Action("`import` of a new text", lambda edits, _: edits.create(*SELLER, "Ask it."), ("import", "prompts"), False),
    Action("`activate`", lambda edits, _: edits.activate(*SELLER, 3), ("activate", *SELLER, "3")),
    Action("`rollback`", lambda edits, _: edits.rollback(*SELLER), ("rollback", *SELLER)),
    Action("`deactivate`", lambda edits, _: edits.deactivate(*SELLER), ("deactivate", *SELLER)),
    Action(
        "`activate` in a protected status",
        lambda edits, _: edits.activate("seller", "APPROVED", 3),
        ("activate", "seller", "APPROVED", "3"),
    ),
    Action(
        "`activate --emergency` there",
        lambda edits, _: edits.activate("seller", "APPROVED", 3, emergency=True, note="It lies."),
        ("activate", "seller", "APPROVED", "3", "--emergency", "--note", "It lies."),
    ),
    Action("`withdraw`", lambda edits, _: edits.withdraw(*SELLER, 3), ("withdraw", *SELLER, "3")),
    Action(
        "`withdraw --undo`",
        lambda edits, _: edits.withdraw(*SELLER, 4, undo=True),
        ("withdraw", *SELLER, "4", "--undo"),
    ),
    Action("`delete`", lambda edits, _: edits.delete(*SELLER, 3), ("delete", *SELLER, "3", "--yes")),
    Action(
        "`keep` a version that has drifted", lambda edits, _: edits.keep("seller", "VIP"), ("keep", "seller", "VIP")
    ),
    Action("`request`", lambda edits, _: edits.request(*SELLER, 3), ("request", *SELLER, "3")),
    Action("`approve`", lambda edits, _: edits.approve(1), ("approve", "1"), names_agent=False),
    Action("`approve` one's own request", lambda edits, own: edits.approve(own), ("approve", OWN), names_agent=False),
    Action(
        "`decline`",
        lambda edits, _: edits.decline(1, note="It names a fee."),
        ("decline", "1", "--note", "It names a fee."),
        names_agent=False,
    ),
    Action(
        "`request --withdraw`: one's own",
        lambda edits, own: edits.withdraw_request(own),
        ("request", "--withdraw", OWN),
        names_agent=False,
    ),
    Action("`sync`", lambda edits, _: edits.sync(), ("sync", "--module", "shop"), names_agent=False),
    Action(
        "`token create`, as well as `list` and `revoke`",
        lambda edits, _: edits.create_token("ci", roles=["viewer"]),
        ("token", "create", "ci", "--role", "viewer"),
        names_agent=False,
    ),
)

UNTRIED = frozenset(
    {
        *("agents", "diff", "explain", "fleet", "preview", "requests", "restore", "watch", "export"),
        *("check", "doctor", "console", "serve", "health", "upgrade", "downgrade", "grants", "migrate-legacy"),
    }
)
"""The commands that are in no row of the table; the page says what holds for them."""


async def _copy(edits: DatabaseEdits) -> EditResult:
    source = next(one for one in (await edits.versions(*SELLER)).items if one.version == 2)
    return await edits.copy(source, "seller", "VIP")


@dataclass(frozen=True, slots=True)
class Seeded:
    """A database that all tries begin with.

    Attributes:
        file: The file, closed.
        rows: All that is in it, as SQL.
        own: The numbers of people's own requests, by who they are.
        last_event: The number of the newest event.
    """

    file: Path
    rows: tuple[str, ...]
    own: Mapping[str, int]
    last_event: int

    def copy_to(self, path: Path) -> Path:
        """Make a fresh copy for one try."""
        shutil.copy(self.file, path)
        return path


def shop(new: str = _CODE["NEW"], vip: str = _CODE["VIP"]) -> Registry:
    """Return the seller's code."""
    registry = Registry()
    texts = {**_CODE, "NEW": new, "VIP": vip}
    registry.declare("seller", texts, where="shop", primary="NEW", protected=["APPROVED"])
    return registry


async def seeded(file: Path) -> Seeded:
    """Make the database of a seller with what there is to be done; nobody asked a policy for that.

    `NEW` has version 2 in use, version 3 written and version 4 withdrawn, and a request by each person. `APPROVED` is
    protected, with a request by another person. `VIP` has drifted.
    """
    async with Database(f"sqlite://{file}") as database:
        own = await fill(database)
    with closing(sqlite3.connect(file)) as db:
        (last,) = db.execute("SELECT max(id) FROM prompt_events").fetchone()
    return Seeded(file, rows_of(file), own, last)


async def fill(database: Database) -> dict[str, int]:
    """Put that into an empty database; return the numbers of people's own requests."""
    own: dict[str, int] = {}
    await migrate.upgrade(database)
    await sync.seed(database, shop().agents)
    edits = DatabaseEdits(database, actor=OTHER)
    await edits.create(*SELLER, "Ask for the tax id and wait.", activate=True)
    await edits.create(*SELLER, "Ask for the tax id twice.")
    await edits.create(*SELLER, "Promise a discount.")
    await edits.withdraw(*SELLER, 4)
    for text in ("Quote prices, in euros.", "Quote prices, with tax."):
        await edits.create("seller", "APPROVED", text)
    asked = await edits.activate("seller", "APPROVED", 2)
    assert asked.request is not None
    assert asked.request.id == 1
    await edits.create("seller", "VIP", "Greet by name, and bow.", activate=True)
    await sync.seed(database, shop(vip="Greet by name and title.").agents)
    for actor in PEOPLE.values():
        mine = DatabaseEdits(database, actor=actor)
        written = (await mine.create(*SELLER, f"As {actor.id} would have it.")).prompt
        assert written is not None
        request = (await mine.request(*SELLER, written.version)).request
        assert request is not None
        own[actor.id] = request.id
    return own


def rows_of(file: Path) -> tuple[str, ...]:
    """Return all that a database holds, as SQL."""
    with closing(sqlite3.connect(file)) as db:
        return tuple(db.iterdump())


def _written(file: Path, seed: Seeded) -> tuple[tuple[object, ...], ...]:
    """Return the events that a try has left, besides their times and notes."""
    columns = "status_key, action, version, from_version, author, actor_id, request_id, approval, revision"
    with closing(sqlite3.connect(file)) as db:
        return tuple(db.execute(f"SELECT {columns} FROM prompt_events WHERE id > {seed.last_event} ORDER BY id"))


async def try_in_python(actor: Actor, action: Action, seed: Seeded, folder: Path, policy: Policy | None = None) -> Try:
    """Do something in Python as somebody, whose roles come with them, as they do in an application."""
    file = seed.copy_to(folder / "python.db")
    code = shop(new=NEW_CODE, vip="Greet by name and title.")
    said: str | None = None
    done: Any = None
    async with Database(f"sqlite://{file}") as database:
        edits = DatabaseEdits(database, code.agents, policy=policy or Roles(), actor=actor)
        try:
            done = await action.call(edits, seed.own[actor.id])
        except NotAllowedError as error:
            said = str(error)
    is_waiting = isinstance(done, EditResult) and done.is_waiting
    found = Found.REFUSED if said is not None else Found.ASKED if is_waiting else Found.DONE
    return Try(found, said, _written(file, seed), rows_of(file) == seed.rows)


def prepare(operator: Operator) -> None:
    """Put into an operator's folder what the commands need: the policy, the code, and a file to import."""
    members = ",\n".join(
        f"    Actor({actor.id!r}, roles={actor.roles!r}, agents={actor.agents!r})" for actor in PEOPLE.values()
    )
    (operator.folder / "team.py").write_text(
        f"from automagik_prompts import Actor, Roles\n\npolicy = Roles(\n{members},\n)\n"
    )
    texts = {**_CODE, "NEW": NEW_CODE, "VIP": "Greet by name and title."}
    constants = "".join(f"    {key} = {text!r}\n" for key, text in texts.items())
    (operator.folder / "shop.py").write_text(
        "from automagik_prompts import prompts\n\n\n"
        f'@prompts("seller", primary="NEW", protected=["APPROVED"])\nclass Seller:\n{constants}'
    )
    prompts = operator.folder / "prompts"
    prompts.mkdir()
    (prompts / "NEW.md").write_text("---\nagent: seller\nstatus: NEW\n---\n\nAsk it.\n")
    operator.environment["AUTOMAGIK_PROMPTS_POLICY"] = "team:policy"


def try_by_command(actor: Actor, action: Action, seed: Seeded, operator: Operator) -> Try:
    """Do something by the installed command as somebody, whom its policy knows by name."""
    assert action.command is not None
    file = seed.copy_to(operator.folder / f"{ACTIONS.index(action)}.db")
    outcome = operator.run(
        *(str(seed.own[actor.id]) if part == OWN else part for part in action.command),
        environment={
            "AUTOMAGIK_PROMPTS_DATABASE_URL": f"sqlite://{file}",
            "AUTOMAGIK_PROMPTS_AUTHOR": actor.id,
        },
    )
    said = refusal(outcome)
    assert said is not None or outcome.code in {0, 3}, outcome
    found = Found.REFUSED if said is not None else Found.ASKED if outcome.code == 3 else Found.DONE
    return Try(found, said, _written(file, seed), rows_of(file) == seed.rows)


def refusal(outcome: Outcome) -> str | None:
    """Return the sentence of a refusal: one line, with the exit code 1, and nothing else is printed."""
    if outcome.code != 1:
        return None
    assert (outcome.out, outcome.err[:7], outcome.err.count("\n")) == ("", "Error: ", 1), outcome
    return outcome.err.removeprefix("Error: ").removesuffix("\n")


class Asked:
    """The roles, and a note of what they were asked."""

    def __init__(self) -> None:
        self._roles = Roles()
        self.operations: set[Operation] = set()

    def __call__(
        self,
        actor: Actor | None,
        operation: Operation,
        agent: str,
        status_key: str,
        before: TextState | None,
        after: TextState | None,
    ) -> Decision:
        """Answer as the roles do."""
        self.operations.add(operation)
        return self._roles(actor, operation, agent, status_key, before, after)


Table = dict[str, dict[str, Found]]
"""What came of each row, by the column's heading."""


async def table(folder: Path, policy: Policy | None = None) -> Table:
    """Try all in Python, and return what came of it."""
    seed = await seeded(folder / "seeded.db")
    found: Table = {}
    for action in ACTIONS:
        row = found.setdefault(action.row, {})
        for role, actor in PEOPLE.items():
            tried = await try_in_python(actor, action, seed, folder, policy)
            assert row.setdefault(role, tried.found) is tried.found, f"{action.row}: as {role} not all come to the same"
    return found


_BEGIN, _END = "<!-- What was tried; `make docs` writes it. -->\n", "<!-- The end of it. -->\n"


def page(found: Table) -> str:
    """Return the whole page, with what was found between its marks."""
    lines = [
        f"| | {' | '.join(PEOPLE)} |",
        f"| --- |{' --- |' * len(PEOPLE)}",
        *(f"| {row} | {' | '.join(cells[role].value for role in PEOPLE)} |" for row, cells in found.items()),
    ]
    made = "\n".join(lines) + "\n"
    text = PAGE.read_text(encoding="utf-8")
    assert re.search(f"{re.escape(_BEGIN)}.*{re.escape(_END)}", text, re.DOTALL), f"{PAGE} has lost its marks"
    before, _, rest = text.partition(_BEGIN)
    return f"{before}{_BEGIN}\n{made}\n{_END}{rest.partition(_END)[2]}"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        written = page(asyncio.run(table(Path(made))))
    PAGE.write_text(written, encoding="utf-8")
    sys.stdout.write(f"{PAGE.relative_to(REPOSITORY)} is written\n")
