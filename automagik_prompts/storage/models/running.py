"""Which processes follow the database, and how many runs each version was sent to."""

from __future__ import annotations

from typing import Any

from tortoise import Model, fields

from automagik_prompts.domain.validation import MAX_NAME_LENGTH
from automagik_prompts.storage.models.base import APP_LABEL, UtcField, free


class ProcessRow(Model):
    """A process that follows: it says so about once a minute, and is gone when it has not for a while."""

    id = fields.CharField(max_length=32, primary_key=True)
    host = fields.CharField(max_length=MAX_NAME_LENGTH)
    pid = fields.IntField()
    release: fields.Field[str | None] = fields.CharField(max_length=MAX_NAME_LENGTH, null=True)
    code_hash: fields.Field[str | None] = fields.CharField(max_length=64, null=True)
    state = fields.CharField(max_length=16)
    # Which log of changes it follows, and how far it serves what that notes.
    server = fields.TextField()
    position = fields.TextField()
    # The agents that it follows besides those that its code declares, as patterns; NULL means all.
    follows: fields.Field[Any] = fields.JSONField(null=True)
    # Active versions that it cannot serve.
    problems: fields.Field[Any] = fields.JSONField()
    started_at = UtcField()
    # Neither has an index: so each UPDATE stays within its page.
    seen_at = UtcField()
    due_at = UtcField()

    class Meta:
        """Names of the table and the app."""

        table = "prompt_processes"
        app = APP_LABEL


class UsageRow(Model):
    """To how many runs a process has sent a version on a day: its total, and not what it adds to one.

    The process without a name has the sums of processes that are gone, and of old days.
    """

    # Large: each attempt to insert a row that is there takes a number.
    id = fields.BigIntField(primary_key=True)
    # A number and no relation: counting must never wait for an edit, nor fail for one.
    prompt_id = fields.BigIntField()
    day = fields.DateField()
    process_id = fields.CharField(max_length=32)
    runs = fields.BigIntField()

    class Meta:
        """Names of the table and the app, and what the database guarantees."""

        table = "prompt_usage"
        app = APP_LABEL
        unique_together = (("prompt_id", "day", "process_id"),)
        # What is summed up.
        indexes = (("process_id", "day"),)


free(ProcessRow, UsageRow)
