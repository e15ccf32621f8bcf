"""Templates and what they may use; files that browsers keep, under a name that changes with them."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse

from automagik_prompts.console import words
from automagik_prompts.console.pages.deeds import asks, deed, origin
from automagik_prompts.domain.text import word

STATIC = Path(__file__).parent / "static"
"""The files that browsers keep."""

KINDS = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
"""What is in a file, by the end of its name; files of other kinds are not handed out."""


@cache
def files() -> dict[str, bytes]:
    """Return the files that browsers keep, by their paths."""
    return {
        path.relative_to(STATIC).as_posix(): path.read_bytes()
        for path in sorted(STATIC.rglob("*"))
        if path.suffix in KINDS and path.is_file()
    }


@cache
def edition() -> str:
    """Return what differs whenever one of the files does; scripts can name each other by relative paths."""
    found = hashlib.sha256()
    for name, content in files().items():
        found.update(f"{name} {len(content)}\n".encode() + content)
    return found.hexdigest()[:12]


@cache
def environment() -> Environment:
    """Return what fills templates: everything is escaped, and a name that is not there is an error."""
    made = Environment(
        loader=PackageLoader("automagik_prompts.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        when=words.when,
        day=words.day,
        span=words.span,
        number=words.number,
        owned=words.owned,
        brief=words.brief,
        beginning=words.beginning,
    )
    made.filters.update(asks=asks, deed=deed, origin=origin, quoted=word)
    made.globals.update(plural=words.plural)
    return made


def filled(template: str, facts: dict[str, Any], status: int = 200) -> HTMLResponse:
    """Return a page.

    Args:
        template: The template's name.
        facts: What it shows.
        status: The status code.
    """
    return HTMLResponse(environment().get_template(template).render(facts), status)
