"""All queries of the library; nothing else reads or writes its tables.

Every function takes a connection, and gives and takes values, never rows. Functions that write expect to run inside a
transaction that began with `lock_agent` or `lock_agents`: that UPDATE is the lock that keeps versions without gaps,
the signal that tells other processes, and the token for optimistic writes.
"""

from automagik_prompts.domain.summaries import (
    ActiveSet,
    ChangeToken,
    CodeVersion,
    StatusHead,
    StatusSummary,
    VersionDigest,
)
from automagik_prompts.storage.repository.active import get_active_set, get_change_token
from automagik_prompts.storage.repository.agents import (
    CHANNEL,
    add_agents,
    get_agent,
    get_agents,
    hold_agent,
    lock_agent,
    lock_agents,
    notify_listeners,
    point_to_active,
    set_agent_facts,
)
from automagik_prompts.storage.repository.events import add_events, get_deleted_versions, get_events, get_last_actions
from automagik_prompts.storage.repository.summaries import get_status_keys, get_summaries, get_version_digests
from automagik_prompts.storage.repository.versions import (
    create_prompt,
    create_prompts,
    delete_prompt,
    find_code_default_prompt,
    get_active_prompt,
    get_code_versions,
    get_heads,
    get_latest_version_for_status,
    get_newest_versions,
    get_prompt_by_id,
    get_prompts_by_agent_id,
    get_texts,
    get_version,
    set_prompt_active,
)

__all__ = [
    "CHANNEL",
    "ActiveSet",
    "ChangeToken",
    "CodeVersion",
    "StatusHead",
    "StatusSummary",
    "VersionDigest",
    "add_agents",
    "add_events",
    "create_prompt",
    "create_prompts",
    "delete_prompt",
    "find_code_default_prompt",
    "get_active_prompt",
    "get_active_set",
    "get_agent",
    "get_agents",
    "get_change_token",
    "get_code_versions",
    "get_deleted_versions",
    "get_events",
    "get_heads",
    "get_last_actions",
    "get_latest_version_for_status",
    "get_newest_versions",
    "get_prompt_by_id",
    "get_prompts_by_agent_id",
    "get_status_keys",
    "get_summaries",
    "get_texts",
    "get_version",
    "get_version_digests",
    "hold_agent",
    "lock_agent",
    "lock_agents",
    "notify_listeners",
    "point_to_active",
    "set_agent_facts",
    "set_prompt_active",
]
