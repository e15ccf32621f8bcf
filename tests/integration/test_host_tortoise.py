from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tortoise import timezone
from tortoise.router import router

from automagik_prompts.storage.database import Database
from tests.acceptance.commands import REPOSITORY

TOKYO = ["False", "Asia/Tokyo", False, "Asia/Tokyo", ["Routes"]]


@pytest.mark.parametrize("order", ["host", "prompts"])
def test_a_host_that_uses_tortoise_itself(order: str, tmp_path: Path) -> None:
    """Its queries, time zone, router and shutdown work as without us, and ours as without it, whoever comes first."""
    command = [sys.executable, "-W", "error", "-m", "tests.tortoise_host", order, str(tmp_path)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    seen = json.loads(done.stdout)
    told = ["Hello.", "Text 0.", "Text 1.", "After the host.", "After the host."]
    assert seen["told"] == (["Hello."] if order == "prompts" else []) + told
    assert seen["people"] == [f"person {number}" for number in range(5)]
    assert seen["state"] == [TOKYO, TOKYO]
    assert seen["routed"]
    assert seen["age"] < 60


@contextmanager
def process_state(use_tz: str | None, zone: str | None) -> Iterator[None]:
    """Have Tortoise's variables as a host has them, and put them back."""
    saved = {name: os.environ.get(name) for name in ("USE_TZ", "TIMEZONE")}

    def put(values: dict[str, str | None]) -> None:
        for name, value in values.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        timezone._reset_timezone_cache()

    put({"USE_TZ": use_tz, "TIMEZONE": zone})
    try:
        yield
    finally:
        put(saved)


@pytest.mark.parametrize(("use_tz", "zone"), [("False", "Asia/Tokyo"), (None, None)])
async def test_nothing_of_the_process_changes_while_we_connect(
    sqlite_url: str, use_tz: str | None, zone: str | None
) -> None:
    """Not even for a moment does another thread see a time zone or a router that is not the host's."""
    with process_state(use_tz, zone):
        routers = router._routers
        expected = (use_tz, zone, timezone.get_use_tz(), timezone.get_timezone())
        seen: set[object] = set()
        done = threading.Event()

        def look() -> None:
            while not done.is_set():
                state = os.environ.get("USE_TZ"), os.environ.get("TIMEZONE")
                seen.add((*state, timezone.get_use_tz(), timezone.get_timezone()))
                seen.add(router._routers is routers)

        watcher = threading.Thread(target=look)
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-5)  # so that the other thread looks in between
        watcher.start()
        try:
            for _ in range(10):
                async with Database(sqlite_url):
                    pass
        finally:
            sys.setswitchinterval(interval)
            done.set()
            watcher.join()
        assert seen == {expected, True}
