"""The library's one logger. Names come from a database that plain SQL may write: none can forge a line in a log."""

from __future__ import annotations

import logging
import re

from automagik_prompts.domain.invisible import shown

_CONTROL = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029]")


class Lines(str):
    """Something that is logged on several lines, such as a traceback."""

    __slots__ = ()


class _OneLine(logging.Filter):
    """Writes control characters and what nobody sees as `<U+000A>` in everything that a record is about."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(_plain(value) for value in record.args)
        return True


def _plain(value: object) -> object:
    if isinstance(value, int | float | Lines):
        return value
    text = str(value)
    return text if text.isascii() and text.isprintable() else shown(_CONTROL.sub(_picture, text))


def _picture(found: re.Match[str]) -> str:
    return f"<U+{ord(found.group()):04X}>"


logger = logging.getLogger("automagik_prompts")
logger.addFilter(_OneLine())
