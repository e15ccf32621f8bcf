"""What agent runs ask of a plugin: memory only, and word of what they could not do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING

from automagik_prompts.agent import overrides, plugins
from automagik_prompts.domain.keys import Status, StatusKeys, new_key
from automagik_prompts.domain.log import logger
from automagik_prompts.domain.served import Gap, GapKind, Limits, MissingMode, Selection, ServedPrompt
from automagik_prompts.domain.text import closest, nearest
from automagik_prompts.domain.validation import normalized
from automagik_prompts.exceptions import ConfigurationError, DatabaseUnavailableError, NoActivePromptError
from automagik_prompts.following.memory.snapshot import Snapshot
from automagik_prompts.later import Later
from automagik_prompts.runtime.asking import Asking
from automagik_prompts.runtime.lifecycle import Lifecycle
from automagik_prompts.runtime.notices import Notices

if TYPE_CHECKING:
    from automagik_prompts.domain.protocols import DefaultPlugin, TextMatcher
    from automagik_prompts.storage import repository
    from automagik_prompts.storage.database import Database
else:
    repository = Later("automagik_prompts.storage.repository")


class Reader:
    """Reads what one plugin serves, and takes note of what agent runs report.

    Args:
        plugin: The plugin that is read; the first one that is used becomes the default.
        life: Its thread and what it publishes.

    Attributes:
        missing: What a missing value becomes.
        limits: How large the values of a run may be.
        history: What is written into histories, and what is believed of them.
        notices: What was reported, each thing once.
        resolved: The agents whose prompts were asked for without an agent run.
    """

    def __init__(self, plugin: DefaultPlugin, life: Lifecycle) -> None:
        self.missing: MissingMode = life.settings.missing
        self.history = life.settings.history
        self.limits = Limits(life.settings.max_value_length, life.settings.max_items)
        self.notices = Notices()
        self.resolved: set[str] = set()
        self._plugin = plugin
        self._life = life
        self._reported: set[tuple[str, str, int | None]] = set()
        self._asking = Asking(life)
        self._asked_texts: set[str] = set()

    def snapshot(self) -> Snapshot | None:
        """Return the present snapshot; `None` before the first load has ended in one way or another."""
        life = self._life
        if life.worker is None and not life.state.closed:
            plugins.offer(self._plugin)
            life.start()
        life.state.watch()
        return life.state.serving.snapshot

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

    def sendable_texts(self, agent: str, status_key: str | None) -> TextMatcher:
        """Return what tells those of one status, or of all, that are not withdrawn."""
        self.known_texts(agent)  # which reads them
        return self._life.texts.sendable(agent, self.snapshot(), status_key)

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

    # Reports: each returns at once and never raises.

    def report_render_failure(self, prompt: ServedPrompt, error: Exception) -> None:
        """Log and record, once per version, that it could not be rendered."""
        key = (prompt.agent, prompt.status_key, prompt.version)
        if key in self._reported:
            return
        self._reported.add(key)
        logger.error(
            "%s/%s: version %s could not be rendered, the code's text is served: %s "
            "Run: automagik-prompts rollback %s %s",
            *(prompt.agent, prompt.status_key, prompt.version, error, prompt.agent, prompt.status_key),
        )
        worker = self._life.worker
        if worker is not None and prompt.prompt_id is not None:
            worker.call(lambda follower: follower.record_failure(prompt, str(error)))

    def report_fallback(self, agent: str, status_key: str) -> None:
        """Log, once, that a status is unknown to the code and to the database."""
        key = ("status", agent, status_key)
        if not self.notices.note(key):
            return
        declared = self._life.registry.agents.get(agent)
        known = set(declared.prompts) if declared is not None else set()

        async def look(database: Database) -> None:
            if (info := await database.run(repository.get_agent, agent)) is not None:
                known.update(await database.run(repository.get_status_keys, info.id))

        def report(done: Future[None] | None) -> None:
            if StatusKeys(known).find(status_key) is None:
                unread = " (the database could not be asked)" if done is None or done.exception() is not None else ""
                near = nearest(status_key, known, "statuses")
                self.notices.log(
                    key,
                    f"The status {status_key!r} of {agent} has no prompt: neither the code nor the "
                    f"database{unread} knows it, so another status' text is sent. {near}",
                )

        if (asked := self._life.submit(look)) is None:
            report(None)
        else:
            asked.add_done_callback(report)

    def report_gaps(self, prompt: ServedPrompt, gaps: Sequence[Gap], available: Callable[[], Iterable[str]]) -> None:
        """Log, once per version and name, that a variable had no usable value."""
        for gap in gaps:
            key = ("variable", prompt.agent, prompt.status_key, prompt.version, gap)
            if not self.notices.note(key):
                continue
            name = gap.name
            close = closest(name, available()) if gap.kind is GapKind.MISSING else []
            hint = f"Did you mean {' or '.join(map(repr, close))}? " if close else ""
            marker = f"[No data for {name}]" if gap.kind is GapKind.MISSING else f"[{name} is no text]"
            instead = repr(marker if self.missing == "marker" else "nothing")
            words = {
                GapKind.MISSING: f"had no value in a run, so the model was sent {instead} in its place. {hint}Give it "
                "in deps or variables=, or take it out of the text.",
                GapKind.NO_TEXT: f"was no text in a run, so the model was sent {instead} in its place. Name the part "
                f"that is meant, such as {name}.title, or expose {name}.* in code to have it printed as JSON.",
                GapKind.UNEXPOSED: "is not exposed by code, so it was left out of a run. If the text may use it, say "
                f"so in code: ActivePrompt({prompt.agent!r}, expose=[{name.rstrip('?')!r}]).",
                GapKind.NO_LIST: "was no list in a run, so its {{#each}} block was left out. Give a list or a mapping.",
            }[gap.kind]
            self.notices.log(key, f"{_where(prompt)}: the variable {name!r} {words}")

    def report_pin(self, agent: str, words: str) -> None:
        """Log, once per agent and reason, that what a conversation is to go on with is not believed or not there."""
        # Whatever number it is: who writes histories could have a line logged for each, until none has room any more.
        key = ("pin", agent, "".join(each for each in words if not each.isdecimal()))
        if self.notices.note(key):
            self.notices.log(key, f"{agent}: {words.rstrip('.')}. It is sent what is active.")

    def report_bad_value(self, prompt: ServedPrompt, words: str, name: str = "") -> None:
        """Log, once per version and name, that a text could not be filled with a value of a run."""
        key = ("value", prompt.agent, prompt.status_key, prompt.version, name)
        if self.notices.note(key):
            self.notices.log(
                key,
                f"{_where(prompt)}: {words} That run was sent the code's text, or a text without the value. The "
                "settings max_value_length and max_items say how long a value and a list may be.",
            )

    def report_first_run(self) -> None:
        """Log which declared agents no agent of this process was given the prompts of."""
        from automagik_prompts.agent import autoinstall  # loaded already: an agent has run

        late = autoinstall.late_agents(self._plugin)
        for name in late:
            words = f"The agent {name!r} was built before install(), so it has no prompt. Build it afterwards."
            self.notices.log(("late", name), words)
        for name in sorted(self._life.registry.agents.keys() - plugins.bound.keys() - self.resolved - {*late}):
            self.notices.log(
                ("unbound", name),
                f"The prompts of {name!r} are declared, and no agent of this process was given them. Give an agent "
                f"ActivePrompt({name!r}) or, with install(), the name {name!r}.",
            )


def _where(prompt: ServedPrompt) -> str:
    which = f"version {prompt.version}" if prompt.version is not None else "the code's text"
    return f"{prompt.agent}/{prompt.status_key}, {which}"
