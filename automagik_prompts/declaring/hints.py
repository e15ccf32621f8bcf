"""What a developer may have meant otherwise in a text, logged once when it is declared."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

from automagik_prompts.declaring.declared import DeclaredPrompt
from automagik_prompts.domain.invisible import described, suspicious
from automagik_prompts.domain.log import logger
from automagik_prompts.templating.limits import BUDGET
from automagik_prompts.templating.lint import lint


def log_hints(prompt: DeclaredPrompt, exposed: Collection[str]) -> None:
    """Log, in one line, what may be meant otherwise in a text; code is never refused for it."""
    hints = [str(hint) for hint in lint(prompt.text, prompt.format, exposed, used=prompt.template.variables)]
    if found := list(suspicious(prompt.text)):
        hints.append(f"it contains invisible characters, {described(found)}.")
    if (units := prompt.template.estimate) > BUDGET:
        hints.append(f"it takes {units} units of work to fill, with 50 items in each loop.")
    if hints:
        _log(f"{prompt.agent}/{prompt.status_key}", prompt.where, " ".join(hints))


@lru_cache(maxsize=1024)
def _log(key: str, where: str, hints: str) -> None:
    logger.warning("%s, declared at %s: %s", key, where, hints)
