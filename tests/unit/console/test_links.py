"""Addresses are relative to the page: they hold at any mount, and names stay whole in them."""

from __future__ import annotations

from urllib.parse import urljoin

import pytest
from starlette.requests import Request

from automagik_prompts.console.links import Links, own_path


def links(path: str, query: str = "", root: str = "") -> Links:
    """Return the addresses for a page."""
    return Links(
        Request({"type": "http", "path": root + path, "root_path": root, "query_string": query.encode(), "headers": []})
    )


@pytest.mark.parametrize("mount", ["", "/prompts", "/team/tools/prompts"])
@pytest.mark.parametrize("page", ["/", "/fleet", "/agents/seller/NEW", "/agents/seller/NEW/diff/1..2"])
def test_from_any_page_at_any_mount(page: str, mount: str) -> None:
    """A browser that shows a page at a mount gets from each link to where it should lead, whatever the proxy strips."""
    for root in {mount, ""}:  # the proxy leaves the prefix, or takes it away
        link = links(page, root=root)
        here = f"http://host{mount}{page}"
        assert urljoin(here, link()) == f"http://host{mount}/"
        assert (
            urljoin(here, link("agents", "a/b", "c d?", version=8))
            == f"http://host{mount}/agents/a%2Fb/c%20d%3F?version=8"
        )
        assert urljoin(here, link.here()) == here
        assert urljoin(here, link.to(link.back)) == here


def test_queries() -> None:
    """What stands behind the question mark is kept, changed or taken away by its name."""
    link = links("/events", "agent=stan&from=2026-01-01&x=1&x=2")
    assert link.here(after=4, x=None) == "./events?agent=stan&from=2026-01-01&after=4"
    assert link.here(from_="") == "./events?agent=stan&x=1&x=2"
    assert link("events", from_=3, action=["a", "b"]) == "./events?from=3&action=a&action=b"


@pytest.mark.parametrize("back", ["//evil.example", "/x", "https://evil.example", "\\\\evil", "javascript:1", "a\nb"])
def test_back_leads_nowhere_else(back: str) -> None:
    """A form can lead back to a page of the console alone."""
    assert links("/theme").to(back) == "./"
    assert links("/theme").to("events?agent=a:b") == "./events?agent=a:b"


def test_the_own_path() -> None:
    """The mount is taken off where it stands before the path, and nothing else."""
    assert own_path({"path": "/prompts/fleet", "root_path": "/prompts"}) == "/fleet"
    assert own_path({"path": "/promptsfleet", "root_path": "/prompts"}) == "/promptsfleet"
    assert own_path({"path": "/prompts", "root_path": "/prompts"}) == ""
    assert own_path({"path": "/fleet"}) == "/fleet"
