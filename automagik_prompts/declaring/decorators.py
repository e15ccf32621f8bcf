"""Declaring prompts by constants: `prompt` for one text, `prompts` for a class of them."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Collection, Mapping
from enum import Enum
from types import FrameType
from typing import TypeVar

from automagik_prompts.declaring.declared import INTERACTIVE, PromptText, Site
from automagik_prompts.declaring.registry import Registry, registry
from automagik_prompts.domain.keys import DEFAULT_STATUS_KEY, Status
from automagik_prompts.domain.protocols import StatusFunction
from automagik_prompts.domain.review import OnDrift
from automagik_prompts.domain.validation import MAX_NOTE_LENGTH, Format, check_format, check_optional, check_text
from automagik_prompts.exceptions import DeclarationError, InvalidPromptError

ClassT = TypeVar("ClassT", bound=type)


def prompt(
    text: str,
    *,
    agent: str | None = None,
    status_key: Status = DEFAULT_STATUS_KEY,
    primary: bool = False,
    name: str | None = None,
    note: str | None = None,
    format: Format = "handlebars",
    variables: Collection[str] = (),
    protected: bool = False,
    approvals: int = 1,
    approve_code: bool = False,
    on_drift: OnDrift | None = None,
    registry: Registry = registry,
) -> str:
    """Declare one text and return it, a plain string.

    Inside a class the result is a string that carries its details until `prompts` reads them.

    Args:
        text: The text.
        agent: The agent it is for. Left out inside a class decorated with `prompts`, or in a module that
            `prompts_from_package` reads: there the text only gets its details.
        status_key: The status it is for; of an enum member the value, or the name where that is a status already.
        primary: Whether this is the agent's primary status; needed where an agent has several and none is `"default"`.
        name: A name for people.
        note: Why it is as it is.
        format: `"handlebars"`, `"simple"` to fill nothing but the tags of exposed names, or `"text"` to serve it
            verbatim.
        variables: Names to expose to templates besides those that the text uses.
        protected: Whether the active version changes only when another person has approved it.
        approvals: How many people besides who asks have to approve.
        approve_code: Whether what the code activates needs approval as well; it was reviewed as code otherwise.
        on_drift: What becomes of a new text of the code where a person's version is active: `"keep"` the person's,
            activate the code's (`"code"`), or keep it and have `sync` end with an error until somebody has decided
            (`"fail"`). `check` reports a drift in any case. `"keep"` by default.
        registry: Where to declare it.

    Raises:
        DeclarationError: The declaration is invalid.
    """
    where, site = _caller()
    if agent is None and (primary or variables or protected or on_drift or status_key != DEFAULT_STATUS_KEY):
        raise DeclarationError(
            f"prompt() at {where} does not say agent=..., so it only gives a text its name, note and format. Give the "
            "primary status, variables, protection and on_drift to prompts() or prompts_from_package(); the status is "
            "the constant's name."
        )
    try:
        key = registry.find_key(agent, status_key)
        check_text(text, agent=agent, status_key=key if agent is not None else None)
        declared = PromptText(text)
        declared.prompt_format = check_format(format)
        declared.prompt_name = check_optional(name, "prompt name")
        declared.prompt_note = check_optional(note, "note", limit=MAX_NOTE_LENGTH)
    except InvalidPromptError as error:
        raise DeclarationError(
            f"{error.message} Declared at {where}.", agent=agent, status_key=error.status_key
        ) from error
    if agent is not None:
        registry.declare(
            agent,
            {key: declared},
            where=where,
            primary=key if primary else None,
            variables=variables,
            site=site,
            enums=[type(status_key)] if isinstance(status_key, Enum) else [],
            protected=[key] if protected else [],
            approvals=approvals,
            approve_code=approve_code,
            on_drift=on_drift,
        )
        return declared[:]
    return declared


def prompts(
    agent: str,
    *,
    primary: Status | None = None,
    status: StatusFunction | None = None,
    variables: Collection[str] = (),
    protected: Collection[Status] = (),
    approvals: int = 1,
    approve_code: bool = False,
    on_drift: OnDrift | None = None,
    registry: Registry = registry,
) -> Callable[[ClassT], ClassT]:
    """Declare a class' upper-case strings as the prompts of an agent, one for each status.

    Args:
        agent: The agent's name.
        primary: The primary status: served for a status that has no text of its own. Of an enum member the value
            counts, then its name.
        status: A sync or async function of the run context that returns the present status.
        variables: Names to expose to templates besides those that the texts use.
        protected: The statuses whose active version changes only when another person has approved it.
        approvals: How many people besides who asks have to approve.
        approve_code: Whether what the code activates needs approval as well; it was reviewed as code otherwise.
        on_drift: What becomes of a new text of the code where a person's version is active: `"keep"` the person's,
            activate the code's (`"code"`), or keep it and have `sync` end with an error until somebody has decided
            (`"fail"`). `check` reports a drift in any case. `"keep"` by default.
        registry: Where to declare them.

    Returns:
        A decorator that returns the class unchanged.

    Raises:
        DeclarationError: The declaration is invalid.
    """

    def decorate(cls: ClassT) -> ClassT:
        where = f"{cls.__module__}.{cls.__qualname__}"
        _, caller = _caller()
        unit = INTERACTIVE if caller.unit == INTERACTIVE else where
        enums: list[type[Enum]] = []
        if issubclass(cls, Enum):
            enums = [cls]
            members: Mapping[str, Enum] = cls.__members__
            texts = {key: member.value for key, member in members.items() if isinstance(member.value, str)}
        else:
            names = [name for base in reversed(cls.__mro__) for name in vars(base) if name.isupper()]
            texts = {name: value for name in dict.fromkeys(names) if isinstance(value := getattr(cls, name), str)}
        texts = {name: text for name, text in texts.items() if not name.startswith("_")}
        if not texts:
            raise DeclarationError(
                f"{where} declares no prompts for {agent!r}. Give it an upper-case attribute with a string for each "
                "status.",
                agent=agent,
            )
        registry.declare(
            agent,
            texts,
            where=where,
            primary=primary,
            status=status,
            variables=variables,
            site=Site(unit, caller.execution, is_whole=True),
            enums=enums,
            protected=protected,
            approvals=approvals,
            approve_code=approve_code,
            on_drift=on_drift,
        )
        return cls

    return decorate


_INTERACTIVE = re.compile(r"<(?!string>)[^>]*>|.*[\\/]ipykernel_\d+[\\/]\d+\.py")
"""What Python and notebooks call the code that is typed into them; `<string>` is a program given by `-c`."""


def _caller() -> tuple[str, Site]:
    """Return file and line of the code outside this module that is declaring, and what tells its executions apart.

    A module that is loaded again has another `__spec__`; what is typed at a prompt has code of its own each time.
    """
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001  # there is no public way to the caller that costs little
    while frame is not None and frame.f_globals.get("__name__") == __name__:
        frame = frame.f_back
    if frame is None:
        return "an unknown place", Site("an unknown place")
    file = frame.f_code.co_filename
    where = f"{file}:{frame.f_lineno}"
    if _INTERACTIVE.fullmatch(file):
        return where, Site(INTERACTIVE, frame.f_code if file == "<stdin>" else file)
    return where, Site(file, frame.f_globals.get("__spec__"))
