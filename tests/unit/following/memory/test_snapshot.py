"""Which text is served for an agent and status, in full, and why."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from typing import Any

import pytest

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.keys import PromptKey
from automagik_prompts.domain.records import ActiveVersion, AgentInfo
from automagik_prompts.domain.served import Source
from automagik_prompts.exceptions import NoActivePromptError
from automagik_prompts.following.memory.builder import build_snapshot, code_snapshot
from automagik_prompts.following.memory.snapshot import Snapshot


def version(agent: str, status_key: str, number: int, text: str, *, format: str = "handlebars") -> ActiveVersion:
    """Return an active version as the database would give it."""
    return ActiveVersion(agent, number * 100 + len(status_key), status_key, number, text, format)


def build(registry: Registry, *active: ActiveVersion, **facts: Any) -> Snapshot:
    """Return the snapshot for active versions; the agents are those of the versions unless given."""
    names = sorted({item.agent for item in active})
    agents = facts.pop("agents", [AgentInfo(number, name) for number, name in enumerate(names, 1)])
    return build_snapshot(registry, agents, active, loaded_at=1.0, **facts)


def served(snapshot: Snapshot, agent: str, status_key: str | None) -> tuple[str, int | None, str]:
    """Return text, version and source of what is served."""
    prompt = snapshot.select(agent, status_key).prompt
    return prompt.text, prompt.version, prompt.source.value


@pytest.fixture
def stan(registry: Registry) -> Registry:
    """An agent with a primary status, another one, and one for `default`."""
    registry.declare("stan", {"NEW": "code new", "OK": "code ok", "default": "code default"}, where="x", primary="NEW")
    return registry


# The order: the status, the primary status, `default`; then the code, likewise.


@pytest.mark.parametrize(
    ("active", "asked", "text", "reason"),
    [
        (["OK", "NEW", "default"], "OK", "db OK", ""),
        (["OK", "NEW", "default"], None, "db NEW", ""),
        (
            ["NEW", "default"],
            "OK",
            "db NEW",
            "the status 'OK' has no active version; the primary status 'NEW' stands in",
        ),
        (["default"], "OK", "db default", "the status 'OK' has no active version; the status 'default' stands in"),
        (["default"], None, "db default", "the status 'NEW' has no active version; the status 'default' stands in"),
        (["OK"], "NEW", "code new", "the code's text is served"),
        (["OK"], "default", "code default", "the code's text is served"),
        ([], "OK", "code ok", "the code's text is served"),
        ([], None, "code new", "the code's text is served"),
        ([], "LOST", "code new", "the status has no prompt of its own; the primary status 'NEW' stands in; the code's"),
        (["NEW"], "LOST", "db NEW", "the status has no prompt of its own; the primary status 'NEW' stands in"),
        (["default"], "LOST", "db default", "the status has no prompt of its own; the status 'default' stands in"),
        (
            ["OK"],
            "LOST",
            "code new",
            "the status has no prompt of its own; the primary status 'NEW' stands in; the code's",
        ),
        (["LOST"], "LOST", "db LOST", ""),
    ],
)
def test_the_order_of_selection(stan: Registry, active: list[str], asked: str, text: str, reason: str) -> None:
    """The active version of the status, of the primary status, of `default`; then the code's texts in that order."""
    selection = build(stan, *(version("stan", key, 7, f"db {key}") for key in active)).select("stan", asked)
    assert selection.prompt.text == text
    assert selection.prompt.source is (Source.DATABASE if text.startswith("db") else Source.CODE)
    assert selection.prompt.version == (7 if text.startswith("db") else None)
    assert selection.reason == reason or selection.reason.startswith(reason + " text is served")


def test_an_agent_that_only_the_database_knows(registry: Registry) -> None:
    """Its primary status and its exposed names are those in the database."""
    agents = [AgentInfo(1, "gone", default_status_key="B", variables=("name",))]
    snapshot = build(registry, version("gone", "A", 1, "a {{name}}"), version("gone", "B", 2, "b"), agents=agents)
    assert served(snapshot, "gone", None) == ("b", 2, "database")
    assert served(snapshot, "gone", "A") == ("a {{name}}", 1, "database")
    assert served(snapshot, "gone", "C") == ("b", 2, "database")
    assert snapshot.code("gone") is None


def test_this_process_primary_status_counts(stan: Registry) -> None:
    """An old and a new release run side by side: each falls back to its own code's primary status."""
    agents = [AgentInfo(1, "stan", default_status_key="OK")]
    active = [version("stan", "OK", 1, "db OK"), version("stan", "NEW", 1, "db NEW")]
    assert served(build(stan, *active, agents=agents), "stan", "LOST") == ("db NEW", 1, "database")


def test_the_codes_text_stands_by(stan: Registry) -> None:
    """A selection brings the code's text for the case that the active version cannot be filled."""
    snapshot = build(stan, version("stan", "OK", 3, "db ok"), version("stan", "LOST", 1, "db lost"))
    for asked, text in (("OK", "code ok"), ("LOST", "code new"), (None, "code new")):
        code = snapshot.select("stan", asked).code
        assert code is not None
        assert (code.text, code.source, code.version) == (text, Source.CODE, None)
    only = build(Registry(), version("gone", "A", 1, "a"))
    assert only.select("gone", "A").code is None


# However a status is given, and spelt.


class Status(Enum):
    """An application's statuses, whose names are the keys."""

    NEW = "new"
    OK = "ok"
    LOST = "lost"


@pytest.mark.parametrize(
    ("asked", "key", "text"),
    [
        ("ok", "OK", "db ok"),
        (Status.OK, "OK", "db ok"),
        (Status.NEW, "NEW", "code new"),
        ("Default", "default", "code default"),
        ("lost", "lost", "code new"),
        (Status.LOST, "lost", "code new"),
        ("cafe\u0301", "caf\u00e9", "code new"),
    ],
)
def test_a_status_is_found_however_it_is_given(stan: Registry, asked: str | Enum, key: str, text: str) -> None:
    """Strings in any case and enum members by value or name; what nobody knows is served the primary status."""
    snapshot = build(stan, version("stan", "OK", 1, "db ok"))
    assert snapshot.status_key("stan", asked) == key
    assert type(snapshot.status_key("stan", asked)) is str
    assert snapshot.select("stan", asked).prompt.text == text
    assert snapshot.select("stan", key) is snapshot.select("stan", asked)


def test_statuses_declared_later_are_found_too(stan: Registry) -> None:
    """A module that is imported after the snapshot was built counts like one before."""
    snapshot = build(stan, version("stan", "OK", 1, "db ok"))
    stan.declare("stan", {"LOST": "code lost"}, where="x")
    stan.declare("late", {"DEFAULT": "late default", "NEW": "late new"}, where="x")
    assert served(snapshot, "stan", "lost") == ("code lost", None, "code")
    assert snapshot.select("late", Status.NEW).prompt.text == "late new"
    assert snapshot.select("late", "x").prompt.text == "late default"


def test_the_last_resort_in_whatever_case(registry: Registry) -> None:
    """`DEFAULT` stands in as `default` does, for an agent of the code and for one of the database alone."""
    agents = [AgentInfo(1, "gone"), AgentInfo(2, "stan", default_status_key="NEW")]
    registry.declare("stan", {"NEW": "code new", "Default": "code default"}, where="x", primary="NEW")
    active = [version("gone", "DEFAULT", 1, "db DEFAULT"), version("stan", "Default", 1, "db Default")]
    snapshot = build(registry, *active, agents=agents)
    for asked in (None, "X", "default"):
        assert served(snapshot, "gone", asked) == ("db DEFAULT", 1, "database")
    assert served(snapshot, "stan", "X") == ("db Default", 1, "database")
    assert "the status 'Default' stands in" in snapshot.select("stan", "X").reason


def test_pairs_in_the_database_are_each_served_as_spelt(stan: Registry) -> None:
    """Exact comes before case; a third spelling always finds the same one."""
    snapshot = build(stan, version("stan", "OK", 1, "db OK"), version("stan", "ok", 2, "db ok"))
    assert served(snapshot, "stan", "OK") == ("db OK", 1, "database")
    assert served(snapshot, "stan", "ok") == ("db ok", 2, "database")
    assert served(snapshot, "stan", "Ok") == ("db OK", 1, "database")
    assert snapshot.clashes == ()
    code = snapshot.select("stan", "ok").code
    assert code is not None
    assert code.text == "code new"


def test_a_status_that_the_code_spells_otherwise(stan: Registry) -> None:
    """It is one status: the database's version is served, the code's text stands by, and the clash is told."""
    snapshot = build(stan, version("stan", "ok", 4, "db ok"), version("stan", "new", 5, "{{secret}}"))
    for asked in ("OK", "ok", "Ok", Status.OK):
        selection = snapshot.select("stan", asked)
        assert (selection.prompt.text, selection.reason) == ("db ok", "")
        assert selection.code is not None
        assert selection.code.text == "code ok"
    assert served(snapshot, "stan", None) == ("code new", None, "code")
    assert snapshot.clashes == (("stan", "NEW", "new"), ("stan", "OK", "ok"))
    assert str(snapshot.clashes[1]) == (
        "The code of stan has the status 'OK' and the database 'ok', which differ only in case or in Unicode form. The "
        "code's text was not written. Spell it alike."
    )


# What cannot be served here.


@pytest.mark.parametrize(
    ("text", "format", "why"),
    [
        ("{{#if", "handlebars", "is not a valid template"),
        ("{{secret}}", "handlebars", "uses secret, which the agent's code does not expose"),
        ("{{lookup x 'y'}}", "handlebars", "calls {{lookup ...}}"),
        ("  \n", "handlebars", "is blank"),
        ("a\0", "text", "contains the NUL character U+0000 at position 2"),
        ("text", "jinja", "The format 'jinja' is unknown"),
    ],
)
def test_a_version_that_cannot_be_served(stan: Registry, text: str, format: str, why: str) -> None:
    """Written by plain SQL, it is passed over for the code's text of its own status, and the problem says why."""
    broken = version("stan", "OK", 5, text, format=format)
    snapshot = build(stan, broken, version("stan", "NEW", 1, "db new"))
    selection = snapshot.select("stan", "OK")
    assert (selection.prompt.text, selection.prompt.source) == ("code ok", Source.CODE)
    assert selection.reason == "the active version 5 cannot be served here; the code's text is served"
    (problem,) = snapshot.problems
    assert (problem.agent, problem.prompt) == ("stan", broken)
    assert why in problem.reason
    assert served(snapshot, "stan", "NEW") == ("db new", 1, "database")


def test_the_last_good_version_comes_first(stan: Registry) -> None:
    """What was served before a broken version was activated goes on being served, also over several loads."""
    good = build(stan, version("stan", "OK", 4, "good"))
    broken = build(stan, version("stan", "OK", 5, "{{#if"), previous=good)
    again = build(stan, version("stan", "OK", 6, " "), version("stan", "NEW", 1, "new"), previous=broken)
    for snapshot in (broken, again):
        assert served(snapshot, "stan", "OK") == ("good", 4, "database")
        assert len(snapshot.problems) == 1
    assert again.select("stan", "OK").reason == (
        "the active version 6 cannot be served here; version 4, the last good one, is served"
    )
    healed = build(stan, version("stan", "OK", 7, "healed"), previous=again)
    assert served(healed, "stan", "OK") == ("healed", 7, "database")
    assert healed.problems == ()
    assert healed.select("stan", "OK").reason == ""


def test_a_version_that_was_deactivated_is_not_a_last_good_one(stan: Registry) -> None:
    """Nothing broke, somebody decided: the primary status stands in."""
    before = build(stan, version("stan", "OK", 4, "good"), version("stan", "NEW", 1, "new"))
    after = build(stan, version("stan", "NEW", 1, "new"), previous=before)
    assert served(after, "stan", "OK") == ("new", 1, "database")


def test_without_code_another_status_stands_in_for_a_broken_version(registry: Registry) -> None:
    """An agent that this process' code does not know is served what there is."""
    agents = [AgentInfo(1, "gone", default_status_key="B")]
    snapshot = build(registry, version("gone", "A", 1, "{{#if x}}"), version("gone", "B", 2, "b"), agents=agents)
    selection = snapshot.select("gone", "A")
    assert selection.prompt.text == "b"
    assert selection.reason == "the active version 1 cannot be served here; the primary status 'B' stands in"


def test_a_broken_primary_version(stan: Registry) -> None:
    """A status without a text of its own is served the code's primary text, not the broken one."""
    snapshot = build(stan, version("stan", "NEW", 2, "{{#if"), version("stan", "default", 1, "db default"))
    for asked in (None, "LOST", "OK"):
        assert snapshot.select("stan", asked).prompt.text == "code new"
    assert "the active version 2 cannot be served here" in snapshot.select("stan", "LOST").reason


def test_old_and_new_release_enforce_their_own_names() -> None:
    """A version that uses a name which only the new release exposes is served there, and not by the old one."""
    old, new = Registry(), Registry()
    old.declare("stan", {"default": "old"}, where="x")
    new.declare("stan", {"default": "new {{tax_id}}"}, where="x")
    agents = [AgentInfo(1, "stan", variables=("tax_id",))]
    active = version("stan", "default", 2, "new {{tax_id}}")
    assert served(build(new, active, agents=agents), "stan", None) == ("new {{tax_id}}", 2, "database")
    assert served(build(old, active, agents=agents), "stan", None) == ("old", None, "code")


# Building again.


def test_compiled_texts_are_used_again(stan: Registry) -> None:
    """What has not changed is not compiled anew; a changed text or format is."""
    first = build(stan, version("stan", "OK", 1, "Hi {{agent_name}}"))
    same = build(stan, version("stan", "OK", 1, "Hi {{agent_name}}"), previous=first)
    verbatim = build(stan, version("stan", "OK", 2, "Hi {{agent_name}}", format="text"), previous=first)
    key = PromptKey("stan", "OK")
    assert same.served[key].template is first.served[key].template
    assert verbatim.served[key].variables == ()
    assert first.served[key].variables == ("agent_name",)


def test_a_text_changed_behind_our_back_is_seen(stan: Registry) -> None:
    """Plain SQL may write over a text: the same version, another text."""
    first = build(stan, version("stan", "OK", 1, "one"))
    second = build(stan, version("stan", "OK", 1, "two"), previous=first)
    assert served(second, "stan", "OK") == ("two", 1, "database")
    assert second.select("stan", "OK").prompt.content_hash != first.select("stan", "OK").prompt.content_hash


def test_a_version_that_did_not_change_is_the_same_object_in_the_next_snapshot(stan: Registry) -> None:
    """A refresh makes anew only what is new: another row, number or source is."""
    item = version("stan", "OK", 1, "code ok")
    first = build(stan, item).select("stan", "OK").prompt
    assert first.template is stan.agents["stan"].prompts["OK"].template

    before = build(stan, item)
    assert build(stan, item, previous=before).served[PromptKey("stan", "OK")] is before.served[PromptKey("stan", "OK")]
    for other in (replace(item, prompt_id=9), replace(item, version=2)):
        found = build(stan, other, previous=before).served[PromptKey("stan", "OK")]
        assert (found.prompt_id, found.version) == (other.prompt_id, other.version)
    assert build(stan, item, previous=before, source=Source.DISK).served[PromptKey("stan", "OK")].source is Source.DISK


def test_the_source_is_told(stan: Registry) -> None:
    """A snapshot from disk says so for each version."""
    snapshot = build(stan, version("stan", "OK", 1, "one"), source=Source.DISK)
    assert served(snapshot, "stan", "OK") == ("one", 1, "disk")


def test_a_snapshot_never_changes(stan: Registry) -> None:
    """Whoever holds one reads the same for ever, and its repr shows no text."""
    snapshot = build(stan, version("stan", "OK", 1, "private"))
    with pytest.raises(TypeError):
        snapshot.selections["stan", "OK"] = None  # type: ignore[index]  # that it is refused is what is tested
    assert "private" not in repr(snapshot)


# What is declared after the snapshot was built.


def test_late_declarations_are_served_at_once(stan: Registry) -> None:
    """A module that is imported late does not wait for the next load."""
    snapshot = build(stan, version("stan", "NEW", 1, "db new"))
    stan.declare("late", {"A": "late a", "B": "late b"}, where="x", primary="B")
    stan.declare("stan", {"EXTRA": "code extra"}, where="x")
    assert served(snapshot, "late", None) == ("late b", None, "code")
    assert served(snapshot, "late", "A") == ("late a", None, "code")
    assert served(snapshot, "late", "LOST") == ("late b", None, "code")
    assert served(snapshot, "stan", "EXTRA") == ("code extra", None, "code")
    assert served(snapshot, "stan", "LOST") == ("db new", 1, "database")
    late = snapshot.code("late")
    assert late is not None
    assert late.texts == {"late a", "late b"}


def test_the_codes_snapshot_serves_the_code(stan: Registry) -> None:
    """A process that has read no database serves its own texts."""
    snapshot = code_snapshot(stan)
    assert served(snapshot, "stan", "OK") == ("code ok", None, "code")
    assert snapshot.loaded_at is None
    assert snapshot.problems == ()


# Nothing to serve.


@pytest.mark.parametrize(
    ("agent", "hint"),
    [
        ("Stan", "Did you mean 'stan'? Agents with prompts are: idle, stan."),
        ("stann", "Did you mean 'stan'?"),
        ("zzz", "in code, and the database has not been read yet. Agents with prompts are: idle, stan."),
    ],
)
def test_an_unknown_agent_is_told_what_there_is(stan: Registry, agent: str, hint: str) -> None:
    """The error lists what exists and the nearest spelling, whatever its case."""
    stan.declare("idle", {"default": "x"}, where="x")
    with pytest.raises(NoActivePromptError) as missing:
        code_snapshot(stan).select(agent, "OK")
    assert missing.value.message.startswith(f"There is no prompt for {agent!r} and status 'OK'")
    assert hint in missing.value.message
    assert (missing.value.agent, missing.value.status_key) == (agent, "OK")


def test_an_agent_without_an_active_version_is_told_what_to_do(registry: Registry) -> None:
    """It is in the database, nothing of it is active, and the code does not know it."""
    snapshot = build(registry, agents=[AgentInfo(1, "gone")])
    with pytest.raises(NoActivePromptError, match=r"no active version\. Activate one: automagik-prompts activate"):
        snapshot.select("gone", None)


def test_without_any_declaration_the_cause_is_named(registry: Registry) -> None:
    """The usual cause is a module that nobody imported."""
    with pytest.raises(NoActivePromptError, match=r"and its primary status.*import the module that declares them"):
        code_snapshot(registry).select("stan", None)
