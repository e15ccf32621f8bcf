"""Why a bar is missed where it is, for the report; each says what the profile shows and what could change it."""

from __future__ import annotations

_REASONS = {
    "run": (
        "Pydantic AI's own share is in the table: *the hooks of ActivePrompt*, doing nothing, with a dynamic text and "
        "with a function for instructions, whose runner and signature it makes anew in each run; that alone is more "
        "than the bar for instructions without variables. What is ours is 29 calls (*What a run calls*, below), of 42 "
        "before: a run begins with what the run before found out, and a request that is right is not taken apart. By "
        "the clock, beginning and ending a run is about two fifths of it, giving the text a tenth, and finding the "
        "request right, counting it and writing the provenance the rest. Code that runs once in a while is not in the "
        "processor's caches, which is most of its time: each step is a few dozen instructions of the interpreter. With "
        "variables, values are read and joined anew for each request. `TestModel` answers in no time; beside a real "
        "model's second all of it is one part in twenty thousand."
    ),
    "managed": "ManagedPrompt's added cost is the difference of two medians too, so the ratio is as noisy as both.",
    "read": "A read is two looks into dictionaries and one for overrides; see the table for what the machine gives.",
    "cold": (
        "A cold start writes each text with its version, its event and its hash; what is left are the inserts and "
        "their commits."
    ),
    "unchanged": (
        "The bar is a share of our own cold start, which itself takes only a small part of the third that its bar "
        "allows: writing in batches made the divisor small. An unchanged start sends a fixed number of statements, "
        "however many agents there are (`tests/test_performance_gate.py` counts them), and writes nothing. Its time "
        "goes to declaring the texts (each is checked, hashed and taken apart), to comparing their hashes with those "
        "of all code versions in the database, and to reading what is active and building the snapshot: of 150 ms "
        "on SQLite about 45, 20, 25 and 20 ms; the rest is the first use of Tortoise ORM in a process. None of these "
        "can be left out: a declaration must fail where it stands, and a text that the database has not seen must be "
        "found."
    ),
    "import": (
        "By `python -X importtime`, Tortoise ORM takes 100 ms of it, Pydantic's settings 14, the Handlebars engine 12, "
        "and this library's own modules the rest. The design asks for Tortoise, and it comes with `PromptPlugin`: "
        "modules that only declare prompts or build agents do not load it. Langfuse "
        "puts off much of its own until its first use: see the column *until a text is served*. This library does not: "
        "what is put off would be paid by the first agent run, within its `startup_timeout` or by its event loop."
    ),
    "memory": (
        "Four fifths of the memory after the import is Tortoise ORM, which the design asks for, and most of the rest "
        "SQLite's driver and Pydantic's settings. Langfuse imports little at first and more when it is first used: "
        "once a text is served, this library takes the least."
    ),
    "served": "A process is told at the commit, waits up to 20 ms so that not all ask at once, reads and compiles.",
    "idle": (
        "One statement a minute proves that notifications arrive, and one reads what is active in case they did not; "
        "over a few minutes one more or less falls into the time that is watched."
    ),
    "many": (
        "What is kept of a prompt besides its text: a tuple (136 bytes), the agent's name, two numbers, its place in a "
        "mapping, and what the allocator rounds up. A gap at a start is the garbage collector of the interpreter, "
        "which goes through all of the process' objects when enough new ones came."
    ),
    "first": (
        "What is left is the agent's own run, and how long the interpreter's lock is away while the plugin's thread "
        "imports; see the row of a static prompt."
    ),
    "write": (
        "What is more than the plain statements is Python: a task in the context of the ORM, two connections taken "
        "from the pool and given back, the check of the text, and the values that are returned. With eight processes "
        "on two cores, which the server shares, each microsecond of it counts."
    ),
    "growth": "See the plans below: what grows is the number of pages that an index of a million rows has.",
    "threads": (
        "Threads share one interpreter lock, so the ratio is that of the work done per run, and carries the noise of "
        "the scheduler. What an agent run adds is explained under *One agent run*."
    ),
}


def reason(kind: str) -> str:
    """Return why a bar of this kind is missed where it is."""
    return _REASONS.get(kind, "This was met before: look at what changed, and at the noise above.")
