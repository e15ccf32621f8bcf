from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_ai.messages import (
    InstructionPart,
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ToolReturnPart,
    UserPromptPart,
)

from automagik_prompts.agent.history.features import APPENDS_SYSTEM_PROMPTS
from automagik_prompts.agent.history.instructions import without_declared
from automagik_prompts.agent.history.messages import Placement, is_placed

REF, ADA = "automagik_prompts.stan", "automagik_prompts.ada"
TEXT, OLD, DECLARED = "The active text.", "An old text.", "A declared text."
CONTEXT = "system_prompt:active_prompt-stan"

own = st.builds(
    SystemPromptPart,
    st.sampled_from([TEXT, OLD]),
    dynamic_ref=st.just(REF),
    **({"context_id": st.sampled_from([None, CONTEXT])} if APPENDS_SYSTEM_PROMPTS else {}),
)
parts: st.SearchStrategy[ModelRequestPart] = st.one_of(
    own,
    st.builds(SystemPromptPart, st.sampled_from([DECLARED, "Another agent's.", TEXT])),
    st.builds(SystemPromptPart, st.sampled_from(["Another one's.", DECLARED, TEXT]), dynamic_ref=st.just(ADA)),
    st.builds(UserPromptPart, st.just("hi")),
    st.builds(ToolReturnPart, st.just("look"), st.just("nothing"), tool_call_id=st.just("1")),
)
messages: st.SearchStrategy[ModelMessage] = st.one_of(
    st.builds(ModelRequest, parts=st.lists(parts, max_size=4)),
    st.builds(ModelResponse, parts=st.just([TextPart("hello")])),
)
sent = st.builds(ModelRequest, parts=st.lists(parts, max_size=4))


@st.composite
def histories(draw: st.DrawFn) -> list[ModelMessage]:
    """Any messages that end in the request being sent."""
    return [*draw(st.lists(messages, max_size=6)), draw(sent)]


def place(text: str | None = TEXT, context_id: str | None = None) -> Placement:
    """Return a placement of Stan's prompt."""
    return Placement(
        REF, text, frozenset({DECLARED}), context_id, (lambda content, _: content in {OLD, DECLARED}, "NEW")
    )


def owned(history: list[ModelMessage]) -> list[SystemPromptPart]:
    """Return the parts that are this prompt."""
    found = [part for message in history if isinstance(message, ModelRequest) for part in message.parts]
    return [
        part
        for part in found
        if isinstance(part, SystemPromptPart)
        and (part.dynamic_ref == REF or (part.dynamic_ref is None and part.content == DECLARED))
    ]


def others(history: list[ModelMessage]) -> list[Any]:
    """Return everything else, in order."""
    mine = {id(part) for part in owned(history)}
    return [part for message in history for part in message.parts if id(part) not in mine]


@settings(max_examples=150, deadline=None)
@given(histories(), st.sampled_from([None, CONTEXT] if APPENDS_SYSTEM_PROMPTS else [None]))
def test_whatever_came_in_the_text_is_there_and_the_rest_as_it_was(
    history: list[ModelMessage], context_id: str | None
) -> None:
    """The prompt is told, all else stays in its order, nothing given is changed, and a second time does nothing."""
    before = copy.deepcopy(history)
    result = place(context_id=context_id).apply(history) or history
    assert history == before
    assert others(result) == others(history)
    told = owned(result)
    assert told[-1].content == TEXT
    assert {getattr(part, "context_id", None) for part in told} == {context_id}
    assert {part.dynamic_ref for part in told} == {REF}
    if context_id is None:
        assert len(told) == 1
        head = next(message for message in result if isinstance(message, ModelRequest)).parts
        at = next(index for index, part in enumerate(head) if part is told[0])
        assert all(isinstance(part, SystemPromptPart) for part in head[:at])
    assert place(context_id=context_id).apply(result) is None


@settings(max_examples=100, deadline=None)
@given(histories())
def test_taking_the_prompt_out(history: list[ModelMessage]) -> None:
    """Where the prompt is told elsewhere, none of it is left in the messages, and the request being sent stays."""
    result = place(None).apply(history) or history
    assert owned(result) == []
    assert others(result) == others(history)
    assert isinstance(result[-1], ModelRequest)
    assert place(None).apply(result) is None


@pytest.mark.skipif(not APPENDS_SYSTEM_PROMPTS, reason="this Pydantic AI cannot append system prompts")
@settings(max_examples=100, deadline=None)
@given(histories())
def test_what_was_answered_is_appended_to_only(history: list[ModelMessage]) -> None:
    """Where changes are appended, requests before the last one only get the id that a replacement refers to."""
    if not owned(history):
        return
    result = place(context_id=CONTEXT).apply(history) or history
    assert len(result) == len(history)
    for new, old in zip(result[:-1], history[:-1], strict=True):
        assert [part.content for part in new.parts if hasattr(part, "content")] == [
            part.content for part in old.parts if hasattr(part, "content")
        ]


def test_one_message_in_two_lists_stays_one() -> None:
    """What goes out and what is kept share their messages, by which Pydantic AI knows the request being sent."""
    stale = SystemPromptPart(OLD, dynamic_ref=REF)
    request = ModelRequest(parts=[stale, UserPromptPart("hi")])
    one = place()
    out, kept = one.apply([request]), one.apply([ModelResponse(parts=[TextPart("before")]), request])
    assert out is not None
    assert kept is not None
    assert out[-1] is kept[-1]
    assert request.parts[0] is stale
    assert stale.content == OLD


def test_right_already() -> None:
    """Messages that are right are left alone, so that nothing is copied on most requests."""
    stated = SystemPromptPart(TEXT, dynamic_ref=REF)
    history: list[ModelMessage] = [ModelRequest(parts=[stated, UserPromptPart("hi")])]
    assert place().apply(history) is None
    assert place().apply([]) is None
    assert place().apply([ModelResponse(parts=[TextPart("hi")])]) is None


@pytest.mark.parametrize("context_id", [None, CONTEXT] if APPENDS_SYSTEM_PROMPTS else [None])
def test_an_answer_that_goes_on_gets_back_what_it_was_sent(context_id: str | None) -> None:
    """Where the provider paused in the middle of an answer, what was sent is sent again, whatever is active now."""
    extra: dict[str, Any] = {"context_id": context_id} if APPENDS_SYSTEM_PROMPTS else {}
    history: list[ModelMessage] = [
        ModelRequest(parts=[SystemPromptPart(OLD, dynamic_ref=REF, **extra), UserPromptPart("hi")]),
        ModelResponse(parts=[TextPart("wait")], state="suspended"),
    ]
    known = Placement(REF, TEXT, frozenset({DECLARED}), context_id, (lambda text, _: text == OLD, "NEW"))
    assert known.apply(history) is None


@pytest.mark.parametrize("context_id", [None, CONTEXT] if APPENDS_SYSTEM_PROMPTS else [None])
@pytest.mark.parametrize("forged", [["Forged."], [OLD, "Forged."], ["Forged.", OLD], ["Forged.", "Forged."]])
def test_an_answer_that_goes_on_brings_no_forged_text(context_id: str | None, forged: list[str]) -> None:
    """Whatever somebody has put there under this prompt's reference, one text that the agent may be sent is left."""
    extra: dict[str, Any] = {"context_id": context_id} if APPENDS_SYSTEM_PROMPTS else {}
    history: list[ModelMessage] = [
        ModelRequest(
            parts=[*(SystemPromptPart(text, dynamic_ref=REF, **extra) for text in forged), UserPromptPart("hi")]
        ),
        ModelRequest(parts=[SystemPromptPart("Forged.", dynamic_ref=REF, **extra)]),
        ModelResponse(parts=[TextPart("wait")], state="suspended"),
    ]
    known = Placement(REF, TEXT, frozenset({DECLARED}), context_id, (lambda text, _: text == OLD, "NEW"))
    result = known.apply(history)
    assert result is not None
    assert [part.content for part in owned(result)] == [OLD if OLD in forged else TEXT]
    assert isinstance(result[-1], ModelResponse)


@pytest.mark.parametrize("context_id", [None, CONTEXT] if APPENDS_SYSTEM_PROMPTS else [None])
@pytest.mark.parametrize("begins_with_answer", [False, True])
@pytest.mark.parametrize("ends_with_answer", [False, True])
def test_a_history_without_the_prompt_gets_it_at_its_head(
    context_id: str | None, begins_with_answer: bool, ends_with_answer: bool
) -> None:
    """Whoever spoke first and last: nothing was sent with this prompt yet that would have to come back as it was."""
    answer = ModelResponse(parts=[TextPart("hello")])
    history: list[ModelMessage] = [
        *([answer] if begins_with_answer else []),
        ModelRequest(parts=[UserPromptPart("hi")]),
        answer,
        *([] if ends_with_answer else [ModelRequest(parts=[UserPromptPart("go on")])]),
    ]
    result = place(context_id=context_id).apply(history)
    assert result is not None
    at = 1 if begins_with_answer else 0
    stated, *rest = result[at].parts
    assert isinstance(stated, SystemPromptPart)
    assert (stated.content, stated.dynamic_ref, getattr(stated, "context_id", None)) == (TEXT, REF, context_id)
    assert rest == history[at].parts
    assert [*result[:at], *result[at + 1 :]] == [*history[:at], *history[at + 1 :]]
    assert place(None, context_id).apply(history) is None


def test_another_agents_dynamic_text_is_not_this_prompt() -> None:
    """A part that another agent makes anew for each run stays its own, even if it says what this agent's code says."""
    hers = [SystemPromptPart(text, dynamic_ref=ADA) for text in (DECLARED, TEXT)]
    bare: list[ModelMessage] = [ModelRequest(parts=[*hers, UserPromptPart("hi")])]
    declared = frozenset({DECLARED})
    assert not is_placed(bare, REF, TEXT, declared)
    assert is_placed(bare, REF, None, declared)
    assert place(None).apply(bare) is None
    result = place().apply(bare)
    assert result is not None
    assert [getattr(part, "dynamic_ref", None) for part in result[0].parts] == [REF, ADA, ADA, None]
    assert all(new is old for new, old in zip(result[0].parts[1:], bare[0].parts, strict=True))
    assert is_placed(result, REF, TEXT, declared)


@pytest.mark.parametrize(
    ("content", "left"),
    [
        (DECLARED, None),
        (f"{DECLARED}\n\nMore.", "More."),
        (f"More.\n\n{DECLARED}", "More."),
        (f"More.\n\n{DECLARED}\n\n{DECLARED}\n\nMore.", "More.\n\nMore."),
        (f"More. {DECLARED}", f"More. {DECLARED}"),
        (f"More.\n{DECLARED}", f"More.\n{DECLARED}"),
        ("Something else.", "Something else."),
    ],
)
def test_declared_texts_in_instructions(content: str, left: str | None) -> None:
    """A declared text that is a block of its own is taken out; the rest, and what is made for each request, stays."""
    dynamic = InstructionPart(content, dynamic=True)
    found = without_declared([InstructionPart(content), dynamic], {DECLARED, "  "})
    assert [part.content for part in found] == [*([left] if left else []), content]
    assert found[-1] is dynamic
