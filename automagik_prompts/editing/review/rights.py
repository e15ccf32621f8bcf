"""What the database's own rights refuse, in the words of what was to be done, with the role that it takes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from functools import wraps
from shlex import quote
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from automagik_prompts.domain.keys import PromptKey, new_key
from automagik_prompts.domain.policy import Operation
from automagik_prompts.editing.review.authorizing import what_is_done
from automagik_prompts.exceptions import MissingRightError
from automagik_prompts.later import Later

if TYPE_CHECKING:
    from automagik_prompts.storage import grants
else:
    # It is needed where something was refused, and brings the database library.
    grants = Later("automagik_prompts.storage.grants")

P = ParamSpec("P")
T = TypeVar("T")


def takes(operation: Operation) -> Callable[[Callable[P, Coroutine[Any, Any, T]]], Callable[P, Coroutine[Any, Any, T]]]:
    """Let a verb say which role of the database it takes, where the database refuses it.

    Args:
        operation: What the verb does. Where it is called with `activate=True`, it activates as well.
    """

    def decorate(verb: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
        @wraps(verb)
        async def run(*args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return await verb(*args, **kwargs)
            except MissingRightError as error:
                given = inspect.signature(verb).bind(*args, **kwargs).arguments
                status = given.get("status_key")
                key = PromptKey(given.get("agent") or "", new_key(status) if status is not None else "")
                wanted = [operation]
                if given.get("activate") and operation is Operation.CREATE:
                    wanted.append(Operation.ACTIVATE)
                raise explained(error, key, *wanted, request_id=given.get("request_id")) from error

        return run

    return decorate


def takes_owner(
    what: str, instead: str = ""
) -> Callable[[Callable[P, Coroutine[Any, Any, T]]], Callable[P, Coroutine[Any, Any, T]]]:
    """Let a verb say that only the owner of the tables can do it, where the database refuses it.

    Args:
        what: What the verb does, as the end of a sentence.
        instead: Who else can.
    """

    def decorate(verb: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
        @wraps(verb)
        async def run(*args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return await verb(*args, **kwargs)
            except MissingRightError as error:
                raise MissingRightError(
                    f"The database's user {error.user or 'of this process'} may not {what} ({error.refusal}). Only the "
                    f"owner of the tables{instead} can. Do it as the owner.",
                    user=error.user,
                    refusal=error.refusal,
                ) from error

        return run

    return decorate


def explained(
    error: MissingRightError, key: PromptKey, *operations: Operation, request_id: int | None = None
) -> MissingRightError:
    """Return an error that says what was to be done and which role that takes.

    Args:
        error: What the database said.
        key: The agent and status; `""` where it is about none.
        operations: What was to be done; all of it takes a role.
        request_id: The request that it was to be done to.
    """
    each = [grants.roles_for(operation) for operation in operations]
    needed = " and ".join(" or ".join(map(_named, roles)) for roles in each)
    options = " ".join(f"--role {roles[0]}" for roles in each)
    if request_id is not None:
        verb = "withdraw" if operations[0] is Operation.REQUEST else operations[0].value
        what = f"{verb} request {request_id}"
    else:
        what = " and ".join(what_is_done(operation, key) for operation in operations)
    return MissingRightError(
        f"The database's user {error.user or 'of this process'} may not {what} ({error.refusal}). That takes the "
        f"rights of {needed}. The owner of the tables gives them with what this prints: automagik-prompts grants "
        f"{options} --to {quote(error.user or 'NAME')}",
        user=error.user,
        refusal=error.refusal,
        roles=tuple(dict.fromkeys(str(role) for roles in each for role in roles)),
        agent=key.agent or None,
        status_key=key.status_key or None,
    )


def _named(role: grants.DatabaseRole) -> str:
    return {grants.DatabaseRole.SEEDING_APP: "an app that seeds", grants.DatabaseRole.EDITOR: "an editor"}.get(
        role, f"a {role}"
    )
