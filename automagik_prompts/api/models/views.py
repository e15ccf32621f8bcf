"""What the API gives, as models: they are the OpenAPI document, too."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, Self

from pydantic import Field

from automagik_prompts.api.models.base import View
from automagik_prompts.api.models.running import FollowersView
from automagik_prompts.domain.edits import EditResult
from automagik_prompts.domain.policy import Operation
from automagik_prompts.domain.records import Action, AgentInfo, Event, Prompt
from automagik_prompts.domain.review import ApprovalRequest, Draft, RequestState
from automagik_prompts.domain.summaries import StatusSummary


class AgentView(View):
    """An agent."""

    agent: str
    primary_status: str
    variables: list[str]
    protected: dict[str, int] = Field(description="The protected statuses, each with how many have to approve.")
    revision: int

    @classmethod
    def of(cls, info: AgentInfo) -> Self:
        """Describe an agent."""
        return cls(
            agent=info.name,
            primary_status=info.default_status_key,
            variables=list(info.variables),
            protected={one.status_key: one.approvals for one in info.protected},
            revision=info.revision,
        )


class StatusView(View):
    """A status of an agent, without its text."""

    agent: str
    status_key: str
    primary: bool
    active_version: int | None
    latest_version: int
    versions: int
    origin: Literal["code", "person"] | None
    author: str | None
    active_since: datetime | None
    code_version: int | None
    drift: bool
    approvals: int = Field(description="How many have to approve a change of the active version; 0 for nobody.")
    revision: int = Field(description="The agent's revision.")

    @classmethod
    def of(cls, one: StatusSummary) -> Self:
        """Describe a status."""
        return cls(
            agent=one.agent,
            status_key=one.status_key,
            primary=one.primary,
            active_version=one.active,
            latest_version=one.latest,
            versions=one.versions,
            origin=None if one.active is None else "code" if one.from_code else "person",
            author=one.author,
            active_since=one.active_since,
            code_version=one.code_version,
            drift=one.drift,
            approvals=one.protection.approvals if one.protection is not None else 0,
            revision=one.revision,
        )


class VersionView(View):
    """A version, without its text."""

    status_key: str
    version: int
    format: str
    active: bool
    withdrawn: bool
    origin: Literal["code", "person"]
    name: str | None
    author: str | None
    note: str | None
    content_hash: str
    length: int
    created_at: datetime

    @classmethod
    def of(cls, prompt: Prompt, **more: Any) -> Self:
        """Describe a version."""
        return cls(
            status_key=prompt.status_key,
            version=prompt.version,
            format=prompt.format,
            active=prompt.is_active,
            withdrawn=prompt.is_withdrawn,
            origin="code" if prompt.is_default_from_code else "person",
            name=prompt.name,
            author=prompt.author,
            note=prompt.note,
            content_hash=prompt.content_hash,
            length=len(prompt.prompt_text),
            created_at=prompt.created_at,
            **more,
        )


class VersionText(VersionView):
    """A version with its text."""

    text: str


class RequestView(View):
    """A request for approval."""

    request: int
    agent: str
    status_key: str
    operation: Operation
    version: int | None
    content_hash: str | None
    from_version: int | None
    state: RequestState
    author: str | None
    note: str | None
    approvals: int
    approved_by: list[str]
    created_at: datetime
    decided_at: datetime | None
    decided_by: str | None

    @classmethod
    def of(cls, one: ApprovalRequest) -> Self:
        """Describe a request."""
        names = set(cls.model_fields) - {"request", "approved_by"}
        facts = {name: getattr(one, name) for name in names}
        return cls(request=one.id, approved_by=list(one.approved_by), **facts)


class EditView(View):
    """What a write did, or which request it made."""

    agent: str
    status_key: str
    version: int | None
    active_version: int | None
    previous_version: int | None
    revision: int
    hints: list[str]
    request: RequestView | None
    followers: FollowersView | None = Field(
        None, description="How far processes have followed, where somebody waited for that."
    )

    @classmethod
    def of(cls, change: EditResult) -> Self:
        """Describe a write."""
        return cls(
            agent=change.agent.name,
            status_key=change.status_key,
            version=change.prompt.version if change.prompt is not None else None,
            active_version=change.active_version,
            previous_version=change.previous_version,
            revision=change.agent.revision,
            hints=list(change.hints),
            request=RequestView.of(change.request) if change.request is not None else None,
            followers=FollowersView.of(change.followers) if change.followers is not None else None,
        )


class DraftView(View):
    """A text that is still written; nobody else sees it."""

    agent: str
    status_key: str
    text: str
    format: str
    note: str | None
    base_version: int | None
    counter: int
    updated_at: datetime

    @classmethod
    def of(cls, draft: Draft) -> Self:
        """Describe a draft."""
        return cls(**{name: getattr(draft, name) for name in cls.model_fields})


class EventView(View):
    """Something that was done."""

    id: int
    agent: str
    status_key: str
    action: Action
    version: int | None
    from_version: int | None
    author: str | None
    note: str | None
    revision: int
    request_id: int | None
    approval: str | None
    created_at: datetime

    @classmethod
    def of(cls, event: Event) -> Self:
        """Describe an event."""
        return cls(**{name: getattr(event, name) for name in cls.model_fields})
