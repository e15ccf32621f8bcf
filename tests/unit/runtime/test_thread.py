from __future__ import annotations

import asyncio
import gc
import socket
import ssl
from typing import Any

import aiosqlite
import pytest
from asyncpg.connect_utils import TLSUpgradeProto  # type: ignore[import-untyped]  # it has no types

from automagik_prompts.runtime.thread import _Loop


def test_a_connection_that_ends_later_than_the_loop() -> None:
    """Its thread tells an ended loop what nobody waits for, and prints no traceback."""
    loop = _Loop()
    connection: Any = loop.run_until_complete(_connected())
    late = loop.create_future()
    loop.close()
    thread = getattr(connection, "_thread", connection)
    connection._tx.put_nowait((late, lambda: None))
    connection.stop()
    thread.join(10)
    assert not thread.is_alive()
    assert not late.done()


def test_others_are_told_that_the_loop_has_ended() -> None:
    """Whoever waits for an answer must not wait for ever."""
    loop = _Loop()
    loop.close()
    with pytest.raises(RuntimeError, match="closed"):
        loop.call_soon_threadsafe(print)


async def _connected() -> aiosqlite.Connection:
    return await aiosqlite.connect(":memory:")


def test_the_loop_is_one_of_asyncio() -> None:
    """It answers threads as ever while it runs."""
    loop = _Loop()
    found: list[int] = []
    loop.call_soon_threadsafe(found.append, 1)
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    assert found == [1]


def test_connecting_that_is_given_up_prints_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """What asyncpg leaves behind where it was about to ask for TLS is no error; anything else is."""
    loop = _Loop()

    def protocol() -> TLSUpgradeProto:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        return TLSUpgradeProto(loop, "127.0.0.1", 0, ssl.create_default_context(), ssl_is_advisory=True)

    with socket.create_server(("127.0.0.1", 0)) as server:
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(loop.create_connection(protocol, *server.getsockname()))
        loop.run_until_complete(asyncio.sleep(0))
        gc.collect()
    assert not caplog.records
    loop.call_exception_handler({"message": "Something else.", "exception": ConnectionError("lost")})
    loop.close()
    assert [record.message for record in caplog.records] == ["Something else."]
