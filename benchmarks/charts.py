"""Bar charts as SVG, readable on a light and on a dark page."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

_WIDTH, _LEFT, _RIGHT, _ROW = 820, 350, 90, 26
_HEAD = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
    'font-family="system-ui, sans-serif" font-size="13">'
)
_STYLE = (
    "<style>text { fill: #24292f } .bar { fill: #8c959f } .ours { fill: #1a7f37 } .zero { stroke: #8c959f } "
    "@media (prefers-color-scheme: dark) "
    "{ text { fill: #e6edf3 } .bar { fill: #6e7681 } .ours { fill: #3fb950 } }</style>"
)


@dataclass(frozen=True, slots=True)
class Chart:
    """A bar chart.

    Attributes:
        name: The file's name, without suffix.
        title: What it shows, with the unit.
        bars: Label, value and the value in words, for each bar.
        ours: The labels that are this library's.
    """

    name: str
    title: str
    bars: tuple[tuple[str, float, str], ...]
    ours: tuple[str, ...]

    def svg(self) -> str:
        """Draw it."""
        height = 40 + _ROW * len(self.bars) + 8
        scale = (_WIDTH - _LEFT - _RIGHT) / (max((value for _, value, _ in self.bars), default=1) or 1)
        lines = [
            _HEAD.format(width=_WIDTH, height=height),
            f"<title>{escape(self.title)}</title>",
            _STYLE,
            f'<text x="8" y="22" font-weight="600">{escape(self.title)}</text>',
        ]
        for number, (label, value, words) in enumerate(self.bars):
            top = 40 + _ROW * number
            length = max(1.0, value * scale)
            kind = "ours" if label in self.ours else "bar"
            lines += [
                f'<text x="{_LEFT - 8}" y="{top + 14}" text-anchor="end">{escape(label)}</text>',
                f'<rect class="{kind}" x="{_LEFT}" y="{top + 2}" width="{length:.1f}" height="16" rx="2"/>',
                f'<text x="{_LEFT + length + 6:.1f}" y="{top + 14}">{escape(words)}</text>',
            ]
        lines.append(f'<line class="zero" x1="{_LEFT}" y1="36" x2="{_LEFT}" y2="{height - 6}"/>')
        return "\n".join([*lines, "</svg>", ""])
