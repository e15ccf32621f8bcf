"""Which prompt is meant: an agent and a status key, in whatever form they were given."""

from __future__ import annotations

from enum import Enum

from automagik_prompts.exceptions import InvalidPromptError

DEFAULT_STATUS_KEY = "default"
"""The status key of an agent that has one prompt only, and the last resort of every agent."""


def status_value(status: object) -> str | None:
    """Turn what a status function returned into a status key.

    Args:
        status: A string, an enum member (its value counts, as `str()` of one may be `Class.MEMBER`), or `None` for
            the primary status.

    Raises:
        InvalidPromptError: It is something else.
    """
    if isinstance(status, Enum):
        status = status.value
    if status is None or isinstance(status, str):
        return status
    raise InvalidPromptError(
        f"A status must be a string, an enum member with a string value, or None, not {type(status).__name__}. "
        "Return one of these from the status function."
    )
