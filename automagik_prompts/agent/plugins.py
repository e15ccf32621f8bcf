"""Which plugin an agent reads that was given none: one process, one default.

The first plugin that is started, entered, installed or used as a lifespan is the default. Where there is none, one is
made of the `AUTOMAGIK_PROMPTS_*` variables when it is first read. An agent is never served from a database that nobody
meant: once agents have read a default that nobody chose, starting a plugin on another database is an error.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from automagik_prompts.exceptions import ConfigurationError

if TYPE_CHECKING:
    from automagik_prompts.domain.protocols import DefaultPlugin

_lock = threading.Lock()
_load: Callable[[], Callable[[], DefaultPlugin]] | None = None
_default: DefaultPlugin | None = None
_read: DefaultPlugin | None = None
"""The default, once an agent or a function has read from it: what is asked for in every run."""
_closed: DefaultPlugin | None = None
"""The default that was closed last: agents go on with what it served, until another plugin takes its place."""


turn = object()
"""Another object after each change of which plugin is read: what was found out before it may hold no more."""

bound: dict[str, set[int]] = {}
"""The names whose prompts an agent of this process was given, with the plugins that were named (0 for none)."""

carries_baggage = False
"""Whether a plugin of this process has its agents' prompts carried as baggage."""

ran: set[str] = set()
"""Those of them whose agents have run."""

pinned: set[str] = set()
"""Those of them whose conversations go on with versions that may be active no more."""


def bind(name: str, plugin: object) -> None:
    """Take note that an agent was given the prompts of a name, to be read from a plugin, or from the default one."""
    bound.setdefault(name, set()).add(0 if plugin is None else id(plugin))


def needed_by(plugin: object) -> list[str]:
    """Return the names whose prompts agents of this process read from a plugin."""
    own = {id(plugin), 0} if plugin is _default else {id(plugin)}
    return [name for name, readers in tuple(bound.items()) if readers & own]


def register(load: Callable[[], Callable[[], DefaultPlugin]]) -> None:
    """Take how a default plugin is made where none was started.

    Args:
        load: Imports what that takes, and returns what makes it.
    """
    global _load
    _load = load


def load() -> None:
    """Import what the default plugin takes, before an event loop would have to wait for that."""
    if _default is None and _load is not None:
        _load()


def read() -> DefaultPlugin:
    """Return the plugin that is read where none is named.

    Raises:
        ConfigurationError: A variable has a value that cannot work.
    """
    global _read
    if (found := _read) is not None:
        return found  # every agent run that was given no plugin comes here, and waits for no lock
    plugin = get()
    with _lock:
        if _closed is not None and not plugin.is_chosen and plugin is _default:
            return _closed
        if plugin is _default:
            _read = plugin
            changed()
    return plugin


def get() -> DefaultPlugin:
    """Return the default plugin, and make it if there is none.

    Raises:
        ConfigurationError: A variable has a value that cannot work.
    """
    global _default
    with _lock:
        if _default is None:
            if _load is None:
                raise ConfigurationError("There is no default plugin. Import automagik_prompts first.")
            _default = _load()()
        return _default


def claim(plugin: DefaultPlugin) -> None:
    """Make a plugin that begins to be used the default, unless there is one.

    Raises:
        ConfigurationError: Agents have read a default that nobody chose, from another database.
    """
    global _default, _closed
    with _lock:
        present = _default
        if present is not None and (present is plugin or present.is_chosen or present.identity == plugin.identity):
            return
        if _read is not None:
            raise ConfigurationError(
                f"Agents have already been served from {_read.where}, the default that nobody chose, and now a plugin "
                f"with {plugin.where} is started. Start that plugin before the first agent runs, or give the agents "
                "theirs: ActivePrompt(..., plugin=plugin)."
            )
        if present is not None and present.is_started and not plugin.is_chosen:
            return
        _default, _closed = plugin, None
        changed()


def offer(plugin: DefaultPlugin) -> None:
    """Make a plugin the default that an agent was given and that begins to be used by its run; a run never fails."""
    if _default is None:
        with suppress(ConfigurationError):
            claim(plugin)


def release(plugin: DefaultPlugin) -> None:
    """Free the place of the default, if a plugin has it."""
    global _default, _read, _closed
    with _lock:
        if _default is plugin:
            _closed = plugin if _read is plugin else None
            _default = _read = None
            changed()


def forget() -> None:
    """Forget the default and the one before it; the next use makes a new one."""
    global _default, _read, _closed
    with _lock:
        _default = _read = _closed = None
        changed()


def changed() -> None:
    """Say that another plugin is read from now on."""
    global turn
    turn = object()


def current() -> DefaultPlugin | None:
    """Return the default plugin, if there is one."""
    return _default


@contextmanager
def replaced(plugin: DefaultPlugin) -> Iterator[DefaultPlugin | None]:
    """Have another default plugin for a while, as tests do, and give the one that it replaces, if there is one."""
    global _default, _read, _closed
    with _lock:
        saved = _default, _read, _closed
        _default, _read, _closed = plugin, plugin, None
        changed()
    try:
        yield saved[0]
    finally:
        with _lock:
            _default, _read, _closed = saved
            changed()


def renew_lock() -> None:
    """Have a lock that nobody holds in a forked child: another thread of the parent may have held it."""
    global _lock
    _lock = threading.Lock()
