"""A wall clock that a test can step in one process while that runs.

The machine's clock belongs to everybody, so a test cannot step it. In the one process, whatever Python code asks for
the time of day is answered from here; the monotonic clock goes on, as it does when an operator or NTP sets the time.
"""

from __future__ import annotations

import datetime
import sys
import time
from typing import Any

_time = time.time
_offset = 0.0


class _Instances(type):
    """Takes what C code makes, such as a database driver, for instances as well."""

    real: Any

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, cls.real)


class _SteppedDatetime(datetime.datetime, metaclass=_Instances):
    real = datetime.datetime

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Any:
        return cls.real.now(tz) + datetime.timedelta(seconds=_offset)


class _SteppedDate(datetime.date, metaclass=_Instances):
    real = datetime.date

    @classmethod
    def today(cls) -> Any:
        return _SteppedDatetime.now().date()


def install() -> None:
    """Have this process ask here from now on: every module that is loaded, as libraries import the names."""
    setattr(time, "time", lambda: _time() + _offset)  # noqa: B010  # mypy knows that it is a function
    for module in tuple(sys.modules.values()):
        names = getattr(module, "__dict__", {})
        for name, stepped in (("datetime", _SteppedDatetime), ("date", _SteppedDate)):
            if names.get(name) is stepped.real and module is not datetime:
                names[name] = stepped


def step(seconds: float) -> str:
    """Step the clock and return the date that it has now."""
    global _offset
    _offset += seconds
    return str(_SteppedDate.today())
