"""What agent runs ask of a plugin: memory only, and word of what they could not do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from typing import TYPE_CHECKING

from automagik_prompts.agent import overrides, plugins
from automagik_prompts.domain.keys import Status, StatusKeys, new_key
from automagik_prompts.domain.served import Limits, Selection, ServedPrompt
from automagik_prompts.domain.validation import normalized
from automagik_prompts.exceptions import ConfigurationError, DatabaseUnavailableError, NoActivePromptError
from automagik_prompts.following.memory.snapshot import Snapshot
from automagik_prompts.later import Later
from automagik_prompts.runtime.asking import Asking
from automagik_prompts.runtime.lifecycle import Lifecycle
from automagik_prompts.runtime.reports import Reports

if TYPE_CHECKING:
    from automagik_prompts.domain.protocols import DefaultPlugin, TextMatcher
    from automagik_prompts.storage import repository
else:
    repository = Later("automagik_prompts.storage.repository")


class Reader(Reports):
    """Reads what one plugin serves, and takes note of what agent runs report.

    Args:
        plugin: The plugin that is read; the first one that is used becomes the default.
        life: Its thread and what it publishes.

    Attributes:
        limits: How large the values of a run may be.
        history: What is written into histories, and what is believed of them.
        state: What is served at present.
    """

    def __init__(self, plugin: DefaultPlugin, life: Lifecycle) -> None:
        super().__init__(plugin, life)
        self.history = life.settings.history
        self.state = life.state
        plugins.carries_baggage |= self.history.baggage
        self.limits = Limits(life.settings.max_value_length, life.settings.max_items)
        self._asking = Asking(life)
        self._asked_texts: set[str] = set()

    def snapshot(self) -> Snapshot | None:
        """Return the present snapshot; `None` before the first load has ended in one way or another."""
        life = self._life
        state = life.state
        if life.worker is None and not state.closed:
            plugins.offer(self._plugin)
            life.start()
        serving = state.serving
        if (due := serving.status.due) is not None and time.monotonic() > due:
            state.watch()
        return serving.snapshot

    async def ready(self) -> Snapshot:
        """Wait for the first load, `startup_timeout` at most and once per process, and return what is served then.

        Raises:
            ConfigurationError: No asyncio event loop runs here, as under trio.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            raise ConfigurationError(
                "This coroutine needs a running asyncio event loop, and there is none here. Call it from asyncio, or "
                "use resolve, render, explain or health, which read memory."
            ) from None
        if (snapshot := self.snapshot()) is not None:
            return snapshot
        return await self._life.state.ready()

    async def loaded(self) -> Snapshot | None:
        """Wait until the database has been read, `startup_timeout` after the start at most; `None` if it was not."""
        return await self._life.state.loaded()

    @property
    def unread(self) -> str:
        """Why the database has not been read yet, for messages."""
        life = self._life
        return life.state.status.error or f"The database {life.where} has not been read to its end; that goes on."

    def status_keys(self, agent: str) -> tuple[str, ...]:
        """Return the statuses of an agent that have a text of their own here; starts nothing."""
        snapshot, declared = self._life.state.snapshot, self._life.registry.agents.get(agent)
        texts = snapshot.agent(agent) if snapshot is not None else None
        served = texts.keys if texts is not None else ()
        return tuple(sorted(StatusKeys(served, declared.prompts if declared is not None else ())))

    def select(self, agent: str, status: Status | None, *, serving: bool = True) -> tuple[str, Selection]:
        """Choose what is served outside a run, and return it with the key of the status that was asked for.

        Args:
            agent: The agent's name.
            status: The status; `None` for the primary one.
            serving: Whether the text is to be used, and not only to be looked at.

        Raises:
            NoActivePromptError: Neither the database nor the code has anything to serve.
        """
        state = self._life.state
        if (snapshot := self.snapshot()) is None:
            snapshot = state.wait()
        agent = normalized(agent)
        if serving and agent not in self.resolved:
            self.resolved.add(agent)
            self.notices.drop(("unbound", agent))
        forced, texts = overrides.in_force(), snapshot.agent(agent)
        if type(status) is str and not forced and texts is not None and status in texts.chosen:
            found = texts.chosen[status]  # as it mostly is
            if serving and found.prompt.status_key != status:
                self.report_fallback(agent, status)
            return status, found
        key = snapshot.status_key(agent, status)
        try:
            selection = overrides.choose(snapshot, agent, key, forced)
        except NoActivePromptError as error:
            if snapshot.is_loaded:
                raise
            if (loaded := state.wait_loaded()) is None:
                raise NoActivePromptError(f"{error.message} {self.unread}", agent=agent, status_key=key) from error
            snapshot, key = loaded, loaded.status_key(agent, status)
            selection = overrides.choose(snapshot, agent, key, overrides.in_force())
        if key is None:
            return snapshot.status_key(agent, selection.prompt.status_key) or selection.prompt.status_key, selection
        if serving and selection.prompt.status_key != key:
            self.report_fallback(agent, key)
        return key, selection

    def resolve(self, agent: str, status: Status | None) -> ServedPrompt:
        """Return what is served outside a run, and keep it at hand until something else is served."""
        prompt = self.select(agent, status)[1].prompt
        snapshot = self._life.state.snapshot
        # Without a thread each read has to try to start one.
        if snapshot is None or self._life.worker is None or overrides.begun():
            return prompt
        texts = snapshot.agent(agent)
        if texts is not None and (status is None or type(status) is str):
            asked = texts.primary if status is None else status
            own = texts.chosen.get(asked)
            if own is not None and own.prompt is prompt and prompt.status_key == asked:
                snapshot.found.setdefault(agent, {})[status] = prompt
        return prompt

    async def recall(
        self, agent: str, status_key: str, version: int | None, content_hash: str | None
    ) -> ServedPrompt | None:
        """Return a version that was active once, or the code's text: what a conversation may go on with.

        Args:
            agent: The agent's name.
            status_key: The status.
            version: Its number; `None` for the code's text, which had none.
            content_hash: The hash of its text, if it is known: a version of another database is another one.
        """
        code = self._life.versions.code_text(agent, status_key)
        snapshot = self.snapshot()
        if code is not None and content_hash not in {None, code.content_hash}:
            code = None
        if code is not None and snapshot is not None and snapshot.is_withdrawn(code):
            code = None
        if version is None:
            return code
        found, reason = await self._asking.find((agent, status_key, version))
        if found is not None and content_hash not in {None, found.content_hash}:
            found, reason = None, "Its text is another one than the conversation was sent."
        if found is not None or (code is not None and content_hash is not None):
            return found or code
        if content_hash is not None:  # a token may as well be of another status, which has that version
            words = f"Version {version} of {agent}/{status_key}, which a conversation is to go on with, cannot be had."
            self.report_pin(agent, f"{words} {reason}")
        return None

    def remembered(self, agent: str, version: int | None) -> tuple[tuple[str, ...], list[ServedPrompt]]:
        """Return an agent's statuses, and what is in memory under a version number; `None` for the code's texts."""
        snapshot, statuses = self.snapshot(), self.status_keys(agent)
        texts = snapshot.agent(agent) if snapshot is not None else None
        known = [*(texts.served.values() if texts is not None else ()), *self._life.versions.pinned]
        found = [prompt for prompt in known if (prompt.agent, prompt.version) == (agent, version)]
        if version is None:
            codes = [self._life.versions.code_text(agent, status_key) for status_key in statuses]
            found += [code for code in codes if code is not None]
        return statuses, found

    def known_texts(self, agent: str) -> TextMatcher:
        """Return what tells an agent's own texts, as far as they are in memory; what is not is read meanwhile."""
        texts = self._life.texts
        if not texts.is_read(agent) and agent not in self._asked_texts:
            self._asked_texts.add(agent)
            self._life.submit(lambda database: texts.read(database, [agent]))
        return texts.known(agent, self.snapshot())

    def sendable_texts(
        self, agent: str, status_key: str | None, named: Collection[tuple[str, str]] | None = None
    ) -> TextMatcher:
        """Return what tells those of one status, or of all, that were active once and are not withdrawn.

        Args:
            agent: The agent's name.
            status_key: The status.
            named: Only these, by status and hash, whatever the status is.
        """
        self.known_texts(agent)  # which reads them
        texts, snapshot = self._life.texts, self.snapshot()
        return texts.sent(agent, snapshot, named) if named is not None else texts.sendable(agent, snapshot, status_key)

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
        life = self._life
        snapshot = self.snapshot()
        key = (snapshot.status_key(agent, status_key) if snapshot is not None else None) or new_key(status_key)
        if (found := life.versions.find(snapshot, agent, key, version)) is not None:
            return found
        try:
            async with asyncio.timeout(max(life.settings.startup_timeout, 1.0)):
                await self.ready()
                return await life.read(lambda database: life.versions.load(database, agent, status_key, version))
        except TimeoutError:
            raise DatabaseUnavailableError(
                f"Version {version} of {agent}/{key} could not be read in time. Try again, or serve the active one.",
                agent=agent,
                status_key=key,
            ) from None
