"""What tests of policies and approvals share: an agent with a protected status, and people who act."""

from __future__ import annotations

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.policy import Actor, Policy
from automagik_prompts.editing import sync
from automagik_prompts.editing.direct import DatabaseEdits
from automagik_prompts.storage.database import Database

ANA, BEA, JOAO = (Actor(name) for name in ("ana", "bea", "joao"))


def declared(
    agent: str,
    new: str = "code one",
    *,
    approvals: int = 1,
    approve_code: bool = False,
    protected: tuple[str, ...] = ("APPROVED",),
    on_drift: str | None = None,
) -> Registry:
    """Return code that declares an agent with the statuses `NEW` and, protected, `APPROVED`."""
    registry = Registry()
    registry.declare(
        agent,
        {"NEW": new, "APPROVED": f"{new}, approved"},
        where="here",
        primary="NEW",
        protected=protected,
        approvals=approvals,
        approve_code=approve_code,
        on_drift=on_drift,  # type: ignore[arg-type]  # each test passes what there is
    )
    return registry


async def seed(database: Database, registry: Registry, *, exact: bool = False) -> list[tuple[str, int | None, str]]:
    """Write what code declares, and return what was done."""
    done = await sync.seed(database, registry.agents, exact=exact)
    return [(item.status_key, item.version, item.outcome) for item in done]


def as_(database: Database, actor: Actor | None, policy: Policy | None = None) -> DatabaseEdits:
    """Return what edits on behalf of somebody."""
    return DatabaseEdits(database, policy=policy, actor=actor)
