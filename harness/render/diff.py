"""Two checkpoints' answers side by side in a terminal, by rich."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.render import numbers
from harness.render.escape import terminal, visible

if TYPE_CHECKING:
    from rich.console import RenderableType

    from harness.leaderboard.diff import Difference, JudgedAnswer, Question, TaskDifference

WORDS = {
    "fixed": ("fixed", "green"),
    "broken": ("broken", "red"),
    "both_wrong": ("both wrong", "yellow"),
    "both_right": ("both right", "dim"),
}


def render(difference: Difference, *, characters: int = 1200) -> RenderableType:
    """Return the counts, then each question with both answers cut to so many characters."""
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = [
        Text(f"{terminal(difference.first)}  →  {terminal(difference.second)}", style="bold"),
        _counts(difference),
        _verdicts(difference),
    ]
    parts += [_question(one, difference, characters) for one in difference.questions]
    tests = sorted({task.test for task in difference.tasks})
    how = f"p is by {' and '.join(tests)}, for each task alone."
    if any(task.samples > 1 for task in difference.tasks):
        how += " Of several answers to a question the most frequent one is counted and shown."
    parts.insert(2, Text(how, style="dim"))
    shown = len(difference.questions)
    parts.append(Text(f"{shown} of {difference.filtered} questions shown."))
    return Group(*parts)


def _counts(difference: Difference) -> RenderableType:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("Task", overflow="fold")
    for name in ("Fixed", "Broken", "Both\nwrong", "Both\nright", "Points", "p"):
        table.add_column(name, justify="right", no_wrap=True)
    for task in difference.tasks:
        table.add_row(
            Text(terminal(task.task, 40)),
            *(str(task.kinds[kind]) for kind in ("fixed", "broken", "both_wrong", "both_right")),
            Text(_points(task)),
            numbers.p_value(task.p),
        )
    return table


def _points(task: TaskDifference) -> str:
    points = numbers.points
    return f"{points(task.difference)} [{points(task.low)}, {points(task.high)}]"


def _verdicts(difference: Difference) -> RenderableType:
    """Return how verdicts moved, the commonest moves first."""
    from rich.text import Text

    moves: dict[tuple[str, str], int] = {}
    for task in difference.tasks:
        for before, after in task.verdicts.items():
            for verdict, number in after.items():
                if before != verdict:
                    moves[before, verdict] = moves.get((before, verdict), 0) + number
    ordered = sorted(moves.items(), key=lambda move: (-move[1], move[0]))
    listed = ", ".join(f"{before} → {after}: {number}" for (before, after), number in ordered)
    return Text(f"Verdicts that moved: {listed or 'none'}")


def _question(question: Question, difference: Difference, characters: int) -> RenderableType:
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    word, style = WORDS[question.kind]
    table = Table.grid(expand=True, padding=(0, 2))
    table.add_column(ratio=1, overflow="fold")
    table.add_column(ratio=1, overflow="fold")
    table.add_row(
        _heading(difference.first, question.first), _heading(difference.second, question.second)
    )
    table.add_row(
        Text(visible(question.first.text, characters, lines=True)),
        Text(visible(question.second.text, characters, lines=True)),
    )
    body = Table.grid(expand=True)
    body.add_column(overflow="fold")
    body.add_row(Text(visible(question.problem, characters, lines=True), style="bold"))
    body.add_row(Text(f"Gold answer: {terminal(question.gold, 300)}", style="cyan"))
    body.add_row(table)
    title = Text(f"{terminal(question.task, 40)} {terminal(question.id, 40)}: {word}", style=style)
    return Panel(body, title=title, title_align="left", border_style=style)


def _heading(name: str, answer: JudgedAnswer) -> RenderableType:
    from rich.text import Text

    read = "nothing" if answer.read is None else terminal(answer.read, 200)
    style = "green" if answer.verdict == "correct" else "red"
    return Text(
        f"{terminal(name, 40)}: {terminal(answer.verdict)}, {answer.tokens} tokens; read: {read}"
        f" ({terminal(answer.why, 200)})",
        style=style,
    )
