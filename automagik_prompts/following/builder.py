"""Building snapshots: checking and compiling what the database has active, beside what the code declares."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType

from automagik_prompts.declaring.declared import DeclaredPrompt
from automagik_prompts.declaring.registry import Registry
from automagik_prompts.domain.keys import PromptKey, SpellingClash, StatusKeys
from automagik_prompts.domain.records import ActiveVersion, AgentInfo
from automagik_prompts.domain.served import Reason, ReasonCode, Renderable, Selection, ServedPrompt, Source
from automagik_prompts.domain.validation import check_format
from automagik_prompts.exceptions import InvalidPromptError
from automagik_prompts.following.choosing import agent_texts
from automagik_prompts.following.snapshot import Problem, Snapshot
from automagik_prompts.templating.content import PromptContent
from automagik_prompts.templating.exposure import check_exposed


def code_snapshot(registry: Registry) -> Snapshot:
    """Return the snapshot that serves what the code declares, for a process that has read no database."""
    return build_snapshot(registry, (), (), loaded_at=None)


def build_snapshot(
    registry: Registry,
    agents: Iterable[AgentInfo],
    active: Iterable[ActiveVersion],
    *,
    previous: Snapshot | None = None,
    source: Source = Source.DATABASE,
    loaded_at: float | None,
) -> Snapshot:
    """Compile and check the active versions and choose what is served for each agent and status.

    Args:
        registry: What the code declares.
        agents: The agents in the database.
        active: The active versions.
        previous: The snapshot before; its compiled texts are reused, and its texts stand in for ones that cannot be
            served.
        source: Where the versions were read.
        loaded_at: When they were read, on the monotonic clock.
    """
    declared = registry.agents
    infos = {info.name: info for info in agents}
    served: dict[PromptKey, ServedPrompt] = {}
    unservable: dict[PromptKey, Reason] = {}
    problems: list[Problem] = []
    old = previous.served if previous is not None else {}
    for item in active:
        key = PromptKey(item.agent, item.status_key)
        code = declared.get(item.agent)
        exposed = code.exposed if code is not None else None
        same = code.prompts.get(item.status_key) if code is not None else None
        try:
            served[key] = _compiled(item, exposed, source, old=old.get(key), declared=same)
        except InvalidPromptError as error:
            problems.append(Problem(item, error.message))
            unservable[key] = Reason(ReasonCode.UNSERVABLE, item.status_key, item.version)
            if key in old:
                served[key] = old[key]
    selections: dict[tuple[str, str], Selection] = {}
    fallbacks: dict[str, Selection] = {}
    primaries: dict[str, str] = {}
    keys: dict[str, StatusKeys] = {}
    clashes: list[SpellingClash] = []
    by_agent: dict[str, dict[str, ServedPrompt]] = {}
    for (name, status_key), prompt in served.items():
        by_agent.setdefault(name, {})[status_key] = prompt
    problems_by_agent: dict[str, dict[str, Reason]] = {}
    for (name, status_key), reason in unservable.items():
        problems_by_agent.setdefault(name, {})[status_key] = reason
    for name in {*declared, *infos}:
        one = agent_texts(
            name, declared.get(name), infos.get(name), by_agent.get(name, {}), problems_by_agent.get(name, {})
        )
        primaries[name], keys[name] = one.primary, one.keys
        clashes += one.clashes()
        for status_key in dict.fromkeys((*one.keys, one.primary)):
            selection = one.select(status_key)
            if selection is not None:
                selections[PromptKey(name, status_key)] = selection
        if (fallback := one.select(None)) is not None:
            fallbacks[name] = fallback
    return Snapshot(
        registry=registry,
        selections=MappingProxyType(selections),
        fallbacks=MappingProxyType(fallbacks),
        primaries=MappingProxyType(primaries),
        served=MappingProxyType(served),
        keys=MappingProxyType(keys),
        problems=tuple(problems),
        clashes=tuple(sorted(clashes)),
        revisions=MappingProxyType({name: info.revision for name, info in infos.items()}),
        loaded_at=loaded_at,
    )


def served_version(prompt: ActiveVersion, exposed: frozenset[str] | None, source: Source) -> ServedPrompt:
    """Check and compile a version that is not active, as if it were.

    Raises:
        InvalidPromptError: This process cannot serve it.
    """
    return _compiled(prompt, exposed, source)


def _compiled(
    prompt: ActiveVersion,
    exposed: frozenset[str] | None,
    source: Source,
    *,
    old: ServedPrompt | None = None,
    declared: DeclaredPrompt | None = None,
) -> ServedPrompt:
    """Check and compile an active version as if it had just been typed: plain SQL may have written it.

    Args:
        prompt: The version.
        exposed: The variables that it may use; `None` for an agent that this code does not declare, whose runs say
            what may be reached.
        source: Where it was read.
        old: What was served before; an equal text was checked and compiled then.
        declared: What the code says, likewise.
    """
    where = {"agent": prompt.agent, "status_key": prompt.status_key}
    content = PromptContent(prompt.prompt_text, prompt.format)
    template: Renderable
    for known in (old, declared):
        if known is not None and known.text == prompt.prompt_text and known.format == prompt.format:
            text, read_as, template, digest = known.text, known.format, known.template, known.content_hash
            break
    else:
        text, template, digest = content.text, content.validate(**where), content.digest
        read_as = check_format(content.format)
    if prompt.content_hash != digest:
        content.check_unchanged(prompt.content_hash, **where, version=prompt.version)
    if old is not None and (old.prompt_id, old.version) == (prompt.prompt_id, prompt.version) and old.format != read_as:
        raise InvalidPromptError(
            f"The format of version {prompt.version} of {prompt.agent}/{prompt.status_key} was changed in place, from "
            f"{old.format} to {read_as}. Put it back, or write the text as a new version.",
            **where,
        )
    if exposed is not None:
        check_exposed(template, exposed, **where)
        template = template.opened(exposed)
    identity = (prompt.prompt_id, prompt.version, source)
    if old is not None and old.template is template and (old.prompt_id, old.version, old.source) == identity:
        return old
    return ServedPrompt(
        agent=prompt.agent,
        status_key=prompt.status_key,
        version=prompt.version,
        prompt_id=prompt.prompt_id,
        text=text,
        format=read_as,
        content_hash=digest,
        source=source,
        template=template,
    )
