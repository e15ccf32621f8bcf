"""Why a bar is missed where it is, for the report; each says what the profile shows and what could change it."""

from __future__ import annotations

_REASONS = {
    "run": (
        "A managed agent does more than one with an empty capability: Pydantic AI asks a function for its system "
        "prompt instead of copying a string, makes a context of its own for each hook that a capability has, and this "
        "library finds out the status, chooses the version, makes sure that the text is in the messages exactly once, "
        "and writes into the history what was told. *What a run calls*, below, counts it: about one call in fifty of "
        "the run is this library's. `TestModel` answers in no time; beside a real model's second it is one part in "
        "ten thousand. Which of several equal agents is faster also depends on how their objects lie in memory, which "
        "is the noise given above."
    ),
    "managed": "ManagedPrompt's added cost is the difference of two medians too, so the ratio is as noisy as both.",
    "read": "A read is two dictionary lookups and the checks of overrides; see the table for what the machine gives.",
    "cold": (
        "A cold start writes each text with its version, its event and its hash in one transaction per agent, because "
        "several processes may start at once and each agent's `UPDATE` is their lock; prompt-pivot's import writes all "
        "in one transaction, and cannot be run twice at once. What is left are the inserts and their commits."
    ),
    "unchanged": (
        "An unchanged start still connects, asks for the schema's version, reads what is active with the hashes of all "
        "code versions, and compiles what it serves. Its fixed part, connecting and the thread's start, does not "
        "shrink with the number of prompts, while batching made the cold start cheaper."
    ),
    "import": (
        "Most of it is Tortoise ORM, which the design asks for; what a process needs only for editing, migrating and "
        "the command line is imported when it is first used. SQLAlchemy without its ORM imports faster."
    ),
    "memory": (
        "Resident memory beside Pydantic AI is Tortoise ORM with its drivers, the thread with its event loop, and the "
        "pool of connections."
    ),
    "served": "A process is told at the commit, waits up to 20 ms so that not all ask at once, reads and compiles.",
    "growth": "See the plans below: what grows is the number of pages that an index of a million rows has.",
    "threads": (
        "Threads share one interpreter lock, so the ratio is that of the work done per run, and carries the noise of "
        "the scheduler. What an agent run adds is explained under *One agent run*."
    ),
}


def reason(kind: str) -> str:
    """Return why a bar of this kind is missed where it is."""
    return _REASONS.get(kind, "This was met before: look at what changed, and at the noise above.")
