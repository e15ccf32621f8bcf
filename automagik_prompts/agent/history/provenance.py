"""Which prompt a model was sent: written into the history with each request, and read from it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from pydantic_ai.messages import ModelMessage, ModelRequest

from automagik_prompts.agent.history.signing import is_signed
from automagik_prompts.agent.history.used import ProvenanceEntry, UsedPrompt
from automagik_prompts.domain.protocols import PromptSource

METADATA_KEY = "automagik_prompts"
"""Where `ModelRequest.metadata` holds it: a mapping of agent names to what was sent. It is never sent to a model."""


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

    @property
    def token(self) -> str | None:
        """What identifies the last one as one string, for an application to keep; `None` if there is none."""
        return self.last.token if self.last is not None else None


class _Result(Protocol):
    def all_messages(self) -> list[ModelMessage]: ...


def prompt_used(
    result_or_messages: _Result | Sequence[ModelMessage], *, plugin: PromptSource | None = None
) -> PromptsUsed:
    """Return which prompts a model was sent, per request and per run.

    Args:
        result_or_messages: The result of a run, streamed or not, a run under way, or a history.
        plugin: Reads the tokens of histories that say nothing else (`provenance="opaque"`), as far as it has the
            versions in memory. What it cannot read, or without it, has empty statuses and an empty hash.

    Returns:
        What the requests sent; empty where no managed agent sent one.
    """
    given = result_or_messages
    messages = given if isinstance(given, Sequence) else given.all_messages()
    requests = [message for message in messages if isinstance(message, ModelRequest)]
    if plugin is None:
        return PromptsUsed(tuple(map(_told, requests)))
    return PromptsUsed(
        tuple(tuple(_read(used, plugin, request.conversation_id) for used in _told(request)) for request in requests)
    )


def strip_provenance(messages: Sequence[ModelMessage]) -> list[ModelMessage]:
    """Return messages without what they say about the prompts that were sent, for those who need not know.

    Args:
        messages: A history; it stays as it is.
    """
    return [_stripped(message) for message in messages]


def _stripped(message: ModelMessage) -> ModelMessage:
    if not isinstance(message, ModelRequest) or METADATA_KEY not in (message.metadata or {}):
        return message
    rest = {key: value for key, value in (message.metadata or {}).items() if key != METADATA_KEY}
    return replace(message, metadata=rest or None)


def _read(used: UsedPrompt, plugin: PromptSource, conversation: str | None) -> UsedPrompt:
    """Return what a token stands for, if that is in memory."""
    if not used.is_opaque:
        return used
    statuses, known = plugin.reader.remembered(used.agent, used.version)
    for prompt in known:
        for asked in {prompt.status_key: None, **dict.fromkeys(statuses)}:
            read = UsedPrompt.of(prompt, asked)
            if is_signed(plugin.reader.history.keys, read, conversation, used.proof):
                return replace(read, source=used.source, run_id=used.run_id, proof=used.proof)
    return used


def last_used(messages: Sequence[ModelMessage], agent: str) -> UsedPrompt | None:
    """Return what an agent's model was sent last in a history, or `None`."""
    for message in reversed(messages):
        if isinstance(message, ModelRequest) and message.metadata is not None:
            for used in _told(message):
                if used.agent == agent:
                    return used
    return None


def signed_texts(
    messages: Sequence[ModelMessage], agent: str, keys: Sequence[bytes], conversation: str | None
) -> frozenset[tuple[str, str]]:
    """Return the texts of an agent, by status and hash, that a history names with a signature."""
    told = (used for message in messages if isinstance(message, ModelRequest) for used in _told(message))
    return frozenset(
        (used.status_key, used.content_hash)
        for used in told
        if used.agent == agent and not used.is_opaque and is_signed(keys, used, conversation, used.proof)
    )


def record_provenance(
    entry: ProvenanceEntry | None,
    agent: str,
    run_id: str | None,
    sent: Sequence[ModelMessage],
    kept: Sequence[ModelMessage],
) -> None:
    """Write on the request that is being sent, in both lists of messages that end with it, what it sends.

    Where nothing is to be written, what another run wrote there goes.

    Pydantic AI makes this request anew for each step of a run and records on it in the same way. Its metadata may still
    be the caller's, so that is replaced and not written into.
    """
    last, other = sent[-1] if sent else None, kept[-1] if kept else None
    for request in (last,) if other is last else (last, other):
        if isinstance(request, ModelRequest):
            if entry is not None:
                made, known = {**entry, "run_id": run_id}, request.metadata
                request.metadata = _with_entry(known, made) if known else {METADATA_KEY: {agent: made}}
            elif request.metadata and METADATA_KEY in request.metadata:
                request.metadata = _without_entry(request.metadata, agent)


def _with_entry(metadata: Mapping[str, Any], entry: ProvenanceEntry) -> dict[str, Any]:
    """Return a request's metadata with what this run sends; what another run sent with the same request goes."""
    known = metadata.get(METADATA_KEY)
    kept = {
        name: value
        for name, value in (known.items() if isinstance(known, Mapping) else ())
        if isinstance(value, Mapping) and value.get("run_id") == entry["run_id"]
    }
    return {**metadata, METADATA_KEY: {**kept, entry["agent"]: entry}}


def _without_entry(metadata: Mapping[str, Any], agent: str) -> dict[str, Any] | None:
    """Return a request's metadata without what it says about an agent's prompt."""
    known = metadata[METADATA_KEY]
    kept = {name: value for name, value in known.items() if name != agent} if isinstance(known, Mapping) else {}
    rest = {key: value for key, value in metadata.items() if key != METADATA_KEY}
    return {**rest, METADATA_KEY: kept} if kept else rest or None


def _told(request: ModelRequest) -> tuple[UsedPrompt, ...]:
    entries = (request.metadata or {}).get(METADATA_KEY)
    if not isinstance(entries, Mapping):
        return ()
    return tuple(used for value in entries.values() if (used := UsedPrompt.from_metadata(value)) is not None)
