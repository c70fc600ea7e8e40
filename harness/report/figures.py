"""Figures of a report as inline SVG, by matplotlib. They follow the page's light or dark colours.

Text and lines are drawn in marker colours that are replaced by CSS variables, so one file serves
both. Names are never read as mathematical notation. What draws is called within
`matplotlib.rc_context(STYLE)`, since matplotlib reads the style whenever a part is made. A `label`
says what a figure shows, for people who do not see it; a `salt` is its name, unique on the page.
"""

from __future__ import annotations

import io
import math
import re
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from harness.render import escape, numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from harness.report.evidence import Curve

Interval = tuple[float, float, float]  # a share with the low and the high end of its interval
INK, GRID = "#010203", "#040506"
_VARIABLES = {INK: "currentColor", GRID: "var(--line)"}
SERIES = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"),
    *("#8c6d31", "#7f7f7f", "#7a5cc9", "#c1272d", "#2f9aa8", "#7a9a01"),
)
"""The first six are colours that people with any colour vision tell apart (Okabe and Ito)."""
_LINES = ("-", "--", ":", "-.")
_MARKS = {
    "o": '<circle cx="6" cy="6" r="4.5"/>',
    "s": '<rect x="2" y="2" width="8" height="8"/>',
    "^": '<path d="M6 1 11 10.5H1z"/>',
    "D": '<path d="M6 .5 11.5 6 6 11.5 .5 6z"/>',
    "v": '<path d="M6 11 1 1.5H11z"/>',
}
NAME = 28
"""Characters of a name in a figure."""
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": GRID,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "legend.frameon": False,
}


class Look(NamedTuple):
    """How a row is drawn, in every figure and beside its name in every table."""

    color: str
    line: str
    mark: str

    def key(self) -> str:
        """Return the row's mark as an `<svg>` element as high as a letter."""
        color = _VARIABLES.get(self.color, self.color)
        shape = _MARKS[self.mark]
        return (
            f'<svg class="mark" viewBox="0 0 12 12" fill="{color}" aria-hidden="true">{shape}</svg>'
        )


def looks(names: Iterable[str], plain: str) -> dict[str, Look]:
    """Return a look for each name, no two alike among sixty; `plain` has the text's colour."""
    marks = tuple(_MARKS)
    found = {plain: Look(INK, "-", "o")}
    for place, name in enumerate(name for name in names if name != plain):
        line = _LINES[place // len(SERIES) % len(_LINES)]
        found[name] = Look(SERIES[place % len(SERIES)], line, marks[place % len(marks)])
    return found


def name_of(text: str) -> str:
    """Return a name as a figure shows it: visible characters, cut to `NAME` of them."""
    shown = escape.visible(text, 2 * NAME)
    return shown if len(shown) <= NAME else f"{shown[: NAME - 1]}…"


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    """Return an empty figure of that size in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def _svg(figure: Figure, label: str, salt: str) -> str:
    """Return the figure as an `<svg>` element that scales with its place."""
    import matplotlib as mpl

    out = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": salt}), warnings.catch_warnings():
        # Text is drawn by the browser, which has the glyphs that matplotlib's font may lack.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    for marker, variable in _VARIABLES.items():
        text = text.replace(marker, variable)
    # An id in one figure must not be taken for one in another.
    salt = re.sub(r"\W", "", salt)
    text = re.sub(r'id="([^"]+)"', rf'id="{salt}-\1"', text)
    text = re.sub(r'(href="#|url\(#)', rf"\g<1>{salt}-", text)
    head, rest = text.split(">", 1)
    head = re.sub(r'\s(?:width|height)="[^"]*"', "", head)
    return f'{head} role="img" aria-label="{escape.html(label, 300)}">{rest}'


def _points(intervals: Iterable[Interval]) -> tuple[np.ndarray, np.ndarray]:
    """Return values, shape (n,), and the lengths of their error bars, shape (2, n), in per cent."""
    values, low, high = np.array(list(intervals)).T
    return 100 * values, 100 * np.stack([values - low, high - values])


def forest(
    rows: Mapping[str, Interval], look: Mapping[str, Look], label: str, salt: str = "forest"
) -> str:
    """Draw gains with their intervals, one line a row, the first on top."""
    figure, axes = _figure(7, 0.7 + 0.27 * max(1, len(rows)))
    places = range(len(rows), 0, -1)
    gains, errors = _points(rows.values())
    axes.axvline(0, color=INK, linewidth=1)
    for name, place, gain, error in zip(rows, places, gains, errors.T, strict=True):
        color, _, mark = look[name]
        axes.errorbar(
            gain, place, xerr=error[:, None], fmt=mark, color=color, markersize=4.5, capsize=2
        )
    axes.set_yticks(places, [name_of(name) for name in rows], parse_math=False)
    axes.set_ylim(0.4, len(rows) + 0.6)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("gain over the start model, points, 95 % interval")
    return _svg(figure, label, salt)


def pareto(
    points: Mapping[str, tuple[float, Interval]],
    possible: Collection[str],
    look: Mapping[str, Look],
    axis: str,
    label: str,
    salt: str,
) -> str:
    """Draw accuracy against a cost (`axis` names it) and the front: rows no cheaper one equals.

    The front is that of the measured values, with the band of its intervals; the `possible` rows,
    which may be on the true one, are filled. Names are not drawn: the page has a key of the marks.
    """
    figure, axes = _figure(4.3, 3)
    costs = [cost for cost, _ in points.values()]
    accuracies, errors = _points(accuracy for _, accuracy in points.values())
    positive = [cost for cost in costs if cost > 0]
    if positive and max(positive) > 30 * min(positive):
        axes.set_xscale("symlog", linthresh=min(positive))
    front, best = [], -math.inf
    for cost, accuracy, (below, above) in sorted(
        zip(costs, accuracies, errors.T, strict=True), key=_cheapest
    ):
        if accuracy > best:
            best = accuracy
            front.append((cost, accuracy, accuracy - below, accuracy + above))
    front.append((max(costs), *front[-1][1:]))
    steps, values, low, high = np.array(front).T
    axes.fill_between(steps, low, high, step="post", color=GRID, alpha=0.5, linewidth=0)
    axes.step(steps, values, "--", where="post", color=INK, linewidth=0.9, alpha=0.7)
    for name, cost, accuracy, error in zip(points, costs, accuracies, errors.T, strict=True):
        color, _, mark = look[name]
        axes.errorbar(
            cost,
            accuracy,
            error[:, None],
            fmt=mark,
            color=color,
            elinewidth=0.8,
            markersize=5,
            markerfacecolor=color if name in possible else "none",
        )
    axes.set_xlabel(axis)
    axes.set_ylabel("accuracy, %")
    axes.margins(x=0.08, y=0.1)
    axes.xaxis.set_major_formatter(lambda value, _: numbers.count(value) if value > 0 else "0")
    axes.tick_params(axis="x", labelrotation=30)
    return _svg(figure, label, salt)


def _cheapest(point: tuple[float, float, np.ndarray]) -> tuple[float, float]:
    """Order points by cost, of those with the same cost the most accurate first."""
    return point[0], -point[1]


def curves(
    series: Mapping[str, Sequence[Curve]],
    look: Mapping[str, Look],
    axis: str,
    label: str,
    salt: str,
) -> str:
    """Draw one number (`axis` names it) over training: the seeds thin, their mean thick."""
    figure, axes = _figure(4.3, 2.6 + 0.16 * math.ceil(len(series) / 3))
    grid = np.linspace(0, 1, 101)
    for name, seeds in series.items():
        color, line, _ = look[name]
        resampled = []
        for x, y in seeds:
            thinned = slice(None, None, max(1, len(x) // 200))
            axes.plot(x[thinned], y[thinned], line, color=color, linewidth=0.6, alpha=0.35)
            resampled.append(np.interp(grid, x, y, left=np.nan, right=np.nan))
        mean = np.mean(resampled, axis=0)
        (drawn,) = axes.plot(grid, mean, line, color=color, linewidth=1.6)
        drawn.set_label(name_of(name).lstrip("_") or "-")
    axes.set_xlabel("share of the training done")
    axes.set_ylabel(escape.visible(axis, 2 * NAME), parse_math=False)
    legend = figure.legend(loc="outside lower center", fontsize=7, ncols=3)
    for text in legend.get_texts():
        text.set_parse_math(False)
    return _svg(figure, label, salt)


def budgets(
    series: Mapping[str, Sequence[tuple[float, Interval]]], axis: str, label: str, salt: str
) -> str:
    """Draw accuracy against a cost (`axis` names it), a line for each row over its budgets."""
    figure, axes = _figure(4.3, 2.9 + 0.14 * math.ceil(len(series) / 3))
    for place, (name, points) in enumerate(series.items()):
        accuracies, errors = _points(accuracy for _, accuracy in points)
        line = ("-", "--", ":")[place // len(SERIES) % 3]
        style: dict[str, Any] = {"color": SERIES[place % len(SERIES)], "linestyle": line}
        costs = [cost for cost, _ in points]
        drawn = axes.errorbar(
            costs, accuracies, errors, fmt="o", markersize=3, capsize=2, elinewidth=0.6, **style
        )
        drawn.set_label(name_of(name).lstrip("_") or "-")
    axes.set_xscale("log")
    axes.set_xlabel(axis)
    axes.set_ylabel("accuracy, %")
    axes.xaxis.set_major_formatter(lambda value, _: numbers.count(value))
    axes.xaxis.set_minor_formatter(lambda value, _: "")
    legend = figure.legend(loc="outside lower center", fontsize=7, ncols=3)
    for text in legend.get_texts():
        text.set_parse_math(False)
    return _svg(figure, label, salt)


def heat_map(names: Sequence[str], change: np.ndarray, label: str, salt: str) -> str:
    """Draw which questions each row fixes (blue) or breaks (orange).

    `change` is the share of seeds right minus the start model, -1 to 1, shape (rows, questions).
    """
    figure, axes = _figure(7, 0.8 + 0.22 * max(1, len(names)))
    image = np.zeros((*change.shape, 4), dtype=np.uint8)
    image[change > 0, :3] = (0, 114, 178)
    image[change < 0, :3] = (213, 94, 0)
    image[..., 3] = np.round(255 * np.abs(change)).astype(np.uint8)
    axes.imshow(image, aspect="auto", interpolation="none")
    axes.set_yticks(range(len(names)), [name_of(name) for name in names], parse_math=False)
    axes.grid(visible=False)
    axes.set_xlabel("questions, from the most fixed to the most broken")
    return _svg(figure, label, salt)
