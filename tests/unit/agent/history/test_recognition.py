"""Recognising a text from before this library: exactly, or filled, and never somebody else's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_ai.messages import ModelMessage, ModelRequest, SystemPromptPart, UserPromptPart

from automagik_prompts.agent.history.messages import leading_prompt
from automagik_prompts.agent.history.recognition import KnownTexts, literal_pieces

LONG = "You are Stan of Namastex. Ask {{name}} for the tax id, and be kind to {{ contact.first }}."


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Hi {{name}}.", ("Hi ", ".")),
        ("{{a}}{{b}}", ("", "", "")),
        ("{{{raw}}} and {{ upper name }}", ("", " and ", "")),
        ("No tags.", None),
        ("{{#if vip}}yes{{/if}}", None),
        ("Hi {{name}}{{else}}", None),
        ("{{> part}}", None),
        ("{{!-- a comment --}}", None),
        ("\\{{literal}}", None),
        ("Hi {{name", None),
        ("Hi {{}}", None),
    ],
)
def test_literal_pieces(text: str, pieces: tuple[str, ...] | None) -> None:
    """A text is taken apart at its tags; one with blocks, or that is not clear, is not."""
    assert literal_pieces(text) == pieces


@given(st.text(max_size=40), st.text(max_size=40))
def test_filled_with_anything(name: str, first: str) -> None:
    """Whatever a template was filled with, as long as most of the prompt is the template's."""
    known = KnownTexts([(LONG, "handlebars")])
    content = LONG.replace("{{name}}", name).replace("{{ contact.first }}", first)
    literal = len(LONG) - len("{{name}}{{ contact.first }}")
    assert known.is_own(content) == (len(content) <= 2 * literal)


@given(st.text(max_size=200))
def test_somebody_elses(content: str) -> None:
    """A prompt without the literal pieces is not recognised."""
    assert not KnownTexts([(LONG, "handlebars"), ("Be kind.", "text")]).is_own(content + " ")


def test_exactly() -> None:
    """Exact texts are known however short they are, also ones with blocks and of other formats."""
    texts = [("Hi.", "text"), ("{{#if a}}b{{/if}}", "handlebars"), ("Hello {{name}}", "simple")]
    known = KnownTexts(texts)
    assert all(known.is_own(text) for text, _ in texts)
    assert not known.is_own("Hello Ana"), "too short to be certain"
    assert not known.is_own("b")


def test_in_their_order_and_to_the_end() -> None:
    """All pieces must be there, in order, without one of them counted twice, and nothing around them."""
    known = KnownTexts([("You are Stan of Namastex, {{a}}, be brief now, {{b}}, be brief now.", "handlebars")])
    assert known.is_own("You are Stan of Namastex, X, be brief now, Y, be brief now.")
    assert not known.is_own("You are Stan of Namastex, X, be brief now.")
    assert not known.is_own("Hi. You are Stan of Namastex, X, be brief now, Y, be brief now.")
    assert not known.is_own("You are Stan of Namastex, X, be brief now, Y, be brief now. More.")


def test_a_megabyte() -> None:
    """A hostile prompt of a megabyte is turned away by its length, before anything is looked for in it."""
    known = KnownTexts([(LONG, "handlebars")] * 50)
    assert not known.is_own("You are Stan of Namastex. Ask " * 40_000)
    pieces = "".join(f"{{{{v{number}}}}} and a" for number in range(5_000))
    assert not KnownTexts([(pieces, "handlebars")]).is_own(" and a" * 9_000 + "!")


def test_the_leading_prompt() -> None:
    """Only the first system prompt of the first request that is not ours, and only a plain one."""
    ours, plain, code = SystemPromptPart("x", dynamic_ref="me"), SystemPromptPart("plain"), SystemPromptPart("code")
    hers = SystemPromptPart("hers", dynamic_ref="automagik_prompts.ada")

    def found(*parts: SystemPromptPart) -> tuple[str | None, bool]:
        messages: list[ModelMessage] = [ModelRequest(parts=[*parts, UserPromptPart("hi")])]
        return leading_prompt(messages, "me", frozenset({"code"}))

    assert found(plain) == ("plain", False)
    assert found(code, plain, SystemPromptPart("later")) == ("plain", False)
    assert found(ours, plain) == ("plain", True)
    assert found(hers, plain) == (None, False)
    assert found() == (None, False)
    assert leading_prompt([], "me", frozenset()) == (None, False)
