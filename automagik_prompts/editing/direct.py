"""Editing an open database, where no plugin follows it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from automagik_prompts.declaring.declared import DeclaredAgent
from automagik_prompts.domain.edits import Target
from automagik_prompts.domain.keys import Status
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
    """

    def __init__(self, database: Database, declared: Mapping[str, DeclaredAgent] = MappingProxyType({})) -> None:
        self._database = database
        self._agents = declared

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

    async def _edit(self, function: Callable[[Database], Coroutine[Any, Any, T]]) -> T:
        return await function(self._database)
