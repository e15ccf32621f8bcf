"""What a release should know before it goes out: where code, database and files are not in sync.

Nothing is written, not even a missing migration.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from automagik_prompts.declaring.declared import DeclaredAgent, DeclaredPrompt
from automagik_prompts.declaring.locations import Place, place_of
from automagik_prompts.domain.invisible import described, suspicious
from automagik_prompts.domain.keys import PromptKey, SpellingClash, StatusKeys, spelt_alike
from automagik_prompts.domain.records import AgentInfo, Prompt
from automagik_prompts.domain.text import closest, word
from automagik_prompts.editing import queries
from automagik_prompts.editing.findings import Finding, Kind
from automagik_prompts.editing.review.deciding import code_waiting, three_ways
from automagik_prompts.editing.sync_plan import find_same
from automagik_prompts.exceptions import InvalidPromptError, UnexposedVariableError
from automagik_prompts.schema import migrate, migrations
from automagik_prompts.storage import repository
from automagik_prompts.storage.database import Database
from automagik_prompts.storage.repository import CodeVersion, StatusSummary
from automagik_prompts.templating.content import PromptContent
from automagik_prompts.templating.lint import lint

Agents = Mapping[str, DeclaredAgent]

_SYNC = "automagik-prompts sync"


async def check_database(database: Database, declared: Agents, only: Collection[str] | None = None) -> list[Finding]:
    """Compare the code with the database.

    Args:
        database: An open database, with whatever schema it has.
        declared: What the code declares; empty to leave the code out.
        only: Only these agents.

    Raises:
        DatabaseUnavailableError: The database cannot be read now.
    """
    if missing := await migrate.pending(database):
        return [
            Finding(
                Kind.MIGRATIONS,
                f"The database lacks {len(missing)} of {len(migrations.all_migrations())} migrations, from "
                f"{missing[0].version}.",
                command="automagik-prompts upgrade",
            )
        ]
    infos = {info.name: info for info in await queries.agents(database) if only is None or info.name in only}
    wanted = {name: agent for name, agent in declared.items() if only is None or name in only}
    summaries = [summary for summary in await queries.summaries(database) if summary.agent in infos]
    seen: dict[PromptKey, list[CodeVersion]] = {}
    names = {info.id: info.name for info in infos.values()}
    for version in await database.run(repository.get_code_versions, names):
        seen.setdefault(PromptKey(names[version.agent_id], version.status_key), []).append(version)
    found = list(_inactive(summaries))
    found += _compared_with_code(wanted, infos, {PromptKey(one.agent, one.status_key): one for one in summaries}, seen)
    withdrawn = await database.run(repository.get_withdrawn_texts, names)
    found += _withdrawn(wanted, {(names[agent_id], *text) for agent_id, *text in withdrawn})
    found += _drift_in_database(summaries, wanted)
    found = [await three_ways(database, one, wanted) if one.kind is Kind.DRIFT else one for one in found]
    found += await code_waiting(database, wanted, summaries, seen)
    found += _alike(summaries, wanted)
    if declared:
        found += _orphans(summaries, wanted)
        found += _unknown(summaries, wanted)
    for info, prompt in await queries.active_prompts(database):
        if info.name in infos:
            code = wanted.get(info.name)
            where = f"The active version {prompt.version} of {info.name}/{prompt.status_key}"
            key = code.keys.find(prompt.status_key) if code is not None else None
            declared_prompt = code.prompts[key] if code is not None and key is not None else None
            exposed = info.variables if code is None else code.exposed
            place = place_of(declared_prompt) if declared_prompt is not None else None
            name = PromptKey(info.name, prompt.status_key)
            content = PromptContent(prompt.prompt_text, prompt.format)
            wrong = unservable(name, content, exposed, where=where, version=prompt.version, place=place)
            problems = list(wrong)
            found += problems or _changed(info.name, prompt)
            if not problems:
                is_code = declared_prompt is not None and declared_prompt.content_hash == prompt.content_hash
                words = f"{name}, version {prompt.version}"
                place = place if is_code else None
                found += hints_of(name, content, exposed, where=words, version=prompt.version, place=place)
    return found


def _inactive(summaries: Iterable[StatusSummary]) -> Iterator[Finding]:
    for summary in summaries:
        if summary.active is None:
            yield Finding(
                Kind.INACTIVE,
                f"{summary.agent}/{summary.status_key} has no active version; the latest is {summary.latest}.",
                summary.agent,
                summary.status_key,
                command=f"automagik-prompts activate {word(summary.agent)} {word(summary.status_key)} VERSION",
            )


def _compared_with_code(
    declared: Agents,
    infos: Mapping[str, AgentInfo],
    summaries: Mapping[PromptKey, StatusSummary],
    seen: Mapping[PromptKey, list[CodeVersion]],
) -> Iterator[Finding]:
    """Yield where the code's present text is not what the database has from code."""
    stored = status_keys_of(summaries.values())
    for name, agent in sorted(declared.items()):
        info = infos.get(name)
        keys = stored.get(name, StatusKeys(()))
        if info is not None and info.default_status_key != (keys.find(agent.primary) or agent.primary):
            yield Finding(
                Kind.UNSYNCED,
                f"The primary status of {name} is {info.default_status_key!r} in the database and {agent.primary!r} in "
                "code.",
                name,
                agent.primary,
                place=place_of(agent.prompts[agent.primary]),
                command=_SYNC,
            )
        for status_key, prompt in sorted(agent.prompts.items()):
            if keys.find(status_key) not in {None, status_key}:
                continue  # the database spells it otherwise, which is a finding of its own
            key = PromptKey(name, status_key)
            yield from _one_compared(prompt, summaries.get(key), find_same(prompt, seen.get(key, ())))


def _one_compared(
    prompt: DeclaredPrompt, summary: StatusSummary | None, match: CodeVersion | None
) -> Iterator[Finding]:
    where, place = f"{prompt.agent}/{prompt.status_key}", place_of(prompt)
    if summary is None:
        message = f"{where} is not in the database yet."
        yield Finding(Kind.UNSYNCED, message, prompt.agent, prompt.status_key, None, place, _SYNC)
    elif match is None and summary.active is not None and not summary.from_code:
        yield _drift(summary, "to a text that the database has not seen: sync first", "--code", place)
    elif match is None:
        message = f"The text of {where} in code is new and not in the database yet."
        yield Finding(Kind.UNSYNCED, message, prompt.agent, prompt.status_key, summary.active, place, _SYNC)
    elif summary.drift and summary.active is not None and match.version > summary.active:
        yield _drift(summary, f"to version {match.version}", f"{summary.active} {match.version}", place)


def _drift_in_database(summaries: Iterable[StatusSummary], declared: Agents) -> Iterator[Finding]:
    """Yield drift that the database knows of, for statuses whose code is not here to look at."""
    for summary in summaries:
        agent = declared.get(summary.agent)
        if summary.drift and (agent is None or summary.status_key not in agent.prompts):
            versions = f"{summary.active} {summary.code_version}"
            yield _drift(summary, f"to version {summary.code_version}", versions, None)


def _drift(summary: StatusSummary, news: str, versions: str, place: Place | None) -> Finding:
    where = f"{word(summary.agent)} {word(summary.status_key)}"
    return Finding(
        Kind.DRIFT,
        f"{summary.agent}/{summary.status_key}: version {summary.active} by {summary.author or 'a person'} is "
        f"active, and the code has changed since, {news}. Keep it (automagik-prompts keep {where}), take the code's "
        "(activate), or write one of both (create --based-on).",
        summary.agent,
        summary.status_key,
        summary.active,
        place,
        f"automagik-prompts diff {where} {versions}",
    )


def _orphans(summaries: Iterable[StatusSummary], declared: Agents) -> Iterator[Finding]:
    """Yield what came from code and is not in the code that was found: a status of it, or an agent as a whole.

    Neither says that the text is not needed: another process may declare it, or it may be served from the database
    alone. So no command is named that would leave anybody without a prompt.
    """
    reported: set[str] = set()
    for summary in summaries:
        agent = declared.get(summary.agent)
        if summary.code_version is None or (agent is not None and agent.keys.find(summary.status_key) is not None):
            continue
        if agent is None:
            if summary.agent not in reported:
                reported.add(summary.agent)
                yield Finding(
                    Kind.UNDECLARED,
                    f"{summary.agent} is not declared by the modules that were found; its prompts are served all the "
                    "same. Name the module that declares it with --module, if there is one.",
                    summary.agent,
                )
            continue
        yield Finding(
            Kind.ORPHAN,
            f"{summary.agent}/{summary.status_key} came from code (version {summary.code_version}) and is not in "
            "code any more.",
            summary.agent,
            summary.status_key,
            summary.code_version,
            command=f"automagik-prompts history {word(summary.agent)} {word(summary.status_key)}",
        )


def _unknown(summaries: Iterable[StatusSummary], declared: Agents) -> Iterator[Finding]:
    """Yield the statuses of declared agents that no code has ever had: misspelt, or not in code yet."""
    for summary in summaries:
        agent = declared.get(summary.agent)
        if agent is None or summary.code_version is not None or agent.keys.find(summary.status_key):
            continue
        close = closest(summary.status_key, agent.prompts)
        hint = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
        yield Finding(
            Kind.UNKNOWN_STATUS,
            f"The code of {summary.agent} does not know the status {summary.status_key!r}, so it is served "
            f"only where a run has that status.{hint}",
            summary.agent,
            summary.status_key,
            summary.active,
        )


def _withdrawn(declared: Agents, withdrawn: Collection[tuple[str, ...]]) -> Iterator[Finding]:
    """Yield the texts of the code that are withdrawn: they are not activated, and may stand in all the same."""
    for name, agent in sorted(declared.items()):
        for status_key, prompt in sorted(agent.prompts.items()):
            if (name, status_key, prompt.content_hash) in withdrawn:
                yield Finding(
                    Kind.WITHDRAWN,
                    f"The code's text of {name}/{status_key} is withdrawn in the database. It still stands in where "
                    "nothing else is active; change the code.",
                    name,
                    status_key,
                    place=place_of(prompt),
                    command=f"automagik-prompts history {word(name)} {word(status_key)}",
                )


def _alike(summaries: Iterable[StatusSummary], declared: Agents) -> Iterator[Finding]:
    """Yield keys of one agent that people take for one: each serves its exact spelling, and no other."""
    stored = status_keys_of(summaries)
    for agent, keys in sorted(stored.items()):
        for first, *others in spelt_alike(keys):
            for other in others:
                yield Finding(
                    Kind.ALIKE,
                    f"{agent} has the statuses {first!r} and {other!r}, which differ only in case or in Unicode form. "
                    "Each is served to runs that spell it just so. Keep one.",
                    agent,
                    other,
                    command=f"automagik-prompts list {word(agent)}",
                )
        for status_key, prompt in sorted(declared[agent].prompts.items()) if agent in declared else ():
            if (other := keys.find(status_key) or status_key) != status_key:
                yield Finding(
                    Kind.ALIKE,
                    str(SpellingClash(agent, status_key, other)),
                    agent,
                    status_key,
                    place=place_of(prompt),
                    command=f"automagik-prompts history {word(agent)} {word(other)}",
                )


def hints_of(
    key: PromptKey,
    content: PromptContent,
    exposed: Collection[str],
    *,
    where: str,
    version: int | None,
    place: Place | None,
) -> Iterator[Finding]:
    """Yield what may be meant otherwise in a text that can be served, and what nobody sees in it."""
    used = content.validate(exposed).variables
    for hint in lint(content.text, content.format, exposed, used=used):
        line = Place(place.path, place.line + hint.line - 1) if place is not None and hint.line is not None else place
        yield Finding(Kind.LINT, f"{where}, {hint}", *key, version, line)
    if found := list(suspicious(content.text)):
        words = f"{where} contains invisible characters: {described(found)}."
        yield Finding(Kind.INVISIBLE, words, *key, version, place)


def _changed(agent: str, prompt: Prompt) -> Iterator[Finding]:
    """Yield whether a text is not what was written, by the hash that stands beside it."""
    content, key = PromptContent(prompt.prompt_text, prompt.format), prompt.status_key
    try:
        content.check_unchanged(prompt.content_hash, agent=agent, status_key=key, version=prompt.version)
    except InvalidPromptError as error:
        yield Finding(Kind.CHANGED, error.message, agent, key, prompt.version)


def status_keys_of(summaries: Iterable[StatusSummary]) -> dict[str, StatusKeys]:
    """Return the statuses in the database, by agent."""
    found: dict[str, list[str]] = {}
    for summary in summaries:
        found.setdefault(summary.agent, []).append(summary.status_key)
    return {agent: StatusKeys(keys) for agent, keys in found.items()}


def unservable(
    key: PromptKey,
    content: PromptContent,
    exposed: Collection[str] | None,
    *,
    where: str,
    version: int | None,
    place: Place | None,
) -> Iterator[Finding]:
    """Yield why a text could not be served, if so; the names it uses are compared where the exposed ones are known."""
    agent, status_key = key
    try:
        content.validate(exposed, agent=agent, status_key=status_key)
    except InvalidPromptError as error:
        kind = Kind.UNEXPOSED if isinstance(error, UnexposedVariableError) else Kind.INVALID
        line = re.search(r"line (\d+)", error.message)
        if place is not None and place.line > 1 and line is not None and kind is Kind.INVALID:
            place = Place(place.path, place.line + int(line.group(1)) - 1)
        yield Finding(kind, f"{where} cannot be served. {error.message}", agent, status_key, version, place)
