from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from rich.cells import cell_len

from automagik_prompts.cli.app import COMMANDS
from automagik_prompts.cli.commands.check import annotation
from automagik_prompts.cli.output.diffs import diff_lines
from automagik_prompts.cli.output.reports import FindingLine
from automagik_prompts.cli.output.tables import columns, terminal_lines
from automagik_prompts.cli.output.text import age, plural, visible
from automagik_prompts.editing.findings import Kind, Level


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_each_command_says_of_itself(name: str) -> None:
    """The table from which commands are listed without loading them has the first line of their help."""
    command = COMMANDS[name].load(name)
    assert (command.help or "").partition("\n")[0] == COMMANDS[name].summary
    assert command.name == name


@pytest.mark.parametrize(
    ("passed", "words"),
    [(0, "0s"), (59, "59s"), (60, "1m"), (7199, "1h"), (86400 * 40, "40d"), (86400 * 800, "2y"), (-5, "0s")],
)
def test_ages_are_short(passed: int, words: str) -> None:
    """An age has one unit; a clock that runs behind shows no negative one."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert age(now - timedelta(seconds=passed), now) == words


def test_control_characters_are_shown_and_not_obeyed() -> None:
    """A prompt cannot colour, move or hide what stands on the terminal."""
    assert visible("a\x1b[31mb\rc\x9bd\u202ee\tf\ng") == "a␛[31mb␍c<U+009B>d<U+202E>e\tf\ng"
    assert visible("👩‍👩‍👧 é") == "👩‍👩‍👧 é"


def test_things_are_counted_as_people_say_it() -> None:
    """One thing is not plural."""
    assert (plural(1, "file"), plural(2, "file"), plural(0, "status", "statuses")) == (
        "1 file",
        "2 files",
        "0 statuses",
    )


@pytest.mark.parametrize("room", [40, 80, 200])
def test_a_table_fits_the_terminal_and_loses_nothing(room: int) -> None:
    """Cells are broken where there is no room, also inside long words and wide characters, and nothing is left out."""
    rows = [["an_agent_with_a_very_long_name_indeed", "方" * 30, "12", "by a person with many names"]]
    shape = columns("agent", "status", ">version", "author")
    lines = [line.plain for line in terminal_lines(shape, rows, ["a note " * 20], room)]
    assert all(cell_len(line) <= room for line in lines)
    together = "".join("".join(lines).split())
    for word in ("12", "names", "note"):
        assert word in together
    assert together.count("方") == 30


def shown(old: str, new: str, *, marked: bool = True) -> str:
    """Return a difference as it is printed where colours do not reach the reader."""
    return "\n".join(line.plain for line in diff_lines(old, new, marked=marked))


def test_a_difference_is_shown_line_by_line() -> None:
    """What was there stands above what is, with the changed words marked, and three unchanged lines around."""
    old = "".join(f"line {n}\n" for n in range(10)) + "Be polite and brief, in any case.\nend"
    new = "".join(f"line {n}\n" for n in range(10)) + "Be kind and brief, in any case.\nend"
    assert shown(old, new) == (
        "@@ line 8 @@\n  line 7\n  line 8\n  line 9\n- Be [-polite-] and brief, in any case.\n"
        "+ Be {+kind+} and brief, in any case.\n  end  (no line feed at the end)"
    )
    coloured = list(diff_lines(old, new, marked=False))
    assert coloured[4].plain == "- Be polite and brief, in any case."
    assert {str(span.style) for span in coloured[4].spans} == {"red", "red reverse"}


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ("a b\n", "a  b\n", "- a[- -]b\n+ a{+  +}b"),
        ("a\nb\n", "a\n\nb\n", "  a\n+ \n  b"),
        ("a\r\nb\n", "a\nb\n", "- a[-␍-]\n+ a\n  b"),
        ("a\n", "a", "- a[-↵-]\n+ a  (no line feed at the end)"),
        ("", "new text\n", "+ new text"),
        ("entirely this\n", "another one altogether\n", "- entirely this\n+ another one altogether"),
        (
            "one\ntwo\nthree\n",
            "two\nthree\none\n",
            "↑ one  (moved to line 3)\n  two\n  three\n↑ one  (moved here from line 1)",
        ),
    ],
)
def test_changes_that_hardly_show_are_shown(old: str, new: str, lines: str) -> None:
    """Blanks, line breaks and carriage returns that changed can be seen, and what moved is told as moved."""
    assert shown(old, new).partition(" @@\n")[2] == lines


def test_annotations_are_escaped_for_github() -> None:
    """What GitHub reads as its own syntax is written in its escapes."""
    finding = FindingLine(
        kind=Kind.DRIFT,
        level=Level.ERROR,
        message="100% of\nthis: a, b",
        agent="a",
        status_key="b",
        version=1,
        file="prompts/a,b:c.md",
        line=3,
        command="automagik-prompts list",
        three_ways=None,
    )
    assert annotation(finding, Level.ERROR) == (
        "::error file=prompts/a%2Cb%3Ac.md,line=3,title=automagik-prompts drift::100%25 of%0Athis: a, b "
        "Run: automagik-prompts list"
    )
