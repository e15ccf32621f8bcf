"""Fixtures for tests of agents with prompts; pytest finds them by entry point.

Nothing is imported before a fixture is used, so a test run that uses none pays for none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from automagik_prompts.domain.served import ServedPrompt
    from automagik_prompts.plugin import PromptPlugin


@pytest.fixture
def prompt_plugin() -> Iterator[PromptPlugin]:
    """A plugin on a fresh database in memory, which stands in for the default plugin; see `testing.memory_plugin`."""
    from automagik_prompts.testing import memory_plugin

    with memory_plugin() as plugin:
        yield plugin


@pytest.fixture
def prompt_override() -> Iterator[Callable[..., ServedPrompt]]:
    """Serves a text until the test ends: `prompt_override("stan", "APPROVED", "...")`; see `testing.override`."""
    from automagik_prompts import testing

    begun = []

    def begin(*arguments: Any, **details: Any) -> ServedPrompt:
        begun.append(testing.begin_override(*arguments, **details))
        return begun[-1].prompt

    yield begin
    for one in reversed(begun):
        testing.end_override(one)


@pytest.fixture
def assert_prompt_used() -> Callable[..., Any]:
    """Makes sure that a model was sent a prompt; see `testing.assert_prompt_used`."""
    from automagik_prompts.testing import assert_prompt_used

    return assert_prompt_used
