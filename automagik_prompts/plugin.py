"""The facade: one plugin owns one thread and one snapshot, and offers everything an application needs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Self, TypeVar

from pydantic import SecretStr

from automagik_prompts.agent import overrides, plugins
from automagik_prompts.agent.filling import fill_text, names_of
from automagik_prompts.database_url import identity_of, redacted_url
from automagik_prompts.declaring import discovery, sandbox
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.declaring.registry import registry as default_registry
from automagik_prompts.domain.history import Provenance
from automagik_prompts.domain.keys import Status
from automagik_prompts.domain.policy import Policy
from automagik_prompts.domain.protocols import Values
from automagik_prompts.domain.served import Explanation, Health, MissingMode, ServedPrompt, State
from automagik_prompts.following.memory.snapshot import Look, Snapshot
from automagik_prompts.runtime import reporting
from automagik_prompts.runtime.callbacks import OnChangeCallback
from automagik_prompts.runtime.doors import Doors
from automagik_prompts.runtime.lifecycle import Lifecycle
from automagik_prompts.runtime.native import NativeThread
from automagik_prompts.runtime.reader import Reader
from automagik_prompts.settings import load_settings
from automagik_prompts.templating.access import ABSENT, builtin_value

CallbackT = TypeVar("CallbackT", bound=OnChangeCallback)


class PromptPlugin(Doors):
    """Serves the active prompts of a database to the agents of this process.

    Nothing starts and nothing is read before the first use. Agent runs only ever read memory. Edits are awaited and
    done on the plugin's thread, so they work on any asyncio event loop.

    Args:
        database_url: `sqlite://file` or `postgresql://user:password@host/database`.
        database_password: The password, where the URL has none.
        database_password_file: A file that holds it, likewise.
        startup_timeout: Seconds that the first agent run waits for the first load, at most.
        listen_url: A direct way to the server, for notifications, where `database_url` leads through a pooler.
        poll_interval: Seconds between two looks at the database.
        missing: What a missing variable becomes: `"marker"`, `"empty"` or `"error"`.
        max_value_length: The longest value of a variable, in characters; a run with a longer one is sent the code's
            text.
        max_items: The longest list, in items, likewise.
        disk_snapshot: Whether the last known good texts are kept in a file for the next start.
        cache_dir: The folder of that file; by default the user's cache folder.
        modules: Modules with prompts to import, besides those of installed packages.
        only: The agents to follow besides those that the code declares; by default all of them.
        author: Who writes, where a call does not say.
        history_key: The key that signs what histories say about prompts; several of them while they are changed.
        provenance: What histories say about prompts: `"full"`, `"opaque"` or `"off"`.
        pin_timeout: Seconds that a run waits for the version that its conversation goes on with, at most.
        baggage: Whether the prompt travels as OpenTelemetry baggage to the services that an agent calls.
        seed: Whether this process writes by itself what the code declares; off, it only follows.
        release: Which release of the application this process is, as the fleet shows it.
        heartbeat: Seconds between two signs of life to the fleet; 0 for none.
        policy: What decides who may do what, or where it is: `"module:object"`. Everybody may do everything without.
        registry: The declarations to serve; those of the process by default.

    Raises:
        ConfigurationError: A setting cannot work.

    Attributes:
        settings: Its settings.
        registry: The declarations that it serves.
        reader: What agents read from it.
    """

    _look: Look | None = None
    """What a plugin that only looks is given to look at."""

    def __init__(
        self,
        database_url: str | None = None,
        *,
        database_password: str | None = None,
        database_password_file: Path | None = None,
        startup_timeout: float | None = None,
        listen_url: str | None = None,
        poll_interval: float | None = None,
        missing: MissingMode | None = None,
        max_value_length: int | None = None,
        max_items: int | None = None,
        disk_snapshot: bool | None = None,
        cache_dir: Path | None = None,
        modules: tuple[str, ...] | list[str] | None = None,
        only: tuple[str, ...] | list[str] | None = None,
        author: str | None = None,
        history_key: str | SecretStr | Sequence[str | SecretStr] | None = None,
        provenance: Provenance | None = None,
        pin_timeout: float | None = None,
        baggage: bool | None = None,
        seed: bool | None = None,
        release: str | None = None,
        heartbeat: float | None = None,
        policy: Policy | str | None = None,
        registry: Registry = default_registry,
    ) -> None:
        given = load_settings(
            database_url=database_url,
            database_password=database_password,
            database_password_file=database_password_file,
            startup_timeout=startup_timeout,
            listen_url=listen_url,
            poll_interval=poll_interval,
            missing=missing,
            max_value_length=max_value_length,
            max_items=max_items,
            disk_snapshot=disk_snapshot,
            cache_dir=cache_dir,
            modules=modules,
            only=only,
            author=author,
            history_key=history_key,
            provenance=provenance,
            pin_timeout=pin_timeout,
            baggage=baggage,
            seed=seed,
            release=release,
            heartbeat=heartbeat,
            policy=policy if isinstance(policy, str) else None,
        )
        self.settings = given.anchored()
        self.registry = registry
        self._shown_url = redacted_url(given.database_url)
        self._is_chosen = "database_url" in given.model_fields_set
        super().__init__(
            Lifecycle(self.settings, registry, self._look), policy if not isinstance(policy, str) else None
        )
        self._state = self._life.state
        self.reader = Reader(self, self._life)

    # Life.

    def install(self) -> Self:
        """Find the prompt modules of installed packages, and give every agent built from now on its prompt.

        An agent gets it whose `name=` has declared prompts, unless it was given an `ActivePrompt` for them. Agents
        that exist already stay as they are.

        Raises:
            DeclarationError: A prompt module cannot be imported or has an invalid declaration.
            ConfigurationError: Another plugin is installed.
        """
        with sandbox.passed_through():  # a copy in Temporal's sandbox would hook `Agent` once more
            # It loads Pydantic AI, which a process without agents does not need.
            from automagik_prompts.agent import autoinstall

        plugins.claim(self)
        discovery.import_prompt_modules(self.settings.modules)
        autoinstall.install(self, self.registry)
        return self

    def uninstall(self) -> None:
        """Put the construction of agents back as it was; agents that got a prompt keep it."""
        plugins.release(self)
        with sandbox.passed_through():  # as above
            from automagik_prompts.agent import autoinstall

        autoinstall.uninstall(self)

    def start(self) -> Self:
        """Begin to follow the database, on a thread of its own; returns at once. A second call does nothing.

        The first plugin of a process that is started is what agents read that were given none.

        Raises:
            ConfigurationError: Agents have been served from a default that nobody chose, on another database.
        """
        plugins.claim(self)
        self._life.start()
        return self

    def close(self) -> None:
        """End the thread and its connections; the last snapshot stays in use, until another plugin is started."""
        plugins.release(self)
        self._life.close()

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

    @property
    def is_chosen(self) -> bool:
        """Whether somebody said which database this is, by an argument or a variable."""
        return self._is_chosen

    @property
    def is_started(self) -> bool:
        """Whether the database is followed."""
        return self._life.worker is not None

    @property
    def identity(self) -> str | None:
        """What tells this database from another; `None` for one in memory."""
        return identity_of(self.settings.database_url)

    @property
    def where(self) -> str:
        """The database, for messages, without secrets."""
        return self._shown_url

    # Serving: memory only.

    @property
    def state(self) -> State:
        """How fresh the served texts are."""
        return self._life.state.status.state

    def snapshot(self) -> Snapshot | None:
        """Return the present snapshot; `None` before the first load has ended in one way or another."""
        return self.reader.snapshot()

    async def ready(self) -> Snapshot:
        """Wait for the first load, `startup_timeout` at most and once per process, and return what is served then.

        Raises:
            ConfigurationError: No asyncio event loop runs here, as under trio.
        """
        return await self.reader.ready()

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
        try:
            found = self._state.serving.found[agent][status_key] if not overrides.begun() else None
        except (KeyError, TypeError):
            found = None  # not asked for yet, or no status
        return found if found is not None else self.reader.resolve(agent, status_key)

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
        asked, selection = self.reader.select(agent, status_key)
        given: Mapping[str, object] = values or {}
        agent = selection.prompt.agent

        def lookup(name: str) -> object:
            value = given.get(name, ABSENT)
            return value if value is not ABSENT else builtin_value(name, agent, asked, None)

        exposed = None if agent in self.registry.agents else names_of(given)
        return fill_text(self.reader, selection, lookup, exposed=exposed)[0]

    def explain(self, agent: str, status_key: Status | None = None) -> Explanation:
        """Return which version is served for an agent and status, from where, why, and how old the snapshot is.

        Args:
            agent: The agent's name.
            status_key: The status, a string or an enum member; `None` for the primary one.

        Raises:
            NoActivePromptError: Neither the database nor the code has anything to serve.
        """
        return reporting.explain(self._life, self.reader, agent, status_key)

    def health(self) -> Health:
        """Return how the plugin fares; reads memory only and starts nothing."""
        return reporting.health(self._life, self.reader, self)

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
        self._life.callbacks.add(callback)
        return callback

    def unsubscribe(self, callback: OnChangeCallback) -> None:
        """Remove a callback registered with `on_change`."""
        self._life.callbacks.remove(callback)
