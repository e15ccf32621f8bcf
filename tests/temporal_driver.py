"""Runs a workflow in Temporal's own sandbox without a server, and writes the history that a server would have.

No server can be had here. What a workflow's code does is Temporal's all the same: the sandbox, the event loop, the
converters; activities are called as they were registered. Temporal's `Replayer` accepts the history, or refuses it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import temporalio.api.common.v1 as common
import temporalio.api.history.v1 as history
import temporalio.common
from pydantic_ai.durable_exec.temporal import PydanticAIPayloadConverter, PydanticAIPlugin, _workflow_runner
from temporalio import activity, workflow
from temporalio.api.enums.v1 import EventType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_commands import ScheduleActivity, WorkflowCommand
from temporalio.client import WorkflowHistory
from temporalio.converter import DataConverter
from temporalio.testing import ActivityEnvironment
from temporalio.worker import Replayer
from temporalio.worker._workflow_instance import WorkflowInstanceDetails
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

CONVERTER = DataConverter(payload_converter_class=PydanticAIPayloadConverter)
RUN, WORKFLOW, QUEUE, SEED = "3f1a2b3c-0000-4000-8000-000000000001", "the-conversation", "queue", 7
_NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


class Driver:
    """Drives one execution of a workflow.

    Args:
        cls: The workflow.
        activities: What its agent has registered.
        between: Called after each task of the workflow with its number, before the activities that it has scheduled.

    Attributes:
        commands: What the workflow has asked for, in order: the kind, and an activity's name.
        events: The history.
    """

    def __init__(
        self,
        cls: type[Any],
        activities: Sequence[Callable[..., Any]],
        between: Callable[[int], Awaitable[None]] | None = None,
    ) -> None:
        self.commands: list[tuple[str, str]] = []
        self.events: list[history.HistoryEvent] = []
        self._cls = cls
        self._between = between
        self._definition = workflow._Definition.must_from_class(cls)
        self._activities = {activity._Definition.must_from_callable(one).name: one for one in activities}

    async def run(self, *arguments: object) -> Any:
        """Run the workflow to its end, and return its result."""
        payloads = CONVERTER.payload_converter.to_payloads(arguments)
        instance = self._instance()
        self._note(
            EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
            workflow_execution_started_event_attributes=history.WorkflowExecutionStartedEventAttributes(
                workflow_type=common.WorkflowType(name=self._definition.name or ""),
                input=common.Payloads(payloads=payloads),
                task_queue=TaskQueue(name=QUEUE),
                workflow_id=WORKFLOW,
                original_execution_run_id=RUN,
                first_execution_run_id=RUN,
                attempt=1,
            ),
        )
        act = _activation()
        begin = act.jobs.add().initialize_workflow
        begin.workflow_type, begin.workflow_id = self._definition.name or "", WORKFLOW
        begin.randomness_seed, begin.attempt = SEED, 1
        begin.arguments.extend(payloads)
        begin.start_time.FromDatetime(_NOW)
        number = 0
        while True:
            number += 1
            commands, task = await self._task(instance, act)
            scheduled: list[tuple[int, ScheduleActivity]] = []
            for command in commands:
                kind = command.WhichOneof("variant") or ""
                self.commands.append((kind, command.schedule_activity.activity_type))
                if kind == "complete_workflow_execution":
                    return self._completed(command, task)
                if kind == "schedule_activity":
                    scheduled.append((self._scheduled(command.schedule_activity, task), command.schedule_activity))
                elif kind == "set_patch_marker":
                    self._patched(command, task)
                else:
                    raise AssertionError(f"the workflow asks for something else than activities: {command}")
            if self._between is not None:
                await self._between(number)
            act = _activation()
            for event, one in scheduled:
                result = await self._call(one, event)
                job = act.jobs.add().resolve_activity
                job.seq = one.seq
                job.result.completed.result.CopyFrom(result)
            assert act.jobs, "the workflow waits for something else than activities"

    async def replay(self) -> None:
        """Have Temporal replay the history; it raises where the workflow asks for something else this time."""
        replayer = Replayer(workflows=[self._cls], plugins=[PydanticAIPlugin()])
        await replayer.replay_workflow(WorkflowHistory(workflow_id=WORKFLOW, events=self.events))

    def _instance(self) -> Any:
        runner = _workflow_runner(SandboxedWorkflowRunner())
        runner.prepare_workflow(self._definition)
        info = workflow.Info(
            attempt=1,
            continued_run_id=None,
            cron_schedule=None,
            execution_timeout=None,
            first_execution_run_id=RUN,
            headers={},
            namespace="default",
            original_execution_run_id=RUN,
            parent=None,
            priority=temporalio.common.Priority.default,
            raw_memo={},
            retry_policy=None,
            root=None,
            run_id=RUN,
            run_timeout=None,
            search_attributes={},
            start_time=_NOW,
            task_queue=QUEUE,
            task_timeout=timedelta(seconds=10),
            typed_search_attributes=temporalio.common.TypedSearchAttributes.empty,
            workflow_id=WORKFLOW,
            workflow_start_time=_NOW,
            workflow_type=self._definition.name or "",
        )
        return runner.create_instance(
            WorkflowInstanceDetails(
                payload_converter_factory=CONVERTER._new_payload_converter,
                failure_converter_class=CONVERTER.failure_converter_class,
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

    async def _task(self, instance: Any, act: WorkflowActivation) -> tuple[Sequence[WorkflowCommand], int]:
        """Have the workflow go on, and return what it asks for, with the event at which it did."""
        begun = self._note(
            EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
            workflow_task_scheduled_event_attributes=history.WorkflowTaskScheduledEventAttributes(),
        )
        started = self._note(
            EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED,
            workflow_task_started_event_attributes=history.WorkflowTaskStartedEventAttributes(scheduled_event_id=begun),
        )
        done = await asyncio.get_running_loop().run_in_executor(None, instance.activate, act)
        assert not done.HasField("failed"), f"{done.failed.failure.message}\n{done.failed.failure.stack_trace}"
        task = self._note(
            EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
            workflow_task_completed_event_attributes=history.WorkflowTaskCompletedEventAttributes(
                scheduled_event_id=begun, started_event_id=started
            ),
        )
        return done.successful.commands, task

    async def _call(self, one: ScheduleActivity, event: int) -> common.Payload:
        """Call an activity as a worker does, and return its result."""
        function = self._activities[one.activity_type]
        types = activity._Definition.must_from_callable(function).arg_types
        arguments = CONVERTER.payload_converter.from_payloads(one.arguments, types)
        result = await ActivityEnvironment().run(function, *arguments)
        (payload,) = CONVERTER.payload_converter.to_payloads([result])
        started = self._note(
            EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED,
            activity_task_started_event_attributes=history.ActivityTaskStartedEventAttributes(scheduled_event_id=event),
        )
        self._note(
            EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED,
            activity_task_completed_event_attributes=history.ActivityTaskCompletedEventAttributes(
                scheduled_event_id=event, started_event_id=started, result=common.Payloads(payloads=[payload])
            ),
        )
        return payload

    def _scheduled(self, one: ScheduleActivity, task: int) -> int:
        facts = history.ActivityTaskScheduledEventAttributes(
            activity_id=one.activity_id or str(one.seq),
            activity_type=common.ActivityType(name=one.activity_type),
            input=common.Payloads(payloads=one.arguments),
            workflow_task_completed_event_id=task,
            task_queue=TaskQueue(name=QUEUE),
        )
        return self._note(EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED, activity_task_scheduled_event_attributes=facts)

    def _patched(self, command: WorkflowCommand, task: int) -> None:
        patch = command.set_patch_marker
        facts = history.MarkerRecordedEventAttributes(marker_name="core_patch", workflow_task_completed_event_id=task)
        data = f'{{"id":"{patch.patch_id}","deprecated":{str(patch.deprecated).lower()}}}'
        facts.details["patch-data"].payloads.append(
            common.Payload(metadata={"encoding": b"json/plain"}, data=data.encode())
        )
        self._note(EventType.EVENT_TYPE_MARKER_RECORDED, marker_recorded_event_attributes=facts)

    def _completed(self, command: WorkflowCommand, task: int) -> Any:
        result = command.complete_workflow_execution.result
        self._note(
            EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED,
            workflow_execution_completed_event_attributes=history.WorkflowExecutionCompletedEventAttributes(
                result=common.Payloads(payloads=[result]), workflow_task_completed_event_id=task
            ),
        )
        kinds = [self._definition.ret_type] if self._definition.ret_type else None
        return CONVERTER.payload_converter.from_payloads([result], kinds)[0]

    def _note(self, kind: Any, **facts: Any) -> int:
        """Write an event into the history, and return its number."""
        event = history.HistoryEvent(event_id=len(self.events) + 1, event_type=kind, **facts)
        event.event_time.FromDatetime(_NOW)
        self.events.append(event)
        return len(self.events)


def _activation() -> WorkflowActivation:
    act = WorkflowActivation(run_id=RUN)
    act.timestamp.FromDatetime(_NOW)
    return act
