"""What the numbers were measured on; nothing that would tell whose machine it is."""

from __future__ import annotations

import os
import platform
import re
import sqlite3
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

PACKAGES = (
    "automagik-prompts",
    "pydantic-ai-slim",
    "pydantic-handlebars",
    "tortoise-orm",
    "asyncpg",
    "pydantic-ai-harness",
    "logfire",
    "prompt-pivot",
    "langfuse",
)


def describe(postgres: str) -> dict[str, Any]:
    """Return the processor, memory, systems and versions.

    Args:
        postgres: The server's version.
    """
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 0,
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "postgresql": postgres,
        "packages": {name: version(name) for name in PACKAGES},
    }


def load() -> float:
    """Return how many processes wanted to run, on average over the last minute."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")


def _processor() -> str:
    if sys.platform == "linux":
        found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
        if found:
            return found[1].strip()
    return platform.processor() or platform.machine()
