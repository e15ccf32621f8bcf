"""Verbs of tokens: what lets programs in over the network."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from automagik_prompts.domain.policy import NewToken, Operation, Token
from automagik_prompts.domain.roles import ROLES, Roles, no_such_role
from automagik_prompts.editing.review.rights import takes_owner
from automagik_prompts.editing.verbs.base import Verbs
from automagik_prompts.exceptions import InvalidPromptError
from automagik_prompts.later import Later

if TYPE_CHECKING:
    from automagik_prompts.editing.access import tokens
else:
    tokens = Later("automagik_prompts.editing.access.tokens")


class TokenVerbs(Verbs):
    """Making, listing and revoking tokens, for who may do that for all agents."""

    @takes_owner("make tokens")
    async def create_token(
        self,
        name: str,
        *,
        roles: Sequence[str],
        agents: Sequence[str] = ("*",),
        expires: timedelta | None = timedelta(days=90),
    ) -> NewToken:
        """Make a token for a program, which acts as `token:NAME`; its secret is in what this returns, and nowhere else.

        Args:
            name: The program's name. A second token of that name takes the place of the first one, which goes on
                letting in until it is revoked.
            roles: What it may do, such as `["editor"]`.
            agents: The agents for which that holds, as names or patterns such as `"support*"`.
            expires: How long it holds; `None` for ever.

        Raises:
            InvalidPromptError: The name, a role, an agent or the time cannot be.
            NotAllowedError: The policy does not allow it.
            DatabaseUnavailableError: The database cannot be written now.
        """
        intent = self._intent()
        await self._allowed(intent, Operation.TOKENS)
        roles, agents = _several(roles), _several(agents)
        # Another policy may have roles of its own.
        if self.policy is None or isinstance(self.policy, Roles):
            for role in roles:
                if role not in ROLES:
                    raise InvalidPromptError(no_such_role(role).strip())
        author = str(intent.actor) if intent.actor is not None else intent.author
        return await self._edit(lambda database: tokens.create(database, name, roles, agents, expires, author=author))

    @takes_owner("list tokens", ", an editor or a publisher")
    async def tokens(self) -> tuple[Token, ...]:
        """Return all tokens, the newest first, also those that are revoked or have expired.

        Raises:
            NotAllowedError: The policy does not allow it.
            DatabaseUnavailableError: The database cannot be read now.
        """
        await self._allowed(self._intent(), Operation.TOKENS)
        return await self._read(lambda database: tokens.find_all(database))

    @takes_owner("revoke tokens")
    async def revoke_token(self, token: int | str) -> Token:
        """Let a token let nobody in any more; every server obeys within a second.

        Args:
            token: Its number, or its name, if only one usable token has that.

        Returns:
            The token; one that was revoked before stays as it is.

        Raises:
            PromptNotFoundError: There is no such token.
            InvalidPromptError: Several usable tokens have that name.
            NotAllowedError: The policy does not allow it.
            DatabaseUnavailableError: The database cannot be written now.
        """
        await self._allowed(self._intent(), Operation.TOKENS)
        return await self._edit(lambda database: tokens.revoke(database, token))


def _several(names: Sequence[str]) -> tuple[str, ...]:
    """Return names of which there may be a single one."""
    return (names,) if isinstance(names, str) else tuple(names)
