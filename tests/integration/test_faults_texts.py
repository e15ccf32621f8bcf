"""Faults 31 to 36: values that look like templates, templates that reach too far, huge and strange texts."""

from __future__ import annotations

import asyncio
import time
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.served import State
from automagik_prompts.domain.text import content_hash
from automagik_prompts.domain.validation import FORMATS, Format
from automagik_prompts.exceptions import DeclarationError, InvalidPromptError
from automagik_prompts.plugin import PromptPlugin
from automagik_prompts.schema.migrate import upgrade
from automagik_prompts.storage.database import Database
from tests.conftest import MakePlugin
from tests.faults import assert_follows, execute, told
from tests.tampering import unkept
from tests.waiting import until

SECRET = "sk-zebra-4711"  # noqa: S105  # no model may be told it


@dataclass
class Contact:
    """An object of the host, with something that no prompt may reach."""

    name: str = "Ann"
    api_key: str = SECRET

    def __repr__(self) -> str:
        return f"<Contact {self.api_key}>"


@dataclass
class Deps:
    """What the host gives a run."""

    name: str = "Ann"
    api_key: str = SECRET
    contact: Contact = field(default_factory=Contact)
    items: list[object] = field(default_factory=lambda: [Contact(), {"price": 1}, "plain"])


@pytest.mark.parametrize(
    "value",
    [
        "{{api_key}}",
        "{{{api_key}}}",
        "{{#each items}}{{this}}{{/each}}",
        "{{#if api_key}}yes{{/if}}",
        "{{/each}}",
        "{{",
        "}}",
        "\\{{api_key}}",
        "{{!-- gone --}}",
        "<b>&amp;</b>",
    ],
)
async def test_fault_31_value_that_looks_like_a_template(
    database_url: str, registry: Registry, make_plugin: MakePlugin, value: str
) -> None:
    """What a user typed is told as it was typed, and never parsed."""
    text = "You talk to {{name}}. {{#each items}}[{{this}}]{{/each}} Again: {{{name}}}."
    registry.declare("a", {"default": text}, where="here")
    plugin = make_plugin(database_url)
    heard = await told(plugin, "a", deps={"name": value, "items": [value], "api_key": SECRET})
    assert heard == f"You talk to {value}. [{value}] Again: {value}."
    assert_follows(plugin, "a", 1)


REACHING = [
    "{{this.__class__}}",
    "{{this}}",
    "{{name.__class__}}",
    "{{name.__class__.__mro__}}",
    "{{contact}}",
    "{{contact.__dict__}}",
    "{{contact.api_key}}",
    "{{contact.__init__.__globals__}}",
    "{{contact.name.__class__}}",
    "{{#each items}}{{this}} {{this.__class__}}{{/each}}",
    "{{#each items}}{{this}}{{/each}}",
    "{{#each items}}{{../api_key}}{{/each}}",
    "{{#each this}}{{@key}}={{this}}{{/each}}",
    "{{#with contact}}{{this}}{{api_key}}{{__class__}}{{/with}}",
    "{{lookup contact 'api_key'}}",
    "{{lookup this 'api_key'}}",
    "{{json contact}}",
    "{{json this}}",
    "{{@root}}",
    "{{@root.api_key}}",
    "{{api_key}}",
    "{{name.upper}}",
    "{{contact.[api_key]}}",
    "{{log contact}}",
]


@pytest.mark.parametrize("reaching", REACHING)
async def test_fault_32_template_that_reaches_too_far(
    sqlite_url: str, registry: Registry, make_plugin: MakePlugin, reaching: str
) -> None:
    """By `create` and by SQL, a text never reaches an object's inside, its repr or a name that is not exposed."""
    registry.declare("a", {"default": "Hello {{name}}."}, where="here", variables=["contact.name", "items[].price"])
    plugin = make_plugin(sqlite_url, poll_interval=0.02)
    await plugin.ready()
    text = f"Tell: {reaching}."
    with suppress(InvalidPromptError):  # the other ones are told, so what they tell is looked at
        await plugin.create("a", "default", text, activate=True)
    _assert_innocent(await told(plugin, "a", deps=Deps()), reaching)
    # And by plain SQL, which asks nobody.
    await execute(
        sqlite_url,
        "UPDATE prompts SET is_active = 0",
        "INSERT INTO prompts (agent_id, status_key, version, prompt_text, format, is_active, is_default_from_code, "
        f"content_hash, created_at, updated_at) SELECT id, 'default', 99, '{text.replace(chr(39), chr(39) * 2)}', "
        "'handlebars', 1, 0, '', created_at, updated_at FROM agents",
    )
    await until(lambda: 99 in {_version(plugin), *_refused(plugin)}, "the row was read")
    _assert_innocent(await told(plugin, "a", deps=Deps()), reaching)
    if _version(plugin) == 99:
        assert_follows(plugin, "a", 99)
        return
    (problem,), notes = plugin.health().problems, plugin.explain("a").notes
    assert problem.startswith("a/default, version 99: ")
    assert notes == (problem.removeprefix("a/"),)
    assert plugin.state is State.LIVE


def _assert_innocent(heard: str, reaching: str) -> None:
    for forbidden in (SECRET, "object at", "<class", "Contact", "__", "built-in", "<bound"):
        assert forbidden not in heard.replace(reaching, "")
    assert heard


def _version(plugin: PromptPlugin) -> int | None:
    return plugin.resolve("a").version


def _refused(plugin: PromptPlugin) -> set[int]:
    snapshot = plugin._life.state.snapshot
    return {problem.prompt.version for problem in snapshot.problems} if snapshot is not None else set()


@pytest.mark.parametrize("tags", [0, 20_000], ids=["without tags", "with tags"])
async def test_fault_33_text_of_a_megabyte(
    database_url: str,
    registry: Registry,
    make_plugin: MakePlugin,
    record_property: Callable[[str, object], None],
    tags: int,
) -> None:
    """A text of 1 MB is served whole, and no run waits while it is read and compiled."""
    registry.declare("a", {"default": "Hello {{name}}."}, where="here")
    plugin = make_plugin(database_url)
    await plugin.ready()
    line = "All work and no play makes {{name}} a dull text.\n" if tags else "All work and no play makes a dull text.\n"
    text = line * (tags or 26_000)
    assert len(text) > 950_000
    began = time.perf_counter()
    writing = asyncio.create_task(plugin.create("a", "default", text, activate=True))
    waits, runs = [0.0, 0.0], 0
    while not writing.done():
        before = time.perf_counter()
        assert await told(plugin, "a", deps={"name": "Ann"}) in {"Hello Ann.", text.replace("{{name}}", "Ann")}
        runs += 1
        if _version(plugin) == 1:
            waits.append(time.perf_counter() - before)
        # The other side of the event loop gets its turn.
        await asyncio.sleep(0)
    took = time.perf_counter() - began
    _, longest = sorted(waits, reverse=True)[:2]  # one may meet a pass of the interpreter's collector
    assert (await writing).active_version == 2
    assert await told(plugin, "a", deps={"name": "Ann"}) == text.replace("{{name}}", "Ann")
    assert plugin.resolve("a").content_hash == content_hash(text)
    assert_follows(plugin, "a", 2)
    record_property(
        "measured", f"longest but one of {runs} runs {longest * 1000:.0f} ms while {took * 1000:.0f} ms went by"
    )
    if tags:
        # Compiling takes long, on another thread: runs go on meanwhile, and none takes nearly as long as it.
        assert runs > 2
        assert longest < took / 3


LITERAL = [
    '{"a": {"b": {"c": 1}}}',
    '```json\n{"items": [{"price": 1.5}], "nested": {"x": {}}}\n```',
    "Close with }} and }}}. An arrow => and {single} braces.",
    "def f() -> dict: return {'a': {}}  # {{{}}}".replace("{{{}}}", "{ {} }"),
    "Zeilen\n\n\n    eingerückt\t\tund \\n kein Umbruch \\\\ \\",
    "&lt;b&gt; <b>&amp;</b> 'quoted' \"double\" `tick`",
    "100 % of $price, %s, %(name)s, ${name}, $1, ?, :name, --, /* */, '; DROP TABLE prompts; --",
]
WITH_TAGS = [
    'Answer as {{"name": "..."}}',
    "Jinja {% if x %}{{ x }}{% endif %}, {{#broken",
    "{{name}} and \\{{name}} and {{{name}}}",
    "{{else}} {{/if}} {{! comment }} {{> partial}}",
]


@pytest.mark.parametrize(("text", "format"), [(t, "handlebars") for t in LITERAL] + [(t, "text") for t in WITH_TAGS])
async def test_fault_34_text_that_must_stay_as_it_is(
    database_url: str, registry: Registry, make_plugin: MakePlugin, text: str, format: Format
) -> None:
    """Samples of JSON and code are told byte for byte, from code and from a person, as a template or verbatim."""
    registry.declare("a", {"default": text}, where="here", format=format)
    plugin = make_plugin(database_url)
    assert await told(plugin, "a", deps={"name": "Ann"}) == text
    assert_follows(plugin, "a", 1)
    change = await plugin.create("a", "default", f"{text} ", format=format, activate=True)
    assert change.prompt is not None
    assert change.prompt.prompt_text == f"{text} "
    assert await told(plugin, "a", deps={"name": "Ann"}) == f"{text} "
    assert_follows(plugin, "a", 2)


async def test_fault_34_escaped_tag(database_url: str, registry: Registry, make_plugin: MakePlugin) -> None:
    """In a template an escaped tag is told as the tag, beside one that is filled."""
    registry.declare("a", {"default": 'Write \\{{name}} for {{name}}: {"a": {"b": 1}}'}, where="here")
    plugin = make_plugin(database_url)
    assert await told(plugin, "a", deps={"name": "Ann"}) == 'Write {{name}} for Ann: {"a": {"b": 1}}'


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("one\0", "NUL character U+0000 at position 4 (line 1, column 4)"),
        ("\0", "NUL character U+0000 at position 1 (line 1, column 1)"),
        ("a\nb\ud800c", "lone surrogate U+D800 at position 4 (line 2, column 2)"),
        ("\udfff end", "lone surrogate U+DFFF at position 1 (line 1, column 1)"),
        ("{{name}}\r\n\0", "NUL character U+0000 at position 11 (line 2, column 1)"),
    ],
)
async def test_fault_35_characters_that_cannot_be_kept(
    sqlite_url: str, postgres_url: str, registry: Registry, make_plugin: MakePlugin, text: str, where: str
) -> None:
    """NUL and lone surrogates are refused everywhere in the same words, with their place, and nothing is written."""
    async with Database(postgres_url) as database:
        await upgrade(database)
    registry.declare("a", {"default": "Hello {{name}}."}, where="here")
    messages: set[str] = set()
    for url in (sqlite_url, postgres_url):
        plugin = make_plugin(url)
        await plugin.ready()
        before = await execute(url, "SELECT revision FROM agents")
        for way in FORMATS:
            with pytest.raises(InvalidPromptError) as refused:
                await plugin.create("a", "default", text, format=way, activate=True)
            messages.add(refused.value.message)
        with pytest.raises(InvalidPromptError, match=r"status key"):
            await plugin.create("a", text, "fine")
        for details in ({"name": text}, {"author": text}, {"note": text}):
            with pytest.raises(InvalidPromptError, match=r"cannot be stored"):
                await plugin.create("a", "default", "fine", **details)  # type: ignore[arg-type]  # all three are texts
        assert await execute(url, "SELECT revision FROM agents") == before
        assert await execute(url, "SELECT COUNT(*) FROM prompts") == [(1,)]
        assert await told(plugin, "a", deps={"name": "Ann"}) == "Hello Ann."
        assert_follows(plugin, "a", 1)
    with pytest.raises(DeclarationError) as declared:
        Registry().declare("a", {"default": text}, where="here")
    assert len(messages) == 1
    message = messages.pop()
    assert where in message
    assert message in declared.value.message


STRANGE = {
    "right to left marks": "Say \u202eolleh\u202c and \u200f\u05e9\u05dc\u05d5\u05dd\u200e.",
    "joined emoji": "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 🇧🇷 done",
    "composed": unicodedata.normalize("NFC", "Café Ångström"),
    "decomposed": unicodedata.normalize("NFD", "Café Ångström"),
    "carriage returns": "one\r\ntwo\rthree\n\r\nfour",
    "byte order mark": "\ufeffHello\ufeff",
    "trailing newlines": "\n\n  Hello  \n\n",
    "separators": "a\u2028b\u2029c\x85d\x0be\x0cf\u00a0g\u200bh",
    "control characters": "\x01\x02\x1b[31mred\x7f",
    "beyond the plane": "\U0001d518\U0001d52b \U0010ffff \ufffe \uffff",
}


@pytest.mark.parametrize("kind", STRANGE)
async def test_fault_36_strange_texts(
    database_url: str, registry: Registry, make_plugin: MakePlugin, kind: str
) -> None:
    """Whatever Unicode holds comes back byte for byte, by declaration and by `create`, with a hash that stays."""
    text = STRANGE[kind]
    registry.declare("a", {"default": text}, where="here")
    registry.declare("b", {"default": f"{text} {{{{name}}}}"}, where="here")
    plugin = make_plugin(database_url)
    assert await told(plugin, "a") == text
    assert await told(plugin, "b", deps={"name": text}) == f"{text} {text}"
    assert plugin.explain("a").content_hash == content_hash(text)
    assert_follows(plugin, "a", 1)
    await plugin.create("a", "default", f"{text}!", activate=True, allow_invisible=True, note=text, author="ann")
    assert await told(plugin, "a") == f"{text}!"
    newest, first = await plugin.history("a")
    assert (first.prompt_text, first.content_hash) == (text, content_hash(text))
    assert newest.note == text
    # The same text again is the same version: another start writes nothing.
    again = make_plugin(database_url)
    await again.ready()
    assert [prompt.version for prompt in await again.history("a")] == [2, 1]
    assert again.resolve("a").text == f"{text}!"
    assert_follows(again, "a", 2)


async def test_fault_36_forms_of_one_text_are_different_texts(
    database_url: str, registry: Registry, make_plugin: MakePlugin
) -> None:
    """NFC and NFD, and line ends, make different versions: nothing is normalised on the way."""
    registry.declare("a", {"default": STRANGE["composed"]}, where="here")
    plugin = make_plugin(database_url)
    await plugin.ready()
    for text in (STRANGE["decomposed"], STRANGE["composed"] + "\r\n", STRANGE["composed"] + "\n"):
        await plugin.create("a", "default", text)
    found = await plugin.history("a")
    assert len({prompt.content_hash for prompt in found}) == 4
    assert [len(prompt.prompt_text) for prompt in found] == [14, 15, 16, 13]


@pytest.mark.parametrize(
    ("assignment", "why"),
    [
        ("prompt_text = X'FF00FE'", "lone surrogate"),
        ("prompt_text = CAST(X'68FF69' AS TEXT)", "lone surrogate"),
        ("prompt_text = CAST(X'680069' AS TEXT)", "NUL character"),
        ("prompt_text = ''", "is blank"),
        ("format = 'jinja'", "format 'jinja' is unknown"),
        ("format = X'FF'", "is unknown"),
        ("version = 'abc'", None),
        ("status_key = X'FF'", None),
    ],
)
async def test_row_that_sqlite_keeps_all_the_same(
    sqlite_url: str, registry: Registry, make_plugin: MakePlugin, assignment: str, why: str | None
) -> None:
    """One row with what no caller should have written spoils nothing but itself."""
    for agent in ("a", "b"):
        registry.declare(agent, {"default": "first", "OTHER": "other"}, where="here")
    plugin = make_plugin(sqlite_url, poll_interval=0.02)
    await plugin.ready()
    await execute(
        sqlite_url,
        *unkept(sqlite_url),
        f"UPDATE prompts SET {assignment} WHERE status_key = 'default' AND agent_id = (SELECT MIN(id) FROM agents)",
        "UPDATE agents SET revision = 'abc' WHERE id = (SELECT MIN(id) FROM agents)",
    )
    await plugin.create("b", "default", "second", activate=True)
    await until(lambda: plugin.resolve("b").text == "second", "what is right is followed")
    assert plugin.state is State.LIVE
    assert await told(plugin, "a") == "first"
    assert await told(plugin, "a", "OTHER") == "other"
    problems = plugin.health().problems
    assert (len(problems) == 1 and why in problems[0]) if why else not problems
    # Another process that starts now fares no worse.
    other = make_plugin(sqlite_url, cache_dir=None, disk_snapshot=False)
    await other.ready()
    assert await told(other, "a") == "first"
    assert await told(other, "b") == "second"
    assert other.state is State.LIVE
