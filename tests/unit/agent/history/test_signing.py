"""Signatures: bound to all that they stand for, and of no other key."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from automagik_prompts.agent.history.signing import entry_of, is_signed, sign
from automagik_prompts.agent.history.used import UsedPrompt
from automagik_prompts.domain.history import HistoryRules
from automagik_prompts.domain.served import Source

KEYS = (b"the first key, secret", b"another key, as secret")
FIELDS = ("agent", "status_key", "asked_status_key", "version", "content_hash")

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
prompts = st.builds(
    UsedPrompt,
    agent=names,
    status_key=names,
    version=st.none() | st.integers(1, 2**31 - 1),
    prompt_id=st.none(),
    source=st.just(Source.DATABASE),
    content_hash=names,
    asked_status_key=names,
    run_id=st.none(),
)
conversations = st.none() | names


@given(prompts, conversations)
def test_what_was_signed_is_verified(used: UsedPrompt, conversation: str | None) -> None:
    """A signature fits what it was made of, with each key, and is plain text for JSON and URLs."""
    for key in KEYS:
        signature = sign(key, used, conversation)
        assert is_signed(KEYS, used, conversation, signature)
        assert not is_signed([one for one in KEYS if one != key], used, conversation, signature)
        assert len(signature) == 43
        assert signature.replace("-", "").replace("_", "").isalnum()


@given(prompts, conversations, st.sampled_from(FIELDS), names)
def test_each_field_counts(used: UsedPrompt, conversation: str | None, field: str, text: str) -> None:
    """A change of one field breaks it, also where it moves letters into the next field or looks alike."""
    signature = sign(KEYS[0], used, conversation)
    value = getattr(used, field)
    other: Any = (7 if value is None else value + 1) if field == "version" else text
    assume(other != value)
    assert not is_signed(KEYS, replace(used, **{field: other}), conversation, signature)
    assert not is_signed(KEYS, used, f"{conversation}.", signature)
    if used.agent:
        moved = replace(used, agent=used.agent[:-1], status_key=used.agent[-1] + used.status_key)
        assert not is_signed(KEYS, moved, conversation, signature)


@given(prompts, st.none() | st.text(max_size=50))
def test_any_other_signature(used: UsedPrompt, signature: str | None) -> None:
    """What is no signature is refused, whatever letters it has."""
    assume(signature != sign(KEYS[0], used, "chat"))
    assert not is_signed(KEYS[:1], used, "chat", signature)
    assert not is_signed((), used, "chat", sign(KEYS[0], used, "chat"))


@pytest.mark.parametrize(("one", "other"), [(None, "null"), (None, ""), ("a", '"a"')])
def test_what_looks_alike(one: str | None, other: str | None) -> None:
    """No two different ones are signed alike."""
    used = UsedPrompt("stan", "NEW", 1, 1, Source.DATABASE, "0", "NEW", None)
    assert not is_signed(KEYS, used, other, sign(KEYS[0], used, one))


@given(prompts)
def test_tokens_bring_back_what_they_stand_for(used: UsedPrompt) -> None:
    """What an application keeps is read again as it was, also by another process; anything else is no token."""
    told = replace(used, status_key=used.status_key or "A", content_hash=used.content_hash or "0")
    assert UsedPrompt.from_token(told.token) == told
    for broken in (told.token[:-2], told.token + "x", "", "%", "e30", "\ud800"):
        assert UsedPrompt.from_token(broken) != told


def test_nothing_secret_shows() -> None:
    """Keys are in no representation, and a token names neither statuses nor hashes."""
    used = UsedPrompt("stan", "FRAUD_SUSPECTED", 3, 9, Source.DATABASE, "f" * 64, "FRAUD_SUSPECTED", None)
    rules = HistoryRules(KEYS, "opaque")
    assert "secret" not in repr(rules)
    entry = entry_of(used, rules, "chat")
    assert entry is not None
    assert set(entry) == {"agent", "version", "source", "proof"}
    assert "FRAUD" not in repr(entry)
    assert "ffff" not in repr(entry)
