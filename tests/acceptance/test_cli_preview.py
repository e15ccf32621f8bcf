"""`preview`: what the model would be told, before anybody is told it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from automagik_prompts.editing import commands
from automagik_prompts.schema.migrate import upgrade
from automagik_prompts.storage.database import Database
from tests.operator import Operator
from tests.processes import Launcher
from tests.reviewing import declared, seed

TEXT = "Hi {{name}} in {{contact.city}}.{{#if vip}} Welcome back.{{/if}}{{#each items}} {{this.name}},{{/each}}"


@pytest.fixture
async def operator(tmp_path: Path, sqlite_url: str, launcher: Launcher) -> Operator:
    """An operator of an agent whose text uses values of all kinds."""
    registry = declared("seller", "Hello.")
    registry.expose("seller", ["name", "contact.city", "vip?", "items[].name"])
    async with Database(sqlite_url) as database:
        await upgrade(database)
        await seed(database, registry)
        await commands.create(database, "seller", "NEW", TEXT, activate=True)
        await commands.create(database, "seller", "NEW", "Bye {{name}}.")
    return Operator(tmp_path, sqlite_url, launcher)


def test_values_of_all_kinds(operator: Operator, tmp_path: Path) -> None:
    """From options, a dot leading into a value, and from a file, where options win."""
    (tmp_path / "deps.json").write_text(json.dumps({"name": "Rui", "vip": True, "items": [{"name": "rye"}]}))
    arguments = ("--values", "deps.json", "--set", "name=Ana", "--set", "contact.city=Porto")
    done = operator.run("preview", "seller", "new", *arguments)
    assert (done.code, done.out) == (0, "Hi Ana in Porto. Welcome back. rye,")
    assert done.err.startswith("35 characters, about 9 tokens (a rule of thumb); ")


def test_what_is_missing_is_named(operator: Operator) -> None:
    """A mark stands in its place, and the option that would give it is named."""
    done = operator.run("preview", "seller", "NEW", "--set", "name=Ana")
    assert done.out == "Hi Ana in [No data for contact.city]."
    assert "No value for contact.city. Give one: --set contact.city=..." in done.err
    shown = operator.run("preview", "seller", "NEW", "--version", "3", "--json")
    assert (shown.json["version"], shown.json["missing"], shown.json["variables"]) == (3, ["name"], ["name"])


def test_what_a_value_does_not_do(operator: Operator, tmp_path: Path) -> None:
    """A name that the text does not use, and a word that counts as true, are told; a list is said to take a file."""
    done = operator.run(
        "preview", "seller", "NEW", "--set", "nme=Ana", "--set", "vip=false", "--set", "contact.city=Faro"
    )
    assert "Welcome back." in done.out
    assert "--set nme: the text does not use it. It uses: contact.city, items, items[].name, name, vip." in done.err
    assert "--set vip=false is a text, which counts as true. For false give --values FILE, a JSON object." in done.err
    assert "--set contact.city" not in done.err
    assert "No value for items. Give one: --values FILE, with a list for items" in done.err
    (tmp_path / "bom.json").write_text('\ufeff{"name": "Rui"}', encoding="utf-8")
    assert operator.run("preview", "seller", "NEW", "--version", "3", "--values", "bom.json").out == "Bye Rui."


def test_a_status_that_is_not_there(operator: Operator) -> None:
    """The nearest one is named where a version is meant; a text may be meant for a new one."""
    done = operator.run("preview", "seller", "NWE")
    assert (done.code, "no prompts for the status 'NWE'. Did you mean" in done.err) == (1, True)
    assert "--new-status" not in done.err
    assert operator.run("preview", "seller", "LATE", "--file", "-", text="Bye.").out == "Bye."


def test_a_text_that_is_no_version_yet(operator: Operator) -> None:
    """It is checked as if it were written, and nothing is."""
    done = operator.run("preview", "seller", "NEW", "--file", "-", "--set", "name=Ana", text="Dear {{name}}!")
    assert done.out == "Dear Ana!"
    refused = operator.run("preview", "seller", "NEW", "--file", "-", text="Our key is {{api_key}}.")
    assert (refused.code, refused.out) == (1, "")
    assert "uses api_key, which the agent's code does not expose" in refused.err
    assert len(operator.run("history", "seller", "NEW", "--json").json["versions"]) == 3


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ("--set name", 2, "is not of the form NAME=VALUE"),
        ("--set .=x", 2, "is not of the form NAME=VALUE"),
        ("--set name=Ana --set name.first=Ana", 2, "leads into 'name', which has a value already"),
        ("--set items[].name=x", 2, "a list takes --values FILE, with a JSON object"),
        ("--values nowhere.json", 1, "cannot be read"),
        ("--version 9", 1, "has no version 9"),
        ("--version 1 --file -", 2, "not both"),
    ],
)
def test_refusals(operator: Operator, arguments: str, code: int, words: str) -> None:
    """What cannot be meant is refused, with what to do."""
    done = operator.run("preview", "seller", "NEW", *arguments.split())
    assert done.code == code
    assert words in done.err


def test_a_format_without_a_text(operator: Operator) -> None:
    """It is said what it goes with; a version is read as it was written."""
    outcome = operator.run("preview", "seller", "NEW", "--format", "text")
    assert outcome.code == 2
    assert "--format goes with --file" in outcome.err
