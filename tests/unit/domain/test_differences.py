"""Differences as people read them: nothing is lost, what moved has moved, and single words never alternate."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from automagik_prompts.domain.differences import Line, Span, compare, folded, new_text, old_text

LINES = st.lists(
    st.sampled_from(["", "a", "b b", "the same line", "{{name}} pays 5 EUR", "\r", "x\u2028y"]), max_size=12
)


def joined(lines: list[str]) -> str:
    """Put lines together."""
    return "\n".join(lines)


@given(st.text(alphabet="ab \n{}\r"), st.text(alphabet="ab \n{}\r"))
@example("", "\n")
@example("a\n", "a")
def test_both_texts_can_be_put_together_again(old: str, new: str) -> None:
    """Exactly, whatever they are."""
    lines = compare(old, new)
    assert (old_text(lines), new_text(lines)) == (old, new)


@given(LINES, LINES)
def test_so_can_texts_with_moved_lines(old: list[str], new: list[str]) -> None:
    """Lines that occur often, empty ones, and such as look like line breaks."""
    lines = compare(joined(old), joined(new))
    assert (old_text(lines), new_text(lines)) == (joined(old), joined(new))
    numbers = [line.old_number for line in lines if line.kind != "moved_here" and line.old_number is not None]
    assert numbers == list(range(1, len(numbers) + 1))
    numbers = [line.new_number for line in lines if line.kind != "moved_away" and line.new_number is not None]
    assert numbers == list(range(1, len(numbers) + 1))


def kinds(lines: tuple[Line, ...]) -> list[str]:
    """Return what became of each line."""
    return [line.kind for line in lines]


def changes(spans: tuple[Span, ...]) -> list[str]:
    """Return the changed parts of a line."""
    return [span.text for span in spans if span.is_changed]


def test_one_changed_number() -> None:
    """It is one change, and a whole word."""
    [line] = compare("Pay 500 EUR by Monday at the latest.", "Pay 750 EUR by Monday at the latest.")
    assert (line.kind, changes(line.old), changes(line.new)) == ("changed", ["500"], ["750"])


def test_a_variable_is_one_word() -> None:
    """Nobody reads half a tag."""
    [line] = compare("Ask {{name}} for the tax id, please.", "Ask {{full_name}} for the tax id, please.")
    assert (changes(line.old), changes(line.new)) == (["{{name}}"], ["{{full_name}}"])


def test_changes_close_together_are_one() -> None:
    """Fewer than three equal words apart they are one change; further apart they are two."""
    [near] = compare("one two three four five six seven", "one 2 three 4 five six seven")
    assert (changes(near.old), changes(near.new)) == (["two three four"], ["2 three 4"])
    [far] = compare("one two three four five six seven", "one 2 three four five 6 seven")
    assert (changes(far.old), changes(far.new)) == (["two", "six"], ["2", "6"])


def test_a_line_that_stands_elsewhere_has_moved() -> None:
    """With the empty line beside it; the rest is compared as if it had never been there."""
    old = "Title\n\nWhat you do\n- greet\n- ask\n\nBe brief.\n"
    new = "Title\n\nBe brief.\n\nWhat you do\n- greet\n- ask\n"
    lines = compare(old, new)
    moved = [(line.kind, line.old_number, line.new_number) for line in lines if line.kind.startswith("moved")]
    assert ("moved_here", 7, 3) in moved
    assert ("moved_away", 7, 3) in moved
    assert set(kinds(lines)) <= {"same", "moved_here", "moved_away"}


def test_unlike_lines_are_no_pair() -> None:
    """Lines that have less than four tenths in common are taken away and put in."""
    assert kinds(compare("Never promise a discount.\n", "Call back on the same day.\n")) == ["removed", "added"]


def test_equal_lines_around_a_change_fold() -> None:
    """Three of them stay on each side."""
    old = "".join(f"line {number}\n" for number in range(30))
    new = old.replace("line 5\n", "line five\n").replace("line 20\n", "")
    groups = list(folded(compare(old, new)))
    assert [len(group) for group in groups] == [7, 7]
    assert list(folded(compare(old, old))) == []


# Variants that prompts really have: paragraphs in another order, a number in each line, one long line, and all at once.


def reordered(text: str, chance: random.Random) -> str:
    """Put the lines in another order."""
    lines = text.split("\n")
    chance.shuffle(lines)
    return joined(lines)


def renumbered(text: str, chance: random.Random) -> str:
    """Put another number into each line."""
    return joined([f"{line} {chance.randrange(100)}" for line in text.split("\n")])


def reworded(text: str, chance: random.Random) -> str:
    """Change a word here and there."""
    return re.sub(r"\w+", lambda found: "other" if chance.random() < 0.05 else found[0], text)


VARIANTS: list[Callable[[str, random.Random], str]] = [
    reordered,
    renumbered,
    reworded,
    lambda text, _: text.replace("\n", " "),
    lambda text, chance: reworded(reordered(renumbered(text, chance), chance), chance),
]


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_longest_real_prompts(real_prompts: dict[str, str], variant: Callable[[str, random.Random], str]) -> None:
    """In the twenty hardest ones nothing is lost, and inside a line no two changes are closer than three words."""
    chance = random.Random(7)
    hardest = sorted(real_prompts.values(), key=lambda text: (text.count("\n"), len(text)))[-20:]
    for old in hardest:
        new = variant(old, chance)
        lines = compare(old, new)
        assert (old_text(lines), new_text(lines)) == (old, new)
        for line in lines:
            if line.kind != "changed":
                continue
            for place, span in enumerate(line.old):
                if not span.is_changed and 0 < place < len(line.old) - 1:
                    assert len(re.findall(r"\{\{.*?\}\}|\w+|[^\w\s]", span.text)) >= 3
        if variant is reordered:
            assert set(kinds(lines)) <= {"same", "moved_here", "moved_away", "removed", "added"}
            lost = [line.old[0].text for line in lines if line.kind == "removed" and line.old[0].text.strip()]
            assert len(lost) <= 2  # the last line has no line feed, and gets one


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (joined([f"line {n} of many" for n in range(30_000)]), joined([f"line {n} of most" for n in range(30_000)])),
        ("word " * 60_000, "word " * 30_000 + "wort " * 30_000),
        (joined(list("abc" * 2_000)), joined(list("cab" * 2_000))),
        (joined([f"{n} a b c d e f" for n in range(500)]), joined([f"{n + 7} a b x d e f" for n in range(500)])),
    ],
    ids=["many lines", "a long line", "few different lines", "many alike"],
)
def test_long_texts_are_bounded(old: str, new: str) -> None:
    """What cannot be compared word by word in good time is compared as a whole, and nothing is lost."""
    began = time.process_time()
    lines = compare(old, new)
    print(f"{time.process_time() - began:.2f} s")
    assert (old_text(lines), new_text(lines)) == (old, new)


def test_a_long_text_that_was_written_anew_is_not_compared_word_by_word() -> None:
    """Its lines are alike in hundreds of ways, and to find the best of them would take seconds."""
    old, new = (joined([" ".join(f"{name}{n}{m} the" for m in range(70)) for n in range(150)]) for name in "ab")
    assert set(kinds(compare(old, new))) == {"removed", "added"}
    assert "changed" in kinds(compare(old[:1_500], new[:1_500]))
