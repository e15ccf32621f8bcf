"""An operator's text, whatever it is, shows nothing but what the code exposes."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelResponse, SystemPromptPart, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_handlebars._compiler import Compiler
from pydantic_handlebars._helpers import get_extra_helpers, get_standard_helpers
from pydantic_handlebars._parser import parse

from automagik_prompts.agent.capability import ActivePrompt
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.exceptions import InvalidPromptError, RenderError
from automagik_prompts.templating.access import BUILTINS, get
from automagik_prompts.templating.compiling import compile_template
from automagik_prompts.templating.exposure import check_exposed
from tests.conftest import MakePlugin

SECRET = "hunter2"  # noqa: S105  # the value that must not come out

# What the code exposes; everything else in the values below is, or holds, the secret.
EXPOSED = ("name", "contact.name", "rows[].name", "rows[].cells[]", "prices[].amount", "vip?", "open.*")


class Contact(BaseModel):
    """A contact as a Pydantic model."""

    name: str = "Ann"
    secret: str = SECRET

    @property
    def token(self) -> str:
        """A property with a secret."""
        return SECRET


class Row(NamedTuple):
    """A row as a tuple."""

    name: str = "first"
    secret: str = SECRET
    cells: tuple[str, ...] = ("c1", "c2")


@dataclass
class Amount:
    """A price."""

    amount: int = 3
    secret: str = SECRET


@dataclass
class Deps:
    """What an application passes to a run: some of it may be shown, most of it not."""

    name: str = "Stan"
    secret: str = SECRET
    vip: str = SECRET
    contact: Contact = field(default_factory=Contact)
    rows: list[Any] = field(default_factory=lambda: [Row(), {"name": "2", "secret": SECRET, "cells": ["c3"]}, None])
    prices: dict[str, Amount] = field(default_factory=lambda: {SECRET: Amount()})
    open: dict[str, object] = field(default_factory=lambda: {"name": "o", "items": [{"id": 1}, 2]})
    sessions: dict[str, str] = field(default_factory=lambda: {SECRET: SECRET})

    def __str__(self) -> str:
        return SECRET

    def method(self) -> str:
        """A method that would tell."""
        return SECRET


class Writer:
    """Writes templates: mostly ones that use what is exposed, with anything else mixed in.

    Args:
        seed: Where the randomness starts.
        wild: How often, out of a hundred, something arbitrary stands where a proper path would.
    """

    blocks = ("if", "unless", "each", "each", "with")
    helpers = (*get_extra_helpers(), "lookup", "log", "helperMissing", "if", "each")
    words = (
        "name",
        "secret",
        "[secret]",
        "vip",
        "contact",
        "rows",
        "prices",
        "sessions",
        "cells",
        "method",
        "token",
        "x",
    )
    odd = (
        "this",
        ".",
        "..",
        "@root",
        "@key",
        "@../key",
        "@index",
        "@this",
        "@_name",
        "@first",
        "__class__",
        "'secret'",
        "1",
    )

    def __init__(self, seed: int, wild: int) -> None:
        self.random = random.Random(seed)
        self.wild = wild

    def template(self) -> str:
        """Return a template."""
        return " ".join(self.piece(3, 0, ()) for _ in range(self.random.randint(1, 3)))

    def piece(self, depth: int, scopes: int, bound: tuple[str, ...]) -> str:
        """Return a tag or a block."""
        chance = self.random
        if not depth or chance.random() < 0.4:
            if self.is_wild():
                arguments = " ".join(self.argument(scopes, bound, 2) for _ in range(chance.randint(0, 2)))
                return f"{{{{{chance.choice(self.helpers)} {arguments}}}}}"
            return chance.choice(("{{%s}}", "{{{%s}}}", "{{&%s}}", "{{~%s~}}")) % self.path(scopes, bound)
        name = chance.choice(self.blocks)
        names = () if name in {"if", "unless"} else chance.choice(((), (), ("x",), ("x", "y"), ("name", "secret")))
        opened = f"{name} {self.argument(scopes, bound, 1)}"
        if names:
            opened += f" as |{' '.join(names)}|"
        body = "".join(self.piece(depth - 1, scopes + 1, (*bound, *names)) for _ in range(chance.randint(1, 2)))
        other = chance.choice(("", "", "{{else}}", "{{^}}", "{{else if vip}}"))
        if other:
            other += self.piece(depth - 1, scopes, bound)
        sign = "^" if chance.random() < 0.1 else "#"
        return f"{{{{{sign}{opened}}}}}{body}{other}{{{{/{name}}}}}"

    def argument(self, scopes: int, bound: tuple[str, ...], depth: int) -> str:
        """Return what a helper or a block is given."""
        if depth and self.is_wild():
            inner = " ".join(self.argument(scopes, bound, depth - 1) for _ in range(self.random.randint(1, 2)))
            return f"({self.random.choice(self.helpers)} {inner})"
        return self.path(scopes, bound, whole=True)

    def path(self, scopes: int, bound: tuple[str, ...], *, whole: bool = False) -> str:
        """Return a path: one from the root that is exposed, one relative to a block, or anything."""
        chance = self.random
        if self.is_wild():
            if chance.random() < 0.3:
                return chance.choice(self.odd)
            prefix = chance.choice(("", "", "this.", "./", "../", "../../", "@root.", "@../root."))
            return prefix + chance.choice("./").join(chance.choice(self.words) for _ in range(chance.randint(1, 3)))
        if scopes and chance.random() < 0.6:
            return chance.choice(("name", "this.name", "cells", "this", "amount", "@index", *bound, *bound))
        start: str = chance.choice(("../" * scopes, "@root.")) if scopes else ""
        wholes: tuple[str, ...] = ("contact", "rows", "prices", "open", "vip", "open.items") if whole else ()
        return start + chance.choice((*wholes, *wholes, "name", "contact.name", "open.name"))

    def is_wild(self) -> bool:
        """Return whether to write something arbitrary now."""
        return self.random.random() * 100 < self.wild


KNOWN = (
    "{{#each prices}}{{@key}}{{amount}}{{/each}}",
    "{{#each prices as |x y|}}{{y}}{{x.amount}}{{/each}}",
    "{{#each prices as |x y|}}{{#with x as |z y|}}{{y}}{{z.amount}}{{/with}}{{/each}}",
    "{{#each prices as |x y|}}{{#if x as |y|}}{{y}}{{/if}}{{x.amount}}{{/each}}",
    "{{#each prices as |x y|}}{{#each rows as |a b y|}}{{y}}{{a.name}}{{/each}}{{/each}}",
    "{{#each prices as |x y|}}{{#with contact}}{{name}}{{else}}{{y}}{{/with}}{{/each}}",
    "{{#each prices as |x x|}}{{x}}{{/each}}",
    "{{#each prices as |x|}}{{#with x}}{{@../key}}{{@key}}{{amount}}{{/with}}{{/each}}",
    "{{#each rows}}{{../secret}}{{#with this}}{{secret}}{{/with}}{{/each}}",
    "{{#with contact}}{{name}}{{@root.secret}}{{/with}}",
    "{{json contact}}{{#with contact}}{{name}}{{/with}}",
    "{{#if vip}}{{#with vip}}{{this}}{{/with}}{{/if}}",
    "{{#if (eq vip 'hunter2')}}yes{{/if}}",
    "{{#with vip as |x|}}{{x}}{{/with}}",
    "{{or vip name}}{{and name vip}}{{default vip name}}",
    "{{#each contact}}{{@index}}{{this}}{{/each}}{{contact.name}}",
    "{{#each rows}}{{#each cells}}{{this}}{{../secret}}{{@root.secret}}{{/each}}{{/each}}",
    "{{#each rows}}{{#each this}}{{this}}{{/each}}{{/each}}",
    "{{rows}}{{join rows}}{{json rows}}{{#each rows}}{{name}}{{/each}}",
    "{{open.secret}}{{../secret}}{{open.[..].secret}}{{open/../secret}}",
)


@pytest.mark.parametrize("text", KNOWN)
def test_ways_that_were_thought_of(text: str) -> None:
    """Each of these would show the secret if one rule were missing."""
    assert SECRET not in (shown(text) or "")


@pytest.mark.parametrize("wild", [0, 6, 30])
def test_no_text_can_show_what_is_not_exposed(wild: int) -> None:
    """A text that is accepted, in any mixture of the engine's syntax, never prints the secret."""
    seed = random.randrange(2**32)
    writer, accepted = Writer(seed, wild), 0
    for _ in range(2500):
        text = writer.template()
        if (out := shown(text)) is not None:
            accepted += 1
            assert SECRET not in out, (seed, text)
            assert "object at 0x" not in out, (seed, text)
    assert accepted > 40, "the templates are so wild that nothing is tested"


def shown(text: str) -> str | None:
    """Return what an operator's text shows, or `None` where it is refused."""
    deps = Deps()
    try:
        template = compile_template(text, "handlebars")
        check_exposed(template, EXPOSED)
        return template.render(lambda name: get(deps, name))
    except (InvalidPromptError, RenderError):
        return None


def test_what_is_accepted_means_what_the_engine_means() -> None:
    """Fetching only what is used changes nothing: the engine, given everything, makes the same text of it."""
    seed = random.randrange(2**32)
    writer, compared = Writer(seed, 0), 0
    helpers = get_standard_helpers() | get_extra_helpers()
    for _ in range(2500):
        text = writer.template()
        values = _values(writer.random)
        try:
            mine = compile_template(text, "handlebars").render(values.get, missing="empty")
        except (InvalidPromptError, RenderError):
            continue
        theirs = Compiler(helpers=helpers).render(parse(text), values)
        if "{" not in theirs:  # the engine alone would print a record as Python does
            compared += 1
            assert _flat(mine) == _flat(theirs), (seed, text, values)
    assert compared > 600


def _values(chance: random.Random) -> dict[str, Any]:
    """Return values such as a host has, some of them empty."""

    def leaf() -> object:
        return chance.choice(("a", "b", "", 0, 1, True, False))

    def cells() -> list[object]:
        return [leaf() for _ in range(chance.randint(0, 2))]

    return {
        "name": leaf(),
        "vip": leaf(),
        "contact": {"name": leaf(), "cells": cells(), "amount": leaf()},
        "rows": [{"name": leaf(), "cells": cells(), "amount": leaf()} for _ in range(chance.randint(0, 2))],
        "prices": {key: {"name": leaf(), "amount": leaf(), "cells": cells()} for key in "kl"[: chance.randint(1, 2)]},
        "open": {"name": leaf(), "items": cells()},
    }


def _flat(text: str) -> str:
    """Leave out what tells how a list is written: ours has commas, the engine's has Python's brackets and quotes."""
    return "".join(char for char in text if char not in "[]' ,").replace("True", "true").replace("False", "false")


async def test_built_in_names_are_not_looked_for_in_deps(registry: Registry, make_plugin: MakePlugin) -> None:
    """An attribute of `deps` that happens to have a built-in's name stays out of reach; `variables=` may replace it."""
    registry.declare("stan", {"default": "{{agent_name}} {{status_key}} {{run_id}} {{today}}"}, where="here")
    deps = dict.fromkeys(BUILTINS, SECRET)
    plugin = make_plugin("sqlite://:memory:")
    told: list[str] = []

    def model(messages: list[ModelMessage], _info: AgentInfo) -> ModelResponse:
        told.extend(part.content for part in messages[0].parts if isinstance(part, SystemPromptPart))
        return ModelResponse([TextPart("done")])

    for variables in (None, {"today": "Monday"}):
        capability: ActivePrompt[dict[str, str]] = ActivePrompt("stan", plugin=plugin, variables=variables)
        await Agent(FunctionModel(model), deps_type=dict, capabilities=[capability]).run("hi", deps=deps)
    assert SECRET not in "".join(told)
    assert [text.startswith("stan default ") for text in told] == [True, True]
    assert told[1].endswith(" Monday")


@pytest.mark.parametrize("name", ["secret", "method", "__class__", "__init__", "__dict__", "contact.secret"])
def test_built_ins_open_no_way_to_values(name: str) -> None:
    """Without any exposed name only the built-ins can be used."""
    with pytest.raises(InvalidPromptError):
        check_exposed(compile_template(f"{{{{{name}}}}}", "handlebars"), ())
