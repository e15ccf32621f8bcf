"""Two texts brought together: nothing of either is lost where they do not touch, and nobody decides for a person."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from automagik_prompts.console.difference.merging import merged

TEXTS = st.lists(st.sampled_from(["", "a", "b", "the same line", "{{name}}"])).map("\n".join)

BASE = "Greet.\nAsk for the id.\nQuote prices.\nSay goodbye."


def test_changes_that_do_not_touch() -> None:
    """Both are in the text, and there is nothing to decide."""
    theirs = "Greet by name.\nAsk for the id.\nQuote prices.\nSay goodbye."
    mine = "Greet.\nAsk for the id.\nQuote prices.\nAsk for a review.\nSay goodbye."
    found = merged(BASE, theirs, mine)
    assert found.text == "Greet by name.\nAsk for the id.\nQuote prices.\nAsk for a review.\nSay goodbye."
    assert not found.undecided


def test_a_line_that_both_have_changed() -> None:
    """Theirs stays, and its line is named."""
    theirs, mine = BASE.replace("the id", "the number"), BASE.replace("the id", "two ids").replace("Greet", "Wave")
    found = merged(BASE, theirs, mine)
    assert found.text == theirs.replace("Greet", "Wave")
    assert found.undecided == (2,)


def test_lines_put_in_at_the_same_place() -> None:
    """Somebody has to say which comes first."""
    found = merged("one\ntwo\n", "one\nof joao\ntwo\n", "one\nof marta\ntwo\n")
    assert (found.text, found.undecided) == ("one\nof joao\ntwo\n", (2,))


def test_a_line_taken_away_and_changed() -> None:
    """It is undecided."""
    assert merged(BASE, BASE.replace("Quote prices.\n", ""), BASE.replace("prices", "all prices")).undecided == (3,)


@given(TEXTS, TEXTS)
def test_what_only_one_has_changed(base: str, text: str) -> None:
    """It is what they made of it, whoever it was, and also where both did the same."""
    for found in (merged(base, text, base), merged(base, base, text), merged(base, text, text)):
        assert found.text == text
        assert not found.undecided


@given(TEXTS, TEXTS, TEXTS)
def test_what_is_undecided_is_in_the_text(base: str, theirs: str, mine: str) -> None:
    """Each place is a line of it, or the end."""
    found = merged(base, theirs, mine)
    assert all(1 <= line <= found.text.count("\n") + 2 for line in found.undecided)
