"""The policy that comes with the library: roles, for all agents or some."""

from __future__ import annotations

from automagik_prompts.domain.policy import ALLOW, SWITCHES, Actor, Decision, Operation, TextState, deny
from automagik_prompts.domain.text import closest, word
from automagik_prompts.exceptions import ConfigurationError

_LOOK = frozenset({Operation.VIEW})
_TALK = _LOOK | {Operation.COMMENT}

ROLES: dict[str, frozenset[Operation]] = {
    "viewer": _LOOK,
    "editor": _TALK | {Operation.DRAFT, Operation.CREATE, Operation.REQUEST},
    "publisher": _TALK
    | SWITCHES
    | {Operation.WITHDRAW, Operation.REINSTATE, Operation.DELETE}
    | {Operation.REQUEST, Operation.KEEP, Operation.EMERGENCY},
    "approver": _TALK | {Operation.APPROVE, Operation.DECLINE},
    "admin": frozenset(Operation),
}
"""What each role may do. Somebody with several roles may do what any of them allows."""


class Roles:
    """Decides by the roles of actors: a policy for `PromptPlugin(policy=...)` and `AUTOMAGIK_PROMPTS_POLICY`.

    Args:
        members: Who has which roles, by id; the same id twice has both. An application that knows the roles of its
            users gives them with each `Actor` and needs no members here; the command line knows names only.

    Raises:
        ConfigurationError: A member has a role that there is not.
    """

    def __init__(self, *members: Actor) -> None:
        self._members: dict[str, list[Actor]] = {}
        for member in members:
            for role in member.roles:
                if role not in ROLES:
                    raise ConfigurationError(f"{member.id} has a role that there is not.{no_such_role(role)}")
            self._members.setdefault(member.id, []).append(member)

    def __call__(
        self,
        actor: Actor | None,
        operation: Operation,
        agent: str,
        status_key: str,
        before: TextState | None,  # noqa: ARG002  # a policy's arguments
        after: TextState | None,
    ) -> Decision:
        """Allow what one of the actor's roles allows for the agent."""
        if actor is None:
            return deny("Nobody said who acts.")
        found = [one for one in (actor, *self._members.get(actor.id, ())) if one.covers(agent)]
        mine = list(dict.fromkeys(role for one in found for role in one.roles))
        if any(operation in ROLES.get(role, ()) for role in mine):
            return ALLOW
        takes = " or ".join(role for role, may in ROLES.items() if operation in may)
        have = f"the role{'s' if len(mine) > 1 else ''} {', '.join(mine)}" if mine else "no role"
        where = f" for {agent}" if agent else " for all agents"
        words = f"That takes the role {takes}; {actor} has {have}{where}."
        words += "".join(no_such_role(role) for role in mine if role not in ROLES)
        if operation in SWITCHES and any(Operation.REQUEST in ROLES.get(role, ()) for role in mine):
            version = f" {after.version}" if after is not None and after.version is not None else " VERSION"
            names = f"{word(agent)} {word(status_key)}"
            what = f"--deactivate {names}" if operation is Operation.DEACTIVATE else f"{names}{version}"
            words += f" It can be requested: automagik-prompts request {what}"
        return deny(words)


def no_such_role(role: str) -> str:
    """Return which roles there are, as a sentence with a blank before it, for who has given another one."""
    close = closest(role, ROLES)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return f" There is no role {role!r}.{hint} There are: {', '.join(ROLES)}."
