"""Durable runs under Temporal: its own sandbox and replayer, in processes that end; a server cannot be had here."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.durable_stage import EAST, WEST, Stage, activate_version_2, prompts_in, versions

pytest.importorskip("temporalio")

CONVERSATIONS = ("system", "instructed", "by_default", "changing", "changing_a_copy")

GLAD, SAD = "One: you are Olga. Greet Grace, who is glad.", "One: you are Olga. Greet Grace, who is sad."
APPROVED = "One: Grace is approved."

ONE, TWO = [("NEW", 1)] * 3, [("NEW", 2)] * 3


@dataclass(frozen=True)
class Story:
    """What the processes have left behind, one after the other.

    Attributes:
        begun: What the first process found: it left each conversation before its second tool.
        recovered: What the second process found, which went on after version 2 had been activated.
        warm: What a process found that served prompts before it replayed those, and began others.
        replayed: What a process found that only replayed all of them.
        sent: What models were sent, in order, by process.
    """

    begun: dict[str, Any]
    recovered: dict[str, Any]
    warm: dict[str, Any]
    replayed: dict[str, Any]
    sent: dict[str, list[dict[str, Any]]]

    def told(self, step: str, workflow: str) -> list[str]:
        """Return what models were sent in a workflow by the process of a step."""
        return [note["prompt"][-1] for note in self.sent[step] if note["workflow"] == workflow]


def stage_in(folder: Path, program: str, database: str) -> Stage:
    """Return a stage whose processes read a database, with the plugin that they name and with the default one."""
    names = ("DURABLE_DATABASE", "AUTOMAGIK_PROMPTS_DATABASE_URL")
    return Stage(folder, program, variables={**dict.fromkeys(names, database), "AUTOMAGIK_PROMPTS_DISK_SNAPSHOT": "0"})


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """The whole story."""
    folder = tmp_path_factory.mktemp("temporal")
    database = f"sqlite://{folder / 'prompts.db'}"
    stage = stage_in(folder, "tests.temporal_program", database)
    begun = stage.play("begin", "glad", EAST)
    asyncio.run(activate_version_2(database))
    recovered = stage.play("recover", "sad", WEST)
    warm = stage.play("warm", "calm", EAST)
    replayed = stage.play("replay", "gone", WEST)
    return Story(begun, recovered, warm, replayed, stage.sent)


def test_the_first_use_in_the_sandbox(story: Story) -> None:
    """It works with nothing passed through but by Pydantic AI, in a process that has served no prompt before.

    The workflow's code starts no thread and asks for activities alone: no timer among them.
    """
    assert not [name for name in story.begun["threads"] if name.startswith("automagik")]
    for name in CONVERSATIONS:
        kinds = {kind for kind, _ in story.recovered["commands"][name]}
        assert kinds == {"set_patch_marker", "schedule_activity", "complete_workflow_execution"}
        assert story.recovered["commands"][name][: len(story.begun["commands"][name])] == story.begun["commands"][name]


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_no_module_of_the_database_is_loaded(story: Story, name: str) -> None:
    """Workflow code loads none, whether the plugin is named or the default one."""
    assert story.recovered["found"][name][1:] == []
    assert story.warm["found"][name][1:] == []


@pytest.mark.parametrize("name", ["system", "instructed", "by_default"])
def test_a_version_that_is_activated_meanwhile(story: Story, name: str) -> None:
    """Two requests under version 1, another version, another process: the third request is of version 1 as well."""
    history = story.recovered["found"][name][0]
    assert versions(history) == ONE
    before, after = story.told("begin", f"workflow-{name}"), story.told("recover", f"workflow-{name}")
    assert [len(before), len(after)] == [2, 1]
    assert all(text.startswith("One: ") for text in [*before, *after])
    sent = [[text] for text in [*before, *after]] if name == "instructed" else [after] * 3
    assert prompts_in(history) == sent


def test_values_of_before(story: Story) -> None:
    """What a function of variables returned, and the date, stay in the instructions as they were sent."""
    first, second, third = [text for [text] in prompts_in(story.recovered["found"]["instructed"][0])]
    assert first == second
    assert first.startswith(GLAD)
    assert third.startswith((GLAD, SAD))


def test_a_status_that_changes_in_the_workflow(story: Story) -> None:
    """A tool that runs in the workflow changes the status for good: the status function sees it from then on."""
    history = story.recovered["found"]["changing"][0]
    assert versions(history) == [("NEW", 1), ("APPROVED", 1), ("APPROVED", 1)]
    assert [text for [text] in prompts_in(history)][1:] == [APPROVED, APPROVED]


def test_a_status_that_changes_in_an_activity(story: Story) -> None:
    """A tool that runs in an activity has a copy of the dependencies: what it changes there, nobody sees."""
    assert versions(story.recovered["found"]["changing_a_copy"][0]) == ONE


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_what_begins_afterwards(story: Story, name: str) -> None:
    """A workflow that begins after the activation has version 2."""
    assert {version for _, version in versions(story.warm["found"][name][0])} == {2}
    told = story.told("warm", f"fresh-{name}")
    assert len(told) == 3
    assert all(text.startswith("Two: ") for text in told)


def test_replays(story: Story) -> None:
    """Temporal accepts each history: of a cold process in a warm one, of a warm one in a cold one, and of two."""
    assert story.warm["refused"] == dict.fromkeys(CONVERSATIONS, "")
    assert story.replayed["refused"] == {f"{step}-{name}": "" for step in ("recover", "warm") for name in CONVERSATIONS}
    assert story.sent["replay"] == []
    # And it would not accept just any.
    assert story.replayed["forged"].startswith("NondeterminismError")
    assert "agent__system__something_else" in story.replayed["forged"]


def test_a_replay_touches_nothing(story: Story) -> None:
    """A process that only replays starts no plugin and no thread of ours, and loads nothing of the database."""
    assert story.replayed["started"] == [False, False]
    assert not [name for name in story.replayed["threads"] if name.startswith("automagik")]
    assert not {"tortoise", "aiosqlite", "asyncpg", "aerich"} & set(story.replayed["loaded"])


def test_what_is_recorded(story: Story) -> None:
    """There is one activity for each request whose prompt may differ, under a name that histories keep."""
    activities = [name for kind, name in story.recovered["commands"]["system"] if kind == "schedule_activity"]
    request = ["agent__system__capability__active_prompt-olga__prompt", "agent__system__model_request"]
    tool = ["agent__system__toolset__<agent>__call_tool"]
    assert activities == [*request, *tool, *request, *tool, *request]


@pytest.mark.parametrize(
    "way",
    ["plain", "whole", "named", "installed", "installed_and_given", "passed_through", "named_passed_through"],
)
def test_how_a_workflow_may_import(way: str, sqlite_url: str, tmp_path: Path) -> None:
    """A workflow's module may import the library in any way, also passed through, as Temporal advises."""
    found = stage_in(tmp_path, "tests.temporal_imports", sqlite_url).play(way)
    assert versions(found["history"]) == [("default", 1)]
    assert found["refused"] == ""
