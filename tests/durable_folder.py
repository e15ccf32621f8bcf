"""The folder in which programs with durable agents leave what they find; the environment names it."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = Path(os.environ["DURABLE_FOLDER"])
