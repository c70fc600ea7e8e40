"""A leaderboard as markdown that reads well on GitHub, in a pager and on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.render import contamination, evidence, numbers, sections, sentences, tuning, warnings
from harness.render.escape import code, link, markdown
from harness.render.sections import name, table
from harness.render.sentences import label

if TYPE_CHECKING:
    from harness.leaderboard.data import Leaderboard

EDIT = "Do not edit: `harness publish` writes it from records, `harness publish --check` compares."

FEW = 4
"""Scores that are listed among the conditions; more have a table of their own."""


def render(leaderboard: Leaderboard) -> str:
    """Return the text of `leaderboards/<board>.md`."""
    parts = [
        f"# {markdown(leaderboard.conditions.title, 200)}",
        f"<!-- {EDIT} -->",
        sentences.claim(leaderboard),
        f"![{sentences.PLOT}]({leaderboard.conditions.board}.svg)",
        "## Ranking",
        *_ranking(leaderboard),
        *_warnings(leaderboard),
        *sections.scores(leaderboard, FEW),
        *_equal(leaderboard),
        *_aside(leaderboard),
        "## Conditions",
        "\n".join(_conditions(leaderboard)),
        *_chains(leaderboard),
        *_curves(leaderboard),
        *tuning.section(leaderboard),
        *sections.benchmarks(leaderboard),
        *sections.overall(leaderboard),
        *sections.answers(leaderboard),
        *sections.several_answers(leaderboard),
        *sections.own_metrics(leaderboard),
        *contamination.shared(leaderboard),
        *contamination.probes(leaderboard),
        *sections.cost(leaderboard),
        *_failures(leaderboard),
        *_quoted(leaderboard),
        *_reproduce(leaderboard),
        *_properties(leaderboard),
        "## How to read this",
        *sentences.explanations(leaderboard),
    ]
    return "\n\n".join(parts) + "\n"


def _conditions(leaderboard: Leaderboard) -> Iterator[str]:
    conditions = leaderboard.conditions
    yield f"- **Start model:** {markdown(conditions.start_model, 200)}"
    if conditions.teacher:
        yield f"- **Teacher:** {markdown(conditions.teacher, 200)}"
    yield f"- **Training data:** {markdown(conditions.data, 400)}"
    yield f"- **Budget of a cell:** {markdown(conditions.budget, 400)}"
    if conditions.tuning:
        yield f"- **Tuning:** {tuning.rules(conditions.tuning)}"
    several = len(conditions.benchmarks) > FEW
    for benchmark in () if several else conditions.benchmarks:
        n = sections.questions(leaderboard, benchmark)
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
    verifier = markdown(", ".join(leaderboard.verifier) or "unknown", 200)
    if leaderboard.judged_before:
        first = markdown(", ".join(leaderboard.judged_before), 200)
        verifier += (
            f", which judged the answers anew; version {first} judged them first. Training, costs"
            " and answers are as they were"
        )
    yield f"- **Verifier:** version {verifier}"
    yield f"- **Seeds:** {', '.join(map(str, conditions.seeds))}"
    if conditions.looks:
        yield f"- **Looks:** {sentences.looks(conditions)}"
    for hardware in leaderboard.hardware:
        yield f"- **Scored on:** {markdown(hardware, 200)}"
    packages = [
        f"{markdown(package)} {markdown(' and '.join(versions))}"
        for package, versions in leaderboard.packages.items()
        if package.replace("-", "_") in sentences.PACKAGES
    ]
    if packages:
        yield f"- **Software:** {', '.join(packages)}"
    yield from evidence.evidence(leaderboard)
    yield f"- **Date of the latest record:** {markdown(leaderboard.date)}"
    yield f"- **Board digest:** {code(conditions.digest[:16])}"
    for note in conditions.notes:
        yield f"- {markdown(note.strip(), 400)}"


def _warnings(leaderboard: Leaderboard) -> Iterator[str]:
    lines = []
    for who, line in warnings.grouped(leaderboard):
        subject = f"**{markdown(who, 200)}:** " if who else ""
        lines.append(f"> - {subject}{markdown(line.strip(), 400)}")
    if lines:
        yield "\n".join(["> **Warnings**", ">", *lines])


def _ranking(leaderboard: Leaderboard) -> Iterator[str]:
    shown = [row for row in leaderboard.rows if row.gain or row.start or row.rank]
    ranks = ("Rank", "Trainer", "Accuracy %", "Gain, points", "p (Holm)", "Group", "Seeds")
    tuned = leaderboard.conditions.tuning is not None
    yield table(
        (*ranks, "Budget", "Trials") if tuned else (*ranks, "Budget"),
        [
            (
                numbers.rank(row),
                name(row),
                numbers.accuracy(row.accuracy),
                numbers.gain(row.gain),
                numbers.p_value(row.gain.p_adjusted if row.gain else None),
                row.letters,
                numbers.seeds(row),
                numbers.used(row),
                *([numbers.trials(row)] if tuned else []),
            )
            for row in shown
        ],
        left=2,
    )
    parts = [
        (
            name(row),
            *numbers.parts(row.gain),
            *numbers.deviations(row.accuracy),
        )
        for row in shown
        if row.accuracy
    ]
    if parts:
        yield "Where the gain comes from, and what moves the accuracy of one seed, in points:"
        head = ("Trainer", "Format", "Correctness", "Questions", "Seed", "Answers")
        yield table(head, parts)


def _equal(leaderboard: Leaderboard) -> Iterator[str]:
    if leaderboard.pair_family:
        yield f"## Within {leaderboard.conditions.margin:g} points of each other"
        yield sentences.equal(leaderboard, markdown)


def _aside(leaderboard: Leaderboard) -> Iterator[str]:
    """Yield the rows that the page compares with none, with the reason."""
    rows = [row for row in leaderboard.rows if not (row.gain or row.start or row.rank)]
    if rows:
        yield "## Not ranked"
        yield sentences.NOT_RANKED
        head = ("Trainer", "Accuracy %", "Seeds", "Budget", "Why")
        yield table(
            head,
            [
                (
                    name(row),
                    numbers.accuracy(row.accuracy),
                    numbers.seeds(row),
                    numbers.used(row),
                    markdown(warnings.why_unranked(leaderboard, row), 300),
                )
                for row in rows
            ],
            left=(0, 4),
        )


def _chains(leaderboard: Leaderboard) -> Iterator[str]:
    rows = sections.chains(leaderboard, markdown)
    if rows:
        yield "## Chains against the same compute without their last stage"
        yield sentences.chains(leaderboard)
        figures = ("Difference", "p (Holm)", "Format", "Correctness", "Budget")
        cells = [(name(row), *shown) for row, *shown in rows]
        yield table(("Chain", "Compared with", *figures), cells, left=2)


def _curves(leaderboard: Leaderboard) -> Iterator[str]:
    head, lines = sections.curves(leaderboard)
    if lines:
        yield "## Accuracy against compute"
        yield sentences.CURVES
        yield table(("Trainer", *head), [(name(row), *cells) for row, cells in lines])
    if leaderboard.leads:
        yield sentences.leads(leaderboard, markdown)


def _properties(leaderboard: Leaderboard) -> Iterator[str]:
    lines = [f"- {markdown(line.strip(), 400)}" for line in warnings.properties(leaderboard)]
    if lines:
        yield "## What holds for every row"
        yield "Properties of the benchmarks and of the board: no row is better or worse by them."
        yield "\n".join(lines)


def _failures(leaderboard: Leaderboard) -> Iterator[str]:
    if leaderboard.failures:
        yield "## Cells that failed"
        yield table(
            ("Trainer", "Seed", "Status", "What happened", "Record"),
            [
                (
                    markdown(cell.trainer),
                    numbers.NONE if cell.seed is None else str(cell.seed),
                    markdown(cell.status),
                    markdown(cell.error, 200),
                    evidence.record_link(leaderboard, cell.record, "record"),
                )
                for cell in leaderboard.failures
            ],
            left=5,
        )


def _quoted(leaderboard: Leaderboard) -> Iterator[str]:
    if leaderboard.conditions.quoted:
        yield "## Results from elsewhere"
        yield "No cells of this board, measured under other conditions, never ranked."
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
                for one in leaderboard.conditions.quoted
            ],
            left=(0, 1, 3, 4),
        )


def _reproduce(leaderboard: Leaderboard) -> Iterator[str]:
    yield "## Records and how to reproduce a row"
    for row in leaderboard.rows:
        sources = ", ".join(
            f"{markdown(s.trainer)} from {markdown(s.distribution)} {markdown(s.version)}"
            f" (source {code(s.source_sha256[:12])})"
            for s in row.sources
        )
        links = evidence.records(leaderboard, row)
        lines = [f"- {name(row)}: {sources + '; ' if sources else ''}{links}"]
        lines += evidence.confirmations(leaderboard, row)
        lines += [f"  - {code(command)}" for command in row.commands]
        lines += [f"  - {markdown(note.strip(), 200)}" for note in row.notes]
        yield "\n".join(lines)
    if leaderboard.superseded:
        found = (
            evidence.record_link(leaderboard, ref.file, ref.file) for ref in leaderboard.superseded
        )
        yield f"Replaced by later records, or not those that count: {', '.join(found)}."
    yield from evidence.refused(leaderboard)
