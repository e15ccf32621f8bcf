"""What a person does with the pages of the console: read them, follow where a form leads, send what stands there."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import Coroutine
from typing import Any, TypeVar

import httpx

from automagik_prompts.domain.policy import Actor
from automagik_prompts.plugin import PromptPlugin

NEW = "agents/stan/NEW"
APPROVED = "agents/stan/APPROVED"
JOAO = Actor("joao")

T = TypeVar("T")


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Do what the plugin does, beside the console."""
    return asyncio.run(coroutine)


def ok(answer: httpx.Response, status: int = 200) -> str:
    """Return a page, without its entities."""
    assert answer.status_code == status, answer.text
    return html.unescape(answer.text)


def followed(client: httpx.Client, answer: httpx.Response) -> str:
    """Return the page to which a form has led."""
    assert answer.status_code == 303, answer.text
    assert answer.next_request is not None
    return ok(client.send(answer.next_request))


def field(page: str, name: str) -> str:
    """Return what stands in the first field of a name."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found is not None, page
    return found[1]


def write(plugin: PromptPlugin, text: str, status: str = "NEW", *, activate: bool = False) -> int:
    """Write a version as Joao, and return its number."""
    done = run(plugin.acting_as(JOAO).create("stan", status, text, activate=activate, note="Agreed with sales."))
    assert done.prompt is not None
    return done.prompt.version
