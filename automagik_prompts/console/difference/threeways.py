"""Three texts beside each other: what was there, and what two have made of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from automagik_prompts.console.difference.pieces import Run, runs_of
from automagik_prompts.domain.differences import Line, compare
from automagik_prompts.domain.text import text_lines

Fate = Literal["same", "changed", "put_in", "taken_away", "moved", "absent"]


@dataclass(frozen=True, slots=True)
class Part:
    """What one of two has made of a line, or put in its place.

    Attributes:
        fate: What became of it; `absent` where the other one has put a line in and this one has none.
        old: The parts of the line that was there.
        new: The parts of the line that is there now.
        where: Where it stands now, if it has moved.
    """

    fate: Fate
    old: tuple[Run, ...] = ()
    new: tuple[Run, ...] = ()
    where: str = ""


@dataclass(frozen=True, slots=True)
class ThreeRow:
    """A place at which three texts differ.

    Attributes:
        number: The line's number in the base; `None` where a line was put in.
        base: The line in the base.
        theirs: What one has made of it.
        mine: What the other has made of it.
        is_clash: Whether both have changed it, in different ways.
    """

    number: int | None
    base: tuple[Run, ...]
    theirs: Part
    mine: Part
    is_clash: bool

    @property
    def is_blank(self) -> bool:
        """Whether it is about an empty line alone, which says nothing to anybody."""
        shown = (*self.base, *self.theirs.new, *self.mine.new)
        return not any(piece.text.strip() for run in shown for piece in run.pieces)


@dataclass(frozen=True, slots=True)
class ThreeWays:
    """Three texts where they differ.

    Attributes:
        all_rows: The places, also those that are about empty lines alone.
        same: How many lines are the same in all three.
    """

    all_rows: tuple[ThreeRow, ...] = field(repr=False)
    same: int

    @property
    def rows(self) -> tuple[ThreeRow, ...]:
        """The places that say something."""
        return tuple(row for row in self.all_rows if not row.is_blank)

    @property
    def clashes(self) -> tuple[ThreeRow, ...]:
        """The places that both have changed, in different ways."""
        return tuple(row for row in self.rows if row.is_clash)


def three_ways(base: str, theirs: str, mine: str) -> ThreeWays:
    """Return where three texts differ.

    Args:
        base: What was there.
        theirs: What one has made of it.
        mine: What the other has made of it.
    """
    base, theirs, mine = (f"{text}\n" if text and not text.endswith("\n") else text for text in (base, theirs, mine))
    left, right = _Made(compare(base, theirs)), _Made(compare(base, mine))
    rows = list(_put_in(left, right, 0))
    same = 0
    for number in range(1, len(text_lines(base)) + 1):
        one, other = left.lines[number], right.lines[number]
        if one.kind == other.kind == "same":
            same += 1
        else:
            is_clash = "same" not in {one.kind, other.kind} and _made(one) != _made(other)
            rows.append(ThreeRow(number, runs_of(one.old, whole=True), _part(one), _part(other), is_clash))
        rows += _put_in(left, right, number)
    return ThreeWays(tuple(rows), same)


class _Made:
    """What one has made of the base: its lines by number, and what stands after each.

    Args:
        lines: The difference.
    """

    def __init__(self, lines: Iterable[Line]) -> None:
        self.lines: dict[int, Line] = {}
        self.after: dict[int, list[Line]] = {}
        last = 0
        for line in lines:
            if line.kind in {"added", "moved_here"}:
                # A line that moved is told where it stood.
                if line.kind == "added":
                    self.after.setdefault(last, []).append(line)
            else:
                last = line.old_number or 0
                self.lines[last] = line


def _made(line: Line) -> tuple[str, str]:
    """Return what a line was made, to be compared."""
    where = f"moved {line.new_number}" if line.kind == "moved_away" else ""
    return "".join(span.text for span in line.new), where


def _part(line: Line) -> Part:
    if line.kind == "same":
        return Part("same")
    if line.kind == "removed":
        return Part("taken_away", old=runs_of(line.old, whole=True))
    if line.kind == "moved_away":
        there, here = line.new_number or 0, line.old_number or 0
        direction = "up" if there < here else "down"
        return Part("moved", old=runs_of(line.old), where=f"moved {direction} to line {there}, unchanged")
    return Part("changed", old=runs_of(line.old), new=runs_of(line.new))


def _put_in(left: _Made, right: _Made, number: int) -> Iterator[ThreeRow]:
    """Yield the lines that were put in after one of the base: those of both side by side, in their order."""
    one, other = left.after.get(number, []), right.after.get(number, [])
    is_clash = bool(one) and bool(other) and [_made(line) for line in one] != [_made(line) for line in other]
    for place in range(max(len(one), len(other))):
        parts = [
            Part("put_in", new=runs_of(lines[place].new, whole=True)) if place < len(lines) else Part("absent")
            for lines in (one, other)
        ]
        yield ThreeRow(None, (), parts[0], parts[1], is_clash)
