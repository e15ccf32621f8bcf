"""What a page shows of texts and differences: nothing is lost, and nothing hides."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from automagik_prompts.console.difference.pieces import Piece, Run, pieces_of, runs_of
from automagik_prompts.console.difference.rows import Beside, Cell, Gap, Unified, difference
from automagik_prompts.console.difference.threeways import Part, three_ways
from automagik_prompts.domain.differences import Span
from automagik_prompts.domain.text import text_lines

LINES = st.lists(st.sampled_from(["", "a", "b b", "the same line", "{{name}} pays 5 EUR", "\r", "x\u2028y"]))

SELLER_7 = """You are the sales assistant of a flour mill.
Today is {{today}}.

What you do
- Greet the customer by name.
- Ask for the company's tax id before you quote a price. It has nine digits.

{{#if vip}}
This customer has a personal contact.
{{/if}}

Answer in at most five sentences."""

SELLER_8 = """You are the sales assistant of a flour mill.
Today is {{today}}.

Answer in at most five sentences.

What you do
- Greet the customer by name.
- Ask for the company's tax id before you quote a price. Check it with the tool check_tax_id.
- Do not ask for payment details.

{{#if vip}}
This customer has a personal contact.
{{/if}}"""


def said(runs: tuple[Run, ...]) -> str:
    """Return the characters of a line that is shown."""
    return "".join(piece.text for run in runs for piece in run.pieces)


def changed(runs: tuple[Run, ...]) -> list[str]:
    """Return the parts that stand out."""
    return [said((run,)) for run in runs if run.is_changed]


def test_variables_stand_apart() -> None:
    """Each tag is one piece, also where two touch."""
    assert pieces_of("Hello {{name}}{{#if vip}}!") == (
        Piece("Hello "),
        Piece("{{name}}", "variable"),
        Piece("{{#if vip}}", "variable"),
        Piece("!"),
    )


def test_a_verbatim_text_has_no_variables() -> None:
    """Its braces are what they are."""
    assert pieces_of("Hello {{name}}", "text") == (Piece("Hello {{name}}"),)


def test_what_nobody_sees_is_shown_by_its_code_point() -> None:
    """Zero-width spaces, direction marks, escapes and line separators; an emoji stays whole."""
    assert pieces_of("a\u200bb\u202e\x1b[1m\u2028\N{WOMAN}\u200d\N{PERSONAL COMPUTER}") == (
        Piece("a"),
        Piece("U+200B", "hidden"),
        Piece("b"),
        Piece("U+202E", "hidden"),
        Piece("U+001B", "hidden"),
        Piece("[1m"),
        Piece("U+2028", "hidden"),
        Piece("\N{WOMAN}\u200d\N{PERSONAL COMPUTER}"),
    )


@given(st.text(alphabet="ab {}\n\t#"))
def test_no_visible_character_is_lost(text: str) -> None:
    """The pieces put together are the text."""
    assert "".join(piece.text for piece in pieces_of(text)) == text


def test_a_line_that_came_as_a_whole_has_no_part_that_stands_out() -> None:
    """The mark in the margin says it already."""
    assert runs_of([Span("new line\n", True)], whole=True) == (Run((Piece("new line"),)),)


def test_the_difference_of_the_design() -> None:
    """A line moved although it was the last one without a line break, one was changed, one was put in."""
    found = difference(SELLER_7, SELLER_8)
    assert found.headline == "1 line moved, 1 line changed, 1 line put in"
    rows = [row for row in found.unified if isinstance(row, Unified) and row.cell.mark != "same"]
    assert [(row.cell.mark, row.old, row.new, said(row.cell.runs)) for row in rows if said(row.cell.runs)] == [
        ("moved", None, 4, "Answer in at most five sentences."),
        ("taken_away", 6, None, "- Ask for the company's tax id before you quote a price. It has nine digits."),
        (
            "put_in",
            None,
            8,
            "- Ask for the company's tax id before you quote a price. Check it with the tool check_tax_id.",
        ),
        ("put_in", None, 9, "- Do not ask for payment details."),
        ("moved", 12, None, "Answer in at most five sentences."),
    ]
    assert changed(rows[2].cell.runs) == ["It has nine digits"]
    assert [row.cell.where for row in rows if row.cell.where and said(row.cell.runs)] == [
        "moved here from line 12",
        "moved up to line 4, unchanged",
    ]


def test_a_line_that_follows_another_does_not_change_it() -> None:
    """That the text had no line break at its end is no change of its last line."""
    found = difference("one", "one\ntwo")
    assert (found.headline, found.same) == ("1 line put in", 1)


def test_a_line_break_at_the_end_is_said() -> None:
    """In words, as nobody could see it."""
    assert difference("one\n", "one").headline == "the line break at the end taken away"
    assert difference("one", "one\n").headline == "a line break put in at the end"
    assert difference("one", "one").is_equal
    assert not difference("one", "one\n").is_equal


def test_how_a_text_is_read_is_a_difference() -> None:
    """The same characters say something else then."""
    found = difference("{{a}}", "{{a}}", "handlebars", "text")
    assert found.headline == "format handlebars becomes text"
    assert not found.is_equal


def test_equal_lines_far_away_fold() -> None:
    """Three stay beside a change; a single one is never hidden."""
    old = [f"line {number}" for number in range(1, 21)]
    new = [*old[:10], "something else entirely", *old[10:]]
    found = difference("\n".join(old), "\n".join(new))
    assert [row.lines for row in found.unified if isinstance(row, Gap)] == [7, 7]
    assert [row.lines for row in found.beside if isinstance(row, Gap)] == [7, 7]
    assert found.is_folded
    whole = difference("\n".join(old), "\n".join(new), context=None)
    assert not whole.is_folded
    assert len(whole.unified) == 21
    near = difference("\n".join(old[:14]), "\n".join([*old[:10], "something else entirely", *old[10:14]]))
    assert [row.lines for row in near.unified if isinstance(row, Gap)] == [7]


def numbers(cells: list[Cell]) -> list[int]:
    """Return the numbers of lines."""
    return [cell.number for cell in cells]


@given(LINES, LINES)
@example(["a"], ["a", ""])
def test_both_columns_have_each_line_once(old: list[str], new: list[str]) -> None:
    """In one column and side by side, in the order of the texts."""
    before, after = "\n".join(old), "\n".join(new)
    found = difference(before, after, context=None)
    left = [row.old for row in found.beside if isinstance(row, Beside) and row.old is not None]
    right = [row.new for row in found.beside if isinstance(row, Beside) and row.new is not None]
    assert numbers(left) == list(range(1, len(text_lines(before)) + 1))
    assert numbers(right) == list(range(1, len(text_lines(after)) + 1))
    rows = [row for row in found.unified if isinstance(row, Unified)]
    assert [row.old for row in rows if row.old is not None] == numbers(left)
    assert [row.new for row in rows if row.new is not None] == numbers(right)


def test_three_texts() -> None:
    """Each place at which they differ, and those that both have changed."""
    base = "one is here\ntwo is here\nthree is here\nfour is here\n"
    theirs = "one is there\ntwo is here\nthree is gone\nfour is here\nfive is new\n"
    mine = "one is here\nthree is mine\nfour is here\n"
    found = three_ways(base, theirs, mine)
    assert found.same == 1
    assert [(row.number, row.theirs.fate, row.mine.fate, row.is_clash) for row in found.rows] == [
        (1, "changed", "same", False),
        (2, "same", "taken_away", False),
        (3, "changed", "changed", True),
        (None, "put_in", "absent", False),
    ]
    assert changed(found.rows[2].mine.new) == ["mine"]


def test_two_who_did_the_same_do_not_clash() -> None:
    """There is nothing to decide."""
    found = three_ways("one is here\n", "one is gone\nand two\n", "one is gone\nand two\n")
    assert not found.clashes
    assert [row.theirs.fate for row in found.rows] == ["changed", "put_in"]


def test_two_who_put_different_lines_in_one_place_clash() -> None:
    """Somebody has to say which comes first."""
    found = three_ways("one\n", "one\nfirst of joao\n", "one\nof marta\nsecond of marta\n")
    assert [row.is_clash for row in found.rows] == [True, True]
    assert found.rows[1].theirs == Part("absent")


@given(LINES, LINES, LINES)
def test_three_texts_of_any_kind(base: list[str], theirs: list[str], mine: list[str]) -> None:
    """All lines of the base are accounted for, and the same text thrice has no difference."""
    texts = ["\n".join(lines) for lines in (base, theirs, mine)]
    found = three_ways(*texts)
    assert found.same + sum(row.number is not None for row in found.all_rows) == len(text_lines(texts[0]))
    assert not three_ways(texts[0], texts[0], texts[0]).all_rows
