"""Two checkpoints' answers side by side in a terminal, by rich."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from harness.leaderboard.diff import KINDS
from harness.render import numbers
from harness.render.escape import terminal, visible
from harness.render.tables import table

if TYPE_CHECKING:
    from harness.leaderboard.diff import Difference, JudgedAnswer, Question

WORDS = {
    "fixed": ("fixed", "green"),
    "broken": ("broken", "red"),
    "both_wrong": ("both wrong", "yellow"),
    "both_right": ("both right", "dim"),
}


def render(difference: Difference, *, characters: int = 1200) -> RenderableType:
    """Return the counts, then each question with both answers cut to so many characters."""
    tests = sorted({task.test for task in difference.tasks})
    how = f"p is by {' and '.join(tests)}, for each task alone."
    if any(task.samples > 1 for task in difference.tasks):
        how += " Of several answers to a question the most frequent one is counted and shown."
    return Group(
        Text(f"{terminal(difference.first)}  →  {terminal(difference.second)}", style="bold"),
        _counts(difference),
        Text(how, style="dim"),
        _verdicts(difference),
        *(Text(terminal(line, 1000), style="yellow") for line in difference.missing),
        *(_question(one, difference, characters) for one in difference.questions),
        Text(f"{len(difference.questions)} of {difference.filtered} questions shown."),
    )


def _counts(difference: Difference) -> RenderableType:
    figures = ("Fixed", "Broken", "Both\nwrong", "Both\nright", "Points", "p")
    counts = table(None, {"Task": None}, figures)
    for task in difference.tasks:
        points, low, high = map(numbers.points, (task.difference, task.low, task.high))
        counts.add_row(
            Text(terminal(task.task, 40)),
            *(str(task.kinds[kind]) for kind in KINDS),
            Text(f"{points} [{low}, {high}]"),
            numbers.p_value(task.p),
        )
    return counts


def _verdicts(difference: Difference) -> RenderableType:
    """Return how verdicts moved, the commonest moves first."""
    moves: Counter[tuple[str, str]] = Counter()
    for task in difference.tasks:
        for before, after in task.verdicts.items():
            moves.update({(before, now): n for now, n in after.items() if now != before})
    ordered = sorted(moves.items(), key=lambda move: (-move[1], move[0]))
    listed = ", ".join(f"{before} → {after}: {number}" for (before, after), number in ordered)
    return Text(f"Verdicts that moved: {listed or 'none'}")


def _question(question: Question, difference: Difference, characters: int) -> RenderableType:
    word, style = WORDS[question.kind]
    answers = Table.grid(expand=True, padding=(0, 2))
    answers.add_column(ratio=1, overflow="fold")
    answers.add_column(ratio=1, overflow="fold")
    sides = ((difference.first, question.first), (difference.second, question.second))
    answers.add_row(*(_heading(name, answer) for name, answer in sides))
    answers.add_row(*(Text(visible(one.text, characters, lines=True)) for _, one in sides))
    body = Table.grid(expand=True)
    body.add_column(overflow="fold")
    if question.problem is not None:
        body.add_row(Text(visible(question.problem, characters, lines=True), style="bold"))
    if question.gold is not None:
        body.add_row(Text(f"Gold answer: {terminal(question.gold, 300)}", style="cyan"))
    body.add_row(answers)
    title = Text(f"{terminal(question.task, 40)} {terminal(question.id, 40)}: {word}", style=style)
    return Panel(body, title=title, title_align="left", border_style=style)


def _heading(name: str, answer: JudgedAnswer) -> RenderableType:
    read = "nothing" if answer.read is None else terminal(answer.read, 200)
    style = "green" if answer.verdict == "correct" else "red"
    return Text(
        f"{terminal(name, 40)}: {terminal(answer.verdict)}, {answer.tokens} tokens; read: {read}"
        f" ({terminal(answer.why, 200)})",
        style=style,
    )
