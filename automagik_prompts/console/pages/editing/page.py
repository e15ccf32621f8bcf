"""The page on which a text is written, as it was opened or sent."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

from automagik_prompts.console.difference.rows import Difference, difference
from automagik_prompts.console.pages.deciding.situation import Situation, version_of
from automagik_prompts.console.pages.editing.clash import Clash
from automagik_prompts.console.pages.editing.looking import Look, look
from automagik_prompts.console.pages.editing.problems import compiled
from automagik_prompts.console.pages.editing.typed import Typed, find_or_none
from automagik_prompts.console.pages.filled import bare_names
from automagik_prompts.console.visitor import Visitor
from automagik_prompts.domain.policy import Operation
from automagik_prompts.domain.records import Prompt
from automagik_prompts.domain.review import Draft
from automagik_prompts.domain.validation import check_format
from automagik_prompts.exceptions import InvalidPromptError
from automagik_prompts.templating.access import BUILTINS


@dataclass(frozen=True, slots=True)
class Beside:
    """Another text, to be looked at beside the one that is written.

    Attributes:
        label: What it is called.
        text: What it says.
        difference: How the written one differs from it.
    """

    label: str
    text: str = field(repr=False)
    difference: Difference = field(repr=False)


@dataclass(frozen=True, slots=True)
class EditPage:
    """The page on which a text is written.

    Attributes:
        at: Where the status stands.
        typed: What stands in the form.
        look: What the text comes to.
        base: The version that it was begun from.
        draft: One's own draft, if there is one.
        beside: Another text, to be looked at beside it.
        clash: That somebody else was faster, if so.
        may_draft: Whether the visitor may save drafts.
        may_activate: Whether they may activate what they write, at once or once it is approved.
        may_request: Whether they may ask for it.
        faults: What is wrong, in words, by field; `""` for the whole.
        said: What has just been done.
        is_sent: Whether the text was sent, and is kept nowhere yet.
        saves_itself: Whether a script may save it as the draft: not in place of another that nobody has looked at.
    """

    at: Situation
    typed: Typed
    look: Look
    base: Prompt | None
    draft: Draft | None
    beside: Beside | None
    clash: Clash | None
    may_draft: bool
    may_activate: bool
    may_request: bool
    faults: dict[str, str]
    said: str | None
    is_sent: bool
    saves_itself: bool

    @property
    def next(self) -> int:
        """The number that the version will have, if nobody is faster."""
        return self.at.summary.latest + 1

    @property
    def asks(self) -> bool:
        """Whether its activation needs somebody else."""
        return self.at.protection is not None or not self.may_activate

    @property
    def is_other_draft(self) -> bool:
        """Whether there is a draft that the form does not show: saving would take its place."""
        return self.draft is not None and self.typed.counter is None

    @property
    def palette(self) -> tuple[tuple[str, str], ...]:
        """What can be put in: its name, and the tag."""
        if self.typed.format == "text":
            return ()
        plain, asked = [], []
        for name in self.at.agent.variables:
            bare = name.removesuffix("?").removesuffix(".*")
            if name.endswith("?"):
                asked.append((f"#if {bare}", f"{{{{#if {bare}}}}}{{{{/if}}}}"))
            elif "[]" in name:
                above = name.partition("[]")[0]
                asked.append((f"#each {above}", f"{{{{#each {above}}}}}{{{{/each}}}}"))
                inner = name.rpartition("[]")[2].removeprefix(".") or "this"
                asked.append((name, f"{{{{{inner}}}}}"))
            else:
                plain.append((bare, f"{{{{{bare}}}}}"))
        if self.typed.format != "handlebars":
            asked = []
        return tuple(dict.fromkeys((*plain, *asked, *((name, f"{{{{{name}}}}}") for name in sorted(BUILTINS)))))


async def opened(
    who: Visitor, at: Situation, *, base: int | None, beside: int | None, based_on: int | None
) -> tuple[Typed, Draft | None]:
    """Return what stands in the form when it is opened: one's own draft, or a version.

    Args:
        who: Who looks.
        at: Where the status stands.
        base: The version to begin from; `None` for the draft, or else what is served.
        beside: A version to look at beside it.
        based_on: The code's version that it is to be merged with.

    Raises:
        PromptNotFoundError: There is no such version.
        DatabaseUnavailableError: The database cannot be read now.
    """
    draft = await draft_of(who, at)
    seen = at.active.version if at.active else None
    if draft is not None and base is None:
        typed = Typed(draft.text, draft.format, at.revision, draft.note or "", draft.base_version, draft.counter, seen)
    else:
        first = at.served if base is None else await version_of(who.service, at, base)
        number = first.version if first is not None and first.status_key == at.status_key else None
        text, form = (first.prompt_text, first.format) if first is not None else ("", "handlebars")
        typed = Typed(text, check_format(form), at.revision, base=number, seen=seen)
    return replace(typed, beside=beside or based_on, based_on=based_on), draft


async def looked_at(at: Situation, typed: Typed) -> Look:
    """Return what a text comes to, off the event loop: a long one takes a while."""
    before: tuple[str, ...] = ()
    if at.active is not None:
        template = compiled(at.active.prompt_text, at.active.format)
        before = () if isinstance(template, InvalidPromptError) else bare_names(template.variables)
    return await asyncio.to_thread(
        look,
        typed.text,
        typed.format,
        agent=at.agent.name,
        status=at.status_key,
        exposed=at.agent.variables,
        before=before,
        values=typed.values,
        ticks=typed.ticks,
    )


async def edit_page(
    who: Visitor,
    at: Situation,
    typed: Typed,
    draft: Draft | None,
    *,
    faults: dict[str, str] | None = None,
    clash: Clash | None = None,
    said: str | None = None,
    other: Draft | None = None,
    is_sent: bool = True,
) -> EditPage:
    """Return the page on which a text is written.

    Args:
        who: Who looks.
        at: Where the status stands.
        typed: What stands in the form.
        draft: One's own draft, if there is one.
        faults: What is wrong, by field.
        clash: That somebody else was faster.
        said: What has just been done.
        other: The draft that was saved elsewhere meanwhile, to be looked at beside it.
        is_sent: Whether the text was sent, and is kept nowhere yet.
    """
    agent, status = at.agent.name, at.status_key
    base = await find_or_none(who, at, typed.base)
    aside: Beside | None = None
    if other is not None:
        aside = _beside("Your draft as it was saved elsewhere", other.text, typed)
    elif typed.beside is not None and (found := await find_or_none(who, at, typed.beside)) is not None:
        aside = _beside(f"Version {found.version}", found.prompt_text, typed)
    may_draft = await who.may(Operation.DRAFT, agent, status)
    return EditPage(
        at,
        typed,
        await looked_at(at, typed),
        base,
        draft,
        aside,
        clash,
        may_draft=may_draft,
        may_activate=await who.may(Operation.ACTIVATE, agent, status),
        may_request=await who.may(Operation.REQUEST, agent, status),
        faults=faults or {},
        said=said,
        is_sent=is_sent,
        saves_itself=may_draft and other is None and (draft is None or typed.counter is not None),
    )


async def draft_of(who: Visitor, at: Situation) -> Draft | None:
    """Return one's own draft, where drafts are allowed."""
    if not await who.may(Operation.DRAFT, at.agent.name, at.status_key):
        return None
    return await who.service.get_draft(at.agent.name, at.status_key)


def _beside(label: str, text: str, typed: Typed) -> Beside:
    return Beside(label, text, difference(text, typed.text))
