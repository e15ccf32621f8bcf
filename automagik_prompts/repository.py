"""The functions of the table `prompts` that an application may call with a connection of its own.

Each takes a connection and gives values, never rows. Those that write expect to run inside a transaction.
"""

from automagik_prompts.domain.records import Prompt, PromptCreate
from automagik_prompts.storage.repository import (
    create_prompt,
    find_code_default_prompt,
    get_active_prompt,
    get_latest_version_for_status,
    get_prompt_by_id,
    get_prompts_by_agent_id,
    set_prompt_active,
)

__all__ = [
    "Prompt",
    "PromptCreate",
    "create_prompt",
    "find_code_default_prompt",
    "get_active_prompt",
    "get_latest_version_for_status",
    "get_prompt_by_id",
    "get_prompts_by_agent_id",
    "set_prompt_active",
]
