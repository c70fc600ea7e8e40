"""Figures of a report as inline SVG, by matplotlib. They follow the page's light or dark colours.

Text and lines are drawn in marker colours that are replaced by CSS variables, so one file serves
both. Names are never read as mathematical notation.
"""

from __future__ import annotations

import functools
import io
import math
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.render import escape, numbers

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, GRID, ACCENT = "#010203", "#040506", "#070809"
_VARIABLES = {INK: "currentColor", GRID: "var(--line)", ACCENT: "var(--accent)"}
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d31", "#7f7f7f")
"""Colours that people with any colour vision tell apart (Okabe and Ito)."""
NAME = 28
"""Characters of a name in a figure."""
_STYLE: dict[Any, Any] = {
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


def name_of(text: str) -> str:
    """Return a name as a figure shows it: visible characters, cut to `NAME` of them."""
    shown = escape.visible(text, 2 * NAME)
    return shown if len(shown) <= NAME else f"{shown[: NAME - 1]}…"


def _styled(draw: Callable[..., str]) -> Callable[..., str]:
    """Draw in the style of the page: matplotlib reads it whenever a part is made."""

    @functools.wraps(draw)
    def styled(*args: Any, **kwargs: Any) -> str:
        import matplotlib as mpl

        with mpl.rc_context(_STYLE):
            return draw(*args, **kwargs)

    return styled


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


@_styled
def forest(
    rows: Sequence[tuple[str, float, float, float]], label: str, salt: str = "forest"
) -> str:
    """Draw gains with their intervals, one line a row, the first on top.

    Args:
        rows: Name, gain, low and high, as shares.
        label: What the figure shows, for people who do not see it.
        salt: A name for the figure, unique on the page.
    """
    figure, axes = _figure(7, 0.7 + 0.27 * max(1, len(rows)))
    places = range(len(rows), 0, -1)
    gains = [100 * gain for _, gain, _, _ in rows]
    errors = [
        [100 * (gain - low) for _, gain, low, _ in rows],
        [100 * (high - gain) for _, gain, _, high in rows],
    ]
    axes.axvline(0, color=INK, linewidth=1)
    axes.errorbar(gains, list(places), xerr=errors, fmt="o", color=ACCENT, markersize=4, capsize=2)
    axes.set_yticks(list(places))
    axes.set_yticklabels([name_of(name) for name, *_ in rows], parse_math=False)
    axes.set_ylim(0.4, len(rows) + 0.6)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("gain over the start model, points, 95 % interval")
    return _svg(figure, label, salt)


@_styled
def pareto(
    points: Sequence[tuple[str, float, float, float, float]], axis: str, label: str, salt: str
) -> str:
    """Draw accuracy against one cost, with the front: rows that no cheaper one equals.

    Args:
        points: Name, cost, accuracy, low and high of each row.
        axis: What the cost is.
        label: What the figure shows.
        salt: A name for the figure, unique on the page.
    """
    figure, axes = _figure(4.3, 3)
    costs = [cost for _, cost, *_ in points]
    positive = [cost for cost in costs if cost > 0]
    if positive and max(positive) > 30 * min(positive):
        axes.set_xscale("symlog", linthresh=min(positive))
    axes.errorbar(
        costs,
        [100 * accuracy for _, _, accuracy, _, _ in points],
        yerr=[
            [100 * (accuracy - low) for _, _, accuracy, low, _ in points],
            [100 * (high - accuracy) for _, _, accuracy, _, high in points],
        ],
        fmt="o",
        color=INK,
        markersize=3.5,
        linewidth=0.8,
        alpha=0.55,
    )
    front, best = [], -math.inf
    for name, cost, accuracy, _, _ in sorted(points, key=lambda point: (point[1], -point[2])):
        if accuracy > best:
            best = accuracy
            front.append((name, cost, 100 * accuracy))
    axes.step(
        [cost for _, cost, _ in front] + [max(costs)],
        [accuracy for *_, accuracy in front] + [front[-1][2]],
        where="post",
        color=ACCENT,
        linewidth=1.4,
    )
    above, last = True, -math.inf
    for name, cost, accuracy in front:
        right = cost > 0.6 * max(costs)
        above = not (above and cost - last < 0.15 * max(costs))  # no name over its neighbour's
        last = cost
        axes.annotate(
            name_of(name),
            (cost, accuracy),
            xytext=(-4 if right else 4, 4 if above else -4),
            textcoords="offset points",
            horizontalalignment="right" if right else "left",
            verticalalignment="bottom" if above else "top",
            fontsize=8,
            parse_math=False,
        )
    axes.set_xlabel(axis)
    axes.set_ylabel("accuracy, %")
    axes.margins(x=0.08, y=0.15)
    axes.xaxis.set_major_formatter(lambda value, _: numbers.count(value) if value > 0 else "0")
    return _svg(figure, label, salt)


@_styled
def curves(
    series: Mapping[str, Sequence[tuple[np.ndarray, np.ndarray]]],
    axis: str,
    label: str,
    salt: str,
) -> str:
    """Draw one number over training: the seeds thin, their mean thick.

    Args:
        series: For each trainer, its seeds as share of the training done and value.
        axis: What the number is.
        label: What the figure shows.
        salt: A name for the figure, unique on the page.
    """
    import numpy as np

    figure, axes = _figure(4.3, 2.9 + 0.14 * math.ceil(len(series) / 3))
    grid = np.linspace(0, 1, 101)
    for place, (name, seeds) in enumerate(series.items()):
        color = SERIES[place % len(SERIES)]
        line = ("-", "--", ":")[place // len(SERIES) % 3]
        resampled = []
        for x, y in seeds:
            thinned = slice(None, None, max(1, len(x) // 200))
            axes.plot(x[thinned], y[thinned], line, color=color, linewidth=0.6, alpha=0.35)
            resampled.append(np.interp(grid, x, y, left=np.nan, right=np.nan))
        mean = np.mean(resampled, axis=0)
        (drawn,) = axes.plot(grid, mean, line, color=color, linewidth=1.6)
        drawn.set_label(name_of(name).lstrip("_") or "-")
    axes.set_xlabel("share of the training done")
    axes.set_ylabel(axis)
    legend = figure.legend(loc="outside lower center", fontsize=7, ncols=3)
    for text in legend.get_texts():
        text.set_parse_math(False)
    return _svg(figure, label, salt)


@_styled
def heat_map(names: Sequence[str], change: np.ndarray, label: str, salt: str) -> str:
    """Draw which questions each row fixes (blue) or breaks (orange).

    Args:
        names: Of the rows.
        change: -1 to 1, share of seeds right minus the start model, shape (rows, questions).
        label: What the figure shows.
        salt: A name for the figure, unique on the page.
    """
    import numpy as np

    figure, axes = _figure(7, 0.8 + 0.22 * max(1, len(names)))
    image = np.zeros((*change.shape, 4), dtype=np.uint8)
    image[change > 0, :3] = (0, 114, 178)
    image[change < 0, :3] = (213, 94, 0)
    image[..., 3] = np.round(255 * np.abs(change)).astype(np.uint8)
    axes.imshow(image, aspect="auto", interpolation="none")
    axes.set_yticks(range(len(names)))
    axes.set_yticklabels([name_of(name) for name in names], parse_math=False)
    axes.grid(visible=False)
    axes.set_xlabel("questions, from the most fixed to the most broken")
    return _svg(figure, label, salt)
