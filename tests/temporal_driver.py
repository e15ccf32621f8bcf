"""Runs a workflow in Temporal's own sandbox without a server, and writes the history that a server would have written.

The sandbox, a workflow's event loop, the converters and the activities are Temporal's and Pydantic AI's own, set up by
`PydanticAIPlugin` as for a worker. Only what a server does is done here: tasks are handed out, and what came of them is
noted. Temporal's `Replayer` accepts such a history, or refuses it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import temporalio.api.common.v1 as common
import temporalio.api.history.v1 as history
import temporalio.common
from pydantic_ai.durable_exec.temporal import PydanticAIPlugin
from temporalio import activity, workflow
from temporalio.api.enums.v1 import EventType
from temporalio.api.sdk.v1 import WorkflowTaskCompletedMetadata
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_commands import ScheduleActivity, WorkflowCommand
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ReplayerConfig, WorkerConfig
from temporalio.worker._workflow_instance import WorkflowInstance, WorkflowInstanceDetails
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from tests.temporal_tape import NOW, Tape, activation

QUEUE, SEED = "queue", 7
COMPARES_ACTIVITIES = 1
"""What a worker notes of itself, without which a replay compares no names of activities."""


class Driver:
    """Drives one execution of a workflow, from its beginning or from where another process has left it.

    Args:
        workflow_class: The workflow; its agents bring the activities.
        tape: What is kept of it.

    Attributes:
        threads: The names of the threads that ran after the first task and not before it.
    """

    def __init__(self, workflow_class: type[Any], tape: Tape) -> None:
        self.threads: set[str] = set()
        self._tape = tape
        self._class = workflow_class
        self._definition = workflow._Definition.must_from_class(workflow_class)
        config = PydanticAIPlugin().configure_worker(
            WorkerConfig(workflows=[workflow_class], activities=[], workflow_runner=SandboxedWorkflowRunner())
        )
        self._runner = config["workflow_runner"]
        self._activities = {activity._Definition.must_from_callable(one).name: one for one in config["activities"]}
        self._converter = PydanticAIPlugin().configure_replayer(ReplayerConfig(workflow_runner=self._runner))[
            "data_converter"
        ]

    async def run(self, *arguments: object, until: Callable[[str], bool] = lambda _activity: False) -> Any:
        """Run the workflow to its end and return its result, or leave it before an activity is executed.

        Args:
            arguments: What the workflow takes.
            until: Whether to leave it before an activity of this name; it is asked once for each.
        """
        instance, task = self._instance(), 0
        for act, before in zip(self._tape.told_again(), self._tape.commands, strict=True):
            commands = await self._activate(instance, act)
            again = [_described(command) for command in commands]
            assert again == before, f"not as before: {again} for {before}"
        if not self._tape.tasks:
            commands, task = await self._task(instance, self._beginning(arguments))
        while commands[-1].WhichOneof("variant") != "complete_workflow_execution":
            scheduled = [asked for command in commands for asked in self._asked(command, task)]
            assert scheduled, "the workflow waits for something else than activities"
            if task and any(until(one.activity_type) for one, _ in scheduled):
                return None
            act = activation(self._tape.workflow_id)
            for one, event in scheduled:
                job = act.jobs.add().resolve_activity
                job.seq = one.seq
                job.result.completed.result.CopyFrom(await self._call(one, event))
            commands, task = await self._task(instance, act)
        return self._completed(commands[-1].complete_workflow_execution.result, task)

    def _instance(self) -> WorkflowInstance:
        self._runner.prepare_workflow(self._definition)
        workflow_id, name = self._tape.workflow_id, self._definition.name or ""
        info = workflow.Info(
            attempt=1,
            continued_run_id=None,
            cron_schedule=None,
            execution_timeout=None,
            first_execution_run_id=workflow_id,
            headers={},
            namespace="default",
            original_execution_run_id=workflow_id,
            parent=None,
            priority=temporalio.common.Priority.default,
            raw_memo={},
            retry_policy=None,
            root=None,
            run_id=workflow_id,
            run_timeout=None,
            search_attributes={},
            start_time=NOW,
            task_queue=QUEUE,
            task_timeout=timedelta(seconds=10),
            typed_search_attributes=temporalio.common.TypedSearchAttributes.empty,
            workflow_id=workflow_id,
            workflow_start_time=NOW,
            workflow_type=name,
        )
        return self._runner.create_instance(
            WorkflowInstanceDetails(
                payload_converter_factory=self._converter._new_payload_converter,
                failure_converter_class=self._converter.failure_converter_class,
                interceptor_classes=[],
                defn=self._definition,
                info=info,
                randomness_seed=SEED,
                extern_functions={},
                disable_eager_activity_execution=True,
                worker_level_failure_exception_types=[],
                patch_activation_callback=None,
                last_completion_result=common.Payloads(),
                last_failure=None,
            )
        )

    def _beginning(self, arguments: Sequence[object]) -> WorkflowActivation:
        name, payloads = self._definition.name or "", self._converter.payload_converter.to_payloads(arguments)
        self._tape.note(
            EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
            workflow_execution_started_event_attributes=history.WorkflowExecutionStartedEventAttributes(
                workflow_type=common.WorkflowType(name=name),
                input=common.Payloads(payloads=payloads),
                task_queue=TaskQueue(name=QUEUE),
                workflow_id=self._tape.workflow_id,
                original_execution_run_id=self._tape.workflow_id,
                first_execution_run_id=self._tape.workflow_id,
                attempt=1,
            ),
        )
        act = activation(self._tape.workflow_id)
        begin = act.jobs.add().initialize_workflow
        begin.workflow_type, begin.workflow_id = name, self._tape.workflow_id
        begin.randomness_seed, begin.attempt = SEED, 1
        begin.arguments.extend(payloads)
        begin.start_time.FromDatetime(NOW)
        return act

    async def _task(self, instance: WorkflowInstance, act: WorkflowActivation) -> tuple[Sequence[WorkflowCommand], int]:
        """Have the workflow go on, note it, and return what it asks for, with the event at which it did."""
        begun = self._tape.note(
            EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
            workflow_task_scheduled_event_attributes=history.WorkflowTaskScheduledEventAttributes(),
        )
        started = self._tape.note(
            EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED,
            workflow_task_started_event_attributes=history.WorkflowTaskStartedEventAttributes(scheduled_event_id=begun),
        )
        before = {thread.name for thread in threading.enumerate()}
        commands = await self._activate(instance, act)
        if not self._tape.tasks:
            self.threads = {thread.name for thread in threading.enumerate()} - before
        self._tape.tasks.append(act.SerializeToString())
        self._tape.commands.append([_described(command) for command in commands])
        return commands, self._tape.note(
            EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
            workflow_task_completed_event_attributes=history.WorkflowTaskCompletedEventAttributes(
                scheduled_event_id=begun,
                started_event_id=started,
                sdk_metadata=WorkflowTaskCompletedMetadata(core_used_flags=[COMPARES_ACTIVITIES]),
            ),
        )

    async def _activate(self, instance: WorkflowInstance, act: WorkflowActivation) -> Sequence[WorkflowCommand]:
        done = await asyncio.get_running_loop().run_in_executor(None, instance.activate, act)
        assert not done.HasField("failed"), f"{done.failed.failure.message}\n{done.failed.failure.stack_trace}"
        return done.successful.commands

    async def _call(self, one: ScheduleActivity, event: int) -> common.Payload:
        """Call an activity as a worker does, and return its result."""
        function = self._activities[one.activity_type]
        types = activity._Definition.must_from_callable(function).arg_types
        arguments = self._converter.payload_converter.from_payloads(one.arguments, types)
        environment = ActivityEnvironment()
        environment.info = replace(environment.info, workflow_id=self._tape.workflow_id)
        (payload,) = self._converter.payload_converter.to_payloads([await environment.run(function, *arguments)])
        started = self._tape.note(
            EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED,
            activity_task_started_event_attributes=history.ActivityTaskStartedEventAttributes(scheduled_event_id=event),
        )
        self._tape.note(
            EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED,
            activity_task_completed_event_attributes=history.ActivityTaskCompletedEventAttributes(
                scheduled_event_id=event, started_event_id=started, result=common.Payloads(payloads=[payload])
            ),
        )
        return payload

    def _asked(self, command: WorkflowCommand, task: int) -> list[tuple[ScheduleActivity, int]]:
        """Note what a workflow asks for, and return the activity with its event, if it is one.

        Args:
            command: What it asks for.
            task: The event at which it did; 0 for one that another process has noted already.
        """
        kind, one = command.WhichOneof("variant"), command.schedule_activity
        if kind == "schedule_activity":
            return [(one, self._scheduled(one, task) if task else self._known(one))]
        assert kind == "set_patch_marker", f"the workflow asks for something else than activities: {command}"
        if task:
            self._patched(command, task)
        return []

    def _scheduled(self, one: ScheduleActivity, task: int) -> int:
        facts = history.ActivityTaskScheduledEventAttributes(
            activity_id=_activity_id(one),
            activity_type=common.ActivityType(name=one.activity_type),
            input=common.Payloads(payloads=one.arguments),
            workflow_task_completed_event_id=task,
            task_queue=TaskQueue(name=QUEUE),
        )
        return self._tape.note(
            EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED, activity_task_scheduled_event_attributes=facts
        )

    def _known(self, one: ScheduleActivity) -> int:
        """Return the event at which another process had an activity scheduled."""
        for event in map(history.HistoryEvent.FromString, reversed(self._tape.events)):
            if event.activity_task_scheduled_event_attributes.activity_id == _activity_id(one):
                return event.event_id
        raise AssertionError(f"{one.activity_type} was not scheduled")

    def _patched(self, command: WorkflowCommand, task: int) -> None:
        patch = command.set_patch_marker
        facts = history.MarkerRecordedEventAttributes(marker_name="core_patch", workflow_task_completed_event_id=task)
        data = f'{{"id":"{patch.patch_id}","deprecated":{str(patch.deprecated).lower()}}}'
        facts.details["patch-data"].payloads.append(
            common.Payload(metadata={"encoding": b"json/plain"}, data=data.encode())
        )
        self._tape.note(EventType.EVENT_TYPE_MARKER_RECORDED, marker_recorded_event_attributes=facts)

    def _completed(self, result: common.Payload, task: int) -> Any:
        self._tape.note(
            EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED,
            workflow_execution_completed_event_attributes=history.WorkflowExecutionCompletedEventAttributes(
                result=common.Payloads(payloads=[result]), workflow_task_completed_event_id=task
            ),
        )
        return self._converter.payload_converter.from_payloads([result], [self._definition.ret_type or object])[0]


def _described(command: WorkflowCommand) -> tuple[str, str]:
    kind = command.WhichOneof("variant") or ""
    return kind, command.schedule_activity.activity_type or command.set_patch_marker.patch_id


def _activity_id(one: ScheduleActivity) -> str:
    return one.activity_id or str(one.seq)
