"""A leaderboard as markdown that reads well on GitHub, in a pager and on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.leaderboard.warnings import label
from harness.render import numbers, sections, sentences
from harness.render.escape import code, link, markdown
from harness.render.sections import name, table

if TYPE_CHECKING:
    from harness.leaderboard.data import Leaderboard

EDIT = (
    "Do not edit: written by `harness publish` from the records; `harness publish --check` tells."
)

FEW = 4
"""Scores that are listed among the conditions; more have a table of their own."""


def render(board: Leaderboard) -> str:
    """Return the text of `leaderboards/<board>.md`."""
    parts = [
        f"# {markdown(board.conditions.title, 200)}",
        f"<!-- {EDIT} -->",
        sentences.claim(board),
        "\n".join(_conditions(board)),
        *_warnings(board),
        "## Ranking",
        *_ranking(board),
        *sections.scores(board, FEW),
        *sections.benchmarks(board),
        *_chains(board),
        *sections.answers(board),
        *sections.several_answers(board),
        *sections.own_metrics(board),
        *sections.shared_words(board),
        *sections.cost(board),
        *_failures(board),
        *_quoted(board),
        *_reproduce(board),
        "## How to read this",
        *sentences.explanations(board),
    ]
    return "\n\n".join(parts) + "\n"


def _conditions(board: Leaderboard) -> Iterator[str]:
    conditions = board.conditions
    yield f"- **Start model:** {markdown(conditions.start_model, 200)}"
    if conditions.teacher:
        yield f"- **Teacher:** {markdown(conditions.teacher, 200)}"
    yield f"- **Training data:** {markdown(conditions.data, 400)}"
    yield f"- **Budget of a cell:** {markdown(conditions.budget, 400)}"
    several = len(conditions.benchmarks) > FEW
    for benchmark in () if several else conditions.benchmarks:
        n = sections.questions(board, benchmark)
        about = [f"{n:,} questions" if n else "no scores yet", markdown(benchmark.protocol)]
        about.append(f"at most {benchmark.max_new_tokens} new tokens")
        about += [markdown(benchmark.summary, 200)] if benchmark.summary else []
        about += ["**ranks the board**"] if benchmark.ranking else []
        yield f"- **Benchmark {markdown(benchmark.task)}:** {', '.join(about)}"
    if several:
        ranking = [label(conditions, one) for one in conditions.benchmarks if one.ranking]
        yield (
            f"- **Benchmarks:** {len(conditions.benchmarks)} scores, listed below; the board is"
            f" ranked by {markdown(', '.join(ranking), 200)}"
        )
    for protocol, text in sorted(conditions.protocols.items()):
        yield f"- **Protocol {markdown(protocol)}:** {markdown(text, 200)}"
    yield f"- **Decoding:** {markdown(conditions.decoding, 200)}"
    yield f"- **Verifier:** version {markdown(', '.join(board.verifier) or 'unknown', 200)}"
    yield f"- **Seeds:** {', '.join(map(str, conditions.seeds))}"
    for hardware in board.hardware:
        yield f"- **Scored on:** {markdown(hardware, 200)}"
    packages = [
        f"{markdown(package)} {markdown(' and '.join(versions))}"
        for package, versions in board.packages.items()
        if package.replace("-", "_") in sentences.PACKAGES
    ]
    if packages:
        yield f"- **Software:** {', '.join(packages)}"
    yield f"- **Date of the latest record:** {markdown(board.date)}"
    yield f"- **Board digest:** {code(conditions.digest[:16])}"
    for note in conditions.notes:
        yield f"- {markdown(note.strip(), 400)}"


def _warnings(board: Leaderboard) -> Iterator[str]:
    lines = []
    for who, line in sentences.warnings(board):
        subject = f"**{markdown(who, 200)}:** " if who else ""
        lines.append(f"> - {subject}{markdown(line.strip(), 400)}")
    if lines:
        yield "\n".join(["> **Warnings**", ">", *lines])


def _ranking(board: Leaderboard) -> Iterator[str]:
    yield table(
        ("Rank", "Trainer", "Accuracy %", "Gain, points", "p (Holm)", "Group", "Seeds"),
        [
            (
                numbers.rank(row),
                name(row),
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
                    name(row),
                    numbers.points(row.gain.difference),
                    *numbers.parts(row.gain),
                    numbers.spread(row.accuracy),
                )
                for row in board.rows
                if row.gain
            ],
        )


def _chains(board: Leaderboard) -> Iterator[str]:
    chained = [row for row in board.rows if row.stage_gain]
    if not chained:
        return
    yield "## What the last stage of a chain added"
    yield table(
        ("Chain", "Compared with", "Gain, points", "Format", "Correctness"),
        [
            (
                name(row),
                markdown(row.stage_gain.to),
                numbers.gain(row.stage_gain),
                *numbers.parts(row.stage_gain),
            )
            for row in chained
            if row.stage_gain
        ],
        left=2,
    )


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
                    f"*{markdown(one.name)}* (quoted)",
                    markdown(one.task),
                    numbers.percent(one.accuracy),
                    link(one.source),
                    markdown(one.note, 200),
                )
                for one in board.conditions.quoted
            ],
            left=(0, 1, 3, 4),
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
        lines = [f"- {name(row)}: {sources + '; ' if sources else ''}{links}"]
        lines += [f"  - {code(command)}" for command in row.commands]
        lines += [f"  - {markdown(note.strip(), 200)}" for note in row.notes]
        yield "\n".join(lines)
    if board.superseded:
        links = ", ".join(_record(board, ref.id, ref.id) for ref in board.superseded)
        yield f"Replaced by later records or counted once: {links}."
