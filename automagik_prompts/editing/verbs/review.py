"""Verbs of review: requests for approval, and comments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from automagik_prompts.domain.edits import EditResult, Page
from automagik_prompts.domain.keys import Status
from automagik_prompts.domain.policy import Actor, Operation
from automagik_prompts.domain.review import ApprovalRequest
from automagik_prompts.editing.pages import checked_limit, cursor_number, page_of
from automagik_prompts.editing.review.rights import takes
from automagik_prompts.editing.verbs.base import Verbs
from automagik_prompts.exceptions import InvalidPromptError, NotAllowedError
from automagik_prompts.later import Later

if TYPE_CHECKING:
    from automagik_prompts.editing import queries
    from automagik_prompts.editing.review import requesting, seeing
else:
    queries = Later("automagik_prompts.editing.queries")
    requesting, seeing = (Later(f"automagik_prompts.editing.review.{name}") for name in ("requesting", "seeing"))


class ReviewVerbs(Verbs):
    """What people do before a text becomes active."""

    @takes(Operation.REQUEST)
    async def request(
        self,
        agent: str,
        status_key: Status,
        version: int | None,
        *,
        author: str | None = None,
        note: str | None = None,
        expected_revision: int | None = None,
    ) -> EditResult:
        """Ask another person to approve that a version becomes active, whether or not the status is protected.

        Args:
            agent: The agent's name.
            status_key: The status, a string or an enum member.
            version: The version's number; `None` to ask for a deactivation.
            author: Who asks, where there is no policy.
            note: Why.
            expected_revision: As for `create`.

        Returns:
            What stands as before, with the `request`; the one that waits already where somebody has asked for the same.

        Raises:
            InvalidPromptError: The version could not be served, or is active already.
            PromptNotFoundError: There is no such agent, status or version, or none is active.
            NotAllowedError: The policy does not allow it, or nobody said who asks.
            ConflictError: Somebody else wrote first.
            DatabaseUnavailableError: The database cannot be written now.
        """
        intent = self._intent(author, note, expected_revision)
        await self._cleared(
            intent,
            Operation.REQUEST,
            agent,
            status_key,
            lambda database: seeing.target(database, agent, status_key, version),
        )
        return await self._switch(
            lambda database: requesting.request(
                database, agent, status_key, version, declared=self._declared, intent=intent
            )
        )

    @takes(Operation.APPROVE)
    async def approve(
        self, request_id: int, *, activate: bool = True, author: str | None = None, note: str | None = None
    ) -> EditResult:
        """Approve a request that another person has made; with the last approval that it needs, it is carried out.

        Args:
            request_id: Its number.
            activate: Whether to carry it out at once when enough have approved; otherwise whoever may activate does.
            author: Who approves, where there is no policy.
            note: A comment.

        Raises:
            InvalidPromptError: It was decided already, has lapsed, or its version cannot be served.
            PromptNotFoundError: There is no such request.
            NotAllowedError: It is one's own request, or the policy does not allow it.
            ConflictError: Another version became active while the policy was asked.
            DatabaseUnavailableError: The database cannot be written now.
        """
        intent = self._intent(author, note)
        found = await self._request(request_id)
        intent = await self._cleared(
            intent,
            Operation.APPROVE,
            found.agent,
            found.status_key,
            lambda database: seeing.requested(database, request_id),
        )
        return await self._edit(
            lambda database: requesting.approve(
                database, request_id, activate=activate, declared=self._declared, intent=intent
            )
        )

    @takes(Operation.DECLINE)
    async def decline(self, request_id: int, *, author: str | None = None, note: str | None = None) -> EditResult:
        """Decline a request that another person has made.

        Args:
            request_id: Its number.
            author: Who declines, where there is no policy.
            note: Why; needed.

        Raises:
            InvalidPromptError: There is no reason, or it was decided already.
            PromptNotFoundError: There is no such request.
            NotAllowedError: It is one's own request, or the policy does not allow it.
            DatabaseUnavailableError: The database cannot be written now.
        """
        intent = self._intent(author, note)
        found = await self._request(request_id)
        await self._cleared(
            intent,
            Operation.DECLINE,
            found.agent,
            found.status_key,
            lambda database: seeing.requested(database, request_id),
        )
        return await self._edit(lambda database: requesting.decline(database, request_id, intent=intent))

    @takes(Operation.REQUEST)
    async def withdraw_request(
        self, request_id: int, *, author: str | None = None, note: str | None = None
    ) -> EditResult:
        """Withdraw one's own request.

        Args:
            request_id: Its number.
            author: Who withdraws, where there is no policy.
            note: Why.

        Raises:
            InvalidPromptError: It was decided already.
            PromptNotFoundError: There is no such request.
            NotAllowedError: Another person has made it, or the policy does not allow it.
            DatabaseUnavailableError: The database cannot be written now.
        """
        intent = self._intent(author, note)
        found = await self._request(request_id)
        await self._allowed(intent, Operation.REQUEST, found.agent, found.status_key)
        return await self._edit(lambda database: requesting.withdraw_request(database, request_id, intent=intent))

    @takes(Operation.COMMENT)
    async def comment(
        self,
        agent: str | None = None,
        status_key: Status | None = None,
        version: int | None = None,
        *,
        text: str,
        request_id: int | None = None,
        author: str | None = None,
    ) -> EditResult:
        """Say something about a version, a status, or a request; it is kept with the events.

        Args:
            agent: The agent's name; left out for a request.
            status_key: The status, likewise.
            version: The version's number, if it is about one.
            text: What there is to say, up to 10 000 characters.
            request_id: The request that it is about.
            author: Who says it, where there is no policy.

        Raises:
            InvalidPromptError: There are no words, or it is not said what they are about.
            PromptNotFoundError: There is no such agent, status, version or request.
            NotAllowedError: The policy does not allow it.
            DatabaseUnavailableError: The database cannot be written now.
        """
        intent = self._intent(author, text)
        if request_id is not None:
            found = await self._request(request_id)
            requesting.check_about(found, agent, status_key)
            agent, status_key, version = found.agent, found.status_key, found.version
        if agent is None or status_key is None:
            raise InvalidPromptError("Say what the comment is about: an agent and a status, or a request.")
        name, status = agent, status_key
        await self._cleared(
            intent, Operation.COMMENT, name, status, lambda database: seeing.target(database, name, status, version)
        )
        return await self._edit(
            lambda database: requesting.comment(database, name, status, version, request_id=request_id, intent=intent)
        )

    # Looking.

    @takes(Operation.VIEW)
    async def requests(
        self,
        agent: str | None = None,
        status_key: Status | None = None,
        *,
        waiting: bool = True,
        after: str | None = None,
        limit: int = 100,
    ) -> Page[ApprovalRequest]:
        """Return requests for approval, newest first.

        Args:
            agent: Only of this agent.
            status_key: Only of this status.
            waiting: Whether to leave out what was decided, or has lapsed.
            after: The `next` of the page before.
            limit: How many, from 1 to 1000.

        Raises:
            PromptNotFoundError: There is no such agent.
            NotAllowedError: The policy does not show the agent.
            DatabaseUnavailableError: The database cannot be read now.
        """
        if agent is not None:
            await self._look_at(agent)
        checked_limit(limit)
        found: list[ApprovalRequest] = []
        before = cursor_number(after) if after is not None else None
        seen: dict[str, bool] = {}
        while len(found) <= limit:
            place = before
            read = await self._read(
                lambda database: queries.requests(
                    database,
                    agent,
                    status_key,
                    waiting=waiting,
                    before=place,  # noqa: B023  # as above
                    limit=limit + 1,
                )
            )
            found += [
                one
                for one in read
                if (one.is_waiting or not waiting) and (agent is not None or await self._sees(one.agent, seen))
            ]
            if len(read) <= limit:
                break
            before = read[-1].id
        return page_of(found, limit, lambda one: str(one.id))

    @takes(Operation.VIEW)
    async def get_request(self, request_id: int) -> ApprovalRequest:
        """Return a request for approval by its number.

        Args:
            request_id: Its number.

        Raises:
            PromptNotFoundError: There is no such request.
            NotAllowedError: The policy does not show the agent.
            DatabaseUnavailableError: The database cannot be read now.
        """
        return await self._request(request_id)

    async def _request(self, request_id: int) -> ApprovalRequest:
        """Return a request; to who may not look at its agent, its number says nothing."""
        found = await self._read(lambda database: requesting.find_request(database, request_id))
        if not await self._sees(found.agent, {}):
            who = self._intent().actor or "An unknown person"
            raise NotAllowedError(
                f"{who} may not view request {found.id}. That takes a role for its agent.",
                actor=who.id if isinstance(who, Actor) else None,
                operation=Operation.VIEW,
            )
        return found
