"""The tables, as Tortoise ORM models. Only `storage.repository` and `schema` look at them."""

from automagik_prompts.storage.models.access import IdempotencyRow, TokenRow
from automagik_prompts.storage.models.base import APP_LABEL, UtcField
from automagik_prompts.storage.models.prompts import AgentRow, BaseRow, DraftRow, EventRow, PromptRow, RequestRow
from automagik_prompts.storage.models.running import ProcessRow, UsageRow

__all__ = [
    "APP_LABEL",
    "AgentRow",
    "BaseRow",
    "DraftRow",
    "EventRow",
    "IdempotencyRow",
    "ProcessRow",
    "PromptRow",
    "RequestRow",
    "TokenRow",
    "UsageRow",
    "UtcField",
]
