"""A leaderboard as markdown that reads well on GitHub, in a pager and on a phone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from harness.escape import code, link, markdown
from harness.render import numbers, words

if TYPE_CHECKING:
    from harness.standings import Leaderboard, Row

EDIT = (
    "Do not edit: written by `harness publish` from the records; `harness publish --check` tells."
)


def render(board: Leaderboard) -> str:
    """Return the text of `leaderboards/<board>.md`."""
    parts = [
        f"# {markdown(board.conditions.title, 200)}",
        f"<!-- {EDIT} -->",
        words.claim(board),
        "\n".join(_conditions(board)),
        *_warnings(board),
        "## Ranking",
        *_ranking(board),
        *_benchmarks(board),
        *_chains(board),
        *_answers(board),
        *_cost(board),
        *_failures(board),
        *_quoted(board),
        *_reproduce(board),
        "## How to read this",
        *words.explanations(board),
    ]
    return "\n\n".join(parts) + "\n"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Return a table; the first `left` columns are aligned left, the others right."""
    marks = [":--" if column < left else "--:" for column in range(len(head))]
    lines = [head, marks, *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _conditions(board: Leaderboard) -> Iterator[str]:
    conditions = board.conditions
    yield f"- **Start model:** {markdown(conditions.start_model, 200)}"
    if conditions.teacher:
        yield f"- **Teacher:** {markdown(conditions.teacher, 200)}"
    yield f"- **Training data:** {markdown(conditions.data, 400)}"
    yield f"- **Budget of a cell:** {markdown(conditions.budget, 400)}"
    for benchmark in conditions.benchmarks:
        n = next(
            (r.accuracy.n for row in board.rows for r in row.tasks if _same(r, benchmark)), None
        )
        about = [f"{n:,} questions" if n else "no scores yet", markdown(benchmark.protocol)]
        about.append(f"at most {benchmark.max_new_tokens} new tokens")
        about += [markdown(benchmark.summary, 200)] if benchmark.summary else []
        about += ["**ranks the board**"] if benchmark.ranking else []
        yield f"- **Benchmark {markdown(benchmark.task)}:** {', '.join(about)}"
    for name, text in sorted(conditions.protocols.items()):
        yield f"- **Protocol {markdown(name)}:** {markdown(text, 200)}"
    yield f"- **Decoding:** {markdown(conditions.decoding, 200)}"
    yield f"- **Verifier:** version {markdown(', '.join(board.verifier) or 'unknown', 200)}"
    yield f"- **Seeds:** {', '.join(map(str, conditions.seeds))}"
    for hardware in board.hardware:
        yield f"- **Scored on:** {markdown(hardware, 200)}"
    packages = [
        f"{markdown(name)} {markdown(' and '.join(versions))}"
        for name, versions in board.packages.items()
        if name.replace("-", "_") in words.PACKAGES
    ]
    if packages:
        yield f"- **Software:** {', '.join(packages)}"
    yield f"- **Date of the latest record:** {markdown(board.date)}"
    yield f"- **Board digest:** {code(conditions.digest[:16])}"
    for note in conditions.notes:
        yield f"- {markdown(note, 400)}"


def _same(result: object, benchmark: object) -> bool:
    return (result.task, result.protocol) == (benchmark.task, benchmark.protocol)  # type: ignore[attr-defined]


def _warnings(board: Leaderboard) -> Iterator[str]:
    lines = []
    for who, line in words.warnings(board):
        name = f"**{markdown(who, 200)}:** " if who else ""
        lines.append(f"> - {name}{markdown(line, 400)}")
    if lines:
        yield "\n".join(["> **Warnings**", ">", *lines])


def _name(row: Row) -> str:
    mark = " ⚠" if row.warnings else ""
    return f"*{markdown(row.trainer)}*" if row.start else f"**{markdown(row.trainer)}**{mark}"


def _ranking(board: Leaderboard) -> Iterator[str]:
    yield table(
        ("Rank", "Trainer", "Accuracy %", "Gain, points", "p (Holm)", "Group", "Seeds"),
        [
            (
                numbers.rank(row),
                _name(row),
                numbers.accuracy(row.accuracy),
                numbers.gain(row.gain),
                numbers.p_value(row.gain.p_adjusted if row.gain else None),
                row.letters,
                numbers.seeds(row),
            )
            for row in board.rows
        ],
        left=2,
    )
    if any(row.gain for row in board.rows):
        yield "Where the gain comes from, and how much the seeds differ:"
        yield table(
            ("Trainer", "Gain", "Format", "Correctness", "Spread over seeds"),
            [
                (
                    _name(row),
                    numbers.points(row.gain.difference),
                    *numbers.parts(row.gain),
                    _spread(row),
                )
                for row in board.rows
                if row.gain
            ],
        )


def _spread(row: Row) -> str:
    sd = row.accuracy.seed_sd if row.accuracy else None
    return numbers.NONE if sd is None else f"{100 * sd:.1f}"


def _benchmarks(board: Leaderboard) -> Iterator[str]:
    benchmarks = board.conditions.benchmarks
    if len(benchmarks) < 2:
        return
    yield "## Every benchmark"
    yield "Accuracy in per cent, in brackets the gain over the start model in points."
    head = ["Trainer", *(_task(board, index) for index in range(len(benchmarks))), "W/T/L"]
    rows = []
    for row in board.rows:
        cells = [_name(row)]
        for benchmark in benchmarks:
            result = next((r for r in row.tasks if _same(r, benchmark)), None)
            if result is None:
                cells.append(numbers.NONE)
                continue
            change = f" ({numbers.points(result.gain.difference)})" if result.gain else ""
            cells.append(f"{numbers.percent(result.accuracy.accuracy)}{change}")
        cells.append(f"{row.wins}/{row.ties}/{row.losses}" if row.gain else numbers.NONE)
        rows.append(cells)
    yield table(head, rows)


def _task(board: Leaderboard, index: int) -> str:
    """Return a benchmark's heading, with its protocol where the task has several."""
    one = board.conditions.benchmarks[index]
    several = sum(other.task == one.task for other in board.conditions.benchmarks) > 1
    return markdown(one.task) + (f" {markdown(one.protocol)}" if several else "")


def _chains(board: Leaderboard) -> Iterator[str]:
    chained = [row for row in board.rows if row.stage_gain]
    if not chained:
        return
    yield "## What the last stage of a chain added"
    yield table(
        ("Chain", "Compared with", "Gain, points", "Format", "Correctness"),
        [
            (
                _name(row),
                markdown(row.stage_gain.to),
                numbers.gain(row.stage_gain),
                *numbers.parts(row.stage_gain),
            )
            for row in chained
            if row.stage_gain
        ],
        left=2,
    )


def _answers(board: Leaderboard) -> Iterator[str]:
    yield "## How answers ended"
    yield (
        "Per cent of answers. Verified is the accuracy; strict and flexible are string matching"
        " on the same answers; the last column is the mean length in tokens."
    )
    for index, benchmark in enumerate(board.conditions.benchmarks):
        rows = []
        for row in board.rows:
            result = next((r for r in row.tasks if _same(r, benchmark)), None)
            if result is None:
                continue
            verdicts = result.verdicts
            rows.append(
                (
                    _name(row),
                    *map(
                        numbers.percent,
                        (
                            verdicts["correct"],
                            result.strict,
                            result.flexible,
                            verdicts["wrong"],
                            verdicts["no_answer"],
                            verdicts["truncated"],
                            verdicts["ungradable"],
                            result.limit_reached,
                        ),
                    ),
                    f"{result.mean_tokens:.0f}",
                )
            )
        if rows:
            yield f"### {_task(board, index)}"
            yield table(words.ANSWERS, rows)


def _cost(board: Leaderboard) -> Iterator[str]:
    rows = [
        (
            _name(row),
            numbers.time_spent(row.cost),
            numbers.count(row.cost.steps),
            numbers.count(row.cost.trained_tokens),
            numbers.count(row.cost.generated_tokens),
            numbers.count(row.cost.teacher_tokens),
            numbers.flops(row.cost.flops),
            numbers.memory(row.cost.peak_memory_bytes),
            numbers.NONE
            if row.cost.energy_joules is None
            else f"{row.cost.energy_joules / 3.6e6:.3g} kWh",
        )
        for row in board.rows
        if row.cost
    ]
    if rows:
        yield "## Cost of training one seed"
        yield table(words.COST, rows)


def _failures(board: Leaderboard) -> Iterator[str]:
    if board.failures:
        yield "## Cells that failed"
        yield table(
            ("Trainer", "Seed", "Status", "What happened", "Record"),
            [
                (
                    markdown(cell.trainer),
                    numbers.NONE if cell.seed is None else str(cell.seed),
                    markdown(cell.status),
                    markdown(cell.error, 200),
                    _record(board, cell.record, "record"),
                )
                for cell in board.failures
            ],
            left=5,
        )


def _quoted(board: Leaderboard) -> Iterator[str]:
    if board.conditions.quoted:
        yield "## Quoted from publications"
        yield "Not measured here, under other conditions, never ranked."
        yield table(
            ("Name", "Benchmark", "Accuracy %", "Source", "Note"),
            [
                (
                    f"*{markdown(one.name)}*",
                    markdown(one.task),
                    numbers.percent(one.accuracy),
                    link(one.source),
                    markdown(one.note, 200),
                )
                for one in board.conditions.quoted
            ],
            left=2,
        )


def _record(board: Leaderboard, record: str, text: str) -> str:
    # Publishing refuses a record whose id is not a plain file name.
    return f"[{markdown(text)}](records/{board.conditions.board}/{record}.json)"


def _reproduce(board: Leaderboard) -> Iterator[str]:
    yield "## Records and how to reproduce a row"
    for row in board.rows:
        sources = ", ".join(
            f"{markdown(s.trainer)} from {markdown(s.distribution)} {markdown(s.version)}"
            f" (source {code(s.source_sha256[:12])})"
            for s in row.sources
        )
        links = ", ".join(
            _record(board, ref.id, "record" if ref.seed is None else f"seed {ref.seed}")
            for ref in row.records
        )
        lines = [f"- {_name(row)}: {sources + '; ' if sources else ''}{links}"]
        lines += [f"  - {code(command)}" for command in row.commands]
        lines += [f"  - {markdown(note, 200)}" for note in row.notes]
        yield "\n".join(lines)
    if board.superseded:
        links = ", ".join(_record(board, ref.id, ref.id) for ref in board.superseded)
        yield f"Replaced by later records or counted once: {links}."
