"""Signatures under what histories say about prompts, so that one that went through a browser can be believed."""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Iterable

from automagik_prompts.agent.history.used import ProvenanceEntry, UsedPrompt
from automagik_prompts.domain.history import HistoryRules

_PURPOSE = "automagik_prompts history 1"
"""What the key is used for here: a signature for another purpose is none."""


def sign(key: bytes, used: UsedPrompt, conversation: str | None) -> str:
    """Return the signature of a prompt that a conversation was sent.

    Args:
        key: The key.
        used: The prompt; its agent, status, version and text are bound, and the status that was asked for.
        conversation: The id of the conversation.
    """
    # As JSON, so that no two different ones read the same.
    bound = [used.agent, used.status_key, used.asked_status_key, used.version, used.content_hash, conversation]
    message = json.dumps([_PURPOSE, *bound], separators=(",", ":"))
    return urlsafe_b64encode(hmac.digest(key, message.encode(), "sha256")).decode().rstrip("=")


def is_signed(keys: Iterable[bytes], used: UsedPrompt, conversation: str | None, signature: str | None) -> bool:
    """Return whether a signature is that of one of the keys."""
    if signature is None or not signature.isascii():
        return False
    return any(hmac.compare_digest(sign(key, used, conversation), signature) for key in keys)


def entry_of(used: UsedPrompt, rules: HistoryRules, conversation: str | None) -> ProvenanceEntry | None:
    """Return what a history says about a prompt, but for the run; `None` for nothing.

    Args:
        used: The prompt.
        rules: How much that is, and who signs it.
        conversation: The id of the conversation.
    """
    if rules.provenance == "off":
        return None
    if not rules.keys:
        return used.facts()
    proof = sign(rules.keys[0], used, conversation)
    if rules.provenance == "full":
        return {**used.facts(), "proof": proof}
    return {"agent": used.agent, "version": used.version, "source": used.source.value, "proof": proof}
