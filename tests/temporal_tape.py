"""What is kept of an execution of a workflow, as a server keeps it: its history, from which another process goes on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, cast

import temporalio.api.history.v1 as history
from pydantic_ai.durable_exec.temporal import PydanticAIPlugin
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


@dataclass
class Tape:
    """What is kept of an execution, as a server does; another process can go on with it.

    Attributes:
        workflow_id: Its id.
        events: The history.
        tasks: What the workflow was told with each of its tasks.
        commands: What it asked for in each of them: the kind, and the name of an activity or a patch.
    """

    workflow_id: str
    events: list[bytes] = field(default_factory=list)
    tasks: list[bytes] = field(default_factory=list)
    commands: list[list[tuple[str, str]]] = field(default_factory=list)

    def note(self, kind: int, **facts: Any) -> int:
        """Write an event into the history, and return its number."""
        event = history.HistoryEvent(event_id=len(self.events) + 1, event_type=cast("Any", kind), **facts)
        event.event_time.FromDatetime(NOW)
        self.events.append(event.SerializeToString())
        return len(self.events)

    def told_again(self) -> list[WorkflowActivation]:
        """Return what another process tells the workflow so that it gets where it was; which patches it has, first."""
        told: list[WorkflowActivation] = []
        for task, commands in zip(self.tasks, self.commands, strict=True):
            act, before = activation(self.workflow_id), WorkflowActivation.FromString(task)
            act.is_replaying = True
            for kind, name in commands:
                if kind == "set_patch_marker":
                    act.jobs.add().notify_has_patch.patch_id = name
            act.jobs.extend(before.jobs)
            told.append(act)
        return told


async def replay(workflow_class: type[Any], tape: Tape) -> str:
    """Have Temporal replay a history, and return why it is refused, nothing if it is accepted."""
    replayer = Replayer(workflows=[workflow_class], plugins=[PydanticAIPlugin()])
    events = [history.HistoryEvent.FromString(event) for event in tape.events]
    found = await replayer.replay_workflow(
        WorkflowHistory(workflow_id=tape.workflow_id, events=events), raise_on_replay_failure=False
    )
    failure = found.replay_failure
    return f"{type(failure).__name__}: {failure}" if failure is not None else ""


def renamed(tape: Tape, old: str, new: str) -> Tape:
    """Return a tape in whose history the activities of one name have another."""
    events = [history.HistoryEvent.FromString(event) for event in tape.events]
    for event in events:
        kind = event.activity_task_scheduled_event_attributes.activity_type
        if kind.name == old:
            kind.name = new
    return replace(tape, events=[event.SerializeToString() for event in events])


def activation(workflow_id: str) -> WorkflowActivation:
    """Return an empty message to a workflow."""
    act = WorkflowActivation(run_id=workflow_id)
    act.timestamp.FromDatetime(NOW)
    return act
