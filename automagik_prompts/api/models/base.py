"""What everything that the API gives has in common."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict


class View(BaseModel):
    """Something that the API gives."""

    model_config = ConfigDict(frozen=True)


def items(kind: type[Any], found: Iterable[Any]) -> list[Any]:
    """Describe several things."""
    return [kind.of(one) for one in found]
