"""Problems shared with training data, and the start model's probe: on a page, in a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from harness.contamination.words import verbatim
from harness.render import numbers, tables
from harness.render.escape import markdown, terminal
from harness.render.sections import each_benchmark, results, table

if TYPE_CHECKING:
    from harness.boards.conditions import Benchmark
    from harness.contamination.overlap import Overlap, Shared
    from harness.leaderboard.data import Leaderboard, Row, TaskResult
    from harness.probes import Probed

HEAD = (
    *("13 words", "8 words", "Rephrased", "Accuracy %", "Without them %"),
    *("Gain without, points", "More on them, points", "p (Holm)"),
)
SHARED = (
    "Number of problems that share 13 or 8 words in a row with what the row was trained on, or are"
    " a training problem in other words; accuracy and gain without those of 13 words and the"
    " rephrased ones; and how much more the row gained on them than on the others."
)
PROBE_HEAD = (
    *("Problems", "Written exactly %", "ROUGE-L %", "With another's half %"),
    "Difference, points",
)
PROBE = (
    "The untouched start model was given the first half of test problems and went on greedily."
    " Exactly: the share whose second half it wrote word by word, which does not happen without"
    " having seen the problem, or one with the same words. ROUGE-L: how near the halves are in the"
    " mean, and how near what it wrote is to the second half of the next problem instead. A model"
    " that never saw a problem goes on in its manner too, so the difference alone shows nothing."
)


def shares(result: TaskResult) -> bool:
    """Return whether a row shares any problem of a benchmark with what it was trained on."""
    return bool(result.overlap_8 or result.rephrased)


def any_shares(leaderboard: Leaderboard, benchmark: Benchmark) -> bool:
    """Return whether any row shares a problem of a benchmark with what it was trained on."""
    return any(shares(result) for _, result in results(leaderboard, benchmark))


def cells(row: Row, result: TaskResult) -> tuple[str, ...]:
    """Return what a row shares, and how it does without; the columns are `HEAD`."""
    counts = (result.overlap_13, result.overlap_8, result.rephrased)
    more = result.shared_gain
    return (
        *(numbers.NONE if row.start or one is None else f"{one}" for one in counts),
        numbers.accuracy(result.accuracy),
        numbers.accuracy(result.clean),
        numbers.gain(result.clean_gain),
        numbers.part(more.difference, more.low, more.high) if more else numbers.NONE,
        numbers.p_value(more.p_adjusted if more else None),
    )


def shared(leaderboard: Leaderboard) -> Iterator[str]:
    """Yield which benchmarks share problems with training data, and the accuracy without those."""
    opening = ("## Problems shared with training data", SHARED)
    return each_benchmark(leaderboard, opening, lambda _: (("Trainer", *HEAD), cells), shares)


def probe_cells(one: Probed) -> tuple[str, ...]:
    """Return what came of a probe; the columns are `PROBE_HEAD`."""
    low, high = numbers.percent(one.exact_low), numbers.percent(one.exact_high)
    exact = numbers.percent(one.exact / one.n)
    return (
        f"{one.n:,}",
        f"{exact} [{low},{numbers.JOINED}{high}]",
        numbers.percent(one.rouge_l),
        numbers.percent(one.rouge_l_other),
        numbers.part(one.difference, one.low, one.high),
    )


def probes(leaderboard: Leaderboard) -> Iterator[str]:
    """Yield what the start model writes of test problems, where the board asks for it."""
    if leaderboard.probes:
        yield "## What the start model writes of test problems"
        yield PROBE
        rows = [(markdown(one.task), *probe_cells(one)) for one in leaderboard.probes]
        yield table(("Benchmark", *PROBE_HEAD), rows)


def render(name: str, overlaps: list[Overlap]) -> RenderableType:
    """Return the counts for a terminal, then the examples."""
    title = Text(terminal(f"Shared with {name}", 200))
    figures = ("Problems", "13 words", "8 words", "Rephrased", "Template", "Same", "Verbatim")
    shown = tables.table(title, {"Test set": None}, figures, padding=2)
    for one in overlaps:
        found = (one.overlap_13, one.overlap_8, one.rephrased, one.template, one.same)
        counts = (one.n, *map(len, (*found, one.verbatim)))
        shown.add_row(Text(terminal(one.task, 40)), *(f"{count:,}" for count in counts))
    return Group(shown, *(_example(one.task, each) for one in overlaps for each in one.examples))


def _example(task: str, shared: Shared) -> RenderableType:
    head = f"{task} {shared.id} and {shared.source}: {shared.kind}"
    lines = (
        Text(f"shared:   {terminal(shared.words, 400)}", style="yellow"),
        Text(f"test:     {terminal(verbatim(shared.problem), 400)}"),
        Text(f"training: {terminal(verbatim(shared.text), 400)}"),
    )
    return Group(Text(terminal(head, 300), style="bold"), Padding(Group(*lines), (0, 0, 1, 2)))
