"""The facade: one plugin owns one thread and one snapshot, and offers everything an application needs."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, TypeVar

from automagik_prompts.agent import overrides, plugins
from automagik_prompts.declaring import discovery
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.declaring.registry import registry as default_registry
from automagik_prompts.domain.keys import PromptKey, SpellingClash, Status, StatusKeys, new_key
from automagik_prompts.domain.protocols import Values
from automagik_prompts.domain.records import Prompt
from automagik_prompts.domain.served import Explanation, Health, MissingMode, Selection, ServedPrompt, State
from automagik_prompts.domain.text import closest, nearest
from automagik_prompts.domain.validation import Format, normalized
from automagik_prompts.editing import commands, queries
from automagik_prompts.editing import sync as seeding
from automagik_prompts.editing.commands import EditResult, Intent
from automagik_prompts.editing.sync import SyncResult
from automagik_prompts.exceptions import (
    ConfigurationError,
    DatabaseUnavailableError,
    NoActivePromptError,
    PromptsError,
    RenderError,
)
from automagik_prompts.following.follower import Follower
from automagik_prompts.following.serving import RuntimeState
from automagik_prompts.following.snapshot import Snapshot, changes_between, code_snapshot
from automagik_prompts.following.version_cache import VersionStore
from automagik_prompts.runtime import forks
from automagik_prompts.runtime.callbacks import Callbacks, OnChangeCallback
from automagik_prompts.runtime.native import NativeThread
from automagik_prompts.runtime.notices import Notices
from automagik_prompts.runtime.thread import Worker
from automagik_prompts.settings import identity_of, load_settings, redacted_url, sqlite_path
from automagik_prompts.storage import repository
from automagik_prompts.storage.database import Database
from automagik_prompts.templating.values import ABSENT, builtin_value

T = TypeVar("T")
CallbackT = TypeVar("CallbackT", bound=OnChangeCallback)

logger = logging.getLogger("automagik_prompts")

CALL_TIMEOUT = 30.0
"""Seconds that an editing verb may take."""

_CLOSE_SECONDS = 2.0


class PromptPlugin:
    """Serves the active prompts of a database to the agents of this process.

    Nothing starts and nothing is read before the first use. Agent runs only ever read memory.

    Args:
        database_url: `sqlite://file` or `postgresql://user:password@host/database`.
        startup_timeout: Seconds that the first agent run waits for the first load, at most.
        poll_interval: Seconds between two looks at the database.
        missing: What a missing variable becomes: `"marker"`, `"empty"` or `"error"`.
        disk_snapshot: Whether the last known good texts are kept in a file for the next start.
        cache_dir: The folder of that file; by default the user's cache folder.
        modules: Modules with prompts to import, besides those of installed packages.
        author: Who writes, where a call does not say.
        seed: Whether this process writes by itself what the code declares; off, it only follows.
        registry: The declarations to serve; those of the process by default.

    Raises:
        ConfigurationError: A setting cannot work.
    """

    def __init__(
        self,
        database_url: str | None = None,
        *,
        startup_timeout: float | None = None,
        poll_interval: float | None = None,
        missing: MissingMode | None = None,
        disk_snapshot: bool | None = None,
        cache_dir: Path | None = None,
        modules: tuple[str, ...] | list[str] | None = None,
        author: str | None = None,
        seed: bool | None = None,
        registry: Registry = default_registry,
    ) -> None:
        given = load_settings(
            database_url=database_url,
            startup_timeout=startup_timeout,
            poll_interval=poll_interval,
            missing=missing,
            disk_snapshot=disk_snapshot,
            cache_dir=cache_dir,
            modules=modules,
            author=author,
            seed=seed,
        )
        self.settings = given.anchored()
        self._shown_url = redacted_url(given.database_url)
        self._is_chosen = "database_url" in given.model_fields_set
        self.registry = registry
        self._lock = threading.Lock()
        self._recall = VersionStore(registry)
        self._present = RuntimeState(
            redacted_url(self.settings.database_url),
            lambda: code_snapshot(self.registry),
            self._recall.superseded,
            self._tell,
        )
        self._worker: Worker | None = None
        self._forkable = True
        self._threadless = False
        self._listeners = Callbacks()
        self._reported: set[tuple[str, str, int | None]] = set()
        self._notices = Notices()
        self._resolved: set[str] = set()
        registry.watch(self._declared)
        forks.enter(self)

    # Life.

    def install(self) -> Self:
        """Find the prompt modules of installed packages, and give every agent built from now on its prompt.

        An agent gets it whose `name=` has declared prompts, unless it was given an `ActivePrompt` for them. Agents
        that exist already stay as they are.

        Raises:
            DeclarationError: A prompt module cannot be imported or declares something that cannot be right.
            ConfigurationError: Another plugin is installed.
        """
        from automagik_prompts.agent import (
            autoinstall,  # loads Pydantic AI, which a process without agents does not need
        )

        plugins.claim(self)
        discovery.import_prompt_modules(self.settings.modules)
        autoinstall.install(self, self.registry)
        return self

    def uninstall(self) -> None:
        """Put the construction of agents back as it was; agents that got a prompt keep it."""
        plugins.release(self)
        from automagik_prompts.agent import autoinstall  # as above

        autoinstall.uninstall(self)

    def start(self) -> Self:
        """Begin to follow the database, on a thread of its own; returns at once. A second call does nothing.

        The first plugin of a process that is started is what agents read that were given none.

        Raises:
            ConfigurationError: Agents have been served from a default that nobody chose, on another database.
        """
        plugins.claim(self)
        self._start()
        return self

    def _start(self) -> None:
        with self._lock:
            if self._worker is None:
                self._present.begin(self.settings.startup_timeout)
                worker = Worker(self._make_refresher)
                try:
                    worker.start()
                except RuntimeError as error:
                    self._present.close(followed=False)
                    self._say_no_thread(error)
                else:
                    self._worker = worker

    def _say_no_thread(self, error: RuntimeError) -> None:
        if not self._threadless:
            self._threadless = True
            logger.warning(
                "The database is not followed: %s, and the plugin needs a thread of the operating system. What is on "
                "disk or in code is served.",
                error,
            )

    def close(self) -> None:
        """End the thread and its connections; what was served last stays in use, until another plugin is started."""
        plugins.release(self)
        worker = self.end()
        if worker is not None:
            worker.join(_CLOSE_SECONDS)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        self.start()
        await self.ready()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        # Not by the loop's executor, which the application may have filled.
        closed = asyncio.Event()
        loop = asyncio.get_running_loop()

        def close() -> None:
            try:
                self.close()
            finally:
                with suppress(RuntimeError):  # the loop has ended
                    loop.call_soon_threadsafe(closed.set)

        NativeThread(close, "automagik-prompts-close").start()
        await closed.wait()

    @asynccontextmanager
    async def lifespan(self, _app: object = None) -> AsyncIterator[None]:
        """Start and close with an ASGI application: `FastAPI(lifespan=plugin.lifespan)`."""
        async with self:
            yield

    # Serving: memory only.

    @property
    def is_chosen(self) -> bool:
        """Whether somebody said which database this is, by an argument or a variable."""
        return self._is_chosen

    @property
    def is_started(self) -> bool:
        """Whether the database is followed."""
        return self._worker is not None

    @property
    def identity(self) -> str | None:
        """What tells this database from another; `None` for one in memory."""
        return identity_of(self.settings.database_url)

    @property
    def where(self) -> str:
        """The database, for messages, without secrets."""
        return self._shown_url

    @property
    def missing(self) -> MissingMode:
        """What a missing variable becomes."""
        return self.settings.missing

    @property
    def state(self) -> State:
        """How fresh the served texts are."""
        return self._present.status.state

    def snapshot(self) -> Snapshot | None:
        """Return the present snapshot; `None` before the first load has ended in one way or another."""
        present = self._present
        if self._worker is None and not present.closed:
            plugins.offer(self)
            self._start()
        return present.snapshot

    async def ready(self) -> Snapshot:
        """Wait for the first load, `startup_timeout` at most and once per process, and return what is served then."""
        _check_asyncio()
        if (snapshot := self.snapshot()) is not None:
            return snapshot
        return await self._present.ready()

    async def loaded(self) -> Snapshot | None:
        """Wait until the database has been read, `startup_timeout` after the start at most; `None` if it was not."""
        return await self._present.loaded()

    @property
    def unread(self) -> str:
        """Why the database has not been read yet, for messages."""
        return self._present.status.error or f"The database {self.where} did not answer in time; it is tried again."

    def status_keys(self, agent: str) -> tuple[str, ...]:
        """Return the statuses of an agent that have a text of their own here; reads memory only and starts nothing.

        Args:
            agent: The agent's name.
        """
        snapshot, declared = self._present.snapshot, self.registry.agents.get(agent)
        served = snapshot.keys.get(agent, ()) if snapshot is not None else ()
        return tuple(sorted(StatusKeys(served, declared.prompts if declared is not None else ())))

    def resolve(self, agent: str, status_key: Status | None = None) -> ServedPrompt:
        """Return the version that is served for an agent and status: its text, variables, version and source.

        The first call of a process waits for the first load, `startup_timeout` at most; in async code that would hold
        up the event loop, so await `ready` before.

        Args:
            agent: The agent's name.
            status_key: The status, a string or an enum member; `None` for the primary one.

        Raises:
            NoActivePromptError: Neither the database nor the code has anything to serve.
        """
        return self._select(agent, status_key)[1].prompt

    def render(self, agent: str, status_key: Status | None = None, values: Values | None = None) -> str:
        """Return the text that is served for an agent and status, filled with values.

        Args:
            agent: The agent's name.
            status_key: The status, a string or an enum member; `None` for the primary one.
            values: The values of variables.

        Raises:
            NoActivePromptError: Neither the database nor the code has anything to serve.
            RenderError: A value is missing in mode `"error"`.
        """
        asked, selection = self._select(agent, status_key)
        given: Mapping[str, object] = values or {}
        agent = selection.prompt.agent

        def lookup(name: str) -> object:
            value = given.get(name, ABSENT)
            return value if value is not ABSENT else builtin_value(name, agent, asked, None)

        try:
            return selection.prompt.template.render(lookup, missing=self.missing)
        except RenderError as error:
            self.report_render_failure(selection.prompt, error)
            if selection.code is None or selection.code.text == selection.prompt.text:
                raise
            return selection.code.template.render(lookup, missing=self.missing)

    def explain(self, agent: str, status_key: Status | None = None) -> Explanation:
        """Say which version is served for an agent and status, from where, why, and how old the snapshot is.

        Args:
            agent: The agent's name.
            status_key: The status, a string or an enum member; `None` for the primary one.

        Raises:
            NoActivePromptError: Neither the database nor the code has anything to serve.
        """
        (asked, selection), status = self._select(agent, status_key, serving=False), self._present.status
        prompt = selection.prompt
        agent = prompt.agent
        snapshot = self._present.snapshot
        problems = snapshot.problems if snapshot is not None else ()
        now = time.monotonic()
        return Explanation(
            agent=agent,
            status_key=asked,
            served_status_key=prompt.status_key,
            version=prompt.version,
            source=prompt.source,
            reason=selection.reason or "it is the active version of this status",
            state=status.state,
            state_age=now - status.since,
            snapshot_age=None if status.read_at is None else now - status.read_at,
            error=status.error,
            content_hash=prompt.content_hash,
            variables=prompt.variables,
            notes=(
                *(
                    f"{problem.prompt.status_key}, version {problem.prompt.version}: {problem.reason}"
                    for problem in problems
                    if problem.agent == agent
                ),
                *(str(clash) for clash in self._clashes() if clash.agent == agent),
                *self._unknown_to_code(agent, asked),
                *((f"what the code declares is not written: {status.unwritten}",) if status.unwritten else ()),
            ),
        )

    def health(self) -> Health:
        """Say how the plugin stands; reads memory only and starts nothing."""
        snapshot, status, now = self._present.snapshot, self._present.status, time.monotonic()
        problems = snapshot.problems if snapshot is not None else ()
        return Health(
            ready=snapshot is not None and (snapshot.is_loaded or self._has_all(snapshot)),
            state=status.state,
            state_age=now - status.since,
            snapshot_age=None if status.read_at is None else now - status.read_at,
            error=status.error,
            listening=status.listening,
            unwritten=status.unwritten,
            agents=len({*self.registry.agents, *(snapshot.fallbacks if snapshot is not None else ())}),
            problems=(
                *(
                    f"{problem.agent}/{problem.prompt.status_key}, version {problem.prompt.version}: {problem.reason}"
                    for problem in problems
                ),
                *map(str, self._clashes()),
                *self._notices.problems,
            ),
        )

    def recall(self, agent: str, status_key: str, version: int | None, content_hash: str) -> ServedPrompt | None:
        """Return a version that a conversation was told before, from memory; what is not there is read meanwhile.

        Args:
            agent: The agent's name.
            status_key: The status.
            version: Its number; `None` for a text that had none.
            content_hash: The hash of its text: a version of another database is another one.
        """
        found = self._recall.find_text(agent, status_key, content_hash)
        if version is None:
            return found
        known = self._recall.find(self._present.snapshot, agent, status_key, version)
        if known is not None:
            return known if known.content_hash == content_hash else None
        if found is not None:
            return replace(found, version=version)
        worker = self._worker
        if worker is not None and (read := self._recall.wanted(agent, status_key, version)) is not None:
            worker.call(lambda refresher: _with_database(refresher, read))
        return None

    async def find_version(self, agent: str, status_key: Status, version: int) -> ServedPrompt:
        """Return a version by its number, reading it if need be, within `startup_timeout` or one second.

        Args:
            agent: The agent's name.
            status_key: The status, a string or an enum member.
            version: Its number.

        Raises:
            PromptNotFoundError: There is no such agent, status or version.
            InvalidPromptError: This process cannot serve it.
            DatabaseUnavailableError: It cannot be read now.
        """
        snapshot = self.snapshot()
        key = (snapshot.status_key(agent, status_key) if snapshot is not None else None) or new_key(status_key)
        if (found := self._recall.find(snapshot, agent, key, version)) is not None:
            return found
        try:
            async with asyncio.timeout(max(self.settings.startup_timeout, 1.0)):
                return await self._read(lambda database: self._recall.load(database, agent, status_key, version))
        except TimeoutError:
            raise DatabaseUnavailableError(
                f"Version {version} of {agent}/{key} could not be read in time. Try again, or serve the active one.",
                agent=agent,
                status_key=key,
            ) from None

    def on_change(self, callback: CallbackT) -> CallbackT:
        """Call a sync or async function whenever something else is served for an agent and status.

        Each callback has a thread of its own, with an event loop for async ones: one that raises is logged, and one
        that hangs hurts nobody. Changes come in their order; a callback that falls far behind misses the oldest. What
        the first load brings is no change.

        Args:
            callback: Takes a `PromptChange`.

        Returns:
            The callback, so that this can decorate one.
        """
        self._listeners.add(callback)
        return callback

    def unsubscribe(self, callback: OnChangeCallback) -> None:
        """Call a function no more that was given to `on_change`."""
        self._listeners.remove(callback)

    def report_render_failure(self, prompt: ServedPrompt, error: Exception) -> None:
        """Log and record, once per version, that it could not be rendered; returns at once and never raises."""
        key = (prompt.agent, prompt.status_key, prompt.version)
        if key in self._reported:
            return
        self._reported.add(key)
        logger.error(
            "%s/%s: version %s could not be rendered, the code's text is served: %s "
            "Run: automagik-prompts rollback %s %s",
            *(prompt.agent, prompt.status_key, prompt.version, error, prompt.agent, prompt.status_key),
        )
        worker = self._worker
        if worker is not None and prompt.prompt_id is not None:
            worker.call(lambda refresher: refresher.record_failure(prompt, str(error)))

    def report_fallback(self, agent: str, status_key: str) -> None:
        """Tell, once, that a status is unknown to the code and to the database; returns at once and never raises."""
        key = ("status", agent, status_key)
        if not self._notices.note(key):
            return
        declared = self.registry.agents.get(agent)
        known = set(declared.prompts) if declared is not None else set()

        async def look(database: Database) -> None:
            if (info := await database.run(repository.get_agent, agent)) is not None:
                known.update(await database.run(repository.get_status_keys, info.id))

        def tell(done: Future[None] | None) -> None:
            if StatusKeys(known).find(status_key) is None:
                unread = " (the database could not be asked)" if done is None or done.exception() is not None else ""
                near = nearest(status_key, known, "statuses")
                self._notices.tell(
                    key,
                    f"The status {status_key!r} of {agent} has no prompt: neither the code nor the "
                    f"database{unread} knows it, so another status' text is sent. {near}",
                )

        if (worker := self._worker) is None:
            tell(None)
        else:
            worker.call(lambda refresher: _with_database(refresher, look)).add_done_callback(tell)

    def report_missing(
        self, prompt: ServedPrompt, names: Sequence[str], available: Callable[[], Iterable[str]]
    ) -> None:
        """Tell, once per version and name, that a variable had no value; returns at once and never raises."""
        for name in names:
            key = ("variable", prompt.agent, prompt.status_key, prompt.version, name)
            if not self._notices.note(key):
                continue
            which = f"version {prompt.version}" if prompt.version is not None else "the code's text"
            close = closest(name, available())
            hint = f"Did you mean {' or '.join(map(repr, close))}? " if close else ""
            instead = f"[No data for {name}]" if self.missing == "marker" else "nothing"
            self._notices.tell(
                key,
                f"{prompt.agent}/{prompt.status_key}, {which}: the variable {name!r} had no value in a run, so the "
                f"model was sent {instead!r} in its place. {hint}Give it in deps or "
                "variables=, or take it out of the text.",
            )

    def report_first_run(self) -> None:
        """Tell which declared agents no agent of this process was given the prompts of; never raises."""
        from automagik_prompts.agent import autoinstall  # loaded already: an agent has run

        late = autoinstall.late_agents(self)
        for name in late:
            words = f"The agent {name!r} was built before install(), so it has no prompt. Build it afterwards."
            self._notices.tell(("late", name), words)
        for name in sorted(self.registry.agents.keys() - plugins.bound.keys() - self._resolved - {*late}):
            self._notices.tell(
                ("unbound", name),
                f"The prompts of {name!r} are declared, and no agent of this process was given them. Give an agent "
                f"ActivePrompt({name!r}) or, with install(), the name {name!r}.",
            )

    # Editing: each verb is awaited and done on the plugin's thread, so it works on any event loop.

    async def create(
        self,
        agent: str,
        status_key: Status,
        text: str,
        *,
        format: Format = "handlebars",
        name: str | None = None,
        activate: bool = False,
        new_agent: bool = False,
        new_status: bool = False,
        author: str | None = None,
        note: str | None = None,
        expected_revision: int | None = None,
    ) -> EditResult:
        """Write a new version of a text; see `editing.create`."""
        intent = self._intent(author, note, expected_revision)
        return await self._edit(
            lambda database: commands.create(
                database,
                agent,
                status_key,
                text,
                format=format,
                name=name,
                activate=activate,
                new_agent=new_agent,
                new_status=new_status,
                statuses=self._statuses(agent),
                exposed=self._exposed(agent),
                intent=intent,
            )
        )

    async def activate(
        self,
        agent: str,
        status_key: Status,
        version: int,
        *,
        author: str | None = None,
        note: str | None = None,
        expected_revision: int | None = None,
    ) -> EditResult:
        """Make a version the active one; see `editing.activate`."""
        intent = self._intent(author, note, expected_revision)
        return await self._edit(
            lambda database: commands.activate(
                database, agent, status_key, version, exposed=self._exposed(agent), intent=intent
            )
        )

    async def rollback(
        self,
        agent: str,
        status_key: Status,
        *,
        author: str | None = None,
        note: str | None = None,
        expected_revision: int | None = None,
    ) -> EditResult:
        """Activate the version that was active before; see `editing.rollback`."""
        intent = self._intent(author, note, expected_revision)
        return await self._edit(
            lambda database: commands.rollback(database, agent, status_key, exposed=self._exposed(agent), intent=intent)
        )

    async def deactivate(
        self,
        agent: str,
        status_key: Status,
        *,
        author: str | None = None,
        note: str | None = None,
        expected_revision: int | None = None,
    ) -> EditResult:
        """Leave a status without an active version; see `editing.deactivate`."""
        intent = self._intent(author, note, expected_revision)
        return await self._edit(lambda database: commands.deactivate(database, agent, status_key, intent=intent))

    async def history(self, agent: str, status_key: Status | None = None, *, limit: int | None = None) -> list[Prompt]:
        """Return an agent's versions, newest first; see `lookup.versions`."""
        return await self._read(lambda database: queries.versions(database, agent, status_key, limit=limit))

    async def diff(self, agent: str, status_key: Status, old: int, new: int) -> str:
        """Return the difference between two versions as a unified diff; see `lookup.diff`."""
        return await self._read(lambda database: queries.diff(database, agent, status_key, old, new))

    async def sync(self) -> tuple[SyncResult, ...]:
        """Write what the code says, exactly, as a release step does; see `seeding.seed`."""
        return await self._edit(lambda database: seeding.seed(database, self.registry.agents, exact=True))

    # What holds it together.

    def _make_refresher(self) -> Follower:
        return Follower(
            self.settings,
            self.registry,
            self._present.take,
            self._present.take_status,
            self._present.take_fallback,
            self._present.snapshot,
            self._recall.read_ahead,
        )

    async def _edit(self, function: Callable[[Database], Coroutine[Any, Any, T]]) -> T:
        async def run(refresher: Follower) -> T:
            async with refresher.opened(writing=True) as database:
                done = await function(database)
            try:
                # Whoever wrote must see it at once, here; other processes follow by themselves.
                await refresher.reload()
            except PromptsError as error:
                logger.warning("It was written, but reading it back failed: %s", error)
                refresher.wake()
            return done

        return await self._call(run)

    async def _read(self, function: Callable[[Database], Coroutine[Any, Any, T]]) -> T:
        async def run(refresher: Follower) -> T:
            async with refresher.opened() as database:
                return await function(database)

        return await self._call(run)

    async def _call(self, function: Callable[[Follower], Coroutine[Any, Any, T]]) -> T:
        await self.ready()
        worker = self._worker
        if worker is None:
            raise ConfigurationError("The plugin is closed. Call start() first.")

        async def bounded(refresher: Follower) -> T:
            async with asyncio.timeout(CALL_TIMEOUT):
                return await function(refresher)

        try:
            return await asyncio.wrap_future(worker.call(bounded))
        except TimeoutError:
            raise DatabaseUnavailableError(
                f"The database {redacted_url(self.settings.database_url)} did not answer within {CALL_TIMEOUT:.0f} s. "
                "Whether it was written is not known; look before you try again."
            ) from None

    def _select(self, agent: str, status: Status | None, *, serving: bool = True) -> tuple[str, Selection]:
        """Choose what is served, and return it with the key of the status that was asked for."""
        if (snapshot := self.snapshot()) is None:
            snapshot = self._present.wait()
        agent = normalized(agent)
        if serving and agent not in self._resolved:
            self._resolved.add(agent)
            self._notices.drop(("unbound", agent))
        key = snapshot.status_key(agent, status)
        try:
            selection = overrides.choose(snapshot, agent, key, overrides.in_force())
        except NoActivePromptError as error:
            if snapshot.is_loaded:
                raise
            if (loaded := self._present.wait_loaded()) is None:
                raise NoActivePromptError(f"{error.message} {self.unread}", agent=agent, status_key=key) from error
            snapshot, key = loaded, loaded.status_key(agent, status)
            selection = overrides.choose(snapshot, agent, key, overrides.in_force())
        if key is None:
            return snapshot.status_key(agent, selection.prompt.status_key) or selection.prompt.status_key, selection
        if serving and selection.prompt.status_key != key:
            self.report_fallback(agent, key)
        return key, selection

    def _has_all(self, snapshot: Snapshot) -> bool:
        """Return whether all is there that agents of this process need of this plugin."""
        return all(snapshot.knows(name) for name in plugins.needed_by(self))

    def _clashes(self) -> list[SpellingClash]:
        """Return the statuses that the code spells otherwise than the database, by agent."""
        snapshot = self._present.snapshot
        return sorted({*(snapshot.clashes if snapshot is not None else ()), *self._present.status.clashes})

    def _unknown_to_code(self, agent: str, status_key: str) -> Iterator[str]:
        """Yield a note about a status that only the database has, for an agent that the code declares."""
        declared, snapshot = self.registry.agents.get(agent), self._present.snapshot
        if declared is None or snapshot is None or declared.keys.find(status_key) is not None:
            return
        if PromptKey(agent, status_key) in snapshot.served:
            near = nearest(status_key, declared.prompts, "statuses")
            yield f"the code does not declare the status {status_key!r}. {near}"

    def _declared(self) -> None:
        """Look at what the code declares now: a module that was loaded again may declare another text."""
        if (worker := self._worker) is not None:
            worker.wake()

    def _tell(self, old: Snapshot, new: Snapshot) -> None:
        if self._listeners:
            self._listeners.tell(changes_between(old, new))

    def _exposed(self, agent: str) -> frozenset[str] | None:
        declared = self.registry.agents.get(normalized(agent))
        return declared.exposed if declared is not None else None

    def _statuses(self, agent: str) -> Collection[str]:
        declared = self.registry.agents.get(normalized(agent))
        return declared.prompts.keys() if declared is not None else ()

    def _intent(self, author: str | None, note: str | None, expected_revision: int | None) -> Intent:
        return Intent(author or self.settings.author, note, expected_revision)

    def end(self) -> Worker | None:
        """Have the thread end, and return at once with what can be waited for; nothing is followed from now on."""
        with self._lock:
            worker, self._worker = self._worker, None
            self._present.close(followed=worker is not None)
        if worker is not None:
            worker.end()
        self._listeners.end()
        return worker

    def prepare_fork(self, deadline: float) -> None:
        """Have an SQLite file closed while the process forks.

        SQLite keeps track of a process' locks in its memory, which a child inherits, while the locks themselves stay
        with the parent. A child that opens a file which was open when it was forked takes no lock of its own: others
        then remove the write-ahead log under its hands, and it sees no change any more.
        """
        worker = self._worker
        self._forkable = True
        if worker is not None and sqlite_path(self.settings.database_url) is not None:
            self._forkable = worker.release(max(0.0, deadline - time.monotonic()))

    def resume_parent(self) -> None:
        """Go on after a fork, in the parent."""
        if self._worker is not None:
            self._worker.resume()

    def resume_child(self) -> None:
        """Begin anew without a thread in a forked child, where the parent's does not exist; what is served stays."""
        self._lock = threading.Lock()
        self._listeners.resume_child()
        # Kept, as closing what belongs to the parent would hang.
        _abandoned.append(self._worker)
        self._worker = None
        self._present.resume_child(safe=self._forkable)


_abandoned: list[Worker | None] = []
"""The threads' objects of the processes that this one was forked from."""


async def _with_database(refresher: Follower, function: Callable[[Database], Coroutine[Any, Any, None]]) -> None:
    async with refresher.opened() as database:
        await function(database)


def _check_asyncio() -> None:
    """Make sure that a coroutine runs where it can wait for the plugin's thread.

    Raises:
        ConfigurationError: No asyncio event loop runs here, as under trio.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise ConfigurationError(
            "This coroutine needs a running asyncio event loop, and there is none here. Call it from asyncio, or use "
            "resolve, render, explain or health, which read memory."
        ) from None
