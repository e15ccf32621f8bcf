"""What is too much for a text, and is not its fault: how it is counted in a run, and errors of its own."""

from __future__ import annotations

from dataclasses import dataclass, field

from automagik_prompts.domain.served import DEFAULT_LIMITS, Limits
from automagik_prompts.exceptions import RenderError

BUDGET = DEFAULT_LIMITS.units
"""Units of work that filling one text may take, when it is written or loaded."""

UNIT_LENGTH = 200
"""Characters that are one unit of work, where a text is filled with them; an item of data is one unit, too."""


@dataclass(slots=True)
class Meter:
    """Counts the characters that one run goes through while it fills a text: in helpers, in lists and in data.

    Attributes:
        limits: What is allowed.
        left: How many characters are left.
    """

    limits: Limits
    left: int = field(init=False)

    def __post_init__(self) -> None:
        self.left = self.limits.units * UNIT_LENGTH

    def take(self, characters: int) -> bool:
        """Count characters, and return whether that is within what is allowed."""
        self.left -= characters
        return self.left >= 0

    def spend(self, name: str, characters: int) -> None:
        """Count characters of a variable's value.

        Raises:
            ValueLimitError: That is too much.
        """
        if not self.take(characters):
            raise ValueLimitError(name, f"makes filling the text take more than {self.limits.units} units of work")


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
