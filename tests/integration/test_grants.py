"""The rights of the database's own users: each has what `automagik-prompts grants` prints, and nothing else is done."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.edits import EditResult
from automagik_prompts.domain.served import State
from automagik_prompts.editing.direct import DatabaseEdits
from automagik_prompts.exceptions import MissingRightError, NotAllowedError
from automagik_prompts.storage.connection import Client, Connection
from automagik_prompts.storage.database import Database
from tests.acceptance import roles
from tests.acceptance.commands import REPOSITORY, environment
from tests.acceptance.roles import ACTIONS, PEOPLE, Action, Found
from tests.acceptance.test_readme import run_console
from tests.conftest import MakePlugin
from tests.grantees import ROLES, granted, log_in, refusals, run_sql
from tests.operator import Operator
from tests.servers import PostgresServer
from tests.waiting import until

PAGE = REPOSITORY / "docs" / "rights.md"

WHO = {
    "viewer": "viewer",
    "editor": "editor",
    "publisher": "publisher",
    "editor and publisher": "admin",
    "app": "none",
    "app --seed": "approver",
}
"""As which of the people each user of the database acts; their requests are their own."""


@dataclass(frozen=True, slots=True)
class Shop:
    """A database that all tries begin with a copy of.

    Attributes:
        server: The server.
        url: The database, as its owner.
        users: The names of its other users, by what they are for.
        own: The numbers of people's own requests.
    """

    server: PostgresServer
    url: str
    users: Mapping[str, str]
    own: Mapping[str, int]

    def as_user(self, role: str, url: str | None = None) -> str:
        """Return the URL for one of its users."""
        return log_in(url or self.url, self.users[role])

    @contextmanager
    def copied(self) -> Iterator[str]:
        """Give a fresh copy of the database, as its owner."""
        parts = urlsplit(self.url)
        name = f"copy_{uuid.uuid4().hex[:12]}"
        self.server.execute(f'CREATE DATABASE "{name}" TEMPLATE "{parts.path.lstrip("/")}"')
        url = urlunsplit(parts._replace(path=f"/{name}"))
        yield url
        self.server.drop_database(url)


@pytest.fixture(scope="module")
def shop(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A seller's database with a user for each role."""
    url = postgres.create_database()

    async def fill() -> dict[str, int]:
        async with Database(url) as database:
            return await roles.fill(database)

    own = asyncio.run(fill())
    with granted(postgres, url, tmp_path_factory.mktemp("grants")) as users:
        yield Shop(postgres, url, users, own)


@pytest.fixture
def copied(shop: Shop) -> Iterator[str]:
    """A copy of that database, as its owner."""
    with shop.copied() as url:
        yield url


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of a try.

    Attributes:
        found: What the page shows.
        error: What was raised.
        changed: Whether an agent or an event was written.
    """

    found: Found
    error: MissingRightError | NotAllowedError | None
    changed: bool


def attempt(shop: Shop, role: str, action: Action) -> Tried:
    """Do something as one of the users, without a policy."""
    person = PEOPLE[WHO[role]]
    code = roles.shop(new=roles.NEW_CODE, vip="Greet by name and title.")

    async def run(url: str) -> Tried:
        error: MissingRightError | NotAllowedError | None = None
        done: object = None
        async with Database(url) as owners, Database(shop.as_user(role, url)) as database:
            before = await owners.run(state_of)
            try:
                done = await action.call(DatabaseEdits(database, code.agents, actor=person), shop.own[person.id])
            except (MissingRightError, NotAllowedError) as raised:
                error = raised
            changed = await owners.run(state_of) != before
        is_waiting = isinstance(done, EditResult) and done.is_waiting
        found = Found.REFUSED if error is not None else Found.ASKED if is_waiting else Found.DONE
        return Tried(found, error, changed)

    with shop.copied() as url:
        return asyncio.run(run(url))


async def state_of(client: Client) -> list[dict[str, Any]]:
    """Return what tells whether anything was written."""
    return await Connection(client).rows(
        "SELECT (SELECT sum(revision) FROM agents) AS revision, (SELECT max(id) FROM prompt_events) AS event, "
        "(SELECT count(*) FROM prompts) AS prompts, (SELECT count(*) FROM prompt_drafts) AS drafts"
    )


@pytest.mark.parametrize("role", ROLES)
def test_what_each_user_may_do_is_on_the_page(shop: Shop, role: str) -> None:
    """Each action comes to what the page says; a refusal writes nothing and says which role it takes."""
    found: dict[str, Found] = {}
    for action in ACTIONS:
        if action.row.startswith("`token"):
            continue  # the owner's alone
        tried = attempt(shop, role, action)
        assert found.setdefault(action.row, tried.found) is tried.found, action.row
        assert tried.changed is (action.changes and tried.error is None), action.row
        if isinstance(tried.error, MissingRightError):
            user = shop.users[role]
            assert (tried.error.user, tried.error.message.endswith(f" --to {quote(user)}")) == (user, True), tried.error
            assert tried.error.roles, action.row
            assert role not in tried.error.roles or "--role editor --role publisher" in str(tried.error)
    section = PAGE.read_text(encoding="utf-8").partition("\n## What each role may do")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    heading, _, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    column = [cell.strip("`") for cell in heading].index(role)
    assert {row: one.value for row, one in found.items()} == {row[0]: row[column] for row in rows}


COMMANDS = (
    ("viewer", ("comment", "seller", "NEW", "--text", "Hm."), "comment on seller/NEW", "--role editor"),
    ("viewer", ("create", "seller", "NEW", "--text", "Ask."), "create seller/NEW", "--role editor"),
    ("viewer", ("approve", "1"), "approve request 1", "--role publisher"),
    ("editor", ("activate", "seller", "NEW", "3"), "activate seller/NEW", "--role publisher"),
    ("editor", ("delete", "seller", "NEW", "3", "--yes"), "delete seller/NEW", "--role publisher"),
    ("editor", ("sync", "--module", "shop"), "sync all agents", "--role app --seed"),
    ("publisher", ("create", "seller", "NEW", "--text", "Ask."), "create seller/NEW", "--role editor"),
    (
        *("publisher", ("create", "seller", "NEW", "--text", "Ask.", "--activate")),
        *("create seller/NEW and activate seller/NEW", "--role editor --role publisher"),
    ),
    ("app", ("rollback", "seller", "NEW"), "roll back seller/NEW", "--role publisher"),
    ("app", ("requests",), "view all agents", "--role viewer"),
    ("app --seed", ("withdraw", "seller", "NEW", "3"), "withdraw seller/NEW", "--role publisher"),
)


@pytest.mark.parametrize(("role", "command", "what", "takes"), COMMANDS, ids=lambda value: str(value))
def test_a_refused_command_says_which_role_it_takes(
    shop: Shop, tmp_path: Path, role: str, command: tuple[str, ...], what: str, takes: str
) -> None:
    """One line says who may not do what, and which rights that takes."""
    operator = Operator(tmp_path, shop.as_user(role))
    roles.prepare(operator)
    del operator.environment["AUTOMAGIK_PROMPTS_POLICY"]
    said = roles.refusal(operator.run(*command))
    user = shop.users[role]
    assert said is not None
    assert said.startswith(f"The database's user {user} may not {what} (permission denied ")
    assert said.endswith(f"automagik-prompts grants {takes} --to {quote(user)}")


def test_a_refused_restore_says_which_role_it_takes(shop: Shop, copied: str, tmp_path: Path) -> None:
    """As an activation does, for the status that would be changed."""
    moment = datetime.now(UTC).isoformat()
    owner, editor = Operator(tmp_path, copied), Operator(tmp_path, shop.as_user("editor", copied))
    owner.do("create", "seller", "NEW", "--text", "Another one.", "--activate")
    said = roles.refusal(editor.run("restore", "--as-of", moment, "--agent", "seller"))
    user = shop.users["editor"]
    assert said is not None
    assert said.startswith(f"The database's user {user} may not activate seller/NEW (permission denied ")
    assert said.endswith(f"automagik-prompts grants --role publisher --to {quote(user)}")


@pytest.mark.parametrize(
    ("role", "command", "who"),
    [
        ("publisher", "create ci --role viewer", "make tokens"),
        ("publisher", "revoke 1", "revoke tokens"),
        ("viewer", "list", "list tokens"),
    ],
)
def test_who_may_not_make_tokens_is_told_who_may(
    shop: Shop, copied: str, tmp_path: Path, role: str, command: str, who: str
) -> None:
    """Only the owner, as no role of the database has the right."""
    assert Operator(tmp_path, copied).run("token", "create", "old", "--role", "viewer").code == 0
    said = roles.refusal(Operator(tmp_path, shop.as_user(role, copied)).run("token", *command.split()))
    assert said is not None
    assert said.startswith(f"The database's user {shop.users[role]} may not {who} (permission denied ")
    assert "Only the owner of the tables" in said
    assert "grants" not in said


def test_who_may_not_change_the_schema_is_told_who_may(shop: Shop, tmp_path: Path) -> None:
    """A downgrade by anybody but the owner is refused with a sentence."""
    operator = Operator(tmp_path, shop.as_user("publisher"))
    said = roles.refusal(operator.run("downgrade", "--step", "7", "--yes"))
    assert said is not None
    assert "must be owner of" in said
    assert "Only the owner changes the schema." in said


TEXT = "UPDATE prompts SET prompt_text = 'Forged.'"
ACTIVE = "UPDATE prompts SET is_active = false"
DELETE = "DELETE FROM prompt_events"
EVENT = (
    "INSERT INTO prompt_events (agent_id, status_key, action, revision, created_at{more}) "
    "VALUES (1, 'NEW', '{action}', 1, now(){values})"
)
COMMENT = EVENT.format(action="commented", more="", values="")
SWITCHED = EVENT.format(action="activated", more="", values="")
APPROVED = EVENT.format(action="approved", more="", values="")
SIGNED = EVENT.format(action="commented", more=", db_user", values=", 'somebody'")
VERSION = (
    "INSERT INTO prompts (agent_id, status_key, version, prompt_text, content_hash, format, is_active, "
    "is_default_from_code, created_at, updated_at) VALUES (1, 'FORGED', 1, 'Forged.', '', 'text', {active}, {code}, "
    "now(), now())"
)
WRITTEN = VERSION.format(active=False, code=False)
SERVED = VERSION.format(active=True, code=False)
CODES = VERSION.format(active=False, code=True)
NEVER = (
    *(TEXT, "UPDATE prompts SET format = 'text'", "UPDATE prompts SET content_hash = ''"),
    *("UPDATE prompts SET author = 'bea'", "UPDATE prompt_events SET author = 'bea'", DELETE),
    *("TRUNCATE prompt_events", "TRUNCATE agents CASCADE", "DELETE FROM agents", "TRUNCATE prompt_changes"),
    *("UPDATE prompt_changes SET change = 0", "DELETE FROM prompt_changes", "DELETE FROM aerich"),
    *("UPDATE agents SET name = 'other'", "CREATE TABLE prompts_too (id INT)", "DROP TABLE prompt_drafts"),
    *("CREATE SCHEMA mine", "ALTER TABLE prompts DISABLE TRIGGER USER", "SET session_replication_role = replica"),
    *("DROP TRIGGER prompts_kept_update ON prompts", "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'"),
    *("DELETE FROM prompt_requests", "DELETE FROM prompt_drafts", SIGNED),
)
"""What none of them may do."""

DRAFTS = "SELECT * FROM prompt_drafts"
REQUESTS = "SELECT * FROM prompt_requests"
MAY = {
    "viewer": {REQUESTS},
    "editor": {REQUESTS, DRAFTS, COMMENT, WRITTEN},
    "publisher": {REQUESTS, COMMENT, SWITCHED, APPROVED, ACTIVE},
    "editor and publisher": {REQUESTS, DRAFTS, COMMENT, SWITCHED, APPROVED, ACTIVE, WRITTEN, SERVED},
    "app": set[str](),
    "app --seed": {REQUESTS, COMMENT, SWITCHED, APPROVED, ACTIVE, WRITTEN, SERVED, CODES},
}


@pytest.mark.parametrize("role", ROLES)
def test_what_sql_may_do(shop: Shop, role: str) -> None:
    """Whoever leaves this library aside can do by SQL what the role is for, and cannot forge the rest."""
    statements = (*NEVER, DRAFTS, REQUESTS, COMMENT, SWITCHED, APPROVED, ACTIVE, WRITTEN, SERVED, CODES)
    found = asyncio.run(refusals(shop.as_user(role), statements))
    assert {said[:5] for said in found.values()} <= {"", "42501"}, found
    assert {statement for statement, said in found.items() if not said} == MAY[role]


def test_who_wrote_is_the_databases_own_word(shop: Shop, copied: str, tmp_path: Path) -> None:
    """An event has the user who had logged in, whatever the author, an INSERT or a role that was taken say."""
    editor, publisher = (Operator(tmp_path, shop.as_user(role, copied)) for role in ("editor", "publisher"))
    editor.do("create", "seller", "NEW", "--text", "Ask.", "--author", "bea")
    publisher.do("activate", "seller", "NEW", "3", "--author", "bea")
    # Even who has more rights than are granted cannot say it.
    run_sql(copied, f'GRANT INSERT ON prompt_events TO "{shop.users["editor"].replace(chr(34), chr(34) * 2)}"')
    run_sql(shop.as_user("editor", copied), SIGNED)
    events = publisher.run("events", "seller", "--json", "--limit", "3").json["events"]
    assert [(event["action"], event["author"], event["db_user"]) for event in events] == [
        ("commented", None, shop.users["editor"]),
        ("activated", "bea", shop.users["publisher"]),
        ("created", "bea", shop.users["editor"]),
    ]
    shown = publisher.do("events", "seller").splitlines()
    assert "author (db user)" in shown[0]
    assert f"bea ({shop.users['publisher']})" in shown[2]
    assert "db user" not in publisher.do("events", "seller", "--limit", "1").splitlines()[0]


@pytest.mark.parametrize("who", ["owner", "editor"])
def test_nobody_changes_what_was_written_by_mistake(shop: Shop, copied: str, who: str) -> None:
    """The owner is kept from it as well, until they say so; who has been granted too much can say what they like."""
    if who == "editor":
        user = shop.users["editor"].replace('"', '""')
        run_sql(copied, f'GRANT ALL ON ALL TABLES IN SCHEMA public TO "{user}"')
    url = copied if who == "owner" else shop.as_user("editor", copied)
    changes = (
        *(TEXT, "UPDATE prompts SET format = 'text' WHERE version = 3", "UPDATE prompt_events SET note = ''", DELETE),
        *("TRUNCATE prompt_events", "TRUNCATE agents CASCADE"),
    )
    refused = asyncio.run(refusals(url, changes))
    assert all("stays as it was written" in said for said in refused.values()), refused
    assert all("SET LOCAL automagik_prompts.maintenance = 'on'" in said for said in refused.values()), refused
    lifted = asyncio.run(refusals(url, [f"SET LOCAL automagik_prompts.maintenance = 'on'; {one}" for one in changes]))
    assert [bool(said) for said in lifted.values()] == [who == "editor"] * len(changes), lifted
    # A deleted agent takes its history along.
    assert asyncio.run(refusals(url, ["DELETE FROM agents"])) == {"DELETE FROM agents": ""}


async def test_an_app_that_only_reads_follows(shop: Shop, copied: str, make_plugin: MakePlugin) -> None:
    """With `seed=False` SELECT is enough: it is live, is notified, and serves what a publisher activates."""
    registry = roles.shop(new="A text that only the code has.")
    plugin = make_plugin(shop.as_user("app", copied), seed=False, registry=registry)
    await plugin.ready()
    assert plugin.state is State.LIVE
    health = plugin.health()
    assert (health.error, health.unwritten, health.problems) == (None, None, ())
    await until(lambda: plugin.health().listening, "notifications arrive")
    async with Database(shop.as_user("publisher", copied)) as database:
        await DatabaseEdits(database).activate("seller", "NEW", 3)
    await until(lambda: plugin.resolve("seller", "NEW").version == 3, "what was activated is served")


async def test_an_app_that_seeds_needs_more(
    shop: Shop, copied: str, make_plugin: MakePlugin, registry: Registry
) -> None:
    """With less it serves, and says what it lacks; with the rights to seed it writes what its code declares."""
    registry.declare("buyer", {"default": "Buy."}, where="here")
    lacking = make_plugin(shop.as_user("app", copied))
    await lacking.ready()
    assert lacking.state is State.LIVE
    said = lacking.health().unwritten or ""
    assert "may not sync all agents" in said
    assert "grants --role app --seed --to" in said
    assert "seed=False" in said
    plugin = make_plugin(shop.as_user("app --seed", copied))
    await plugin.ready()
    await until(lambda: plugin.health().unwritten is None and plugin.resolve("buyer").version == 1, "it is written")
    await until(lambda: lacking.resolve("buyer").version == 1, "the other one follows")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--role", "viewer"), "is a file and has no roles: whoever can write to it can do everything."),
        (("--role", "viewer", "--schema", "x", "--seed"), "--seed goes with --role app"),
        (("--role", "viewer", "--schema", "x", "--to", "a\nb"), "is no name"),
        (("--role", "viewer", "--schema", "x" * 64), "is too long"),
    ],
)
def test_what_has_no_roles(tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    """A file has none, and a name that PostgreSQL would take for another is refused."""
    outcome = Operator(tmp_path, f"sqlite://{tmp_path / 'prompts.db'}").run("grants", *options)
    assert outcome.code in {1, 2}
    assert said in outcome.err
    assert outcome.out == ""
    assert not (tmp_path / "prompts.db").exists()


def test_the_page(shop: Shop, copied: str, tmp_path: Path) -> None:
    """What the page shows is so: a refusal, the owner's maintenance, taking rights back, and what a file does."""
    text = PAGE.read_text(encoding="utf-8")
    (refused,) = re.findall(r"```text\nError: (.*)\n```", text)
    said = roles.refusal(Operator(tmp_path, shop.as_user("editor", copied)).run("activate", "seller", "NEW", "3"))
    assert (said or "").replace(quote(shop.users["editor"]), "ana").replace(shop.users["editor"], "ana") == refused
    (maintenance,) = re.findall(r"```sql\n(.*?)```", text, re.DOTALL)
    run_sql(copied, maintenance.replace("3 years", "0 s").replace("somebody who has left", "joao"))
    operator = Operator(tmp_path, copied)
    events = operator.run("events", "--json").json["events"]
    assert not [one for one in events if one["author"] == "joao" or one["action"] == "facts"]
    assert [one for one in events if one["action"] == "activated"]
    taken = re.findall(r"`(REVOKE ALL ON ALL TABLES IN SCHEMA) prompts FROM ana`", text)[0]
    quoted = shop.users["editor"].replace('"', '""')
    run_sql(copied, *(f'{taken.replace("TABLES", what)} public FROM "{quoted}"' for what in ("TABLES", "SEQUENCES")))
    assert all(asyncio.run(refusals(shop.as_user("editor", copied), ["SELECT * FROM prompts", WRITTEN])).values())
    (console,) = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    run_console(console, tmp_path, environment(tmp_path, PATH=path, AUTOMAGIK_PROMPTS_AUTHOR="ana"))


def test_the_printed_sql(tmp_path: Path) -> None:
    """Names are quoted, the schema is the URL's, and no database is asked for it."""
    operator = Operator(tmp_path, "postgres://nobody@127.0.0.1:1/none?schema=the%20prompts")
    printed = operator.do("grants", "--role", "viewer", "--role", "app")
    assert printed.startswith("-- ")
    assert 'GRANT USAGE ON SCHEMA "the prompts" TO "prompts_viewer";' in printed
    assert 'GRANT SELECT ON "the prompts"."agents" TO "prompts_app";' in printed
    assert printed.splitlines()[-1] == "COMMIT;"
    found = operator.run("grants", "--role", "publisher", "--to", 'a"b', "--json").json["grants"]
    assert [(one["role"], one["to"]) for one in found] == [("publisher", 'a"b')]
    assert all(statement.endswith(' TO "a""b";') for statement in found[0]["statements"])


@pytest.mark.parametrize("way", ["a schema of the user's name", "an earlier schema"])
def test_doctor_warns_of_a_schema_that_others_can_put_before(way: str, shop: Shop, copied: str, tmp_path: Path) -> None:
    """Who may create can put tables before the real ones, unless the URL names the schema; then nothing is said."""
    app, other = (shop.users[role].replace('"', '""') for role in ("app", "editor"))
    name = urlsplit(copied).path.lstrip("/")
    doctor = Operator(tmp_path, shop.as_user("app", copied))
    assert "names no schema" not in doctor.run("doctor").out
    if way == "an earlier schema":
        run_sql(
            copied,
            f'CREATE SCHEMA early; GRANT CREATE ON SCHEMA early TO "{other}"; GRANT USAGE ON SCHEMA early TO "{app}"',
        )
        run_sql(copied, f'ALTER ROLE "{app}" IN DATABASE "{name}" SET search_path = early, public')
    else:
        run_sql(copied, f'GRANT CREATE ON DATABASE "{name}" TO "{other}"')
    said = doctor.run("doctor").out
    assert f"server: the URL names no schema, so {shop.users['editor']} can put tables before those in public" in said
    assert "Add ?schema=public to the URL." in said
    if way != "an earlier schema":
        # It is no theory: an app would be served what the editor has put there.
        forged = f'CREATE SCHEMA "{app}"; CREATE TABLE "{app}".agents (); GRANT USAGE ON SCHEMA "{app}" TO "{app}"'
        run_sql(shop.as_user("editor", copied), forged)
        assert "lacks 9 of 9 migrations" in doctor.run("list").err
    named = f"{shop.as_user('app', copied)}&schema=public"
    safe = Operator(tmp_path, named)
    assert "names no schema" not in safe.run("doctor").out
    assert "seller" in safe.do("list")
