"""The ways in which a prompt reaches the model that the installed Pydantic AI knows.

Before 2.64 a system prompt cannot be appended: `ActivePrompt` refuses that, which `test_capability` makes sure of.
"""

from __future__ import annotations

from automagik_prompts.agent.history.features import APPENDS_SYSTEM_PROMPTS
from automagik_prompts.agent.run import Inject, OnChange

MODES: list[tuple[Inject, OnChange]] = [
    ("system_prompt", "rewrite"),
    *([("system_prompt", "append")] if APPENDS_SYSTEM_PROMPTS else []),  # type: ignore[list-item]  # literals in a list
    ("instructions", "rewrite"),
    ("instructions", "append"),
]
