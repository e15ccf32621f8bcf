"""Compiling: checking what the database has active as if it had just been typed, beside what the code declares."""

from __future__ import annotations

from automagik_prompts.declaring.declared import DeclaredAgent, DeclaredPrompt
from automagik_prompts.domain.records import ActiveVersion
from automagik_prompts.domain.served import Renderable, ServedPrompt, Source
from automagik_prompts.domain.validation import check_format
from automagik_prompts.exceptions import InvalidPromptError
from automagik_prompts.following.memory.choosing import AgentTexts, Problem, agent_texts
from automagik_prompts.following.memory.packing import Packed, unpack
from automagik_prompts.templating.content import PromptContent
from automagik_prompts.templating.exposure import check_exposed


def compile_agent(
    name: str, declared: DeclaredAgent | None, read: Packed | None, source: Source, previous: AgentTexts | None = None
) -> AgentTexts:
    """Check and compile the active versions of an agent, and choose what is served for each of its statuses.

    Args:
        name: The agent's name.
        declared: What the code declares for it.
        read: What was read of it.
        source: Where that was read.
        previous: What was served before: its compiled texts are reused, and stand in for ones that cannot be served.
    """
    served: dict[str, ServedPrompt] = {}
    faults: list[Problem] = []
    state = unpack(read) if read is not None else None
    exposed = declared.exposed if declared is not None else None
    for item in state.active if state is not None else ():
        old = previous.served.get(item.status_key) if previous is not None else None
        same = declared.prompts.get(item.status_key) if declared is not None else None
        try:
            served[item.status_key] = _compiled(item, exposed, source, old=old, declared=same)
        except InvalidPromptError as error:
            faults.append(Problem(item, error.message))
            if old is not None:
                served[item.status_key] = old
    return agent_texts(name, declared, state.info if state is not None else None, served, tuple(faults), read)


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
    written = (prompt.prompt_id, prompt.version, digest)  # another text is another version, such as one of a backup
    if old is not None and (old.prompt_id, old.version, old.content_hash) == written and old.format != read_as:
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
