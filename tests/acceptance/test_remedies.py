"""Every command that a message tells people to run is run here as it stands there, and the trouble is over."""

from __future__ import annotations

import asyncio
import io
import logging
import re
import shlex
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import MappingProxyType

import pytest

from automagik_prompts.cli.app import COMMANDS, run
from automagik_prompts.declaring.registry import Registry, registry
from automagik_prompts.plugin import PromptPlugin
from automagik_prompts.schema import migrate
from automagik_prompts.settings import ENVIRONMENT_PREFIX, Settings
from automagik_prompts.storage.database import Database
from tests.acceptance.commands import REPOSITORY
from tests.hosts import TEXTS, Host, fill_agents, make_agents
from tests.operator import Operator, Outcome
from tests.remedies import named_commands, named_settings
from tests.tampering import tamper

Trial = Callable[["Case"], None]
TRIALS: list[tuple[str, Trial]] = []

AGENT, STATUS = """it's "Big" $agent""", "not registered"
"""Names that a shell would take apart."""

NAMES = {"ann": AGENT, "NEW": STATUS}
"""What stands for them in the lines below."""

WORD = r"""(?:-- )?(?:'[^']*'|"[^"]*"|[^\s'";,).])+"""


class Case:
    """A person with a database of one agent, who reads what is said and does it.

    Args:
        folder: Where the person works.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "prompts.db"
        self.operator = Operator(folder, f"sqlite://{self.path}")
        self.said = ""

    def run(self, *arguments: str, by: str = "ana", code: int | None = None) -> Outcome:
        """Run a command in this process, as there are hundreds of them, and keep what it says."""
        out, err = io.BytesIO(), io.BytesIO()
        streams = [io.TextIOWrapper(one, encoding="utf-8", write_through=True) for one in (out, err)]
        path, loaded = list(sys.path), set(sys.modules)
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(streams[0]), redirect_stderr(streams[1]):
            patch.chdir(self.folder)
            for name, value in (self.operator.environment | {"AUTOMAGIK_PROMPTS_AUTHOR": by}).items():
                patch.setenv(name, value)
            patch.syspath_prepend(self.operator.environment["PYTHONPATH"])
            try:
                done = run([NAMES.get(word, word) for word in arguments])
            finally:
                sys.path[:] = path
                for name in {*sys.modules} - loaded:
                    if name.partition(".")[0] in {"stan", "other", "rules"}:
                        del sys.modules[name]
                registry.agents = MappingProxyType({})
        outcome = Outcome(done, out.getvalue().decode(), err.getvalue().decode())
        assert code is None or outcome.code == code, outcome
        self.said = f"{outcome.out}{outcome.err}"
        return outcome

    def do(self, line: str, by: str = "ana", code: int = 0) -> str:
        """Run a command line that must end so."""
        self.run(*shlex.split(line), by=by, code=code)
        return self.said

    def follow(self, command: str, by: str = "ana", code: int = 0, **filled: str) -> str:
        """Run the command that was named, as it stands there, with what a person has to fill in."""
        pattern = re.escape(command).replace(r"\{\}", WORD).replace("%s", WORD)
        found = re.search(f"automagik-prompts ({pattern})", re.sub(r"\s+", " ", self.said))
        assert found is not None, f"{command!r} is not named: {self.said}"
        words = [filled.get(word, word) for word in shlex.split(found[1])]
        assert words[0] in COMMANDS
        self.run(*words, by=by, code=code)
        return self.said

    def start(self, *texts: str) -> None:
        """Make the agent with versions of the status NEW, the last one active."""
        for number, text in enumerate(texts):
            new = ["--new-agent", "--new-status"] if not number else []
            self.run("create", "ann", "NEW", "--text", text, "--activate", *new, code=0)

    def sql(self, *statements: str) -> None:
        """Write by plain SQL."""
        tamper(self.path, *statements)

    def code(self, *lines: str) -> None:
        """Have a module with prompts, which the commands find by a setting."""
        (self.folder / "other.py").write_text(
            "\n".join(
                ["from automagik_prompts import prompt, prompts", f"AGENT, STATUS = {AGENT!r}, {STATUS!r}", *lines]
            )
        )
        self.operator.environment["AUTOMAGIK_PROMPTS_MODULES"] = "other"

    def command_of(self, kind: str, *arguments: str) -> None:
        """Keep the command of a finding of `check`."""
        findings = self.run("check", "--json", *arguments).json["findings"]
        (self.said,) = {str(one["command"]) for one in findings if one["kind"] == kind}

    def serve(self, text: str) -> None:
        """Let a process start whose code has a text, and keep what it logs."""
        code, said = Registry(), list[str]()
        code.declare(AGENT, {STATUS: text}, where="here")
        handler = logging.Handler()
        handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]  # all that it does
        logging.getLogger("automagik_prompts").addHandler(handler)

        async def start() -> None:
            plugin = PromptPlugin(f"sqlite://{self.path}", registry=code, disk_snapshot=False, startup_timeout=30.0)
            async with plugin:
                await plugin.sync()

        try:
            asyncio.run(start())
        finally:
            logging.getLogger("automagik_prompts").removeHandler(handler)
        self.said = "\n".join(said)


def tries(command: str) -> Callable[[Trial], Trial]:
    """Put a trial of a named command into the table."""

    def add(trial: Trial) -> Trial:
        TRIALS.append((command, trial))
        return trial

    return add


@tries("activate {} STATUS VERSION")
def _nothing_active(case: Case) -> None:
    """An agent has no active version at all."""
    case.start("one")
    case.do("deactivate ann NEW")
    case.do("explain ann", code=1)
    case.follow("activate {} STATUS VERSION", STATUS="NEW", VERSION="1")
    assert "version 1" in case.do("explain ann")


@tries("activate {} {} VERSION")
def _nothing_before(case: Case) -> None:
    """There is nothing to go back to."""
    case.start("one")
    case.do("create ann NEW --text two")
    case.do("rollback ann NEW", code=1)
    case.follow("activate {} {} VERSION", VERSION="2")
    case.do("rollback ann NEW")
    case.do("deactivate ann NEW")
    case.command_of("inactive")
    case.follow("activate {} {} VERSION", VERSION="2")
    assert "inactive" not in case.do("check")


@tries("activate {} {} {}")
def _protected(case: Case) -> None:
    """What takes the place of a withdrawn version needs approval."""
    case.code("prompt('code', agent=AGENT, status_key=STATUS, protected=True)")
    case.do("sync")
    case.do("create ann NEW --text better")
    case.do("withdraw ann NEW 1 --activate 2 --note wrong", code=1)
    case.follow("activate {} {} {}", code=3)
    case.do("approve 1", by="bea")
    case.do("withdraw ann NEW 1 --note wrong")


@tries("check")
def _unknown_status(case: Case) -> None:
    """A status is not in code."""
    case.start("one")
    case.code("prompt('code', agent=AGENT, status_key='OTHER')")
    case.do("doctor")
    assert "unknown-status" in case.follow("check")


@tries("copy --version {} --activate {} {} {} {}")
def _changed_in_place(case: Case) -> None:
    """SQL has written over a text."""
    case.start("one")
    case.sql("UPDATE prompts SET prompt_text = 'another'")
    case.do("activate ann NEW 1 --yes", code=1)
    case.follow("copy --version {} --activate {} {} {} {}")
    case.do("check")


@tries("decline {} --note ...")
def _anothers_request(case: Case) -> None:
    """Somebody else's request is in the way."""
    case.start("one", "two")
    case.do("request ann NEW 1", code=3)
    case.do("request --withdraw 1", by="bea", code=1)
    case.follow("decline {} --note ...", by="bea")
    assert "There are no requests" in case.do("requests") or "1" not in case.do("requests")


@tries("request --withdraw {}")
def _own_request(case: Case) -> None:
    """One's own request is not declined."""
    case.start("one", "two")
    case.do("request ann NEW 1", code=3)
    case.do("decline 1 --note no", code=1)
    case.follow("request --withdraw {}")
    case.do("request ann NEW 1", code=3)


@tries("request {} {} {}")
def _lapsed(case: Case) -> None:
    """A request has lapsed."""
    case.start("one", "two", "three")
    case.do("request ann NEW 1", code=3)
    case.do("activate ann NEW 2")
    case.do("approve 1", by="bea", code=1)
    case.follow("request {} {} {}", code=3)
    case.do("approve 2", by="bea")
    assert "version 1" in case.do("explain ann NEW")


@tries("requests")
def _no_such_request(case: Case) -> None:
    """There is no request of that number."""
    case.start("one", "two")
    case.do("request ann NEW 1", code=3)
    case.do("approve 7", by="bea", code=1)
    assert "activate 1" in case.follow("requests")


@tries("requests --show {}")
def _code_waits(case: Case) -> None:
    """The code's new text waits for approval."""
    case.code("prompt('code', agent=AGENT, status_key=STATUS, protected=True, approve_code=True)")
    case.do("sync")
    case.do("approve 1", by="bea")
    case.code("prompt('changed', agent=AGENT, status_key=STATUS, protected=True, approve_code=True)")
    case.do("sync")
    case.command_of("waiting")
    assert f"{AGENT}/{STATUS}" in case.follow("requests --show {}")
    case.do("approve 2", by="bea")
    assert "waiting" not in case.do("check")


@tries("diff {} {}")
def _drift_shown(case: Case) -> None:
    """The code has changed under a person's version."""
    _drift(case)
    case.command_of("drift")
    assert "mine" in case.follow("diff {} {} {} {}")


@tries("keep {}")
def _drift_decided(case: Case) -> None:
    """The same, and it is decided."""
    _drift(case)
    case.run("check", code=3)
    case.follow("keep {} {}")
    case.do("check")


def _drift(case: Case) -> None:
    case.code("prompt('code', agent=AGENT, status_key=STATUS)")
    case.do("sync")
    case.do("create ann NEW --text mine --activate")
    case.code("prompt('code, changed', agent=AGENT, status_key=STATUS)")
    case.do("sync")


@tries("events {}")
def _said_something(case: Case) -> None:
    """What was said is to be read."""
    case.start("one")
    case.do("comment ann NEW --text fine")
    assert "fine" in case.follow("events {}")


@tries("export")
@tries("export DIR")
def _no_files(case: Case) -> None:
    """There are no files yet."""
    case.start("one")
    case.do("import files", code=1)
    assert "automagik-prompts export" in case.said
    (case.folder / "files").mkdir()
    case.command_of("file-missing", "--files", "files")
    case.follow("export DIR", DIR="files")
    case.do("import files")
    case.do("check --files files")


@tries("import --dry-run --activate DIR")
def _file_differs(case: Case) -> None:
    """A file is not what the database has."""
    case.start("one")
    case.do("export files")
    (path,) = (case.folder / "files").rglob("*.md")
    path.write_text(path.read_text().replace("one", "two"))
    case.command_of("file-differs", "--files", "files")
    assert "Would" in case.follow("import --dry-run --activate DIR", DIR="files") or "would" in case.said
    case.do("import files --activate")
    case.do("check --files files")


@tries("history {} {}")
def _none_active(case: Case) -> None:
    """There is no active version to show."""
    case.start("one")
    case.do("deactivate ann NEW")
    case.do("show ann NEW", code=1)
    assert "1" in case.follow("history {} {}")
    case.do("show ann NEW --version 1")


@tries("list {}")
def _alike(case: Case) -> None:
    """Two statuses differ in case only."""
    case.start("one")
    case.do("create ann OTHER --text two --new-status")
    case.sql("UPDATE prompts SET status_key = 'NOT REGISTERED' WHERE status_key = 'OTHER'")
    case.command_of("alike")
    assert "NOT REGISTERED" in case.follow("list {}")


@tries("migrate-legacy --dry-run")
@tries("upgrade")
def _legacy(case: Case) -> None:
    """An application has texts in its own table."""
    host = Host(case.operator.url)
    make_agents(host)
    fill_agents(host, TEXTS)
    case.do("list", code=1)
    said = case.said
    case.follow("migrate-legacy --dry-run")
    case.said = said
    case.follow("upgrade")
    case.do("list")
    assert "up to date" in case.do("doctor")


@tries("migrate-legacy")
def _text_without_version(case: Case) -> None:
    """A text was changed in the old column after a downgrade half way."""
    host = Host(case.operator.url)
    make_agents(host)
    fill_agents(host, TEXTS)
    case.do("upgrade")

    async def back() -> None:
        async with Database(case.operator.url) as database:
            await migrate.downgrade(database, 2)

    asyncio.run(back())
    case.sql("UPDATE agents SET system_prompt = 'Changed since.' WHERE id = 1")
    case.do("upgrade", code=1)
    case.follow("migrate-legacy")
    assert "up to date" in case.do("doctor")


@tries("upgrade --adopt")
def _foreign(case: Case) -> None:
    """A table agents may be about something else."""
    case.sql("CREATE TABLE agents (id INTEGER PRIMARY KEY, name TEXT UNIQUE, phone TEXT)")
    case.do("upgrade", code=1)
    case.follow("upgrade --adopt")
    assert "up to date" in case.do("doctor")


@tries("request {}")
def _no_role(case: Case) -> None:
    """The role lets one ask, and not do."""
    case.start("one", "two")
    roles = "from automagik_prompts import Actor, Roles\npolicy = Roles(Actor('bob', roles=('editor',)))\n"
    (case.folder / "rules.py").write_text(roles)
    case.operator.environment["AUTOMAGIK_PROMPTS_POLICY"] = "rules:policy"
    case.do("activate ann NEW 1", by="bob", code=1)
    case.follow("request {} {} {}", by="bob", code=3)
    case.do("deactivate ann NEW", by="bob", code=1)
    case.follow("request --deactivate {} {}", by="bob", code=3)


@tries("rollback {} {}")
def _cannot_be_served(case: Case) -> None:
    """SQL has made the active version one that cannot be served."""
    case.start("one", "two")
    case.sql("UPDATE prompts SET prompt_text = '{{#if' WHERE version = 2")
    case.serve("one")
    case.follow("rollback {} {}")
    case.serve("one")
    assert "cannot be served" not in case.said


@tries("sync")
def _not_there(case: Case) -> None:
    """An agent is in code only."""
    case.do("upgrade")
    assert "automagik-prompts sync" in case.do("list")
    case.code("prompt('code', agent=AGENT, status_key=STATUS)")
    case.do("show ann NEW", code=1)
    case.follow("sync")
    case.do("show ann NEW")


@tries("withdraw --undo {}")
def _withdrawn(case: Case) -> None:
    """A version that is wanted is withdrawn."""
    case.start("one", "two")
    case.do("withdraw ann NEW 1 --note wrong")
    case.do("activate ann NEW 1", code=1)
    case.follow("withdraw --undo {} {} {}")
    case.do("activate ann NEW 1")


@tries("withdraw --undo {} {} {}")
def _code_withdrawn(case: Case) -> None:
    """The code's new text is one that people have withdrawn."""
    case.start("bad", "good")
    case.do("withdraw ann NEW 1 --note wrong")
    case.serve("bad")
    case.follow("withdraw --undo {} {} {}")


@pytest.mark.parametrize(("command", "trial"), TRIALS, ids=lambda one: one if isinstance(one, str) else one.__name__)
def test_what_a_message_says_helps(tmp_path: Path, command: str, trial: Trial) -> None:
    """The trouble arises, the message names the command, and when it was run the trouble is over."""
    assert command in named_commands()
    trial(Case(tmp_path))


ELSEWHERE = {
    "grants": "tests/integration/test_grants.py",
    "grants {} --to {}": "tests/integration/test_grants.py",
    "token": "tests/integration/test_serve.py",
}
"""What is tried where there is a server to try it on."""


def test_every_named_command_is_tried() -> None:
    """A message that names another command fails here until somebody has tried it."""
    assert set(named_commands()) == {command for command, _ in TRIALS} | ELSEWHERE.keys()
    assert all((REPOSITORY / file).is_file() for file in ELSEWHERE.values())


def test_every_named_setting_is_there() -> None:
    """A variable that a message names is one that is read."""
    known = {f"{ENVIRONMENT_PREFIX}{name.upper()}" for name in Settings.model_fields}
    assert named_settings() <= known


def test_a_name_like_an_option(tmp_path: Path) -> None:
    """What a message says of an agent whose name begins with a dash can be run as it stands there, too."""
    case = Case(tmp_path)
    case.run("create", "--text", "one", "--new-agent", "--new-status", "--", "-v", "on hold", code=0)
    case.do("show -- -v 'on hold'", code=1)
    case.follow("history {} {}")
    case.do("explain -- -v", code=1)
    case.follow("activate {} STATUS VERSION", STATUS="on hold", VERSION="1")
    assert "version 1" in case.do("explain -- -v")
