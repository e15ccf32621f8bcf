"""Agents, their versions and events, and what is reviewed."""

from __future__ import annotations

from typing import Any

from tortoise import Model, fields
from tortoise.indexes import PartialIndex

from automagik_prompts.domain.keys import DEFAULT_STATUS_KEY
from automagik_prompts.domain.validation import MAX_NAME_LENGTH
from automagik_prompts.storage.models.base import APP_LABEL, PartialUniqueIndex, UtcField, free


class AgentRow(Model):
    """An agent: a name, its primary status, and its write counter."""

    id = fields.IntField(primary_key=True)
    name = fields.CharField(max_length=MAX_NAME_LENGTH, unique=True)
    default_status_key = fields.CharField(max_length=MAX_NAME_LENGTH, default=DEFAULT_STATUS_KEY)
    # A foreign key in the database. Here it is a number: two relations in a circle defeat Tortoise's schema generator.
    active_default_prompt_id: fields.Field[int | None] = fields.IntField(null=True)
    variables: fields.Field[Any] = fields.JSONField(default=list)
    revision = fields.IntField(default=0)
    created_at = UtcField()
    updated_at = UtcField()
    # An application's own table may well have a column `protected`.
    protected_statuses: fields.Field[Any] = fields.JSONField(null=True)

    class Meta:
        """Names of the table and the app."""

        table = "agents"
        app = APP_LABEL


class PromptRow(Model):
    """One version of one text."""

    id = fields.IntField(primary_key=True)
    agent: fields.ForeignKeyRelation[AgentRow] = fields.ForeignKeyField(
        f"{APP_LABEL}.AgentRow", related_name="prompts", on_delete=fields.CASCADE
    )
    status_key = fields.CharField(max_length=MAX_NAME_LENGTH)
    version = fields.IntField(default=1)
    prompt_text = fields.TextField()
    format = fields.CharField(max_length=16, default="handlebars")
    is_active = fields.BooleanField(default=False)
    is_default_from_code = fields.BooleanField(default=False)
    name: fields.Field[str | None] = fields.CharField(max_length=MAX_NAME_LENGTH, null=True)
    content_hash = fields.CharField(max_length=64)
    author: fields.Field[str | None] = fields.CharField(max_length=MAX_NAME_LENGTH, null=True)
    note: fields.Field[Any] = fields.TextField(null=True)
    created_at = UtcField()
    updated_at = UtcField()

    agent_id: int

    class Meta:
        """Names of the table and the app, and what the database guarantees."""

        table = "prompts"
        app = APP_LABEL
        unique_together = (("agent_id", "status_key", "version"),)
        indexes = (
            PartialUniqueIndex(
                fields=("agent_id", "status_key"), name="uid_prompts_one_active", condition={"is_active": True}
            ),
            # What seeding compares with; stays small however many versions people write.
            PartialIndex(
                fields=("agent_id", "status_key", "version"),
                name="idx_prompts_from_code",
                condition={"is_default_from_code": True},
            ),
        )


class EventRow(Model):
    """One line of an agent's append-only history."""

    id = fields.IntField(primary_key=True)
    agent: fields.ForeignKeyRelation[AgentRow] = fields.ForeignKeyField(
        f"{APP_LABEL}.AgentRow", related_name="events", on_delete=fields.CASCADE
    )
    status_key = fields.CharField(max_length=MAX_NAME_LENGTH)
    action = fields.CharField(max_length=32)
    # A number and no relation: an event outlives the version that it is about.
    prompt_id: fields.Field[int | None] = fields.IntField(null=True)
    version: fields.Field[int | None] = fields.IntField(null=True)
    from_version: fields.Field[int | None] = fields.IntField(null=True)
    author: fields.Field[str | None] = fields.CharField(max_length=MAX_NAME_LENGTH, null=True)
    note: fields.Field[Any] = fields.TextField(null=True)
    revision = fields.IntField(default=0)
    created_at = UtcField()
    actor_id: fields.Field[str | None] = fields.CharField(max_length=MAX_NAME_LENGTH, null=True)
    request_id: fields.Field[int | None] = fields.IntField(null=True)
    approval: fields.Field[str | None] = fields.CharField(max_length=16, null=True)
    # The database's own word, by a trigger: what is written here does not count.
    db_user: fields.Field[str | None] = fields.CharField(max_length=MAX_NAME_LENGTH, null=True)

    agent_id: int

    class Meta:
        """Names of the table and the app."""

        table = "prompt_events"
        app = APP_LABEL
        # The second one: whether a status was written to since a revision.
        indexes = (("agent_id", "id"), ("agent_id", "status_key", "revision"))


class RequestRow(Model):
    """A change of an active version that needs approval."""

    id = fields.IntField(primary_key=True)
    agent: fields.ForeignKeyRelation[AgentRow] = fields.ForeignKeyField(
        f"{APP_LABEL}.AgentRow", related_name="requests", on_delete=fields.CASCADE
    )
    status_key = fields.CharField(max_length=MAX_NAME_LENGTH)
    operation = fields.CharField(max_length=16)
    # Numbers and no relations: a request outlives the version that it is about.
    prompt_id: fields.Field[int | None] = fields.IntField(null=True)
    version: fields.Field[int | None] = fields.IntField(null=True)
    content_hash: fields.Field[str | None] = fields.CharField(max_length=64, null=True)
    from_prompt_id: fields.Field[int | None] = fields.IntField(null=True)
    from_version: fields.Field[int | None] = fields.IntField(null=True)
    # The newest event that had changed the active version: a later one lets the request lapse, for good.
    from_event = fields.IntField(default=0)
    state = fields.CharField(max_length=16)
    author: fields.Field[str | None] = fields.CharField(max_length=MAX_NAME_LENGTH, null=True)
    actor_id: fields.Field[str | None] = fields.CharField(max_length=MAX_NAME_LENGTH, null=True)
    note: fields.Field[Any] = fields.TextField(null=True)
    created_at = UtcField()
    decided_at: fields.Field[Any] = UtcField(null=True)
    decided_by: fields.Field[str | None] = fields.CharField(max_length=MAX_NAME_LENGTH, null=True)

    agent_id: int

    class Meta:
        """Names of the table and the app."""

        table = "prompt_requests"
        app = APP_LABEL
        indexes = (("agent_id", "status_key", "state"), ("state", "id"))


class DraftRow(Model):
    """A text that somebody is still writing."""

    id = fields.IntField(primary_key=True)
    agent: fields.ForeignKeyRelation[AgentRow] = fields.ForeignKeyField(
        f"{APP_LABEL}.AgentRow", related_name="drafts", on_delete=fields.CASCADE
    )
    status_key = fields.CharField(max_length=MAX_NAME_LENGTH)
    actor_id = fields.CharField(max_length=MAX_NAME_LENGTH)
    prompt_text = fields.TextField()
    format = fields.CharField(max_length=16)
    note: fields.Field[Any] = fields.TextField(null=True)
    base_version: fields.Field[int | None] = fields.IntField(null=True)
    counter = fields.IntField(default=1)
    # The row stays, with its counter: a save upon a draft that is gone must never meet a newer one by chance.
    is_discarded = fields.BooleanField(default=False)
    updated_at = UtcField()

    agent_id: int

    class Meta:
        """Names of the table and the app, and what the database guarantees."""

        table = "prompt_drafts"
        app = APP_LABEL
        unique_together = (("agent_id", "status_key", "actor_id"),)


class BaseRow(Model):
    """The code's version that a person's version takes into account: beside the version, whose row never changes."""

    prompt: fields.OneToOneRelation[PromptRow] = fields.OneToOneField(
        f"{APP_LABEL}.PromptRow", related_name="base", on_delete=fields.CASCADE, primary_key=True
    )
    code_version = fields.IntField()

    prompt_id: int

    class Meta:
        """Names of the table and the app."""

        table = "prompt_bases"
        app = APP_LABEL


free(AgentRow, PromptRow, EventRow, RequestRow, DraftRow, BaseRow)
