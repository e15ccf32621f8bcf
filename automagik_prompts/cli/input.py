"""What commands read: texts from files and from standard input."""

from __future__ import annotations

import sys
from pathlib import Path

from automagik_prompts.exceptions import ConfigurationError


def read_text(source: str) -> str:
    """Return the text of a file, or of standard input, byte for byte.

    Raises:
        ConfigurationError: It cannot be read, or is not UTF-8.
    """
    what = "Standard input" if source == "-" else f"The file {source}"
    try:
        return (sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()).decode()
    except OSError as error:
        raise ConfigurationError(
            f"{what} cannot be read: {error.strerror}. Name a file that holds the text."
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{what} is not UTF-8: {error.reason} at byte {error.start}. Save it as UTF-8.") from (
            error
        )
