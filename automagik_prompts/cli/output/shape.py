"""The base of what commands print with `--json`: one stable shape for each.

A field may be added in any release; a field is renamed or removed only in a major one.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Shape(BaseModel):
    """The base of all shapes."""

    # Most commands need one or two of these: each is built when it is first used.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
