"""Leaderboards of made-up records, and what a reader sees of them."""

from __future__ import annotations

from functools import cache

import generated
import numpy as np

from harness.leaderboard.build import build
from harness.leaderboard.data import (
    Leaderboard,
    Row,
)
from harness.render import spreadsheet, terminal, warnings

ACCURACIES = {"start": 0.4, "sft": 0.6, "kd": 0.61, "rl": 0.72, "sft+rl": 0.8}


@cache
def five_rows() -> Leaderboard:
    return build(generated.board(ACCURACIES), generated.conditions())


def row(board: Leaderboard, trainer: str) -> Row:
    return next(row for row in board.rows if row.trainer == trainer)


def warned(board: Leaderboard, trainer: str | None = None) -> list[str]:
    """Return the sentences of the warnings about the board, or about one row."""
    found = row(board, trainer).warnings if trainer else board.warnings
    return [warnings.sentence(board.conditions, one) for one in found]


def foot(board: Leaderboard) -> list[str]:
    """Return the sentences of what holds for every row."""
    return list(warnings.properties(board))


def shown(board: Leaderboard, width: int = 80) -> str:
    from rich.console import Console

    console = Console(width=width, force_terminal=False, color_system=None)
    with console.capture() as capture:
        console.print(terminal.render(board))
    return capture.get()


def curves(spent: dict[str, float], finals: dict[str, float], quarter: dict[str, float]) -> list:
    """Return records of trainers with the whole budget and with a quarter of it."""
    small = {f"{name}@0.25": accuracy for name, accuracy in quarter.items()}
    accuracies = {"start": 0.2} | finals | small
    flops = spent | {f"{name}@0.25": spent[name] / 4 for name in quarter}
    records = generated.spending(generated.board(accuracies, n=2000), flops)
    return [
        one.model_copy(update={"share": 0.25 if "@" in one.trainer else 1.0}).sealed()
        for one in records
    ]


def shared_board(hits: tuple[int, ...], seeds: int = 3) -> Leaderboard:
    """Return a board whose trained rows were trained on some problems, and got those right."""
    records = []
    for trainer in ("start", "sft"):
        for seed in [None] if trainer == "start" else range(seeds):
            verdicts = np.array(list("CWW" * 100))
            if seed is not None:
                verdicts[list(hits)] = "C"
            more = {"overlap_13": hits, "overlap_8": hits} if seed is not None else {}
            scores = [generated.score("words", "".join(verdicts), **more)]
            records.append(generated.record(trainer, seed, scores))
    return build(records, generated.conditions(["words"]))


def letters(right: np.ndarray) -> str:
    return "".join(np.where(right, "C", "W"))


def csv_lines(board: Leaderboard) -> list[dict[str, str]]:
    import csv

    return list(csv.DictReader(spreadsheet.render(board).splitlines()))
