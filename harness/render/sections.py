"""Sections of a markdown leaderboard: every benchmark, how answers ended, cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from harness.records import LETTERS
from harness.render import numbers, sentences
from harness.render.escape import markdown
from harness.render.sentences import label

if TYPE_CHECKING:
    from harness.boards.conditions import Benchmark
    from harness.leaderboard.data import Leaderboard, Row, TaskResult

COLUMNS = 6
"""Benchmarks beside each other in one table."""
Results = Sequence[tuple["Row", "TaskResult"]]
Columns = tuple[tuple[str, ...], Callable[["Row", "TaskResult"], tuple[str, ...]]]


def table(head: Sequence[str], rows: Sequence[Sequence[str]], left: int | Sequence[int] = 1) -> str:
    """Return a table of escaped cells; `left` are the columns aligned left, or their number."""
    on_left = range(left) if isinstance(left, int) else left
    marks = [":--" if column in on_left else "--:" for column in range(len(head))]
    lines = [head, marks, *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def name(row: Row) -> str:
    """Return a row's name as every table shows it."""
    mark = " ⚠" if row.warnings else ""
    return f"*{markdown(row.trainer)}*" if row.start else f"**{markdown(row.trainer)}**{mark}"


def result_of(row: Row, benchmark: Benchmark) -> TaskResult | None:
    """Return a row's result on a benchmark, if it has one."""
    wanted = (benchmark.task, benchmark.protocol)
    return next((one for one in row.tasks if (one.task, one.protocol) == wanted), None)


def chains(
    leaderboard: Leaderboard, shown: Callable[[str], str]
) -> list[tuple[Row, str, str, str, str, str, str]]:
    """Return the chains: row, control, difference, p, the parts of it, what both spent.

    The names of controls are made harmless by `shown`.
    """
    used = {row.trainer: numbers.used(row) for row in leaderboard.rows}
    found = []
    for row in leaderboard.rows:
        if row.controls is None:
            continue
        gain, spent = row.stage_gain, f"chain {used[row.trainer]}"
        compared = (numbers.NONE, sentences.NO_CONTROL)
        if gain:
            compared = (shown(gain.to), numbers.gain(gain))
        if row.controls:
            first = row.controls[0].trainer
            spent = f"{shown(first)} {used[first]}, {spent}"
        p = numbers.p_value(gain.p_adjusted if gain else None)
        found.append((row, *compared, p, *numbers.parts(gain), spent))
    return found


def curves(leaderboard: Leaderboard) -> tuple[Sequence[str], list[tuple[Row, list[str]]]]:
    """Return the head and the cells of the table of curves; rows without a curve have no line."""
    shares = sorted({one.share for row in leaderboard.rows for one in row.curve})
    head = [f"{100 * share:g} %" for share in shares]
    if leaderboard.reached is not None:
        head.append(f"FLOPs to {numbers.percent(leaderboard.reached)} %")
    lines = []
    for row in leaderboard.rows:
        if row.curve:
            at = {one.share: one for one in row.curve}
            cells = [
                f"{numbers.accuracy(one.accuracy)}, {numbers.flops(one.cost.flops)} FLOPs,"
                f" {numbers.time_spent(one.cost)}"
                if (one := at.get(share))
                else numbers.NONE
                for share in shares
            ]
            flops = row.flops_to_reach
            cells.append(numbers.NONE if flops is None else numbers.flops(flops))
            lines.append((row, cells))
    return head, lines


def results(leaderboard: Leaderboard, benchmark: Benchmark) -> list[tuple[Row, TaskResult]]:
    """Return the rows that were scored on a benchmark, with their results."""
    return [(row, found) for row in leaderboard.rows if (found := result_of(row, benchmark))]


def questions(leaderboard: Leaderboard, benchmark: Benchmark) -> int | None:
    """Return the number of a benchmark's questions, if any row was scored on it."""
    return next((result.accuracy.n for _, result in results(leaderboard, benchmark)), None)


def own_names(found: Results) -> list[str]:
    """Return the names of the metrics of lm-eval's own that any of the results has."""
    return list(dict.fromkeys(metric for _, result in found for metric in result.own))


def scores(leaderboard: Leaderboard, few: int) -> Iterator[str]:
    """Yield the table of benchmarks, if there are more than a few."""
    benchmarks = leaderboard.conditions.benchmarks
    if len(benchmarks) <= few:
        return
    yield "## Benchmarks"
    yield table(
        ("Benchmark", "Protocol", "About", "Questions", "Answers each", "New tokens", "Ranks"),
        [
            (
                markdown(one.task),
                markdown(one.protocol),
                markdown(one.summary, 200),
                f"{questions(leaderboard, one) or 0:,}",
                str(one.samples),
                str(one.max_new_tokens),
                "yes" if one.ranking else "",
            )
            for one in benchmarks
        ],
        left=3,
    )


def benchmarks(leaderboard: Leaderboard) -> Iterator[str]:
    """Yield the accuracy on every benchmark, some benchmarks beside each other in each table."""
    found = leaderboard.conditions.benchmarks
    if len(found) < 2:
        return
    yield "## Every benchmark"
    yield (
        "Accuracy in per cent, in brackets the gain over the start model in points; the benchmark"
        " that ranks the board is in italics."
    )
    parts = side_by_side(leaderboard)
    for place, (protocol, part) in enumerate(parts):
        if protocol:
            yield f"Under {markdown(protocol)}:"
        head = ["Trainer"]
        for one in part:
            text = markdown(one.task if protocol else label(leaderboard.conditions, one))
            head.append(f"*{text}*" if one.ranking else text)
        rows = [
            [name(row), *(_cell(result_of(row, one)) for one in part)] for row in leaderboard.rows
        ]
        if place == len(parts) - 1:
            head.append(f"W/T/L of {len(found)}" if len(parts) > 1 else "W/T/L")
            for row, cells in zip(leaderboard.rows, rows, strict=True):
                tally = f"{row.wins}/{row.ties}/{row.losses}"
                cells.append(tally if row.gain else numbers.NONE)
        yield table(head, rows)


def side_by_side(leaderboard: Leaderboard) -> list[tuple[str, Sequence[Benchmark]]]:
    """Return the benchmarks that share a table, with their protocol.

    Few are in one table, whatever their protocols, and its name is then empty.
    """
    found = leaderboard.conditions.benchmarks
    if len(found) <= COLUMNS:
        return [("", found)]
    by_protocol: dict[str, list[Benchmark]] = defaultdict(list)
    for one in found:
        by_protocol[one.protocol].append(one)
    parts: list[tuple[str, Sequence[Benchmark]]] = []
    for protocol, ones in by_protocol.items():
        size = -(-len(ones) // -(-len(ones) // COLUMNS))  # tables of about the same width
        parts += [(protocol, ones[first : first + size]) for first in range(0, len(ones), size)]
    return parts


def _cell(result: TaskResult | None) -> str:
    if result is None:
        return numbers.NONE
    change = f" ({numbers.points(result.gain.difference)})" if result.gain else ""
    return f"{numbers.percent(result.accuracy.accuracy)}{change}"


def each_benchmark(
    leaderboard: Leaderboard,
    opening: Sequence[str],
    columns: Callable[[Results], Columns],
    wanted: Callable[[TaskResult], object],
) -> Iterator[str]:
    """Yield a table for each benchmark on which a row has what is wanted, the opening before."""
    for one in leaderboard.conditions.benchmarks:
        found = results(leaderboard, one)
        if any(wanted(result) for _, result in found):
            yield from opening
            opening = ()
            head, cells = columns(found)
            yield f"### {markdown(label(leaderboard.conditions, one), 200)}"
            yield table(head, [(name(row), *cells(row, result)) for row, result in found])


def overall(leaderboard: Leaderboard) -> Iterator[str]:
    """Yield the ranked rows over all tasks of the board."""
    tasks = len({one.task for one in leaderboard.conditions.benchmarks})
    rows = [
        (
            name(row),
            numbers.percent(one.accuracy),
            numbers.part(one.gain, one.low, one.high),
            numbers.percent(one.above_start),
            numbers.NONE if one.above_others is None else numbers.percent(one.above_others),
        )
        for row in leaderboard.rows
        if (one := row.overall)
    ]
    if rows:
        yield "## All tasks together"
        yield (
            f"The mean over the {tasks} tasks of the board, each weighing the same however often it"
            " is scored, with its gain over the start model; the interval covers these tasks'"
            " questions and the seeds, not the choice of tasks. *Above* is the probability of"
            " improvement in per cent: how often one of its seeds is above the start model, or a"
            " seed of another ranked row, on a task drawn at random (ties count half). Nothing is"
            " ranked by this table."
        )
        head = ("Trainer", "Mean accuracy %", "Gain, points", "Above the start", "Above others")
        yield table(head, rows)


def answers(leaderboard: Leaderboard) -> Iterator[str]:
    """Yield how answers ended."""
    yield "## How answers ended"
    yield (
        "Per cent of answers. Verified is the accuracy; strict and flexible are string matching"
        " on the same answers. In brackets behind the wrong ones: those that the verifier could not"
        " read, and those that only repeat an expression of their problem. The last column is the"
        " mean length in tokens."
    )
    others = [name for name in LETTERS if name != "correct"]
    named = (name.replace("_", " ").capitalize() for name in others)
    head = ("Trainer", "Verified", "Strict", "Flexible", *named, "At the limit", "Tokens")

    def cells(_: Row, result: TaskResult) -> tuple[str, ...]:
        shown = {name: numbers.percent(result.verdicts[name]) for name in others}
        not_compared = map(numbers.percent, (result.unreadable, result.copied))
        shown["wrong"] += f" ({', '.join(not_compared)})"
        matched = (result.verdicts["correct"], result.strict, result.flexible)
        ended = numbers.percent(result.limit_reached), f"{result.mean_tokens:.0f}"
        return *map(numbers.percent, matched), *shown.values(), *ended

    yield from each_benchmark(leaderboard, (), lambda _: (head, cells), lambda _: True)


def several_answers(leaderboard: Leaderboard) -> Iterator[str]:
    """Return pass@k and maj@k, where questions have several answers."""

    def columns(found: Results) -> Columns:
        k, sizes = found[0][1].samples, sorted(found[0][1].pass_at)
        head = ("Trainer", f"avg@{k}", *(f"pass@{size}" for size in sizes), f"maj@{k}")
        return head, lambda _, result: (
            numbers.accuracy(result.accuracy),
            *(numbers.share(result.pass_at[size]) for size in sizes),
            numbers.share(result.majority),
        )

    opening = (
        "## Several answers to each question",
        "Per cent of questions: avg is the mean over answers, pass has one right answer among k"
        " (unbiased), maj has a right most frequent answer, each with its 95 % interval over"
        " questions. Pass says what sampling can reach, not what the model answers.",
    )
    return each_benchmark(leaderboard, opening, columns, lambda result: result.samples > 1)


def own_metrics(leaderboard: Leaderboard) -> Iterator[str]:
    """Return lm-eval's own metrics beside the verified accuracy."""

    def columns(found: Results) -> Columns:
        names = own_names(found)
        return ("Trainer", "Verified %", *map(markdown, names)), lambda _, result: (
            numbers.percent(result.accuracy.accuracy),
            *(f"{result.own[one]:.4g}" if one in result.own else numbers.NONE for one in names),
        )

    opening = (
        "## lm-eval's own metrics",
        "On the same answers, as lm-eval's task reads them and in its own scale; the verified"
        " accuracy beside them is this harness's.",
    )
    return each_benchmark(leaderboard, opening, columns, lambda result: result.own)


def cost(leaderboard: Leaderboard) -> Iterator[str]:
    """Yield what training a seed cost, and all trials of a row before."""
    tuned, known = leaderboard.conditions.tuning is not None, computed(leaderboard)
    rows = [
        (
            name(row),
            numbers.time_spent(row.cost),
            numbers.count(row.cost.steps),
            numbers.count(row.cost.trained_tokens),
            numbers.count(row.cost.generated_tokens),
            numbers.count(row.cost.teacher_tokens),
            numbers.flops(row.cost.flops),
            *([numbers.computed(row.cost)] if known else ()),
            numbers.memory(row.cost.peak_memory_bytes),
            numbers.energy(row.cost.energy_joules),
            *(_of_trials(row) if tuned else ()),
        )
        for row in leaderboard.rows
        if row.cost
    ]
    if rows:
        yield "## Cost of training one seed"
        yield from [sentences.TRIALS_COST] if tuned else ()
        yield from [sentences.COMPUTED_COST] if known else ()
        yield table((*cost_head(leaderboard), *(sentences.TRIALS if tuned else ())), rows)


def computed(leaderboard: Leaderboard) -> bool:
    """Return whether what was really computed is known of a row."""
    return any(row.cost and row.cost.body_flops is not None for row in leaderboard.rows)


def cost_head(leaderboard: Leaderboard) -> tuple[str, ...]:
    """Return the heads of the columns of costs."""
    place = sentences.COST.index("FLOPs") + 1
    more = (sentences.COMPUTED,) if computed(leaderboard) else ()
    return (*sentences.COST[:place], *more, *sentences.COST[place:])


def _of_trials(row: Row) -> tuple[str, str]:
    """Return what all trials of a row cost together: FLOPs, and time."""
    found = row.tuning
    if found is None or not found.trials:
        return numbers.NONE, numbers.NONE
    return numbers.flops(found.cost.flops), numbers.time_spent(found.cost)
