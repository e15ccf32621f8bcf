"""Asking the policy, before anything is locked."""

from __future__ import annotations

import inspect
from dataclasses import replace
from importlib import import_module

from automagik_prompts.domain.edits import Clearance, Intent
from automagik_prompts.domain.keys import PromptKey
from automagik_prompts.domain.policy import SWITCHES, Actor, Decision, Operation, Policy, TextState
from automagik_prompts.domain.records import Prompt
from automagik_prompts.exceptions import ConfigurationError, NotAllowedError

_WORDS = {
    Operation.ROLLBACK: "roll back",
    Operation.KEEP: "keep a person's version of",
    Operation.COMMENT: "comment on",
    Operation.DRAFT: "save a draft of",
    Operation.TOKENS: "make, see or revoke tokens for",
}


def load_policy(path: str) -> Policy:
    """Return the policy that a setting names.

    Args:
        path: `module:object`.

    Raises:
        ConfigurationError: There is no such object, or it cannot be called.
    """
    module, colon, name = path.partition(":")
    if not (module and colon and name):
        raise ConfigurationError(
            f"The policy {path!r} is not of the form module:object, such as prompts_policy:policy."
        )
    try:
        found: object = import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (Exception, SystemExit) as error:
        raise ConfigurationError(
            f"The policy {path!r} cannot be loaded ({type(error).__name__}: {error}), so nothing may be done. Correct "
            "AUTOMAGIK_PROMPTS_POLICY."
        ) from error
    if not callable(found):
        raise ConfigurationError(
            f"The policy {path!r} cannot be called. Name a function, or an object such as Roles(...)."
        )
    return found


async def authorize(
    policy: Policy,
    actor: Actor | None,
    operation: Operation,
    key: PromptKey,
    before: Prompt | None = None,
    after: Prompt | TextState | None = None,
) -> Decision:
    """Ask a policy, and return its answer if it is no refusal.

    Args:
        policy: The policy.
        actor: Who asks.
        operation: What is asked for.
        key: The agent and status; `""` for all agents, or for no single status.
        before: The version that is active, or concerned.
        after: What would be written or active.

    Raises:
        NotAllowedError: It may not be done, or only with an approval that there is not for it.
        ConfigurationError: The policy raised, or did not answer with a decision.
    """
    new = TextState.of(after) if isinstance(after, Prompt) else after
    try:
        answer = policy(actor, operation, key.agent, key.status_key, TextState.of(before), new)
        decision = await answer if inspect.isawaitable(answer) else answer
    except Exception as error:
        # Not its message, which may hold what the policy was given.
        raise ConfigurationError(
            f"The policy raised {type(error).__name__} when it was asked whether {_who(actor)} may "
            f"{what_is_done(operation, key)}. Nothing was done; correct the policy."
        ) from error
    if not isinstance(decision, Decision):
        raise ConfigurationError(
            f"The policy answered with {type(decision).__name__} when it was asked whether {_who(actor)} may "
            f"{what_is_done(operation, key)}. Nothing was done; let it return ALLOW, NEEDS_APPROVAL or deny(reason)."
        )
    if not decision.allowed:
        raise _refusal(actor, operation, key, decision.reason or "The policy does not allow it.")
    if decision.needs_approval and operation not in SWITCHES:
        raise _refusal(
            actor, operation, key, "The policy wants it approved, and only a change of the active version can be."
        )
    return decision


def cleared(intent: Intent, decision: Decision, before: Prompt | None, after: Prompt | None = None) -> Intent:
    """Return an intent with what a policy has decided, and what it saw."""
    needs = decision.needs_approval or intent.clearance.needs_approval
    return replace(
        intent,
        clearance=Clearance(
            is_asked=True,
            before=before.id if before is not None else None,
            after=after.id if after is not None else None,
            needs_approval=needs,
        ),
    )


def _refusal(actor: Actor | None, operation: Operation, key: PromptKey, reason: str) -> NotAllowedError:
    return NotAllowedError(
        f"{_who(actor)} may not {what_is_done(operation, key)}. {reason}",
        actor=actor.id if actor is not None else None,
        operation=operation,
        agent=key.agent or None,
        status_key=key.status_key or None,
    )


def _who(actor: Actor | None) -> str:
    return str(actor) if actor is not None else "An unknown person"


def what_is_done(operation: Operation, key: PromptKey) -> str:
    """Return what is asked for, as the end of a sentence."""
    verb = _WORDS.get(operation, operation.value)
    if operation is Operation.EMERGENCY:
        return f"change {key.agent}/{key.status_key} without approval"
    where = f"{key.agent}/{key.status_key}" if key.status_key else key.agent or "all agents"
    return f"{verb} {where}"
