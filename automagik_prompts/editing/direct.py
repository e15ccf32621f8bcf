"""Editing an open database, where no plugin follows it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from automagik_prompts.declaring.declared import DeclaredAgent
from automagik_prompts.domain.log import logger
from automagik_prompts.domain.policy import Actor, Policy
from automagik_prompts.domain.review import ApprovalRequest
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
