"""The plot of a ranking as SVG, drawn without a library: the same bytes on every machine.

A line a row, the first on top: its mark at the value, a stroke over its 95 % interval, and a line
where the start model lies. `leaderboards/<board>.svg` is one of accuracies, which `harness publish
--check` compares byte by byte, so nothing that another version of a library draws otherwise may be
in it; a report has one of gains. Text is 13 units high in a drawing that is 480 wide, so that it
can be read on a phone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from harness.records import START
from harness.render import escape, numbers
from harness.report.looks import Interval, Look, looks

if TYPE_CHECKING:
    from harness.leaderboard.data import Leaderboard

WIDTH, SHOWN = 480, 640  # units of a drawing; pixels of a file's where there is room
TEXT, LINE = 13, 20  # units: height of the letters, of a row
EDGE = 8  # units around all
NAMES = 180  # most units of the names, but for the sign of a warning
VALUES = 44  # units of the values, on the right
ABOVE, BELOW = 26, 46  # units for the start model's name, for the axis
MARK = 0.8  # of a look's size
TICKS = 6  # most steps of the axis
STYLE = (
    "svg{color:#1f2328;--line:#d0d7de;--paper:#fff}"
    "@media(prefers-color-scheme:dark){svg{color:#e6edf3;--line:#3d444d;--paper:#0d1117}}"
)


class Point(NamedTuple):
    """A row of the plot."""

    name: str
    look: Look
    interval: Interval
    ranked: bool  # others have an empty mark
    marked: bool  # it has a warning


def published(leaderboard: Leaderboard) -> str:
    """Return the text of `leaderboards/<board>.svg`: the accuracies of the ranked rows.

    It brings its own background, light or dark as the reader has it.
    """
    title = f"Accuracy on {leaderboard.conditions.title}, with 95 % intervals"
    found = {
        row.trainer: (one.accuracy, one.low, one.high)
        for row in leaderboard.rows
        if (one := row.accuracy) and (row.gain or row.start or row.rank)
    }
    start = found.pop(START, None)
    points = _points(leaderboard, found)
    axis = "accuracy, %, with its 95 % interval"
    text = forest(points, axis, title, start=start, shown=numbers.percent)
    head, rest = text.split(">", 1)
    height = round(_height(points) * SHOWN / WIDTH)
    paper = '<rect width="100%" height="100%" fill="var(--paper)"/>'
    return f'{head} width="{SHOWN}" height="{height}">\n<style>{STYLE}</style>{paper}{rest}\n'


def gains(leaderboard: Leaderboard) -> str | None:
    """Return the gains over the start model as an `<svg>` element; None if there are none."""
    found = {
        row.trainer: (row.gain.difference, row.gain.low, row.gain.high)
        for row in leaderboard.rows
        if row.gain
    }
    title = f"Gains over the start model on {leaderboard.conditions.title}, with 95 % intervals"
    axis = "gain over the start model, points, with its 95 % interval"
    points = _points(leaderboard, found)
    return forest(points, axis, title, start=(0, 0, 0), shown=numbers.points) if found else None


def _points(leaderboard: Leaderboard, found: dict[str, Interval]) -> list[Point]:
    look = looks((row.trainer for row in leaderboard.rows), START)
    return [
        Point(row.trainer, look[row.trainer], one, row.rank is not None, bool(row.warnings))
        for row in leaderboard.rows
        if (one := found.get(row.trainer))
    ]


def forest(
    points: Sequence[Point],
    axis: str,
    label: str,
    *,
    start: Interval | None,
    shown: Callable[[float], str],
) -> str:
    """Draw rows with their intervals as an `<svg>` element that has the colours of its page.

    Args:
        points: The rows, the first on top.
        axis: What the values are.
        label: What the figure shows, for people who do not see it.
        start: The start model: a line, with a band where its interval is.
        shown: Words a value.
    """
    short = escape.short_names((one.name for one in points), NAMES, _width)
    names = [f"{short[one.name]}{' ⚠' if one.marked else ''}" for one in points]
    left = EDGE + max([40, *map(_width, names)]) + 12
    right, bottom = WIDTH - EDGE - VALUES, ABOVE + LINE * len(points)
    ends = [end for one in points for end in one.interval] + list(start or ())
    ticks = _ticks(min(ends, default=0.0), max(ends, default=1.0))
    low, span = ticks[0] / 100, (ticks[-1] - ticks[0]) / 100

    def at(value: float) -> str:
        return _number(left + (right - left) * (value - low) / span)

    drawn = []
    for tick in ticks:
        x = at(tick / 100)
        drawn.append(f'<path d="M{x} {ABOVE}V{bottom}" stroke="var(--line)"/>')
        drawn.append(_text(f"{tick}".replace("-", numbers.MINUS), x, bottom + 16, "middle"))
    drawn.append(_text(axis, _start_of(axis, (left + right) / 2), bottom + 36))
    if start:
        value, first, last = start
        if last > first:
            drawn.append(
                f'<path d="M{at(first)} {ABOVE}H{at(last)}V{bottom}H{at(first)}z"'
                ' fill="currentColor" opacity=".1"/>'
            )
        drawn.append(f'<path d="M{at(value)} {ABOVE - 6}V{bottom}" stroke="currentColor"/>')
        words = f"{START} model {shown(value)}" if value else f"{START} model"
        drawn.append(_text(words, _start_of(words, float(at(value))), ABOVE - 11))
    for place, (one, name) in enumerate(zip(points, names, strict=True)):
        drawn.append(_row(one, name, ABOVE + LINE * place + LINE / 2, left, at, shown))
    height = _height(points)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"'
        f' aria-label="{escape.html(label, 300)}" font-family="system-ui,sans-serif"'
        f' font-size="{TEXT}" fill="currentColor">\n' + "\n".join(drawn) + "\n</svg>"
    )


def _row(
    one: Point,
    name: str,
    y: float,
    left: float,
    at: Callable[[float], str],
    shown: Callable[[float], str],
) -> str:
    value, first, last = one.interval
    color, mid = one.look.fill, _number(y)
    x, top = (_number(float(middle) - 6 * MARK) for middle in (at(value), mid))
    inside = color if one.ranked else "var(--paper)"
    return (
        f"<g>{_text(name, _number(left - 12), y + 4.5, 'end')}"
        f'<path d="M{at(first)} {mid}H{at(last)}" stroke="{color}" stroke-width="2"/>'
        f'<g transform="translate({x} {top}) scale({MARK})" fill="{inside}" stroke="{color}">'
        f"{one.look.shape}</g>"
        f"{_text(shown(value), _number(WIDTH - EDGE), y + 4.5, 'end')}</g>"
    )


def _height(points: Sequence[Point]) -> int:
    return ABOVE + LINE * len(points) + BELOW


def _ticks(low: float, high: float) -> list[int]:
    """Return round percentages that enclose two shares, 2 to `TICKS` + 1 of them."""
    first, last = (round(100 * end, 6) for end in (low, high))
    for step in (1, 2, 5, 10, 20, 25, 50, 100):
        start = step * math.floor(first / step)
        end = max(start + step, step * math.ceil(last / step))
        if (end - start) // step <= TICKS:
            break
    return list(range(start, end + 1, step))


def _text(text: str, x: str, y: float, anchor: str = "start") -> str:
    """Return a line of text."""
    where = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text x="{x}" y="{_number(y)}"{where}>{escape.html(text, None)}</text>'


def _start_of(text: str, middle: float) -> str:
    """Return where a text begins so that its middle is there and none of it is cut off."""
    half = _width(text) / 2
    return _number(min(max(middle, EDGE + half), WIDTH - EDGE - half) - half)


def _width(text: str) -> float:
    """Return about how wide a text is, rather too much: each reader has a font of their own."""
    return TEXT * sum(0.58 if character.isascii() else 1.0 for character in text)


def _number(value: float) -> str:
    """Return a coordinate, to a tenth of a unit."""
    return f"{value:.1f}".removesuffix(".0")
