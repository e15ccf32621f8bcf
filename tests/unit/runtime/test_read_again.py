"""Reading the active text again and again: it is at hand, and never an old one."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any

import pytest

from automagik_prompts import InvalidPromptError, NoActivePromptError, PromptPlugin
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.testing import override
from tests.conftest import MakePlugin


class Status(StrEnum):
    """Statuses whose members are strings."""

    NEW = "NEW"


@pytest.fixture
async def plugin(sqlite_url: str, registry: Registry, make_plugin: MakePlugin) -> PromptPlugin:
    """A plugin that serves two statuses."""
    registry.declare("stan", {"NEW": "New 1.", "OLD": "Old 1."}, where="here", primary="NEW")
    plugin = make_plugin(sqlite_url, disk_snapshot=False, startup_timeout=30)
    await plugin.ready()
    return plugin


READS: dict[str, Callable[[PromptPlugin], Any]] = {
    "a status": lambda plugin: plugin.resolve("stan", "NEW"),
    "the primary one": lambda plugin: plugin.resolve("stan"),
    "in another case": lambda plugin: plugin.resolve("stan", "new"),
    "a member": lambda plugin: plugin.resolve("stan", Status.NEW),
    "one that is not there": lambda plugin: plugin.resolve("stan", "LOST"),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS.keys())
async def test_an_activation_is_read_at_once(plugin: PromptPlugin, read: Callable[[PromptPlugin], Any]) -> None:
    """However often a text was read, the next read after an activation is of the new one."""
    assert [read(plugin).text for _ in range(3)] == ["New 1."] * 3
    await plugin.create("stan", "NEW", "New 2.", activate=True)
    assert [read(plugin).text for _ in range(3)] == ["New 2."] * 3
    await plugin.rollback("stan", "NEW")
    assert read(plugin).text == "New 1."


async def test_what_is_in_force_comes_first(plugin: PromptPlugin) -> None:
    """A text that is in force in a test hides what is at hand, and nothing of it is left."""
    assert plugin.resolve("stan", "NEW").text == "New 1."
    with override("stan", "NEW", "Test."):
        assert plugin.resolve("stan", "NEW").text == "Test."
        assert plugin.resolve("stan", "OLD").text == "Old 1."
    assert plugin.resolve("stan", "NEW").text == "New 1."


async def test_what_is_declared_later(plugin: PromptPlugin, registry: Registry) -> None:
    """A status that the code declares later is found by who has asked for it before."""
    assert plugin.resolve("stan", "LATE").text == "New 1."
    registry.declare("stan", {"LATE": "Late 1."}, where="here")
    assert plugin.resolve("stan", "LATE").text == "Late 1."
    with pytest.raises(NoActivePromptError):
        plugin.resolve("gone")
    registry.declare("gone", {"NEW": "Come back."}, where="here")
    assert plugin.resolve("gone").text == "Come back."


@pytest.mark.parametrize("status", [["NEW"], {}, 7, b"NEW"])
async def test_what_is_no_status(plugin: PromptPlugin, status: Any) -> None:
    """A status that cannot be one is said to be none, however often it is asked for."""
    for _ in range(2):
        with pytest.raises(InvalidPromptError):
            plugin.resolve("stan", status)


async def test_after_closing(plugin: PromptPlugin) -> None:
    """What was served last stays at hand once nothing is followed any more."""
    assert plugin.resolve("stan", "OLD").text == "Old 1."
    plugin.close()
    assert [plugin.resolve("stan", "OLD").text for _ in range(2)] == ["Old 1."] * 2
    assert plugin.resolve("stan", "NEW").text == "New 1."
