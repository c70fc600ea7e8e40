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
import textwrap
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.render import escape, numbers
from harness.report.looks import GRID, INK, NAME, SERIES, VARIABLES, Interval, Look

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from harness.report.evidence import Curve

ALIKE = 1.25  # times the least cost; where the most is less, an axis begins near the rows
AXIS = 40  # most letters in a line of what an axis shows
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
    for marker, variable in VARIABLES.items():
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
    Rows of nearly one cost are drawn side by side, a start model that costs nothing at the left.
    """
    from matplotlib.transforms import ScaledTranslation

    figure, axes = _figure(4.3, 3)
    costs = [cost for cost, _ in points.values()]
    accuracies, errors = _points(accuracy for _, accuracy in points.values())
    positive = [cost for cost in costs if cost > 0]
    if positive and max(positive) > 30 * min(positive):
        axes.set_xscale("symlog", linthresh=min(positive))
    alike = len(positive) > 1 and max(positive) < ALIKE * min(positive)
    beside = alike and max(positive) - min(positive) < 0.01 * max(positive)
    front, best = [], -math.inf
    for cost, accuracy, (below, above) in sorted(
        zip(costs, accuracies, errors.T, strict=True), key=_cheapest
    ):
        if accuracy > best:
            best = accuracy
            front.append((cost, accuracy, accuracy - below, accuracy + above))
    front.append((max(costs), *front[-1][1:]))
    steps, values, low, high = np.array(front).T
    drawn, inches = 0, figure.dpi_scale_trans
    axes.fill_between(steps, low, high, step="post", color=GRID, alpha=0.5, linewidth=0)
    axes.step(steps, values, "--", where="post", color=INK, linewidth=0.9, alpha=0.7)
    for name, cost, accuracy, error in zip(points, costs, accuracies, errors.T, strict=True):
        color, _, mark = look[name]
        place: dict[str, Any] = {}
        if alike and not cost:  # at the left edge
            cost, place = 0.03, {"transform": axes.get_yaxis_transform()}
        elif beside:  # rows side by side
            step = 2.2 / len(positive) * (drawn - (len(positive) - 1) / 2)
            place = {"transform": axes.transData + ScaledTranslation(step, 0, inches)}
            drawn += 1
        axes.errorbar(
            cost,
            accuracy,
            error[:, None],
            fmt=mark,
            **place,
            color=color,
            elinewidth=0.8,
            markersize=5,
            markerfacecolor=color if name in possible else "none",
        )
    axes.set_xlabel(axis)
    axes.set_ylabel("accuracy, %")
    axes.margins(x=0.08, y=0.1)
    if alike:
        middle = (max(positive) + min(positive)) / 2
        half = 0.7 * max(max(positive) - min(positive), 0.02 * middle)
        axes.set_xlim(middle - half, middle + half)
    axes.xaxis.set_major_formatter(lambda value, _: numbers.tick(value))
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
    grid, short = np.linspace(0, 1, 101), escape.short_names(look, NAME)
    for name, seeds in series.items():
        color, line, _ = look[name]
        resampled = []
        for x, y in seeds:
            thinned = slice(None, None, max(1, len(x) // 200))
            axes.plot(x[thinned], y[thinned], line, color=color, linewidth=0.6, alpha=0.35)
            resampled.append(np.interp(grid, x, y, left=np.nan, right=np.nan))
        mean = np.mean(resampled, axis=0)
        (drawn,) = axes.plot(grid, mean, line, color=color, linewidth=1.6)
        drawn.set_label(short[name].lstrip("_") or "-")
    axes.set_xlabel("share of the training done")
    lines = textwrap.wrap(escape.visible(axis, 4 * AXIS), AXIS, break_on_hyphens=False)
    axes.set_ylabel("\n".join(lines), parse_math=False)
    legend = figure.legend(loc="outside lower center", fontsize=7, ncols=3)
    for text in legend.get_texts():
        text.set_parse_math(False)
    return _svg(figure, label, salt)


def budgets(
    series: Mapping[str, Sequence[tuple[float, Interval]]], axis: str, label: str, salt: str
) -> str:
    """Draw accuracy against a cost (`axis` names it), a line for each row over its budgets."""
    figure, axes = _figure(4.3, 2.9 + 0.14 * math.ceil(len(series) / 3))
    short = escape.short_names(series, NAME)
    for place, (name, points) in enumerate(series.items()):
        accuracies, errors = _points(accuracy for _, accuracy in points)
        line = ("-", "--", ":")[place // len(SERIES) % 3]
        style: dict[str, Any] = {"color": SERIES[place % len(SERIES)], "linestyle": line}
        costs = [cost for cost, _ in points]
        drawn = axes.errorbar(
            costs, accuracies, errors, fmt="o", markersize=3, capsize=2, elinewidth=0.6, **style
        )
        drawn.set_label(short[name].lstrip("_") or "-")
    axes.set_xscale("log")
    axes.set_xlabel(axis)
    axes.set_ylabel("accuracy, %")
    axes.xaxis.set_major_formatter(lambda value, _: numbers.tick(value))
    axes.xaxis.set_minor_formatter(lambda value, _: "")
    legend = figure.legend(loc="outside lower center", fontsize=7, ncols=3)
    for text in legend.get_texts():
        text.set_parse_math(False)
    return _svg(figure, label, salt)


def heat_map(names: Sequence[str], change: np.ndarray, label: str, salt: str) -> str:
    """Draw which questions each row fixes (blue) or breaks (orange).

    `change` is the share of seeds right minus the start model, -1 to 1, shape (rows, questions).
    """
    short = escape.short_names(names, NAME)
    figure, axes = _figure(7, 0.8 + 0.22 * max(1, len(names)))
    image = np.zeros((*change.shape, 4), dtype=np.uint8)
    image[change > 0, :3] = (0, 114, 178)
    image[change < 0, :3] = (213, 94, 0)
    image[..., 3] = np.round(255 * np.abs(change)).astype(np.uint8)
    axes.imshow(image, aspect="auto", interpolation="none")
    axes.set_yticks(range(len(names)), list(short.values()), parse_math=False)
    axes.grid(visible=False)
    axes.set_xlabel("questions, from the most fixed to the most broken")
    return _svg(figure, label, salt)
