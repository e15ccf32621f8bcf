"""Word of what agent runs could not do, each thing once: in the log, in `health().problems`, and in the records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING

from automagik_prompts.agent import plugins
from automagik_prompts.domain.keys import StatusKeys
from automagik_prompts.domain.log import logger
from automagik_prompts.domain.served import Gap, GapKind, MissingMode, ServedPrompt
from automagik_prompts.domain.text import closest, nearest, word
from automagik_prompts.later import Later
from automagik_prompts.runtime.lifecycle import Lifecycle
from automagik_prompts.runtime.notices import Notices

if TYPE_CHECKING:
    from automagik_prompts.domain.protocols import DefaultPlugin
    from automagik_prompts.storage import repository
    from automagik_prompts.storage.database import Database
else:
    repository = Later("automagik_prompts.storage.repository")


class Reports:
    """Takes note of what agent runs report; each report returns at once and never raises.

    Args:
        plugin: The plugin that they read.
        life: Its thread and what it publishes.

    Attributes:
        missing: What a missing value becomes.
        notices: What was reported, each thing once.
        resolved: The agents whose prompts were asked for without an agent run.
        report_sent: Takes note that a run is sent a version: no more than a place in memory.
    """

    def __init__(self, plugin: DefaultPlugin, life: Lifecycle) -> None:
        self.missing: MissingMode = life.settings.missing
        self.notices = Notices()
        self.resolved: set[str] = set()
        self.report_sent: Callable[[int], object] = life.sent.append
        self._plugin = plugin
        self._life = life
        self._reported: set[tuple[str, str, int | None]] = set()

    def report_render_failure(self, prompt: ServedPrompt, error: Exception) -> None:
        """Log and record, once per version, that it could not be rendered."""
        key = (prompt.agent, prompt.status_key, prompt.version)
        if key in self._reported:
            return
        self._reported.add(key)
        logger.error(
            "%s/%s: version %s could not be rendered, the code's text is served: %s "
            "Run: automagik-prompts rollback %s %s",
            *(prompt.agent, prompt.status_key, prompt.version, error),
            *map(word, (prompt.agent, prompt.status_key)),
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
