"""Addresses of pages, each relative to the page that is shown: they hold at any mount, and behind any proxy."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.types import Scope

from automagik_prompts.api.segments import END, named

Query = str | int | Iterable[str] | None
"""What stands behind a name in an address: nothing where it is `None` or empty."""


def own_path(scope: Scope) -> str:
    """Return the path of a request as the console has it, from `/` on."""
    path, root = str(scope["path"]), str(scope.get("root_path", "")).rstrip("/")
    return path[len(root) :] if root and (path == root or path.startswith(f"{root}/")) else path


class Links:
    """Makes addresses for one page.

    Args:
        request: What was asked for.
    """

    def __init__(self, request: Request) -> None:
        self._path = own_path(request.scope)
        self._query = request.query_params
        self._up = "../" * max(0, self._path.count("/") - 1) or "./"

    def __call__(self, *parts: str | int, **query: Query) -> str:
        """Return the address of a page: `link("agents", agent, status, "edit", version=7)`.

        Args:
            parts: The parts of the path; a slash inside of one stays inside.
            query: What stands behind the question mark; `from_` stands for `from`.
        """
        path = "/".join(_segment(str(part)) for part in parts)
        return f"{self._up}{path}{_query(query)}"

    def here(self, **query: Query) -> str:
        """Return the address of the same page with some of its query changed; `None` takes a name away."""
        kept: dict[str, Query] = {name: self._query.getlist(name) for name in self._query}
        return self(*self._own(), **{**kept, **{name.removesuffix("_"): value for name, value in query.items()}})

    @property
    def back(self) -> str:
        """Where a form that leads back to this page says so: the path and the query as the console has them."""
        return self.here()[len(self._up) :]

    def to(self, back: str) -> str:
        """Return the address for what `back` said; of anything else it is the first page."""
        is_own = "\\" not in back and not back.startswith("/") and ":" not in back.partition("?")[0].partition("/")[0]
        return self._up + (back if is_own and back.isprintable() else "")

    def _own(self) -> list[str]:
        # A slash inside of a name stands as another character in the path.
        return [named(part) for part in self._path.lstrip("/").split("/")]


def _segment(part: str) -> str:
    # A browser would take these two for ways up, however they are spelled.
    return quote(f"{part}{END}" if part in {".", ".."} else part, safe="")


def _query(query: dict[str, Query]) -> str:
    pairs: list[tuple[str, str]] = []
    for name, value in query.items():
        values = [value] if isinstance(value, str | int) else list(value or ())
        pairs += [(name.removesuffix("_"), str(one)) for one in values if one != ""]
    return f"?{urlencode(pairs)}" if pairs else ""
