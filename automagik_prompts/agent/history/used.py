"""A prompt that a model was sent, by what identifies it: what histories say and applications keep."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from automagik_prompts.domain.served import ServedPrompt, Source
from automagik_prompts.domain.validation import is_number

ProvenanceEntry = Mapping[str, Any]
"""What a history says about a prompt that was sent, as plain values for JSON; the run is added where it is written."""


@dataclass(frozen=True, slots=True)
class UsedPrompt:
    """A prompt that a model was sent, by what identifies it; the text itself is in the history's system prompt.

    Attributes:
        agent: The agent's name.
        status_key: The status that the text belongs to.
        version: Its number; `None` for a text that had none (code, override).
        prompt_id: Its id in the database, if it came from there.
        source: Where it came from.
        content_hash: The SHA-256 of the text before it was filled, hexadecimal.
        asked_status_key: The status of the run; another one than `status_key` where that had no text of its own.
        run_id: The run that sent it.
        proof: The signature that the history has for it, or the token where that is all that it says: then the statuses
            and the hash are empty.
    """

    agent: str
    status_key: str
    version: int | None
    prompt_id: int | None
    source: Source
    content_hash: str
    asked_status_key: str
    run_id: str | None
    proof: str | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(cls, prompt: ServedPrompt, asked_status_key: str) -> Self:
        """Return what identifies a served prompt, for no run in particular."""
        return cls(
            prompt.agent,
            prompt.status_key,
            prompt.version,
            prompt.prompt_id,
            prompt.source,
            prompt.content_hash,
            asked_status_key,
            None,
        )

    def __str__(self) -> str:
        which = f"version {self.version}" if self.version is not None else "the text"
        return f"{self.agent}/{self.status_key or '?'}: {which} from {self.source.value}"

    @property
    def is_opaque(self) -> bool:
        """Whether the history says only a token, in place of statuses and hash."""
        return not self.content_hash

    @property
    def token(self) -> str:
        """What identifies it as one string, for an application to keep and to give back in `ActivePrompt(pin=...)`."""
        entry = {**self.facts(), "proof": self.proof}
        return urlsafe_b64encode(json.dumps(entry, separators=(",", ":")).encode()).decode().rstrip("=")

    @classmethod
    def from_token(cls, token: str) -> Self | None:
        """Return what a token says, or `None` for a string that is none."""
        try:
            value = json.loads(urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        except (ValueError, RecursionError):
            return None
        return cls.from_metadata(value)

    def facts(self) -> dict[str, Any]:
        """Return what identifies it as plain values, but for the run."""
        return {
            "agent": self.agent,
            "status_key": self.status_key,
            "version": self.version,
            "prompt_id": self.prompt_id,
            "source": self.source.value,
            "content_hash": self.content_hash,
            "asked_status_key": self.asked_status_key,
        }

    @classmethod
    def from_metadata(cls, value: object) -> Self | None:
        """Return what plain values say, or `None` for values of another kind: a history can come from anywhere."""
        if not isinstance(value, Mapping):
            return None
        agent, source, version, proof = (value.get(name) for name in ("agent", "source", "version", "proof"))
        if not isinstance(agent, str) or not isinstance(source, str) or source not in set(Source):
            return None
        status_key, digest, asked = (value.get(name) for name in ("status_key", "content_hash", "asked_status_key"))
        proof = proof if isinstance(proof, str) else None
        is_told = isinstance(status_key, str) and isinstance(digest, str) and status_key and digest
        if not is_told and proof is None:
            return None
        prompt_id, run_id = value.get("prompt_id"), value.get("run_id")
        return cls(
            agent=agent,
            status_key=str(status_key) if is_told else "",
            version=version if is_number(version) else None,
            prompt_id=prompt_id if type(prompt_id) is int else None,
            source=Source(source),
            content_hash=str(digest) if is_told else "",
            asked_status_key=(asked if isinstance(asked, str) else str(status_key)) if is_told else "",
            run_id=run_id if isinstance(run_id, str) else None,
            proof=proof,
        )
