"""A board's report: one HTML file that needs no script, no network and no other file.

Needs the extra `report` (jinja2 and matplotlib).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from harness.boards.conditions import Conditions
from harness.boards.questions import Questions
from harness.errors import UsageError
from harness.files import write_atomically
from harness.leaderboard.build import build
from harness.leaderboard.cells import select_cells
from harness.leaderboard.data import Leaderboard, Row
from harness.leaderboard.evidence import known_of
from harness.leaderboard.rules import NOTHING, Knowledge
from harness.records import CONDITIONS, LETTERS, START, Record
from harness.render import contamination, numbers, sections, sentences, warnings
from harness.render.escape import short_names, visible
from harness.render.tables import pieces
from harness.report import evidence, figures, forest
from harness.report.looks import Interval, looks

COSTS = {
    "flops": "training FLOPs of a seed",
    "trained_tokens": "trained tokens of a seed",
    "generated_tokens": "generated tokens of a seed",
    "teacher_tokens": "teacher tokens of a seed",
    "seconds": "seconds of training of a seed",
}
NAME = 60
"""Most letters of a row's name in a table."""
ANSWER_LIMIT = 3000
"""Characters of an answer that a report shows."""


def write_report(
    records: Sequence[Record],
    conditions: Conditions,
    out: Path,
    folder: Path | None = None,
    questions: Questions | None = None,
) -> Path:
    """Write a board's report as an HTML file.

    From the board's runs folder come learning curves and answers; without it there are none.
    Problems and gold answers are shown as far as `questions` finds them.

    Raises:
        UsageError: If the extra `report` is not installed, or the records make no board.
    """
    write_atomically(out, render(records, conditions, folder, questions))
    return out


def render(
    records: Sequence[Record],
    conditions: Conditions,
    folder: Path | None = None,
    questions: Questions | None = None,
) -> str:
    """Return the report's HTML."""
    try:
        import jinja2
        import matplotlib as mpl
        from markupsafe import Markup  # comes with jinja2
    except ImportError as error:
        needed = f"a report needs {error.name}: pip install 'srlm-harness[report]'"
        raise UsageError(needed) from None
    known = known_of(folder, records) if folder else NOTHING
    published = bool(folder and (folder / CONDITIONS).is_file())
    leaderboard = build(records, conditions, known, published=published)
    with mpl.rc_context(figures.STYLE):
        drawn = _figures(leaderboard, records, folder, known, questions)
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters |= {
        "visible": visible,
        "prose": lambda text: visible(text, ANSWER_LIMIT, lines=True),
        "strong": _strong,
    }
    template = environment.from_string(
        files("harness.report").joinpath("page.html").read_text(encoding="utf-8")
    )
    return template.render(
        leaderboard=leaderboard,
        warnings=list(warnings.grouped(leaderboard)),
        properties=list(warnings.properties(leaderboard)),
        numbers=numbers,
        sections=sections,
        sentences=sentences,
        contamination=contamination,
        shown=visible,
        short=short_names(drawn["key"], NAME),
        pieces=pieces,
        verdicts=tuple(LETTERS),
        used={row.trainer: numbers.used(row) for row in leaderboard.rows},
        svg=Markup,
        **drawn,
    )


MARKS = ((r"\*\*(.+?)\*\*", "strong"), (r"\*(\S.*?)\*", "em"), (r"`(.+?)`", "code"))


def _strong(text: str) -> Any:
    """Return escaped text with `**...**`, `*...*` and code set as markdown does."""
    from markupsafe import Markup, escape

    shown = str(escape(text))
    for mark, tag in MARKS:
        shown = re.sub(mark, rf"<{tag}>\1</{tag}>", shown)
    return Markup(shown)


def _figures(
    leaderboard: Leaderboard,
    records: Sequence[Record],
    folder: Path | None,
    known: Knowledge,
    questions: Questions | None,
) -> dict[str, Any]:
    refused = {one.record.digest for one in leaderboard.refused}
    kept = select_cells([one for one in records if one.digest not in refused], known).kept
    cells = [cell for row in leaderboard.rows for cell in kept[row.trainer] if cell.scores]
    look = looks((row.trainer for row in leaderboard.rows), START)
    pareto = [
        figures.pareto(
            points,
            _undominated(leaderboard.rows, points),
            look,
            text,
            f"Accuracy against {text}",
            f"cost-{name}",
        )
        for name, text in COSTS.items()
        if (points := _points(leaderboard.rows, name))
    ]
    found = evidence.learning_curves(cells, folder) if folder else {}
    order = [*(f"{one} of " for one in evidence.LOSSES.values()), *evidence.METRICS.values()]
    curves = [
        figures.curves(rows, look, text, f"{text} over training", f"curve-{place}")
        for place, (text, rows) in enumerate(
            sorted(found.items(), key=lambda one: [not one[0].startswith(x) for x in order])
        )
    ]
    maps, exhibits = [], []
    # Of each sort of question: of many benchmarks so many would make too long a page.
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
        if folder and (shown := evidence.exhibits(cells, folder, key, questions, each=each)):
            exhibits.append((benchmark, shown))
    return {
        "forest": forest.gains(leaderboard),
        "key": {name: one.key() for name, one in look.items()},
        "pareto": pareto,
        "curves": curves,
        "budgets": [
            figures.budgets(
                series, COSTS[cost], f"Accuracy against {COSTS[cost]}", f"budget-{cost}"
            )
            for cost in ("flops", "seconds")
            if (series := _budgets(leaderboard.rows, cost))
        ],
        "maps": maps,
        "exhibits": exhibits,
        "missing": list(questions.missing.values()) if questions else [],
    }


def _undominated(rows: Sequence[Row], points: Mapping[str, tuple[float, Interval]]) -> set[str]:
    """Return the rows that were told apart from no better row of the same cost or less."""
    ranked = [row for row in rows if row.rank and row.trainer in points]  # the best first
    behind = {
        row.trainer
        for place, row in enumerate(ranked)
        for better in ranked[:place]
        if points[better.trainer][0] <= points[row.trainer][0]
        and not {*better.letters} & {*row.letters}
    }
    return points.keys() - behind


def _points(rows: Sequence[Row], cost: str) -> dict[str, tuple[float, Interval]]:
    """Return cost and accuracy of every row; nothing if no row has that cost."""
    points = {
        row.trainer: (
            float(getattr(row.cost, cost)) if row.cost else 0.0,
            (a.accuracy, a.low, a.high),
        )
        for row in rows
        if (a := row.accuracy) and (row.cost or row.start)
    }
    return points if any(spent > 0 for spent, _ in points.values()) else {}


def _budgets(rows: Sequence[Row], cost: str) -> dict[str, list[tuple[float, Interval]]]:
    """Return cost and accuracy of every row with each share of the budget."""
    return {
        row.trainer: [
            (float(getattr(one.cost, cost)), (a.accuracy, a.low, a.high))
            for one in row.curve
            for a in (one.accuracy,)
        ]
        for row in rows
        if row.curve and all(getattr(one.cost, cost) > 0 for one in row.curve)
    }
