"""What a program over the network has: the tokens that let it in, and the answers to writes that it may repeat."""

from __future__ import annotations

from typing import Any

from tortoise import Model, fields

from automagik_prompts.domain.validation import MAX_NAME_LENGTH
from automagik_prompts.storage.models.base import APP_LABEL, UtcField, free


class TokenRow(Model):
    """A token for a program: who it acts as and with which rights; the token itself is kept nowhere."""

    id = fields.IntField(primary_key=True)
    name = fields.CharField(max_length=MAX_NAME_LENGTH)
    hash = fields.CharField(max_length=64, unique=True)
    actor_id = fields.CharField(max_length=MAX_NAME_LENGTH)
    actor_name: fields.Field[str | None] = fields.CharField(max_length=MAX_NAME_LENGTH, null=True)
    roles: fields.Field[Any] = fields.JSONField()
    # Names or patterns, as those of an actor.
    agents: fields.Field[Any] = fields.JSONField()
    created_at = UtcField()
    created_by: fields.Field[str | None] = fields.CharField(max_length=MAX_NAME_LENGTH, null=True)
    expires_at: fields.Field[Any] = UtcField(null=True)
    revoked_at: fields.Field[Any] = UtcField(null=True)
    last_used_at: fields.Field[Any] = UtcField(null=True)

    class Meta:
        """Names of the table and the app."""

        table = "prompt_tokens"
        app = APP_LABEL


class IdempotencyRow(Model):
    """What a write was answered, kept in its own transaction: whoever repeats it with the same key gets that again."""

    id = fields.IntField(primary_key=True)
    actor_id = fields.CharField(max_length=MAX_NAME_LENGTH)
    key = fields.CharField(max_length=MAX_NAME_LENGTH)
    fingerprint = fields.CharField(max_length=64)
    status: fields.Field[int | None] = fields.IntField(null=True)
    headers: fields.Field[Any] = fields.JSONField(null=True)
    body: fields.Field[Any] = fields.TextField(null=True)
    created_at = UtcField()

    class Meta:
        """Names of the table and the app, and what the database guarantees."""

        table = "prompt_idempotency_keys"
        app = APP_LABEL
        unique_together = (("actor_id", "key"),)
        # What is old enough to be forgotten.
        indexes = (("created_at",),)


free(TokenRow, IdempotencyRow)
