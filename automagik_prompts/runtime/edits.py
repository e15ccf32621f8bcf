"""What a plugin does to prompts, and looks up: on its own thread, under its policy."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from automagik_prompts.database_url import identity_of
from automagik_prompts.declaring.declared import DeclaredAgent
from automagik_prompts.domain.policy import Policy
from automagik_prompts.domain.review import ApprovalRequest
from automagik_prompts.editing.service import EditService
from automagik_prompts.exceptions import ConfigurationError
from automagik_prompts.following.memory.snapshot import Snapshot
from automagik_prompts.later import Later
from automagik_prompts.runtime.callbacks import OnRequestCallback
from automagik_prompts.runtime.lifecycle import Lifecycle

if TYPE_CHECKING:
    from automagik_prompts.editing.review import authorizing
    from automagik_prompts.schema import migrate
    from automagik_prompts.storage import database as storage
    from automagik_prompts.storage.connection import Client
    from automagik_prompts.storage.database import Database
else:
    authorizing = Later("automagik_prompts.editing.review.authorizing")
    migrate = Later("automagik_prompts.schema.migrate")
    storage = Later("automagik_prompts.storage.database")

T = TypeVar("T")
RequestCallbackT = TypeVar("RequestCallbackT", bound=OnRequestCallback)


class PluginEdits(EditService):
    """The edit service of a plugin.

    Args:
        life: The plugin's thread.
        policy: What decides who may do what; by default what the settings name.
    """

    def __init__(self, life: Lifecycle, policy: Policy | None) -> None:
        self._life = life
        self._policy: Policy | None = None
        if policy is not None:
            self._take(policy)

    @abstractmethod
    async def ready(self) -> Snapshot:
        """Wait for the first load, within its bound."""

    def on_request(self, callback: RequestCallbackT) -> RequestCallbackT:
        """Call a sync or async function when this process asks for approval, or passes it by in an emergency.

        It is called once, in the process where it was asked, on a thread of its own, so that approvers can be told.
        The policy's own method `on_request`, if it has one, is called as well. What the command line asks is told to
        that method alone: it is another process.

        Args:
            callback: Takes an `ApprovalRequest`.

        Returns:
            The callback, so that this can decorate one.
        """
        self._life.requests.add(callback)
        return callback

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Client]:
        """Give a connection inside one transaction, for the functions of `automagik_prompts.repository`.

        It is a connection of its own, on the caller's event loop. An exception rolls the transaction back. What was
        written is served within a second, as any change.

        Raises:
            ConfigurationError: The database is one in memory.
            SchemaError: The schema is older or newer than this release.
            DatabaseUnavailableError: The database cannot be reached.
        """
        if identity_of(self._life.settings.database_url) is None:
            raise ConfigurationError("A database in memory belongs to the plugin's own connection. Use its methods.")
        await self.ready()
        async with storage.Database(self._life.settings.database_url, create=False) as database:
            await migrate.check_writable(database)
            async with database.connection() as connection:
                yield connection

    @property
    def policy(self) -> Policy | None:
        """What decides who may do what; without one, everybody may do everything.

        Raises:
            ConfigurationError: The object that a setting names cannot be loaded.
        """
        if self._policy is None and self._life.settings.policy is not None:
            self._take(authorizing.load_policy(self._life.settings.policy))
        return self._policy

    def _take(self, policy: Policy) -> None:
        self._policy = policy
        if (tell := getattr(policy, "on_request", None)) is not None:
            self._life.requests.add(tell)

    @property
    def _declared(self) -> Mapping[str, DeclaredAgent]:
        return self._life.registry.agents

    @property
    def _default_author(self) -> str | None:
        return self._life.settings.author

    async def _announce(self, request: ApprovalRequest) -> None:
        self._life.requests.call([request])

    async def _edit(self, function: Callable[[Database], Coroutine[Any, Any, T]]) -> T:
        await self.ready()
        return await self._life.edit(function)

    async def _read(self, function: Callable[[Database], Coroutine[Any, Any, T]]) -> T:
        await self.ready()
        return await self._life.read(function)
