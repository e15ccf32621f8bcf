"""Files that this library makes are their owner's alone, and what a killed process left is cleared up."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from automagik_prompts import PromptPlugin
from automagik_prompts.declaring.registry import Registry
from tests.waiting import until

MakePlugin = Callable[..., PromptPlugin]


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    """The most careless setting of a process."""
    before = os.umask(0)
    yield
    os.umask(before)


def modes(folder: Path, cache: Path) -> dict[str, str]:
    """Return the mode of each file that was made."""
    made = [*folder.glob("prompts.db*"), *cache.iterdir()]
    return {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in made}


def left_behind(cache: Path) -> tuple[Path, Path, Path]:
    """Make temporary files as killed processes leave them: an old one, a young one, and another database's."""
    (snapshot,) = cache.glob("*.journal")
    old, young, other = (cache / f"{stem}-x.tmp" for stem in (f"{snapshot.stem}-1", f"{snapshot.stem}-2", "another"))
    long_ago = time.time() - 3600
    for left in (old, young, other):
        left.write_text("half")
    os.utime(old, (long_ago, long_ago))
    os.utime(other, (long_ago, long_ago))
    return old, young, other


async def test_fault_61_files_are_private(registry: Registry, make_plugin: MakePlugin, tmp_path: Path) -> None:
    """The database, its side files, the lock of migrations and the disk snapshot: mode 0600 whatever the umask is."""
    registry.declare("a", {"default": "text"}, where="here")
    cache = tmp_path / "cache"
    plugin = make_plugin(f"sqlite://{tmp_path / 'prompts.db'}", cache_dir=cache)
    await plugin.ready()
    await plugin.create("a", "default", "second", activate=True)
    found = modes(tmp_path, cache)
    assert len(found) >= 4
    assert set(found.values()) == {"0o600"}, found
    plugin.close()
    old, young, other = left_behind(cache)
    await make_plugin(f"sqlite://{tmp_path / 'prompts.db'}", cache_dir=cache).ready()
    # Whoever holds the file's lock knows that nobody is writing it.
    await until(lambda: not old.exists() and not young.exists(), "what was left behind is gone")
    assert other.exists()
