"""The gate before the database."""

from __future__ import annotations

import asyncio

import pytest

from automagik_prompts.following.gate import Gate


async def test_open_gate_lets_everybody_in() -> None:
    """Nobody waits, and whoever asks knows when the last one has left."""
    gate = Gate()
    async with gate.entered(), gate.entered():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await gate.until_empty()
    await gate.until_empty()
    assert not gate.is_shut


async def test_shut_gate_keeps_newcomers_out_until_it_opens() -> None:
    """A newcomer waits; when the gate opens it comes in."""
    gate = Gate()
    gate.shut()
    assert gate.is_shut
    inside = asyncio.Event()

    async def enter() -> None:
        async with gate.entered():
            inside.set()

    newcomer = asyncio.create_task(enter())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await inside.wait()
    gate.open()
    await gate.until_open()
    await asyncio.wait_for(newcomer, 10)
    assert inside.is_set()


async def test_those_inside_may_be_joined() -> None:
    """While somebody is inside, others come in even through a shut gate: the first one may wait for them."""
    gate = Gate()
    async with gate.entered():
        gate.shut()
        async with asyncio.timeout(10), gate.entered():
            pass
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await gate.until_empty()
    await asyncio.wait_for(gate.until_empty(), 10)


async def test_one_who_fails_inside_has_left() -> None:
    """An exception inside does not keep others waiting for ever."""
    gate = Gate()
    with pytest.raises(ValueError, match="failed"):
        async with gate.entered():
            raise ValueError("failed")
    await asyncio.wait_for(gate.until_empty(), 10)
