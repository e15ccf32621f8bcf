"""Stan's prompts: one file for each status of a contact. Importing this module declares them.

A file is a module with the constant `PROMPT`, or plain `.md`; whoever writes it chooses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from automagik_prompts import prompts_from_package

if TYPE_CHECKING:
    from pydantic_ai import RunContext

    from stan.agent import StanDeps
    from stan.contacts import ContactStatus


def contact_status(ctx: RunContext[StanDeps | None]) -> ContactStatus | None:
    """Return the contact's present status; it is read again before every model request.

    A host may run the agent without saying who the contact is; then the primary status counts.
    """
    return ctx.deps.contact.status if ctx.deps is not None else None


prompts_from_package(__name__, agent="stan", primary="NOT_REGISTERED", status=contact_status)
