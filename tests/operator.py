"""An operator: runs the installed command `automagik-prompts`, in a pipe or at a terminal of 80 columns."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

from tortoise.backends.base.client import BaseDBAsyncClient

from automagik_prompts.domain.records import Action, AgentInfo, EventCreate, PromptCreate
from automagik_prompts.schema import migrate
from automagik_prompts.storage import repository
from automagik_prompts.storage.database import Database
from tests.launcher import NOT_ENDED
from tests.powerless import obey_modes
from tests.processes import Launcher

COMMAND = Path(sys.executable).parent / "automagik-prompts"
PATIENCE = 30.0
"""Seconds after which a command counts as hung; the machine may be busy."""

_BEGINS = re.compile("PYTHON|LANG|LC_")
_STYLES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command did.

    Attributes:
        code: The exit code.
        out: What it printed on stdout.
        err: What it printed on stderr.
    """

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed as JSON."""
        return json.loads(self.out)


class Operator:
    """Runs the command in a folder of its own, as a person who never used it before.

    Args:
        folder: The working directory; caches and configuration stay in it.
        database_url: The database.
        launcher: Forks the commands that it runs in a pipe, for suites of hundreds; without, each is started anew.
    """

    def __init__(self, folder: Path, database_url: str, launcher: Launcher | None = None) -> None:
        self.folder = folder
        self._launcher = launcher
        self.url = database_url
        home = folder / "home"
        # Whatever prompts are installed beside this package do not belong to the test.
        shadow = folder / "shadow" / "stan"
        for made in (home, shadow):
            made.mkdir(parents=True, exist_ok=True)
        (shadow / "__init__.py").touch()
        (shadow / "prompts.py").touch()
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("AUTOMAGIK_PROMPTS_", "GIT_"))
        }
        self.environment = {
            **kept,
            "PATH": f"{COMMAND.parent}{os.pathsep}{kept.get('PATH', '')}",
            "PYTHONPATH": str(shadow.parent),
            "PYTHONWARNINGS": "error",
            "HOME": str(home),
            "XDG_CACHE_HOME": str(home / "cache"),
            "XDG_CONFIG_HOME": str(home / "config"),
            "AUTOMAGIK_PROMPTS_DATABASE_URL": database_url,
            "AUTOMAGIK_PROMPTS_AUTHOR": "ana",
            "LANG": "C.UTF-8",
            "TZ": "UTC",
        }
        for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TERM", "EDITOR", "VISUAL", "PYTHONIOENCODING"):
            self.environment.pop(name, None)

    def run(
        self,
        *arguments: str,
        text: str | None = None,
        environment: dict[str, str | None] | None = None,
        powerless: bool = False,
    ) -> Outcome:
        """Run a command in a pipe.

        Args:
            arguments: Its arguments.
            text: What it reads from standard input.
            environment: Variables to set, or to leave out where they are `None`.
            powerless: Whether the modes of files count for it, even where the tests run as root.
        """
        # A fork has begun already: it cannot lose the right to pass by modes, and has chosen how it reads and prints.
        if self._launcher is not None and not powerless and not any(_BEGINS.match(name) for name in environment or ()):
            return self._fork(self._launcher, arguments, self._with(environment), text or "")
        done = subprocess.run(
            [str(COMMAND), *arguments],
            cwd=self.folder,
            env=self._with(environment),
            input=(text or "").encode(),
            capture_output=True,
            timeout=PATIENCE,
            check=False,
            preexec_fn=obey_modes if powerless else None,
        )
        return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())

    def _fork(self, launcher: Launcher, arguments: tuple[str, ...], environment: dict[str, str], text: str) -> Outcome:
        with TemporaryDirectory() as place:
            streams = [Path(place) / name for name in ("in", "out", "err")]
            for stream, content in zip(streams, (text, "", ""), strict=True):
                stream.write_text(content, encoding="utf-8", newline="")
            child = launcher.fork(
                "tests.commanding:run_command", arguments, str(self.folder), environment, tuple(map(str, streams))
            )
            code = child.close()
            if code == NOT_ENDED:
                child.send_signal(signal.SIGKILL)
                raise subprocess.TimeoutExpired(arguments, PATIENCE)
            assert code is not None
            return Outcome(code, *(stream.read_bytes().decode() for stream in streams[1:]))

    def do(self, *arguments: str, text: str | None = None) -> str:
        """Run a command that must work, and return what it printed."""
        outcome = self.run(*arguments, text=text)
        assert outcome.code == 0, outcome
        assert outcome.err == "", outcome
        return outcome.out

    def at_terminal(
        self, *arguments: str, environment: dict[str, str | None] | None = None, columns: int = 80
    ) -> Terminal:
        """Run a command at a terminal.

        Args:
            arguments: Its arguments.
            environment: Variables to set, or to leave out where they are `None`.
            columns: The terminal's width.
        """
        return Terminal(
            [str(COMMAND), *arguments],
            self.folder,
            self._with({"TERM": "xterm-256color", "PAGER": "", **(environment or {})}),
            columns,
        )

    def _with(self, changes: dict[str, str | None] | None) -> dict[str, str]:
        wanted = {**self.environment, **(changes or {})}
        return {name: value for name, value in wanted.items() if value is not None}


class Terminal:
    """A command at a terminal: what it shows, and what the person types.

    Args:
        arguments: The command and its arguments.
        folder: The working directory.
        environment: The variables.
        columns: The terminal's width.
    """

    def __init__(self, arguments: list[str], folder: Path, environment: dict[str, str], columns: int) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self._process = subprocess.Popen(
            arguments,
            cwd=folder,
            env=environment,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            # As a terminal's shell does; tests that run in the background may have been told to ignore Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        os.close(slave)
        self._shown = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        os.close(self._master)

    @property
    def raw(self) -> str:
        """Everything shown so far, with the codes that colour it."""
        return self._shown.decode().replace("\r\n", "\n")

    @property
    def shown(self) -> str:
        """Everything shown so far, without colours."""
        return _STYLES.sub("", self.raw)

    def until(self, words: str) -> str:
        """Wait until something is shown, and return everything shown so far."""
        deadline = time.monotonic() + PATIENCE
        while words not in self.shown:
            assert self._read(deadline), f"{words!r} was not shown: {self.shown}"
        return self.shown

    def type(self, text: str) -> None:
        """Type something."""
        os.write(self._master, text.encode())

    def interrupt(self) -> int:
        """Press Ctrl-C until the command ends, as a person would, and return its exit code.

        One that arrives in the moment between the question and the reading of the answer is not noticed.
        """
        deadline = time.monotonic() + PATIENCE
        while self._process.poll() is None and time.monotonic() < deadline:
            self._process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(2)
        return self.end()

    def end(self) -> int:
        """Wait until the command ends, and return its exit code."""
        deadline = time.monotonic() + PATIENCE
        while self._read(deadline):
            pass
        return self._process.wait(max(0.1, deadline - time.monotonic()))

    def _read(self, deadline: float) -> bool:
        """Read what is shown next; false when nothing more will come."""
        while True:
            left = deadline - time.monotonic()
            assert left > 0, f"the command hangs: {self.shown}"
            ready, _, _ = select.select([self._master], [], [], min(left, 1.0))
            if ready:
                try:
                    piece = os.read(self._master, 65536)
                except OSError:  # Linux says so when the other side is closed
                    return False
                self._shown += piece
                return bool(piece)
            if self._process.poll() is not None:
                return False


CROWD = ("APPROVED", "NOT_REGISTERED", "PENDING_REVIEW", "REJECTED")
"""The statuses of each agent in a crowded database."""

_LONG = "".join(f"Rule {{n}}.{line}: ask {{{{{{{{name}}}}}}}} politely, and be brief.\n" for line in range(20))


async def fill(url: str, *, agents: int = 50, versions: int = 10) -> None:
    """Fill a database with agents of four statuses each, and so many versions of each status; the newest is active."""
    names = [f"agent_{number:02d}" for number in range(agents)]

    async def write(db: BaseDBAsyncClient, round_: int, infos: list[AgentInfo]) -> None:
        for info in infos:
            await repository.lock_agent(db, info.id)
            for status_key in CROWD:
                await repository.set_prompt_active(db, info.id, None, status_key)
        new = [
            PromptCreate(
                agent_id=info.id,
                status_key=status_key,
                prompt_text=_LONG.format(n=round_) + ("Quote prices." if status_key == "APPROVED" else ""),
                is_default_from_code=round_ == 0,
                is_active=True,
                author="code" if round_ == 0 else "bruno",
                note=None if round_ == 0 else f"change {round_}",
            )
            for info in infos
            for status_key in CROWD
        ]
        written = await repository.create_prompts(db, new)
        await repository.add_events(
            db,
            [
                EventCreate(
                    agent_id=prompt.agent_id,
                    status_key=prompt.status_key,
                    action=action,
                    revision=round_ + 1,
                    prompt_id=prompt.id,
                    version=prompt.version,
                    author=prompt.author,
                    note=prompt.note,
                )
                for prompt in written
                for action in (Action.CREATED, Action.ACTIVATED)
            ],
        )

    async with Database(url) as database:
        await migrate.upgrade(database)
        new = [AgentInfo(0, name, default_status_key="NOT_REGISTERED", variables=("name",)) for name in names]
        await database.transaction(repository.add_agents, new)
        infos = await database.run(repository.get_agents)
        for round_ in range(versions):
            await database.transaction(write, round_, infos)
