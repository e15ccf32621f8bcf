"""Stan, a seller for business buyers: one agent, four prompts, chosen by the contact's approval.

Nothing in here knows where the prompts come from at run time. They are declared in `stan.prompts`, which a host finds
by entry point; `automagik_prompts.install()` gives them to every `Agent(name="stan")` that is built afterwards.
"""

from stan.agent import StanAgent, StanDeps
from stan.contacts import Contact, ContactStatus

__all__ = ["Contact", "ContactStatus", "StanAgent", "StanDeps"]
