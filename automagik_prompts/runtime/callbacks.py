"""Calling programs when something else is served or asked for, away from agent runs and from the following thread.

Each callback has a thread of its own, so that one that hangs or raises hurts neither the others nor anybody else.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, Generic, TypeVar

from automagik_prompts.domain.log import logger
from automagik_prompts.domain.review import ApprovalRequest
from automagik_prompts.domain.served import PromptChange
from automagik_prompts.runtime.native import Mailbox, NativeThread

MAX_WAITING = 1000
"""Changes that wait for a callback that is slow or hangs, at most; the oldest go first."""

OnChangeCallback = Callable[[PromptChange], Awaitable[Any] | Any]
"""A sync or async function that takes a change."""

OnRequestCallback = Callable[[ApprovalRequest], Awaitable[Any] | Any]
"""A sync or async function that takes a request for approval."""

T = TypeVar("T", bound="PromptChange | ApprovalRequest")


class Callbacks(Generic[T]):
    """The callbacks of one plugin for one kind of news.

    Args:
        name: What the methods are called by which they are added.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._listeners: tuple[_Listener[T], ...] = ()

    def __bool__(self) -> bool:
        return bool(self._listeners)

    def add(self, callback: Callable[[T], Awaitable[Any] | Any]) -> None:
        """Call a function at each of them from now on; a second time does nothing."""
        if not any(listener.callback == callback for listener in self._listeners):
            self._listeners = (*self._listeners, _Listener(callback, self._name))

    def remove(self, callback: Callable[[T], Awaitable[Any] | Any]) -> None:
        """Call a function no more; what it is doing now it may finish."""
        for listener in self._listeners:
            if listener.callback == callback:
                listener.end()
        self._listeners = tuple(listener for listener in self._listeners if listener.callback != callback)

    def call(self, changes: Iterable[T]) -> None:
        """Have every callback called, in order; returns at once."""
        for change in changes:
            for listener in self._listeners:
                listener.call(change)

    def end(self) -> None:
        """End the threads once they have made the calls there are; a later change begins anew."""
        for listener in self._listeners:
            listener.end()

    def resume_child(self) -> None:
        """Begin anew in a forked child, where the parent's threads do not exist."""
        self._listeners = tuple(_Listener(listener.callback, self._name) for listener in self._listeners)


class _Listener(Generic[T]):
    """One callback, its waiting calls, and the thread that makes them while there are any."""

    def __init__(self, callback: Callable[[T], Awaitable[Any] | Any], name: str) -> None:
        self.callback = callback
        self._name = name
        self._waiting: Mailbox[T | None] = Mailbox(MAX_WAITING)
        self._thread: NativeThread | None = None
        self._is_behind = False

    def call(self, change: T | None) -> None:
        if self._waiting.put(change) and not self._is_behind:
            self._is_behind = True
            logger.warning(
                "The %s callback %s is %s calls behind; the oldest are dropped. See why it takes so long.",
                self._name,
                _name(self.callback),
                MAX_WAITING,
            )
        if change is not None and (self._thread is None or not self._thread.is_alive):
            # A daemon: a callback that hangs must not keep the process from ending.
            self._thread = NativeThread(
                partial(self._run, self._waiting), f"automagik-prompts-{self._name.replace('_', '-')}"
            )
            self._thread.start()

    def end(self) -> None:
        if self._thread is not None:
            self.call(None)
            # What comes later is for another thread.
            self._thread, self._waiting = None, Mailbox(MAX_WAITING)

    def _run(self, waiting: Mailbox[T | None]) -> None:
        # One event loop for all calls, so that what an async callback opens stays open.
        with asyncio.Runner() as runner:
            while (change := waiting.get()) is not None:
                try:
                    result = contextvars.Context().run(self.callback, change)
                    if inspect.isawaitable(result):
                        runner.run(_awaited(result))
                except Exception:  # noqa: BLE001  # a program's callback may raise anything; it is logged
                    logger.exception(
                        "The %s callback %s raised at %s/%s; it will be called at the next one.",
                        self._name,
                        _name(self.callback),
                        change.agent,
                        change.status_key,
                    )
                if not waiting:
                    self._is_behind = False


async def _awaited(awaitable: Awaitable[Any]) -> None:
    await awaitable


def _name(callback: Callable[..., Any]) -> str:
    return getattr(callback, "__qualname__", None) or type(callback).__qualname__
