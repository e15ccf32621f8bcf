"""Editing an open database, where no plugin follows it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from automagik_prompts.declaring.declared import DeclaredAgent
from automagik_prompts.domain.edits import Target
from automagik_prompts.domain.keys import Status
from automagik_prompts.domain.log import logger
from automagik_prompts.domain.policy import Actor, Operation, Policy, TextState
from automagik_prompts.domain.review import ApprovalRequest
from automagik_prompts.domain.validation import Format
from automagik_prompts.editing import commands
from automagik_prompts.editing.service import EditService
from automagik_prompts.storage.database import Database

T = TypeVar("T")


class DatabaseEdits(EditService):
    """Edits in an open database, where no plugin follows it, as the command line does.

    Args:
        database: An open database.
        declared: What the code declares, as far as it is here.
        policy: What decides who may do what.
        actor: Who acts.
        author: Who writes, where nobody acts.
    """

    def __init__(
        self,
        database: Database,
        declared: Mapping[str, DeclaredAgent] = MappingProxyType({}),
        *,
        policy: Policy | None = None,
        actor: Actor | None = None,
        author: str | None = None,
    ) -> None:
        self._database = database
        self._agents = declared
        self._policy = policy
        self._actor = actor
        self._author = author

    @property
    def policy(self) -> Policy | None:
        """What decides who may do what."""
        return self._policy

    @property
    def actor(self) -> Actor | None:
        """Who acts."""
        return self._actor

    async def check(
        self,
        agent: str,
        status_key: Status,
        text: str,
        *,
        format: Format = "handlebars",
        name: str | None = None,
        new_agent: bool = False,
        new_status: bool = False,
        allow_invisible: bool = False,
    ) -> Target:
        """Check a text as `create` does, and write nothing.

        Returns:
            What would be written to, and what may be meant otherwise in the text.

        Raises:
            PromptsError: As `create` raises.
        """
        await self._cleared(self._intent(), Operation.CREATE, agent, status_key, after=TextState(text, format))
        return await commands.check(
            self._database,
            agent,
            status_key,
            text,
            format=format,
            name=name,
            new_agent=new_agent,
            new_status=new_status,
            statuses=self._statuses(agent),
            exposed=self._exposed(agent),
            allow_invisible=allow_invisible,
        )

    @property
    def _declared(self) -> Mapping[str, DeclaredAgent]:
        return self._agents

    @property
    def _default_author(self) -> str | None:
        return self._author

    async def _announce(self, request: ApprovalRequest) -> None:
        if (tell := getattr(self._policy, "on_request", None)) is None:
            return
        try:
            told = tell(request)
            if inspect.isawaitable(told):
                await told
        except Exception:  # noqa: BLE001  # the request is written, and whoever waits for it can be told otherwise
            logger.exception("The policy's on_request raised at request %s, which is written.", request.id)

    async def _read(self, function: Callable[[Database], Coroutine[Any, Any, T]]) -> T:
        return await function(self._database)

    async def _edit(self, function: Callable[[Database], Coroutine[Any, Any, T]]) -> T:
        return await function(self._database)
