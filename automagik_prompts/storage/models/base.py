"""What all models share: the app, moments in UTC, unique partial indexes, and no database kept on the class."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

from pypika_tortoise.queries import Query
from tortoise import Model, fields
from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.backends.base.schema_generator import BaseSchemaGenerator
from tortoise.context import require_context
from tortoise.indexes import PartialIndex
from tortoise.models import MetaInfo

APP_LABEL = "automagik_prompts"
"""The app label, also the folder of the migrations; nobody else's models have it."""


class UtcField(fields.DatetimeField[datetime]):
    """A moment in UTC, whatever time zone the application application has chosen for its own models.

    Tortoise's own field follows settings that hold for the whole process.
    """

    def to_python_value(self, value: Any) -> datetime | None:
        """Return an aware datetime in UTC for what the driver returned."""
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        if not isinstance(value, datetime):
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

    def to_db_value(self, value: Any, instance: type[Model] | Model) -> Any:  # noqa: ARG002  # Tortoise's signature
        """Return what the driver stores: the aware datetime as it is."""
        return value


class PartialUniqueIndex(PartialIndex):
    """A unique index over the active rows only: the database itself allows one active version per agent and status.

    Tortoise's `PartialIndex` is not unique. Both SQLite and PostgreSQL know partial unique indexes.
    """

    def get_sql(self, schema_generator: BaseSchemaGenerator, model: type[Model], safe: bool) -> str:
        """Return the statement that creates the index."""
        statement = super().get_sql(schema_generator, model, safe)
        return statement.replace("CREATE INDEX", "CREATE UNIQUE INDEX", 1)


_NATIVE = frozenset({bytes, str, int, float})
"""What the driver of each engine hands over as Python has it."""


class _Meta(MetaInfo):
    """What Tortoise knows of a model; what depends on the engine comes from the database context in force.

    Tortoise keeps it on the class, where the database that was opened last would decide for all of them: a process
    with an SQLite and a PostgreSQL database open would send one of them the statements of the other.
    """

    __slots__ = ()

    @property
    def db(self) -> BaseDBAsyncClient:
        """The connection of the context in force."""
        context = require_context()
        alias = self.default_connection
        if alias not in context.connections.db_config and context.default_connection is not None:
            alias = context.default_connection
        return context.connections.get(str(alias))

    @property
    def basequery(self) -> Query:
        """The beginning of each statement."""
        return cast(Query, self.db.query_class.from_(self.basetable))

    @basequery.setter
    def basequery(self, value: Query) -> None:
        """Tortoise's own, for the database that was opened last, is not kept."""

    @property
    def basequery_all_fields(self) -> Query:
        """The beginning of each statement that reads whole rows."""
        return cast(Query, self.basequery.select(*self.db_fields))

    @basequery_all_fields.setter
    def basequery_all_fields(self, value: Query) -> None:
        """As above."""

    def _generate_db_fields(self) -> None:
        """Return which columns of a row are converted and how: the same for each engine.

        Tortoise goes by the database that was opened last, and empties these lists to fill them again, while another
        thread may be reading rows by them.
        """
        native: list[tuple[str, str, fields.Field[Any]]] = []
        default: list[tuple[str, str, fields.Field[Any]]] = []
        complex_: list[tuple[str, str, fields.Field[Any]]] = []
        for column in self.db_fields:
            name = self.fields_db_projection_reverse[column]
            field = self.fields_map[name]
            if type(field).to_python_value is not fields.Field.to_python_value:
                complex_.append((column, name, field))
            else:
                (native if field.field_type in _NATIVE else default).append((column, name, field))
        self.db_native_fields, self.db_default_fields, self.db_complex_fields = native, default, complex_


def free(*models: type[Model]) -> None:
    """Have these models go by the database context in force, and not by the database that was opened last."""
    for model in models:
        model._meta.__class__ = _Meta  # noqa: SLF001  # Tortoise has no way to choose it
