"""Which prompt a model was sent: written into the history with each request, and read from it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

from pydantic_ai.messages import ModelMessage, ModelRequest

from automagik_prompts.domain.served import ServedPrompt, Source

ProvenanceEntry = Mapping[str, Any]
"""What a history says about a prompt that was sent, as plain values for JSON; the run is added where it is written."""

METADATA_KEY = "automagik_prompts"
"""Where `ModelRequest.metadata` holds it: a mapping of agent names to what was sent. It is never sent to a model."""


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
    """

    agent: str
    status_key: str
    version: int | None
    prompt_id: int | None
    source: Source
    content_hash: str
    asked_status_key: str
    run_id: str | None

    @classmethod
    def of(cls, prompt: ServedPrompt, asked_status_key: str) -> Self:
        """Return what identifies a served prompt, for no run in particular."""
        return cls(**{**entry_of(prompt, asked_status_key), "source": prompt.source, "run_id": None})

    def __str__(self) -> str:
        which = f"version {self.version}" if self.version is not None else "the text"
        return f"{self.agent}/{self.status_key}: {which} from {self.source.value}"

    @classmethod
    def from_metadata(cls, value: object) -> Self | None:
        """Return what plain values say, or `None` for values of another kind: a history can come from anywhere."""
        if not isinstance(value, Mapping):
            return None
        agent, status_key, digest = value.get("agent"), value.get("status_key"), value.get("content_hash")
        if not (isinstance(agent, str) and isinstance(status_key, str) and isinstance(digest, str)):
            return None
        version, prompt_id, source = value.get("version"), value.get("prompt_id"), value.get("source")
        if not isinstance(source, str) or source not in set(Source):
            return None
        asked, run_id = value.get("asked_status_key"), value.get("run_id")
        return cls(
            agent=agent,
            status_key=status_key,
            version=version if type(version) is int else None,
            prompt_id=prompt_id if type(prompt_id) is int else None,
            source=Source(source),
            content_hash=digest,
            asked_status_key=asked if isinstance(asked, str) else status_key,
            run_id=run_id if isinstance(run_id, str) else None,
        )


@dataclass(frozen=True, slots=True)
class PromptsUsed:
    """The prompts that the requests of a history sent.

    Attributes:
        requests: For each model request of the history, in order, what it sent; empty for one that no managed agent
            sent, and more than one entry for an agent with several prompts.
    """

    requests: tuple[tuple[UsedPrompt, ...], ...]

    @property
    def runs(self) -> dict[str, tuple[UsedPrompt, ...]]:
        """The different prompts that each run sent, by run id, in the order of their first use."""
        found: dict[str, dict[UsedPrompt, None]] = {}
        for sent in self.requests:
            for used in sent:
                found.setdefault(used.run_id or "", {})[used] = None
        return {run_id: tuple(prompts) for run_id, prompts in found.items()}

    @property
    def last(self) -> UsedPrompt | None:
        """What the last request of a managed agent sent; of several prompts, the last one."""
        return next((sent[-1] for sent in reversed(self.requests) if sent), None)


class _Result(Protocol):
    def all_messages(self) -> list[ModelMessage]: ...


def prompt_used(result_or_messages: _Result | Sequence[ModelMessage]) -> PromptsUsed:
    """Return which prompts a model was sent, per request and per run.

    Args:
        result_or_messages: The result of a run, streamed or not, a run under way, or a history.

    Returns:
        What the requests sent; empty where no managed agent sent one.
    """
    given = result_or_messages
    messages = given if isinstance(given, Sequence) else given.all_messages()
    return PromptsUsed(tuple(_told(message) for message in messages if isinstance(message, ModelRequest)))


def entry_of(prompt: ServedPrompt, asked_status_key: str) -> ProvenanceEntry:
    """Return what histories say about a prompt that is sent for a status."""
    return {
        "agent": prompt.agent,
        "status_key": prompt.status_key,
        "version": prompt.version,
        "prompt_id": prompt.prompt_id,
        "source": prompt.source.value,
        "content_hash": prompt.content_hash,
        "asked_status_key": asked_status_key,
    }


def last_used(messages: Sequence[ModelMessage], agent: str) -> UsedPrompt | None:
    """Return what an agent's model was sent last in a history, or `None`."""
    for message in reversed(messages):
        if isinstance(message, ModelRequest) and message.metadata is not None:
            for used in _told(message):
                if used.agent == agent:
                    return used
    return None


def record_provenance(entry: ProvenanceEntry, run_id: str | None, *histories: Sequence[ModelMessage]) -> None:
    """Write on the request that is being sent, in each list of messages that ends with it, what it sends.

    Pydantic AI makes this request anew for each step of a run and records on it in the same way. Its metadata may still
    be the caller's, so that is replaced and not written into.
    """
    signed: ModelRequest | None = None
    for messages in histories:
        request = messages[-1] if messages else None
        if isinstance(request, ModelRequest) and request is not signed:
            request.metadata = _signed(request.metadata, {**entry, "run_id": run_id})
            signed = request


def _signed(metadata: Mapping[str, Any] | None, entry: ProvenanceEntry) -> dict[str, Any]:
    """Return a request's metadata with what this run sends; what another run sent with the same request goes."""
    if not metadata:
        return {METADATA_KEY: {entry["agent"]: entry}}
    known = metadata.get(METADATA_KEY)
    kept = {
        name: value
        for name, value in (known.items() if isinstance(known, Mapping) else ())
        if isinstance(value, Mapping) and value.get("run_id") == entry["run_id"]
    }
    return {**metadata, METADATA_KEY: {**kept, entry["agent"]: entry}}


def _told(request: ModelRequest) -> tuple[UsedPrompt, ...]:
    entries = (request.metadata or {}).get(METADATA_KEY)
    if not isinstance(entries, Mapping):
        return ()
    return tuple(used for value in entries.values() if (used := UsedPrompt.from_metadata(value)) is not None)
