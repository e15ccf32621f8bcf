"""Taking an agent's own texts out of what its code gives as instructions."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from pydantic_ai.messages import InstructionPart


def without_declared(parts: Sequence[InstructionPart], declared: Collection[str]) -> list[InstructionPart]:
    """Return an agent's instructions without the texts that its code declares, which the active prompt replaces.

    Pydantic AI strips literal instructions and joins them by blank lines, so a text may be one block among others.
    """
    if all(part.dynamic for part in parts):
        return list(parts)
    texts = {stripped for text in declared if (stripped := text.strip())}
    kept: list[InstructionPart] = []
    for part in parts:
        content = part.content
        if not part.dynamic:
            for text in texts:
                content = _without_block(content, text)
        if content == part.content:
            kept.append(part)
        elif content:
            kept.append(replace(part, content=content))
    return kept


def _without_block(content: str, text: str) -> str:
    """Remove a text where it is the whole content, or set apart from the rest by blank lines."""
    if text not in content:
        return content
    framed = f"\n\n{content}\n\n"
    while (block := f"\n\n{text}\n\n") in framed:
        framed = framed.replace(block, "\n\n", 1)
    return framed.strip("\n") if framed.strip("\n") != content.strip("\n") else content
