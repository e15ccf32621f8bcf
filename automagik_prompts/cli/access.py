"""What a command may do with the database."""

from __future__ import annotations

from enum import Enum


class Access(Enum):
    """What a command does with the database.

    `READ` looks, `AS_IS` too, whatever schema the database has: both write nothing. `WRITE` changes something in what
    is there, `CREATE` may also make a missing SQLite file. `MIGRATE` brings the schema up to date, `TAKE_BACK` takes it
    back to an older one.
    """

    READ = "read"
    AS_IS = "as is"
    WRITE = "write"
    CREATE = "create"
    MIGRATE = "migrate"
    TAKE_BACK = "take back"

    @property
    def creates(self) -> bool:
        """Whether a missing SQLite file may be made."""
        return self in {Access.CREATE, Access.MIGRATE}

    @property
    def looks(self) -> bool:
        """Whether nothing is written."""
        return self in {Access.READ, Access.AS_IS}
