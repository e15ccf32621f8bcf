"""Temporal's sandbox, which imports a workflow's modules anew for each run of the workflow; nothing is imported here.

A copy of this library in it would have declarations and plugins of its own, and the database library cannot be imported
in it. So the library is taken from the process, and what the copy of a module declares is known there already.
"""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any


def passed_through() -> AbstractContextManager[Any]:
    """Import what the process has imported, also in the sandbox."""
    workflow = sys.modules.get("temporalio.workflow")
    return workflow.unsafe.imports_passed_through() if workflow is not None else nullcontext()


def is_inside() -> bool:
    """Return whether the present code runs in the sandbox."""
    workflow = sys.modules.get("temporalio.workflow")
    return workflow is not None and bool(workflow.unsafe.in_sandbox())
