"""Telling whether a system prompt from before this library is one of an agent's texts, filled or not.

Exact texts are known by their hash. A filled one is known by the literal pieces of its template, which must all be
there in their order: enough of them, and most of the prompt, so that nobody else's prompt is taken for ours. Templates
with blocks may be filled in too many ways, and are not recognised.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from automagik_prompts.domain.text import content_hash

MIN_LITERAL = 40
"""Literal characters that a template must have to be recognised when it is filled."""

_BLOCKS = "#/^>!&*~"
"""What a tag begins with that is no plain value."""


class KnownTexts:
    """The texts that an agent may have been sent.

    Args:
        texts: The texts, each with its format.
        besides: Texts that are none of them, also where a filled one could be both.
    """

    def __init__(self, texts: Iterable[tuple[str, str]], besides: Sequence[tuple[str, str]] = ()) -> None:
        self._besides = KnownTexts(besides) if besides else None
        texts = set(texts)
        self._hashes = frozenset(content_hash(text) for text, _ in texts)
        found = (literal_pieces(text) for text, read_as in texts if read_as != "text")
        self._templates = [pieces for pieces in found if pieces is not None and sum(map(len, pieces)) >= MIN_LITERAL]

    def is_own(self, content: str) -> bool:
        """Return whether a prompt is one of the texts, filled or not."""
        try:
            digest = content_hash(content)
        except UnicodeEncodeError:
            return False  # half a character: no text can be stored that has one
        if self._besides is not None and self._besides.is_own(content):
            return False
        return digest in self._hashes or any(_fits(pieces, content) for pieces in self._templates)


def literal_pieces(text: str) -> tuple[str, ...] | None:
    """Return the literal text before, between and after the tags; `None` for a text without tags, or with blocks."""
    pieces: list[str] = []
    at = 0
    while (begin := text.find("{{", at)) >= 0:
        marks = 3 if text.startswith("{{{", begin) else 2
        end = text.find("}" * marks, begin)
        tag = text[begin + marks : end].strip() if end >= 0 else ""
        if not tag or tag[0] in _BLOCKS or "{" in tag or tag == "else" or (begin and text[begin - 1] == "\\"):
            return None
        pieces.append(text[at:begin])
        at = end + marks
    return (*pieces, text[at:]) if pieces else None


def _fits(pieces: Sequence[str], content: str) -> bool:
    """Return whether literal pieces stand in a prompt in their order, from its beginning to its end.

    Each character of the prompt is looked at a few times at most: a piece is looked for behind the one before it, and
    where one is not found, nothing else is tried.
    """
    first, *between, last = pieces
    literal = sum(map(len, pieces))
    if not literal <= len(content) <= 2 * literal or not (content.startswith(first) and content.endswith(last)):
        return False
    at, end = len(first), len(content) - len(last)
    for piece in between:
        if (found := content.find(piece, at, end)) < 0:
            return False
        at = found + len(piece)
    return at <= end
