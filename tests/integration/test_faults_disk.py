"""Faults 39 and 40: the file with the last known good texts in any condition, and starts while nothing answers."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import shutil
import signal
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.served import Source, State
from automagik_prompts.following.journal import Journal
from automagik_prompts.following.memory.packing import texts_of
from automagik_prompts.runtime import thread
from automagik_prompts.schema.migrate import upgrade
from automagik_prompts.settings import load_settings
from automagik_prompts.storage.database import Database
from tests.conftest import MakePlugin
from tests.faults import assert_followed, assert_follows, lines, told
from tests.processes import Launcher
from tests.proxy import PASSWORD, Proxy
from tests.waiting import until

CODE = "From code."
ACTIVE = "From a person."

Damage = Callable[[Path], None]


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _bytes(path: Path) -> None:
    path.write_bytes(b"\x80\xff\x00" * 1000)


def _foreign(path: Path) -> None:
    path.write_text(json.dumps({"kind": "something else", "sha256": "", "body": "{}"}), encoding="utf-8")


def _of_another_release(path: Path) -> None:
    kind = b"automagik_prompts journal 99"
    _, _, rest = path.read_bytes().partition(b"\n")
    path.write_bytes(hashlib.sha256(kind).hexdigest()[:16].encode() + b" " + kind + b"\n" + rest)


def _list(path: Path) -> None:
    path.write_text("[1, 2, 3]", encoding="utf-8")


def _deep(path: Path) -> None:
    path.write_text("[" * 100_000, encoding="utf-8")


def _altered(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"person", b"parson"))


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def _writable_by_others(path: Path) -> None:
    path.chmod(0o666)


DAMAGES: list[Damage] = [
    _empty,
    _bytes,
    _foreign,
    _of_another_release,
    _list,
    _deep,
    _altered,
    _folder,
    _pipe,
    _writable_by_others,
]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__.strip("_"))
async def test_fault_39_file_that_cannot_be_used(
    database_url: str,
    tmp_path: Path,
    registry: Registry,
    make_plugin: MakePlugin,
    caplog: pytest.LogCaptureFixture,
    damage: Damage,
) -> None:
    """A file that is damaged, foreign or somebody else's is ignored with one warning that repeats nothing of it."""
    registry.declare("a", {"default": CODE}, where="here")
    first = make_plugin(database_url)
    await first.create("a", "default", ACTIVE, activate=True)
    first.close()
    (path,) = (tmp_path / "cache").iterdir()
    damage(path)
    away = _url_of_nobody(tmp_path, database_url)
    _same_file(path, away, tmp_path)
    plugin = make_plugin(away)
    await plugin.ready()
    await until(lambda: plugin.state is State.OFFLINE, "the database is known to be away")
    assert await told(plugin, "a") == CODE
    explained, health = plugin.explain("a"), plugin.health()
    assert (explained.version, explained.source, explained.state) == (None, Source.CODE, State.OFFLINE)
    assert (health.ready, health.state, health.error) == (True, State.OFFLINE, explained.error)
    assert health.error
    about = [line for line in lines(caplog, logging.WARNING) if "disk snapshot" in line]
    assert len(about) == 1
    assert ACTIVE not in caplog.text


def _url_of_nobody(tmp_path: Path, database_url: str) -> str:
    """Return the URL of a database that is not there, on the same engine."""
    if database_url.startswith("sqlite"):
        return f"sqlite://{tmp_path / 'unmounted' / 'prompts.db'}"
    return "postgresql://postgres@127.0.0.1:1/nobody"


def _same_file(path: Path, url: str, tmp_path: Path) -> None:
    """Put a file where the snapshot of another database is expected."""
    wanted = Journal(load_settings(database_url=url, cache_dir=tmp_path / "cache")).path
    assert wanted is not None
    path.rename(wanted)


@pytest.mark.parametrize("obstacle", ["a file in the folder's place", "no room"])
async def test_fault_39_file_that_cannot_be_written(
    postgres_url: str, tmp_path: Path, launcher: Launcher, obstacle: str
) -> None:
    """Where it cannot be written, everything else works, one warning says so, and nothing half-written stays behind."""
    cache = tmp_path / "cache"
    if obstacle == "no room":
        function = "tests.faults:serve_without_room"
    else:
        function = "tests.member:serve"
        cache.write_bytes(b"")
    long = "A text that takes some room. " * 200
    texts = {"a": {"default": long}}
    settings = {"disk_snapshot": True, "cache_dir": cache}
    with launcher.fork(function, postgres_url, texts, settings) as child:
        assert child.ask("upgrade_alone")
        child.ask("start")
        child.ask("until_state", "live")
        for number in range(5):
            assert child.ask("create_and_activate", "a", "default", f"{long}{number}") == number + 2
        assert child.ask("run", "a") == f"{long}4"
        assert_followed(child.ask("explain", "a"), child.ask("health"), 6)
        warnings = [line for level, line in child.ask("lines") if level == "WARNING"]
        assert len(warnings) == 1
        assert "The disk snapshot" in warnings[0]
        assert long not in warnings[0]
    assert not cache.is_dir() or [path.read_bytes().count(b"\n") for path in cache.iterdir()] == [1]


async def test_fault_39_home_that_is_not_there(
    sqlite_url: str, registry: Registry, make_plugin: MakePlugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user without a home, as in many containers, gets no file and everything else."""
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)

    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    # What `Path.home` does for a user id without an entry in the user database.
    monkeypatch.setattr(Path, "home", nowhere)
    registry.declare("a", {"default": CODE}, where="here")
    plugin = make_plugin(sqlite_url, cache_dir=None)
    await plugin.ready()
    assert_follows(plugin, "a", 1)
    assert await told(plugin, "a") == CODE


def test_fault_39_written_by_many_at_once(tmp_path: Path, launcher: Launcher) -> None:
    """Whoever reads while 4 processes replace it finds it whole, and in the end there is one, for its owner only."""
    url, cache = f"sqlite://{tmp_path / 'prompts.db'}", tmp_path / "cache"
    children = [launcher.fork("tests.faults:save_often", url, str(cache), 60, number) for number in range(4)]
    reader = Journal(load_settings(database_url=url, cache_dir=cache))
    seen: set[int] = set()
    while not all(child.has_answered() for child in children):
        for _, packed in reader.read():
            assert packed is not None
            assert {len(text) for _, text in texts_of(packed)} == {20_000}
            seen.add(packed[5])
    for child in children:
        assert child.answer() == "saved"
        child.close()
    assert seen
    assert reader.fault is None
    (path,) = cache.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700


async def test_fault_39_what_the_file_holds(
    proxy: Proxy, postgres_url: str, tmp_path: Path, registry: Registry, make_plugin: MakePlugin
) -> None:
    """The file is for its owner only, holds no password, and can be switched off."""
    async with Database(postgres_url) as database:
        await upgrade(database)
    registry.declare("a", {"default": CODE}, where="here")
    plugin = make_plugin(proxy.url(postgres_url))
    await plugin.ready()
    await plugin.create("a", "default", ACTIVE, activate=True)
    (path,) = (tmp_path / "cache").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert ACTIVE in path.read_text(encoding="utf-8")
    assert PASSWORD not in path.read_text(encoding="utf-8")
    silent = make_plugin(proxy.url(postgres_url), disk_snapshot=False, cache_dir=tmp_path / "other")
    await silent.ready()
    assert_follows(silent, "a", 2)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("end", ["close", "kill"])
async def test_fault_40_restart_while_the_server_is_down(
    proxy: Proxy, postgres_url: str, tmp_path: Path, launcher: Launcher, end: str
) -> None:
    """However the last process ended, the next one serves the active text from disk, not the code's older one."""
    url, settings = proxy.url(postgres_url), {"disk_snapshot": True, "cache_dir": tmp_path / "cache"}
    texts = {"a": {"default": CODE, "OTHER": CODE}}
    with launcher.fork("tests.member:serve", url, texts, settings) as child:
        assert child.ask("upgrade_alone")
        child.ask("start")
        child.ask("until_state", "live")
        assert child.ask("create_and_activate", "a", "default", ACTIVE) == 2
        if end == "close":
            child.ask("close")
        else:
            child.send_signal(signal.SIGKILL)
    proxy.refuse()
    with launcher.fork("tests.member:serve", url, texts, settings) as child:
        child.ask("start")
        assert child.ask("run", "a") == ACTIVE
        assert child.ask("run", "a", "OTHER") == CODE
        explained, health = child.ask("explain", "a"), child.ask("health")
        assert (explained.version, explained.source, explained.state) == (2, Source.DISK, State.STALE)
        assert explained.snapshot_age is None
        assert (health.ready, health.state) == (True, State.STALE)
        assert PASSWORD not in str(health)
        assert len([line for level, line in child.ask("lines") if level == "WARNING"]) <= 2
        proxy.open()
        child.ask("until_state", "live")
        assert_followed(child.ask("explain", "a"), child.ask("health"), 2)
        assert child.ask("run", "a") == ACTIVE
        child.ask("close")


def _unmounted(path: Path) -> None:
    path.parent.rename(path.parent.with_name("unmounted"))


def _no_database(path: Path) -> None:
    path.with_name(f"{path.name}-wal").unlink(missing_ok=True)
    path.write_bytes(b"This is not a database." * 1000)


@pytest.mark.parametrize("damage", [_unmounted, _no_database], ids=lambda damage: damage.__name__.strip("_"))
async def test_fault_40_restart_while_the_file_is_away(
    tmp_path: Path, registry: Registry, make_plugin: MakePlugin, caplog: pytest.LogCaptureFixture, damage: Damage
) -> None:
    """The same for a database file whose folder is not mounted, or that is no database any more."""
    path = tmp_path / "volume" / "prompts.db"
    path.parent.mkdir()
    url = f"sqlite://{path}"
    registry.declare("a", {"default": CODE}, where="here")
    first = make_plugin(url)
    await first.create("a", "default", ACTIVE, activate=True)
    first.close()
    shutil.copytree(path.parent, tmp_path / "backup")
    damage(path)
    plugin = make_plugin(url)
    await plugin.ready()
    assert await told(plugin, "a") == ACTIVE
    await until(lambda: plugin.state is State.STALE, "the database is known to be away")
    explained, health = plugin.explain("a"), plugin.health()
    assert (explained.version, explained.source, explained.state) == (2, Source.DISK, State.STALE)
    assert (health.ready, health.state, health.snapshot_age) == (True, State.STALE, None)
    assert health.error
    assert len(lines(caplog, logging.WARNING)) <= 2
    await asyncio.to_thread(_restore, tmp_path / "backup", path.parent)
    await until(lambda: plugin.state is State.LIVE, "it heals")
    assert_follows(plugin, "a", 2)
    assert await told(plugin, "a") == ACTIVE


def _restore(backup: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    backup.rename(folder)


async def test_fault_40_a_run_before_the_thread_is_there(
    database_url: str,
    tmp_path: Path,
    registry: Registry,
    make_plugin: MakePlugin,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is sent the code's text, which keeps nobody from the last known good one afterwards."""
    registry.declare("a", {"default": CODE}, where="here")
    first = make_plugin(database_url)
    await first.create("a", "default", ACTIVE, activate=True)
    first.close()
    (path,) = (tmp_path / "cache").iterdir()
    away = _url_of_nobody(tmp_path, database_url)
    imported, gate = thread._import_all, threading.Event()

    def late() -> None:
        gate.wait(30)
        imported()

    monkeypatch.setattr(thread, "_import_all", late)
    alone = make_plugin(away, startup_timeout=0)
    assert await told(alone, "a") == CODE
    _same_file(path, f"{away}2", tmp_path)
    saved = make_plugin(f"{away}2", startup_timeout=0)
    assert await told(saved, "a") == CODE
    gate.set()
    await until(lambda: alone.health().error and alone.state is State.OFFLINE, "nothing was ever read")
    await until(lambda: saved.resolve("a").text == ACTIVE, "the last known good text is served")
    assert saved.state is State.STALE
    assert alone.state is State.OFFLINE


async def test_fault_40_text_on_disk_that_this_code_cannot_serve(
    sqlite_url: str, tmp_path: Path, make_plugin: MakePlugin
) -> None:
    """A text on disk that uses a name which the new code does not expose is not served; the code's own is."""
    old, new = Registry(), Registry()
    old.declare("a", {"default": "Hello {{name}}, {{secret}}."}, where="here")
    new.declare("a", {"default": "Hello {{name}}."}, where="here")
    first = make_plugin(sqlite_url, registry=old)
    await first.ready()
    first.close()
    (tmp_path / "prompts.db").write_bytes(b"This is not a database." * 1000)
    plugin = make_plugin(sqlite_url, registry=new)
    await plugin.ready()
    await until(lambda: plugin.state is State.STALE, "the database is known to be away")
    assert await told(plugin, "a", deps={"name": "Ann", "secret": "no"}) == "Hello Ann."
    explained = plugin.explain("a")
    assert explained.source is Source.CODE
    assert any("secret" in note for note in explained.notes)
