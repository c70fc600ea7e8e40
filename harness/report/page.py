"""A board's report: one HTML file that needs no script, no network and no other file.

Needs the extra `report` (jinja2 and matplotlib).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from harness.boards.conditions import Benchmark, Conditions
from harness.errors import UsageError
from harness.files import write_atomically
from harness.leaderboard.build import build
from harness.leaderboard.cells import select_cells
from harness.leaderboard.data import Leaderboard, Row
from harness.records import LETTERS, Record
from harness.render import numbers, sections, sentences, warnings
from harness.render.escape import visible

COSTS = {
    "flops": "training FLOPs of a seed",
    "trained_tokens": "trained tokens of a seed",
    "generated_tokens": "generated tokens of a seed",
    "teacher_tokens": "teacher tokens of a seed",
    "seconds": "seconds of training of a seed",
}
ANSWER_LIMIT = 3000
"""Characters of an answer that a report shows."""


def write_report(
    records: Sequence[Record], conditions: Conditions, out: Path, folder: Path | None = None
) -> Path:
    """Write a board's report.

    Args:
        records: The board's, superseded and failed ones included.
        conditions: The board's.
        out: The HTML file.
        folder: The board's runs folder, for learning curves and answers; without it the report
            has neither.

    Raises:
        UsageError: If the extra `report` is not installed, or the records make no board.
    """
    write_atomically(out, render(records, conditions, folder))
    return out


def render(records: Sequence[Record], conditions: Conditions, folder: Path | None = None) -> str:
    """Return the report's HTML."""
    try:
        import jinja2
        import matplotlib  # noqa: F401 - only to refuse in one line
        from markupsafe import Markup  # comes with jinja2
    except ImportError as error:
        raise UsageError(
            f"a report needs {error.name}: pip install 'srlm-harness[report]'"
        ) from None
    leaderboard = build(records, conditions)
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters |= {
        "visible": visible,
        "prose": lambda text: visible(text, ANSWER_LIMIT, lines=True),
        "strong": _strong,
        "result_on": sections.result_of,
    }
    template = environment.from_string(
        files("harness.report").joinpath("page.html").read_text(encoding="utf-8")
    )
    return template.render(
        leaderboard=leaderboard,
        warnings=list(warnings.grouped(leaderboard)),
        numbers=numbers,
        sentences=sentences,
        verdicts=tuple(LETTERS),
        svg=Markup,
        label=sentences.label,
        result_of=sections.result_of,
        questions=sections.questions,
        side_by_side=sections.side_by_side(leaderboard),
        own_metrics=_own_metrics(leaderboard),
        shared=[
            one
            for one in conditions.benchmarks
            if any(
                (found := sections.result_of(row, one)) and found.overlap_8
                for row in leaderboard.rows
            )
        ],
        **_figures(leaderboard, records, folder),
    )


def _own_metrics(leaderboard: Leaderboard) -> list[tuple[Benchmark, list[str]]]:
    """Return the benchmarks that have lm-eval's own metrics, with the names of these."""
    found = []
    for one in leaderboard.conditions.benchmarks:
        results = [result for row in leaderboard.rows if (result := sections.result_of(row, one))]
        names = list(dict.fromkeys(name for result in results for name in result.own))
        found += [(one, names)] if names else []
    return found


def _strong(text: str) -> Any:
    """Return escaped text with `**...**` set in bold."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", str(escape(text))))


def _figures(
    leaderboard: Leaderboard, records: Sequence[Record], folder: Path | None
) -> dict[str, Any]:
    from harness.report import evidence, figures

    title = leaderboard.conditions.title
    gains = [(row.trainer, row.gain) for row in leaderboard.rows if row.gain]
    kept = select_cells(records)[0]
    cells = [cell for row in leaderboard.rows for cell in kept[row.trainer] if cell.scores]
    forest = figures.forest(
        [(name, gain.difference, gain.low, gain.high) for name, gain in gains],
        f"Gains over the start model on {title}, with 95 % intervals",
    )
    pareto = [
        figures.pareto(points, text, f"Accuracy against {text}", f"cost-{name}")
        for name, text in COSTS.items()
        if (points := _points(leaderboard.rows, name))
    ]
    curves = []
    found = evidence.learning_curves(cells, folder) if folder else {}
    for metric, series in found.items():
        text = evidence.METRICS[metric]
        curves.append(figures.curves(series, text, f"{text} over training", f"curve-{metric}"))
    maps, exhibits = [], []
    each = 5 if len(leaderboard.conditions.benchmarks) <= sections.COLUMNS else 2
    for place, benchmark in enumerate(leaderboard.conditions.benchmarks):
        key = (benchmark.task, benchmark.protocol)
        names, _, change = evidence.changes(cells, key)
        if names:
            ordered = change[:, (-change.mean(axis=0)).argsort(kind="stable")]
            text = f"Questions of {benchmark.task} that trainers fix or break"
            drawn = figures.heat_map(names, ordered, text, f"map-{place}")
            counts = [
                (name, int((row > 0).sum()), int((row < 0).sum()))
                for name, row in zip(names, change, strict=True)
            ]
            maps.append((benchmark, drawn, counts))
        if folder:
            exhibits.append((benchmark, evidence.exhibits(cells, folder, key, each=each)))
    return {
        "forest": forest if gains else None,
        "pareto": pareto,
        "curves": curves,
        "maps": maps,
        "exhibits": [(benchmark, shown) for benchmark, shown in exhibits if shown],
    }


def _points(rows: Sequence[Row], cost: str) -> list[tuple[str, float, float, float, float]]:
    """Return name, cost and accuracy of every row; none if that cost is nobody's."""
    points = [
        (
            row.trainer,
            float(getattr(row.cost, cost)) if row.cost else 0.0,
            row.accuracy.accuracy,
            row.accuracy.low,
            row.accuracy.high,
        )
        for row in rows
        if row.accuracy is not None and (row.cost is not None or row.start)
    ]
    return points if any(point[1] > 0 for point in points) else []
