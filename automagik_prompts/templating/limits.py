"""What is too much for a text, and is not its fault: an error of its own."""

from __future__ import annotations

from automagik_prompts.domain.served import DEFAULT_LIMITS
from automagik_prompts.exceptions import RenderError

BUDGET = DEFAULT_LIMITS.units
"""Units of work that filling one text may take, when it is written or loaded."""


class HelperError(RenderError):
    """A helper failed: the text may be wrong, or the value that a run gave it."""


class ValueLimitError(RenderError):
    """A value of one run is too large for a text; the text itself is sound.

    Attributes:
        name: The variable.
        reason: What is too large, as the end of a sentence.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"The value of {name} {reason}.")
        self.name = name
        self.reason = reason
