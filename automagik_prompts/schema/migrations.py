"""The steps of the schema: the files that this release knows, and what a database has had of them."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.exceptions import OperationalError

from automagik_prompts.exceptions import SchemaError
from automagik_prompts.storage.connection import Connection
from automagik_prompts.storage.dialects.base import DatabaseReader
from automagik_prompts.storage.introspection import columns
from automagik_prompts.storage.models import APP_LABEL

_RECORDED = "SELECT version FROM aerich WHERE app = ? ORDER BY id"


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the history.

    Attributes:
        version: The file's name, as aerich's table has it.
        number: Its place in the order.
        path: The file.
    """

    version: str
    number: int
    path: Path

    def load(self) -> ModuleType:
        """Import the file."""
        spec = importlib.util.spec_from_file_location(f"{APP_LABEL}_migration_{self.number}", self.path)
        if spec is None or spec.loader is None:
            raise SchemaError(f"The migration {self.path} cannot be read. Install the package again.")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module


def migrations_folder() -> Path:
    """Return the folder of the migration files: inside an installed package, or beside it in the repository."""
    for folder in (_PACKAGE / "_migrations" / APP_LABEL, _PACKAGE.parent / "aerich_migrations" / APP_LABEL):
        if folder.is_dir():
            return folder
    raise SchemaError("The migration files are not there. Install the package automagik-prompts again.")


def all_migrations() -> tuple[Migration, ...]:
    """Return every step that this release knows, in order."""
    found = []
    for path in migrations_folder().glob("*.py"):
        number, _, name = path.stem.partition("_")
        if number.isdigit() and name:
            found.append(Migration(path.name, int(number), path))
    return tuple(sorted(found, key=lambda migration: migration.number))


async def applied_versions(db: BaseDBAsyncClient) -> tuple[str, ...]:
    """Return the versions in aerich's history table, in the order in which they were applied."""
    return await read_applied(Connection(db))


async def recorded_versions(db: BaseDBAsyncClient) -> set[str]:
    """Return the same where the table is there, in one statement; none where it is not."""
    try:
        return {str(row["version"]) for row in await Connection(db).rows(_RECORDED, APP_LABEL)}
    except OperationalError:
        return set()  # whoever finds fewer than there should be looks more thoroughly, and is told why


async def read_applied(db: DatabaseReader) -> tuple[str, ...]:
    """Return the same as `applied_versions`, through any connection."""
    if not await columns(db, "aerich"):
        return ()
    rows = await db.rows(_RECORDED, APP_LABEL)
    return tuple(str(row["version"]) for row in rows)


def missing_versions(applied: Sequence[str]) -> tuple[str, ...]:
    """Return the versions that are missing besides those that were applied."""
    return tuple(migration.version for migration in all_migrations() if migration.version not in applied)


_PACKAGE = Path(__file__).resolve().parents[1]
