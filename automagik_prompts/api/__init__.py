"""REST: the edit service over HTTP, for programs and for the console; the extra `api`."""

from automagik_prompts.api.identity import Identify, Identity

__all__ = ["Identify", "Identity"]
