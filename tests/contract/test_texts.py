"""Every text comes back byte for byte, on each engine, by whichever way it went in."""

from __future__ import annotations

import pytest

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.edits import Intent
from automagik_prompts.domain.text import content_hash
from automagik_prompts.domain.validation import Format
from automagik_prompts.editing import commands, queries, sync
from automagik_prompts.editing.direct import DatabaseEdits
from automagik_prompts.exceptions import InvalidPromptError
from automagik_prompts.following.memory.builder import build_snapshot
from automagik_prompts.schema.migrate import upgrade
from automagik_prompts.storage import repository
from automagik_prompts.storage.database import Database
from tests.contract.history import rows

ODD_TEXTS = {
    "blanks": " \t leading and trailing \n\n ",
    "line ends": "a\r\nb\rc\nd\u2028e\u2029f\x85g\x0bh\x0ci",
    "byte order mark": "\ufefftext\ufeff",
    "no last line end": "text",
    "composed": "\u00e9 \u1e9b\u0323",
    "decomposed": "e\u0301 \u017f\u0323\u0307",
    "right to left": "\u202eabc\u202c \u200f\u05e9\u05dc\u05d5\u05dd",
    "joined emoji": "👩\u200d👩\u200d👧 🏳\ufe0f\u200d🌈 \U0001f1e7\U0001f1f7",
    "beyond the plane": "\U0010ffff\U00010000\ufffe\uffff\ue000",
    "control characters": "a\x01b\x07c\x1b[31md\x7f",
    "sql": "'; DROP TABLE prompts; -- \" ` \\' $1 ? %s :name {0} \\x00 \\u0000 E'\\n'",
    "braces": "{{#if x}} {{{ }} \\{{y}} {% z %} ${a} <%= b %>",
    "json": '{"a": {"b": [1, 2]}}',
    "long line": "x" * 300_000,
    "many lines": "line\n" * 50_000,
    "megabyte": "é" * 500_000 + "\U0001f600" * 250_000,
}


def format_of(text: str) -> Format:
    """Return how a text goes in that is none of ours: verbatim, if it could be taken for a template."""
    return "text" if "{{" in text else "handlebars"


@pytest.mark.parametrize("name", ODD_TEXTS)
async def test_odd_texts(database: Database, agent: str, name: str) -> None:
    """What some engine or driver might change, trim or interpret comes back as it was."""
    text = ODD_TEXTS[name]
    await DatabaseEdits(database).create(
        agent, "A", text, format=format_of(text), activate=True, new_agent=True, allow_invisible=True
    )
    registry = Registry()
    registry.declare(agent, {"B": text}, where="here", format=format_of(text))
    await sync.seed(database, registry.agents)
    found = await queries.versions(database, agent)
    assert [(prompt.status_key, prompt.prompt_text) for prompt in found] == [("A", text), ("B", text)]
    assert {prompt.content_hash for prompt in found} == {content_hash(text)}
    assert {prompt.format for prompt in found} == {format_of(text)}
    assert await sync.seed(database, registry.agents) == ()


async def test_texts_that_look_alike_are_different(database: Database, agent: str) -> None:
    """Nothing is normalized: each of these is a new version for the code, and none of them twice."""
    alike = ["\u00e9", "e\u0301", "\u00e9\n", "\u00e9\r\n", "\u00e9 ", " \u00e9", "\ufeff\u00e9", "\u00c9"]
    for round_ in range(2):
        for number, text in enumerate(alike, 1):
            registry = Registry()
            registry.declare(agent, {"default": text}, where="here")
            done = await sync.seed(database, registry.agents)
            assert [item.version for item in done] == ([number] if round_ == 0 else [])


async def test_names_that_look_alike_are_different(database: Database, agent: str) -> None:
    """The same holds for agents and statuses: accents and marks make a difference on every engine; case does not."""
    alike = ["a", "\u00e1", "a b", "a\u00a0b", "%", "_", "'", '"']
    for key in alike:
        await commands.create(
            database, f"{agent}{key}", key, f"text {key}", activate=True, new_agent=True, new_status=True
        )
        await commands.create(database, agent, key, f"text {key}", activate=True, new_agent=True, new_status=True)
    for key in alike:
        for name in (f"{agent}{key}", agent):
            (prompt,) = await queries.versions(database, name, key)
            assert (prompt.status_key, prompt.version, prompt.prompt_text) == (key, 1, f"text {key}")


async def test_the_longest_names(database: Database, agent: str) -> None:
    """255 characters of any kind are kept, counted as characters and not as bytes."""
    name = (agent + "\U0001f600" * 255)[:255]
    await commands.create(
        database,
        name,
        "é" * 255,
        "text",
        name="n" * 255,
        new_agent=True,
        new_status=True,
        intent=Intent("a" * 255, "b" * 255),
    )
    (prompt,) = await queries.versions(database, name, "é" * 255)
    assert (prompt.name, prompt.author, prompt.note) == ("n" * 255, "a" * 255, "b" * 255)


@pytest.mark.parametrize("text", ["a\0b", "\0", "a\ud800b", "\udfff"])
async def test_what_no_engine_keeps_is_refused_alike(database: Database, agent: str, text: str) -> None:
    """The message is the same on every engine, before anything reaches it."""
    with pytest.raises(InvalidPromptError) as by_hand:
        await commands.create(database, agent, "A", text, new_agent=True, new_status=True)
    place = text.index("\0") if "\0" in text else next(i for i, char in enumerate(text) if "\ud800" <= char <= "\udfff")
    assert f"U+{ord(text[place]):04X} at position {place + 1} (line 1, column {place + 1})" in by_hand.value.message
    assert await database.run(repository.get_agent, agent) is None


async def test_all_real_texts(empty_url: str, real_prompts: dict[str, str]) -> None:
    """All real prompts go in as constants and by `create`, and are served byte for byte after a restart."""
    assert len(real_prompts) > 100
    registry = Registry()
    for number, text in enumerate(real_prompts.values()):
        registry.declare("library", {f"S{number}": text}, where="here", primary="S0", format=format_of(text))
    async with Database(empty_url) as database:
        await upgrade(database)
        done = await sync.seed(database, registry.agents)
        assert [item.outcome for item in done] == ["created"] * len(real_prompts)
        for number, text in enumerate(real_prompts.values()):
            await commands.create(
                database,
                "by hand",
                f"S{number}",
                text,
                format=format_of(text),
                activate=True,
                new_agent=True,
                new_status=True,
            )
    async with Database(empty_url) as database:
        assert await sync.seed(database, registry.agents) == ()
        found = await database.run(repository.get_states_after, 0, 10_000)
        stored = await database.run(rows, "SELECT prompt_text FROM prompts")
    assert sorted(str(row["prompt_text"]) for row in stored) == sorted([*real_prompts.values()] * 2)
    snapshot = build_snapshot(
        Registry(), [state.info for state in found], [one for state in found for one in state.active], loaded_at=0
    )
    assert not snapshot.problems
    for name in ("library", "by hand"):
        for number, text in enumerate(real_prompts.values()):
            prompt = snapshot.select(name, f"S{number}").prompt
            assert prompt.text == text
            assert prompt.template.render(lambda _name: "") == text
            assert prompt.text.encode() == text.encode()
            assert prompt.content_hash == content_hash(text)
