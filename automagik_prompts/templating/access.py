"""Reading the application's values by name: what may be reached, and what never is."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection, Coroutine, Generator, Iterable, Mapping
from datetime import date
from functools import cached_property, lru_cache, partial, partialmethod
from inspect import getattr_static, isclass, ismodule, isroutine
from types import CodeType, FrameType, TracebackType
from typing import TypeGuard, TypeVar, cast

from automagik_prompts.domain.log import logger

T = TypeVar("T")

Path = tuple[str, ...]
"""Where a value is: a name of the application's values, then the names of parts, with `[]` for the items of a list."""

BUILTINS = frozenset({"agent_name", "status_key", "run_id", "today"})
"""Variables that every template may use."""

ABSENT: object = object()
"""What a lookup returns for a name that has no value."""

# What leads out of the data into the program that holds it.
_MACHINERY = (
    FrameType,
    TracebackType,
    CodeType,
    Coroutine,
    Generator,
    AsyncGenerator,
    partial,
    partialmethod,
    BaseException,
)
_PLAIN = (str, int, float, list, tuple, dict, date, type(None))


def written(path: Path) -> str:
    """Write a path in the notation of `template`."""
    return ".".join(path).replace(".[]", "[]")


def is_collection(value: object) -> TypeGuard[Collection[object]]:
    """Return whether a value has items, as lists, sets and mappings do, and texts do not."""
    return isinstance(value, Collection) and not isinstance(value, str | bytes | bytearray)


def is_machinery(value: object) -> bool:
    """Return whether a value is no data: a function, class, module, frame, coroutine, generator, exception or such."""
    if isinstance(value, _PLAIN):
        return False
    return isroutine(value) or isclass(value) or ismodule(value) or isinstance(value, _MACHINERY)


def get(container: object, name: str, *, fields_only: bool = False) -> object:
    """Return one named value of a mapping or an object, or `ABSENT`.

    Methods, classes, machinery and names that begin with an underscore are never returned. A property that raises
    counts as absent, so that a text which somebody edits cannot make a run fail.

    Args:
        container: The mapping or object.
        name: The name.
        fields_only: Whether constants of the object's class are out of reach too, as nobody named them.
    """
    if container is None or container is ABSENT or name.startswith("_"):
        return ABSENT
    try:
        if isinstance(container, Mapping):
            value = cast("Mapping[str, object]", container).get(name, ABSENT)
        else:
            if fields_only and _is_constant(container, name):
                return ABSENT
            value = getattr(container, name, ABSENT)
    except Exception as error:  # noqa: BLE001  # the application's property may raise anything; it is reported
        report_unreadable(container, name, error)
        return ABSENT
    if type(value) is str:
        return value
    return ABSENT if is_machinery(value) else value


def _is_constant(container: object, name: str) -> bool:
    """Return whether a name is only found on the object's class, and is no property or field there."""
    if name in getattr(container, "__dict__", ()):
        return False
    found = getattr_static(type(container), name, ABSENT)
    return found is not ABSENT and not isinstance(found, cached_property) and not hasattr(type(found), "__get__")


def members(value: object, read: Callable[[], Iterable[T]]) -> list[T]:
    """Return what a collection holds; nothing where it raises, as one that loads from a database may."""
    try:
        return list(read())
    except Exception as error:  # noqa: BLE001  # the application's collection may raise anything; it is reported
        report_unreadable(value, "the items", error)
        return []


def length(value: Collection[object]) -> int:
    """Return how many items a collection has; none where it raises."""
    try:
        return len(value)
    except Exception as error:  # noqa: BLE001  # as above
        report_unreadable(value, "the length", error)
        return 0


def names_in(*containers: object) -> list[str]:
    """Return the names that mappings and objects have values for, as far as that is known without reading one."""
    found: list[str] = []
    for container in containers:
        kept = container if isinstance(container, Mapping) else getattr(container, "__dict__", None)
        slots = getattr(type(container), "__dataclass_fields__", ())
        names = [*(kept if isinstance(kept, Mapping) else ()), *slots]
        found += [name for name in names[:200] if isinstance(name, str) and not name.startswith("_")]
    return found


def builtin_value(name: str, agent: str, status_key: str, run_id: str | None) -> object:
    """Return the value of a built-in variable, or `ABSENT`; `today` is the local date as in 2025-05-13."""
    if name not in BUILTINS:
        return ABSENT
    if name == "today":
        return date.today().isoformat()
    return {"agent_name": agent, "status_key": status_key, "run_id": run_id}[name]


def report_unreadable(value: object, name: str, error: Exception) -> None:
    """Log that the application's own object raised while a value was read."""
    _warn_unreadable(type(value).__name__, name, type(error).__name__)


@lru_cache(maxsize=256)
def _warn_unreadable(kind: str, name: str, error: str) -> None:
    """Warn once, not on every run; an error's message may hold data, so only its type is named."""
    logger.warning("Reading %r of %s raised %s; the variable counts as missing. Look there.", name, kind, error)
