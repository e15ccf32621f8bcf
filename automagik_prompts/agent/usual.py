"""The usual run: what it begins with was found out by the run before, and its requests are right as they are.

Beside a real model a run costs next to nothing, whichever way it goes; this way is a third shorter. Code that runs now
and then is slow by itself, so this is as little of it as can be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any

from pydantic_ai.tools import RunContext

from automagik_prompts.agent import overrides, plugins
from automagik_prompts.agent.history.messages import are_same, is_opening, is_placed
from automagik_prompts.agent.rendering import CacheEntry
from automagik_prompts.agent.run import MemoryRun, RunCapability, running
from automagik_prompts.domain.protocols import Declarations, Declared, SnapshotReader, StateReader

if TYPE_CHECKING:
    from pydantic_ai.models import ModelRequestContext

_made = object.__new__


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What a capability's runs begin with, for as long as nothing of it has changed.

    Attributes:
        capability: The capability.
        name: The name of its prompts.
        ref: What histories call them.
        turn: What `plugins` said before the plugin was asked for.
        state: Where what is served stands.
        snapshot: What was served.
        registry: The declarations.
        agents: What they said.
        start: The attributes of a run that has just begun.
    """

    capability: RunCapability
    name: str
    ref: str
    turn: object
    state: StateReader
    snapshot: SnapshotReader
    registry: Declarations
    agents: Mapping[str, Declared]
    start: dict[str, Any]

    @classmethod
    def of(cls, run: MemoryRun, turn: object, agents: Mapping[str, Declared]) -> Plan:
        """Make one of a run that has just begun, for it and the next ones."""
        own, snapshot, start = run.capability, run.snapshot, dict[str, Any]()
        plan = cls(own, own.name, own.ref, turn, run.reader.state, snapshot, snapshot.registry, agents, start)
        run.plan = plan
        start.update(vars(run))
        return plan

    def settle(self, entry: CacheEntry) -> None:
        """Take what was made for the one status of all runs, for the next ones."""
        self.start["entry"], self.start["fixed"] = entry, entry.rendered

    def begin(self, capability: RunCapability) -> MemoryRun | None:
        """Begin a run; `None` if that takes another look, or if the plugin's thread has to be looked after."""
        serving = self.state.serving
        if (
            serving.snapshot is not self.snapshot
            or capability is not self.capability  # it is a copy
            or monotonic() > serving.due
            or self.registry.agents is not self.agents
            or self.turn is not plugins.turn
            or overrides.begun()
        ):
            return None
        run = _made(MemoryRun)
        run.__dict__ = self.start.copy()
        return run

    def has_sent(self, ctx: RunContext[Any], request: ModelRequestContext) -> bool:
        """Return whether the prompt stands in a request as it should; then it is recorded, and all is done."""
        run = running.get((ctx.run_id, self.name))
        if run is None or not run.is_usual or run.capability is not self.capability:
            return False
        rendered = run.fixed
        if rendered is None and (run.prepared is None or (rendered := run.prepared_for(ctx.run_step)) is None):
            return False
        sent, kept, text = request.messages, ctx.messages, rendered.text
        if request.model_request_parameters.instruction_parts or not (
            is_opening(sent, kept, self.ref, text)
            or (are_same(sent, kept) and is_placed(sent, self.ref, text, run.texts))
        ):
            return False
        run.prepared = None
        run.record(rendered, ctx, sent)
        return True
