"""Writing what the code declares, while the database is followed; serving does not depend on it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.keys import PromptKey, SpellingClash
from automagik_prompts.domain.log import logger
from automagik_prompts.domain.policy import Operation
from automagik_prompts.domain.review import ApprovalRequest
from automagik_prompts.domain.text import word
from automagik_prompts.editing import sync
from automagik_prompts.editing.review.rights import explained
from automagik_prompts.exceptions import DatabaseUnavailableError, MissingRightError, PromptsError
from automagik_prompts.following import loader
from automagik_prompts.following.incidents import IncidentLog
from automagik_prompts.schema import migrate
from automagik_prompts.settings import Settings
from automagik_prompts.storage.database import Database

WRITE_RETRY = 10.0
"""Seconds after which what the code declares is tried to be written again, where something blocked it."""

OPERATIONS = 12
"""Writing may take this many times as long as one look, as it asks dozens of questions, each of which takes time. On a
server a statement that is not answered ends it sooner."""

UPGRADE_TIMEOUT = 60.0
"""Seconds that bringing an embedded schema up to date may take besides, with waiting for another process that does."""


class CodeWriter:
    """Writes the code's texts that a database has not seen.

    Args:
        settings: The plugin's settings.
        registry: What the code declares.
        incidents: Takes what goes wrong.
        requested: Called with what the code asks approval for.

    Attributes:
        blocker: What keeps the code's texts from being written; `None` if they are written.
        clashes: The statuses that were not written, as the database spells them otherwise.
    """

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        incidents: IncidentLog,
        requested: Callable[[ApprovalRequest], None] | None = None,
    ) -> None:
        self.blocker: PromptsError | None = None
        self.clashes: tuple[SpellingClash, ...] = ()
        self._registry = registry
        self._incidents = incidents
        self._requested = requested
        self._is_on = settings.seed
        self._now = asyncio.get_running_loop().time
        self._generation = -1
        self._again_at = 0.0
        self._logged: str | None = None

    @property
    def is_due(self) -> bool:
        """Whether what the code declares may not be written yet, and it is time to try."""
        declared = self._registry.generation != self._generation
        return declared or (self.blocker is not None and self._now() >= self._again_at)

    @property
    def blocked_by(self) -> str | None:
        """What keeps the code's texts from being written, in words."""
        return self.blocker.message if self.blocker is not None else None

    def reset(self) -> None:
        """Take note that the connection was lost: what the code declares may not be written in this database yet."""
        self._generation = -1

    async def write(self, database: Database) -> None:
        """Write what the code declares; what blocks it is kept in `blocker`.

        Raises:
            TimeoutError: The database did not answer while its schema was brought up to date.
        """
        self._generation, self._again_at = self._registry.generation, self._now() + WRITE_RETRY
        self.blocker = None
        if not self._is_on:
            return
        try:
            await prepare_schema(database)
            await self._seed(database)
        except MissingRightError as error:
            self.blocker = explained(error, PromptKey("", ""), Operation.SYNC)
            self.blocker.message += ". Or leave it to a release step: automagik-prompts sync, and seed=False here."
        except PromptsError as error:
            self.blocker = error
        except TimeoutError:
            raise
        except Exception as error:  # noqa: BLE001  # reported there; what can be read is served all the same
            self.blocker = PromptsError(
                self._incidents.unexpected(error, "keeps the code's prompts from being written")
            )

    def log(self) -> None:
        """Log what blocks writing, once for as long as it is the same."""
        words = self.blocked_by
        if words is not None and words != self._logged:
            logger.warning("The code's prompts could not be written, serving goes on: %s", words)
        self._logged = words

    async def _seed(self, database: Database) -> None:
        """Write the code's texts that the database has not seen.

        Raises:
            PromptsError: Something blocks it.
        """
        try:
            async with asyncio.timeout(loader.OPERATION_TIMEOUT * OPERATIONS):
                done = await sync.seed(database, self._registry.agents)
        except TimeoutError:
            raise DatabaseUnavailableError("It took too long; it is tried again.") from None
        self.clashes = tuple(item.clash for item in done if item.clash is not None)
        for item in done:
            names = word(item.agent), word(item.status_key)
            if item.outcome == "drift":
                logger.warning(
                    "%s/%s: the code's text is version %s but was not activated, because a person decided otherwise. "
                    "Compare and activate it with: automagik-prompts activate %s %s %s",
                    *(item.agent, item.status_key, item.version, *names, item.version),
                )
            elif item.replaced is not None:
                logger.warning(
                    "%s/%s: the code's text is version %s and took the place of version %s, by a person, as the code "
                    "wants it. Go back with: automagik-prompts rollback %s %s",
                    *(item.agent, item.status_key, item.version, item.replaced, *names),
                )
            elif item.outcome == "requested" and item.request is not None:
                logger.warning(
                    "%s/%s: the code's text is version %s and waits for approval, as the code wants it. See: "
                    "automagik-prompts requests --show %s",
                    *(item.agent, item.status_key, item.version, item.request.id),
                )
                if self._requested is not None:
                    self._requested(item.request)
            elif item.outcome == "withdrawn":
                logger.warning(
                    "%s/%s: the code's text is version %s but was not activated, because its text is withdrawn. "
                    "Change the code, or take that back with: automagik-prompts withdraw --undo %s %s %s",
                    *(item.agent, item.status_key, item.version, *names, item.version),
                )


async def prepare_schema(database: Database) -> None:
    """Bring the embedded schema up to date by itself; on a server a person decides when.

    Raises:
        SchemaError: The schema is older or newer than this release.
        TimeoutError: The database did not answer in time.
    """
    seconds = loader.OPERATION_TIMEOUT
    async with asyncio.timeout(seconds + UPGRADE_TIMEOUT if database.is_embedded else seconds * OPERATIONS):
        await migrate.prepare(database)
        await migrate.check_writable(database)
