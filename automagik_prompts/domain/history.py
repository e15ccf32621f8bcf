"""What histories say about prompts, and what is believed of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Provenance = Literal["full", "opaque", "off"]
"""What a request in a history says about its prompt: all that identifies it, a token that only the key's owner can
read, or nothing."""


@dataclass(frozen=True, slots=True)
class HistoryRules:
    """What is written into histories, and what is believed of them.

    Attributes:
        keys: The keys that sign what is written: the first one signs, each of them is believed. Without any, nothing is
            signed, and a history is believed as far as it can be checked.
        provenance: How much is written.
        pin_timeout: Seconds that a run waits for the version that its conversation goes on with, at most.
        baggage: Whether the prompt travels as OpenTelemetry baggage to the services that are called.
        is_plain: Whether histories say all, and nothing is signed.
    """

    keys: tuple[bytes, ...] = field(default=(), repr=False)
    provenance: Provenance = "full"
    pin_timeout: float = 0.2
    baggage: bool = False

    is_plain: bool = field(init=False)

    def __post_init__(self) -> None:
        # Asked for by every model request.
        object.__setattr__(self, "is_plain", self.provenance == "full" and not self.keys)
