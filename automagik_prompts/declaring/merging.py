"""Bringing together what several declarations say of one agent."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from enum import Enum

from automagik_prompts.declaring.declared import INTERACTIVE, DeclaredAgent, DeclaredPrompt, PromptText, Site
from automagik_prompts.domain.keys import DEFAULT_STATUS_KEY, Status, StatusKeys, folded, new_key, spellings
from automagik_prompts.domain.records import Protection
from automagik_prompts.domain.review import OnDrift
from automagik_prompts.domain.text import content_hash, nearest
from automagik_prompts.domain.validation import Format, check_text
from automagik_prompts.exceptions import DeclarationError
from automagik_prompts.templating.compiling import compile_template

MAX_APPROVALS = 100
"""How many people may have to approve, at most."""


def declared_prompt(agent: str, status_key: str, text: str, format: Format, where: str, site: Site) -> DeclaredPrompt:
    """Check and compile one text."""
    check_text(text, agent=agent, status_key=status_key)
    details = text if isinstance(text, PromptText) else None
    plain = text[:]  # a slice of a subclass is a plain string
    chosen = details.prompt_format if details is not None else format
    return DeclaredPrompt(
        agent=agent,
        status_key=status_key,
        text=plain,
        format=chosen,
        name=details.prompt_name if details is not None else None,
        note=details.prompt_note if details is not None else None,
        where=where,
        site=site,
        template=compile_template(plain, chosen, agent=agent, status_key=status_key, bounded=False),
        content_hash=content_hash(plain),
    )


def merged(
    agent: str, known: DeclaredAgent | None, declared: Mapping[str, DeclaredPrompt], site: Site
) -> dict[str, DeclaredPrompt]:
    """Join new declarations with the agent's earlier ones; the same text twice is one declaration.

    What the same place declared before and declares no more is gone, where the place is a class or a package.
    """
    merged = dict(known.prompts) if known else {}
    if site.is_whole:
        places = {new.where for new in declared.values()}
        merged = {
            key: old
            for key, old in merged.items()
            if key in declared
            or not site.replaces(old.site)
            # In notebooks all cells are one place, and another class there is another declaration.
            or (site.unit == INTERACTIVE and old.where not in places)
        }
    spelt = {folded(key): key for key in merged}
    for key, new in declared.items():
        alike = spelt.setdefault(folded(key), key)
        if alike != key and site.replaces(merged[alike].site):
            del merged[alike]  # the same place, spelt better now
            spelt[folded(key)] = key
        elif alike != key:
            raise DeclarationError(
                f"The statuses {alike!r} and {key!r} of agent {agent!r} differ only in case or in Unicode form, at "
                f"{merged[alike].where} and {new.where}. Keep one spelling.",
                agent=agent,
                status_key=key,
            )
        old = merged.get(key)
        if old is not None and site.replaces(old.site):
            merged[key] = new
            continue
        if old is not None and (old.text, old.format) != (new.text, new.format):
            raise DeclarationError(
                f"The status {key!r} of agent {agent!r} is declared twice with different texts: at {old.where} and at "
                f"{new.where}. Keep one.",
                agent=agent,
                status_key=key,
            )
        merged[key] = new if old is None else replace(old, name=old.name or new.name, note=old.note or new.note)
    return merged


def is_again(known: DeclaredAgent | None, declared: Mapping[str, DeclaredPrompt], site: Site) -> bool:
    """Return whether a place declares once more what it declared before, its primary status with it."""
    places = {new.where for new in declared.values()}
    return (
        site.is_whole
        and known is not None
        and any(site.replaces(old.site) and old.where in places for old in known.prompts.values())
    )


def with_enums(known: DeclaredAgent | None, enums: Collection[type[Enum]]) -> tuple[type[Enum], ...]:
    """Return an agent's enum classes with new ones; one that is defined again takes the place of what it was."""
    classes = [*(known.enums if known is not None else ()), *enums]
    return tuple({(one.__module__, one.__qualname__): one for one in classes}.values())


def check_members(agent: str, enums: Collection[type[Enum]], merged: Mapping[str, DeclaredPrompt], where: str) -> None:
    """Refuse an enum with a member that is one status by its value and another one by its name."""
    keys = StatusKeys(merged)
    for member in [member for one in enums for member in one.__members__.values()]:
        found = dict.fromkeys(key for word in spellings(member) if (key := keys.find(word)) is not None)
        if len(found) > 1:
            by_value, by_name = found
            raise DeclarationError(
                f"{type(member).__name__}.{member.name} means the status {by_value!r} by its value and {by_name!r} by "
                f"its name, and agent {agent!r} has both, at {where}. Rename one of them.",
                agent=agent,
                status_key=by_value,
            )


def primary_of(
    agent: str,
    known: DeclaredAgent | None,
    merged: Mapping[str, DeclaredPrompt],
    primary: Status | None,
    where: str,
) -> str:
    """Return the agent's primary status, or say why there is none."""
    keys = StatusKeys(merged)
    earlier = known.primary if known is not None and known.explicit_primary else None
    wanted = earlier if primary is None else keys.find(primary) or new_key(primary)
    if wanted is None:
        if (default := keys.find(DEFAULT_STATUS_KEY)) is not None:
            return default
        if len(merged) == 1:
            return next(iter(merged))
        raise DeclarationError(
            f"Agent {agent!r} has several statuses ({', '.join(sorted(merged))}) and no primary one, at {where}. "
            "Say which with primary=...",
            agent=agent,
        )
    if earlier not in {None, wanted}:
        raise DeclarationError(
            f"The primary status of agent {agent!r} is {earlier!r} in one declaration and {wanted!r} at {where}. "
            "Keep one.",
            agent=agent,
        )
    if wanted not in merged:
        raise DeclarationError(
            f"The primary status {wanted!r} of agent {agent!r} has no prompt, at {where}. Declared are: "
            f"{', '.join(sorted(merged))}.",
            agent=agent,
            status_key=wanted,
        )
    return wanted


def protected_of(
    agent: str,
    known: DeclaredAgent | None,
    merged: Mapping[str, DeclaredPrompt],
    given: Collection[Status],
    approvals: int,
    approve_code: bool,
    where: str,
) -> tuple[Protection, ...]:
    """Return the agent's protected statuses with new ones; of two declarations of one the stricter holds."""
    if type(approvals) is not int or not 1 <= approvals <= MAX_APPROVALS:
        raise DeclarationError(
            f"approvals of agent {agent!r} must be a number from 1 to {MAX_APPROVALS}, not {approvals!r:.40}, at "
            f"{where}.",
            agent=agent,
        )
    if isinstance(given, str):
        raise DeclarationError(
            f"protected of agent {agent!r} must be a list of statuses, such as [{given!r}], at {where}.", agent=agent
        )
    keys = StatusKeys(merged)
    found = {one.status_key: one for one in (known.protected if known is not None else ())}
    for status in given:
        if (key := keys.find(status)) is None:
            raise DeclarationError(
                f"The protected status {new_key(status)!r} of agent {agent!r} has no prompt, at {where}. "
                f"{nearest(new_key(status), merged, 'statuses')}",
                agent=agent,
            )
        earlier = found.get(key, Protection(key))
        found[key] = Protection(key, max(approvals, earlier.approvals), approve_code or earlier.approve_code)
    return tuple(sorted((one for key, one in found.items() if key in merged), key=lambda one: one.status_key))


def on_drift_of(agent: str, known: DeclaredAgent | None, given: OnDrift | None, where: str) -> OnDrift:
    """Return what becomes of a new text of the agent where a person's version is active."""
    earlier: OnDrift = known.on_drift if known is not None else "keep"
    if given is None:
        return earlier
    if given not in ("keep", "code", "fail"):
        raise DeclarationError(
            f"on_drift of agent {agent!r} is {given!r}, at {where}. Use 'keep', 'code' or 'fail'.", agent=agent
        )
    if earlier not in {"keep", given}:
        raise DeclarationError(
            f"on_drift of agent {agent!r} is {earlier!r} in one declaration and {given!r} at {where}. Keep one.",
            agent=agent,
        )
    return given
