"""One process, one default: what agents read that were given no plugin."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent

import automagik_prompts
from automagik_prompts import ActivePrompt, ConfigurationError
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.plugin import PromptPlugin
from tests.conftest import MakePlugin
from tests.listening import Listener


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A default that nobody chose makes its file here."""
    monkeypatch.chdir(tmp_path)
    for name in ("DATABASE_URL", "CACHE_DIR"):
        monkeypatch.delenv(f"AUTOMAGIK_PROMPTS_{name}", raising=False)
    monkeypatch.setenv("AUTOMAGIK_PROMPTS_DISK_SNAPSHOT", "false")


def url(folder: Path, name: str = "chosen") -> str:
    """Return the URL of a file."""
    return f"sqlite://{folder / name}.db"


async def told(agent: str = "seller") -> list[str]:
    """Run an agent that was given no plugin, and return what its model was told."""
    listener = Listener()
    await Agent(listener.model, capabilities=[ActivePrompt(agent)]).run("hi")
    return listener.last.system


async def edited(plugin: PromptPlugin, text: str = "Of the chosen database.") -> None:
    """Have a text of the database's own."""
    await plugin.create("seller", "default", text, activate=True, new_agent=True)


@pytest.mark.parametrize("way", ["start", "with", "async with", "lifespan", "install"])
async def test_the_first_plugin_that_is_used_is_the_default(
    make_plugin: MakePlugin, tmp_path: Path, registry: Registry, way: str
) -> None:
    """Started, entered, used as a lifespan or installed, it is what agents without a plugin read."""
    registry.declare("seller", {"default": "Of code."}, where="here")
    plugin = make_plugin(url(tmp_path))
    entered: list[Any] = []
    if way == "start":
        plugin.start()
    elif way == "with":
        entered.append(plugin.__enter__())
    elif way == "async with":
        entered.append(await plugin.__aenter__())
    elif way == "lifespan":
        entered.append(plugin.lifespan())
        await entered[0].__aenter__()
    else:
        plugin.install()
    await edited(plugin)
    assert await told() == ["Of the chosen database."]
    assert automagik_prompts.default_plugin() is plugin
    assert automagik_prompts.render("seller") == "Of the chosen database."
    assert not (tmp_path / "automagik_prompts.db").exists()
    plugin.uninstall()


async def test_another_one_beside_it_serves_those_who_name_it(make_plugin: MakePlugin, tmp_path: Path) -> None:
    """A second plugin on another database is no error, and changes nothing for agents that do not name it."""
    first, second = make_plugin(url(tmp_path, "first")), make_plugin(url(tmp_path, "second"))
    first.start()
    second.start()
    await edited(first, "first")
    await edited(second, "second")
    assert await told() == ["first"]
    listener = Listener()
    await Agent(listener.model, capabilities=[ActivePrompt("seller", plugin=second)]).run("hi")
    assert listener.last.system == ["second"]


async def test_a_default_that_nobody_chose_and_that_was_read(make_plugin: MakePlugin, tmp_path: Path) -> None:
    """An agent was served from a file that nobody meant: the plugin that comes too late says so, with both names."""
    automagik_prompts.prompt("Of code.", agent="read-too-early")
    assert await told("read-too-early") == ["Of code."]
    with pytest.raises(ConfigurationError, match=r"sqlite://automagik_prompts\.db.*chosen\.db.*plugin=plugin"):
        make_plugin(url(tmp_path)).start()
    same = PromptPlugin("sqlite://automagik_prompts.db")
    same.start()  # the same database is no other one
    same.close()
    automagik_prompts.uninstall()
    make_plugin(url(tmp_path)).start()


async def test_closing_frees_the_place(make_plugin: MakePlugin, tmp_path: Path) -> None:
    """After a default is closed its texts stay in use, until another plugin is started."""
    with make_plugin(url(tmp_path, "first")) as first:
        await edited(first, "first")
        assert await told() == ["first"]
    assert await told() == ["first"]
    with make_plugin(url(tmp_path, "second")) as second:
        await edited(second, "second")
        assert await told() == ["second"]
        assert automagik_prompts.default_plugin() is second


async def test_a_default_that_a_variable_configures_is_chosen(
    make_plugin: MakePlugin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a variable the default is meant: another plugin beside it is no error."""
    monkeypatch.setenv("AUTOMAGIK_PROMPTS_DATABASE_URL", url(tmp_path, "configured"))
    automagik_prompts.prompt("Of code.", agent="configured")
    assert await told("configured") == ["Of code."]
    make_plugin(url(tmp_path)).start()
    assert automagik_prompts.default_plugin().where.endswith("configured.db")
    automagik_prompts.uninstall()
    monkeypatch.setenv("AUTOMAGIK_PROMPTS_DATABASE_URL", "")
    assert automagik_prompts.default_plugin().where == "sqlite://automagik_prompts.db"


async def test_fault_68_the_file_stays_the_one_that_was_meant(
    make_plugin: MakePlugin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that changes its working directory between construction and start uses the same file."""
    plugin = make_plugin("sqlite://mine.db")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    await plugin.ready()
    assert (tmp_path / "mine.db").exists()


async def test_fault_68_a_file_with_two_names_is_refused(make_plugin: MakePlugin, tmp_path: Path) -> None:
    """SQLite keeps a log for each name of a file, so what is written through one would be lost to the other."""
    with make_plugin(url(tmp_path)) as plugin:
        await plugin.ready()
    (tmp_path / "other.db").hardlink_to(tmp_path / "chosen.db")
    again = make_plugin(url(tmp_path, "other"))
    await again.ready()
    assert "has 2 names (hard links)" in str(again.health().error)


def test_fault_67_leaving_while_the_applications_threads_are_busy(make_plugin: MakePlugin, tmp_path: Path) -> None:
    """`async with` ends while the loop's own executor is full."""
    released = threading.Event()

    async def work() -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))
        busy = loop.run_in_executor(None, released.wait, 30)
        async with asyncio.timeout(10), make_plugin(url(tmp_path)):
            pass
        released.set()
        await busy

    asyncio.run(work())
