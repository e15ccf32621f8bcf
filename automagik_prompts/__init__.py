"""Versioned, status-keyed system prompts for Pydantic AI agents, live from your own database.

Importing this costs nothing: each public name is imported when it is first used. So a module that only declares prompts
does not load Pydantic AI, and an agent that only serves them from memory does not load the database library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from automagik_prompts._version import __version__ as __version__
from automagik_prompts.declaring import sandbox as _sandbox

if TYPE_CHECKING:
    from automagik_prompts.agent.capability import ActivePrompt
    from automagik_prompts.agent.history.provenance import PromptsUsed, prompt_used, strip_provenance
    from automagik_prompts.agent.history.used import UsedPrompt
    from automagik_prompts.declaring.decorators import prompt, prompts
    from automagik_prompts.declaring.packages import prompts_from_package
    from automagik_prompts.default import default_plugin, install, render, resolve, uninstall
    from automagik_prompts.domain.edits import EditResult, Page, RestorePlan, RestoreStep, SyncResult
    from automagik_prompts.domain.policy import (
        ALLOW,
        NEEDS_APPROVAL,
        Actor,
        Decision,
        Identity,
        NewToken,
        Operation,
        TextState,
        Token,
        deny,
    )
    from automagik_prompts.domain.records import AgentInfo, Event, Prompt, Protection
    from automagik_prompts.domain.review import ApprovalRequest, Draft, Drift, RequestState
    from automagik_prompts.domain.roles import Roles
    from automagik_prompts.domain.running.fleet import Fleet, FleetProcess, Followers, Following, FollowingProcess
    from automagik_prompts.domain.running.usage import Usage
    from automagik_prompts.domain.served import Explanation, Health, PromptChange, ServedPrompt, Source, State
    from automagik_prompts.domain.summaries import Match, Preview, StatusSummary
    from automagik_prompts.editing.files.exporting import ExportedFile
    from automagik_prompts.exceptions import (
        AccessDeniedError,
        ConfigurationError,
        ConflictError,
        DatabaseUnavailableError,
        DeclarationError,
        DriftError,
        InvalidPromptError,
        MissingRightError,
        NoActivePromptError,
        NotAllowedError,
        PromptNotFoundError,
        PromptsError,
        RenderError,
        SchemaError,
        UnexposedVariableError,
    )
    from automagik_prompts.following.memory.snapshot import Snapshot
    from automagik_prompts.plugin import PromptPlugin
    from automagik_prompts.replaying import Replay, ReplayedTurn, prompt_version, replay

__all__ = [
    "ALLOW",
    "NEEDS_APPROVAL",
    "AccessDeniedError",
    "ActivePrompt",
    "Actor",
    "AgentInfo",
    "ApprovalRequest",
    "ConfigurationError",
    "ConflictError",
    "DatabaseUnavailableError",
    "Decision",
    "DeclarationError",
    "Draft",
    "Drift",
    "DriftError",
    "EditResult",
    "Event",
    "Explanation",
    "ExportedFile",
    "Fleet",
    "FleetProcess",
    "Followers",
    "Following",
    "FollowingProcess",
    "Health",
    "Identity",
    "InvalidPromptError",
    "Match",
    "MissingRightError",
    "NewToken",
    "NoActivePromptError",
    "NotAllowedError",
    "Operation",
    "Page",
    "Preview",
    "Prompt",
    "PromptChange",
    "PromptNotFoundError",
    "PromptPlugin",
    "PromptsError",
    "PromptsUsed",
    "Protection",
    "RenderError",
    "Replay",
    "ReplayedTurn",
    "RequestState",
    "RestorePlan",
    "RestoreStep",
    "Roles",
    "SchemaError",
    "ServedPrompt",
    "Snapshot",
    "Source",
    "State",
    "StatusSummary",
    "SyncResult",
    "TextState",
    "Token",
    "UnexposedVariableError",
    "Usage",
    "UsedPrompt",
    "default_plugin",
    "deny",
    "install",
    "prompt",
    "prompt_used",
    "prompt_version",
    "prompts",
    "prompts_from_package",
    "render",
    "replay",
    "resolve",
    "strip_provenance",
    "uninstall",
]

_MODULES = {
    "agent.capability": ("ActivePrompt",),
    "agent.history.provenance": ("PromptsUsed", "prompt_used", "strip_provenance"),
    "agent.history.used": ("UsedPrompt",),
    "declaring.decorators": ("prompt", "prompts"),
    "declaring.packages": ("prompts_from_package",),
    "default": ("default_plugin", "install", "render", "resolve", "uninstall"),
    "domain.edits": ("EditResult", "Page", "RestorePlan", "RestoreStep", "SyncResult"),
    "domain.policy": (
        *("ALLOW", "NEEDS_APPROVAL", "Actor", "Decision", "Identity", "NewToken", "Operation", "TextState", "Token"),
        "deny",
    ),
    "domain.records": ("AgentInfo", "Event", "Prompt", "Protection"),
    "domain.review": ("ApprovalRequest", "Draft", "Drift", "RequestState"),
    "domain.roles": ("Roles",),
    "domain.running.fleet": ("Fleet", "FleetProcess", "Followers", "Following", "FollowingProcess"),
    "domain.running.usage": ("Usage",),
    "domain.served": ("Explanation", "Health", "PromptChange", "ServedPrompt", "Source", "State"),
    "domain.summaries": ("Match", "Preview", "StatusSummary"),
    "editing.files.exporting": ("ExportedFile",),
    "following.memory.snapshot": ("Snapshot",),
    "plugin": ("PromptPlugin",),
    "replaying": ("Replay", "ReplayedTurn", "prompt_version", "replay"),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}
"""The module of each public name; the errors, which are the rest, are in `exceptions`."""


def __getattr__(name: str) -> Any:
    if name == "TORTOISE_ORM":  # for the `aerich` command; made anew each time, as the environment says
        return import_module(f"{__name__}.db").TORTOISE_ORM
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with _sandbox.passed_through():
        # Not `import_module`, which knows nothing of the sandbox and would make copies of modules there.
        module = __import__(f"{__name__}.{_HOME.get(name, 'exceptions')}", fromlist=(name,))
    value = globals()[name] = getattr(module, name)
    return value


if not _sandbox.is_inside():
    import_module(f"{__name__}.agent.plugins").register(lambda: import_module(f"{__name__}.plugin").PromptPlugin)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
