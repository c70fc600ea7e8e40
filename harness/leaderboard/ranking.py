"""Ranking: which rows are told apart, and the range of places that follows for each."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING

from harness.leaderboard.results import compare_entries
from harness.leaderboard.row import SIGNIFICANCE
from harness.leaderboard.stats import holm

if TYPE_CHECKING:
    from harness.leaderboard.bootstrap import Comparison
    from harness.leaderboard.cells import BoardQuestions, Entry


def told_apart(
    entries: Sequence[Entry], board: BoardQuestions
) -> tuple[set[frozenset[str]], list[Comparison]]:
    """Return the pairs that Holm's correction over all pairs tells apart, and every comparison."""
    pairs = list(combinations(entries, 2))
    comparisons = [compare_entries(first, second, board.ranking, board) for first, second in pairs]
    adjusted = holm([one.p for one in comparisons])
    different = {
        frozenset((first.trainer, second.trainer))
        for (first, second), p in zip(pairs, adjusted, strict=True)
        if p < SIGNIFICANCE
    }
    return different, comparisons


def place_of(
    trainer: str, ranked: Sequence[Entry], different: set[frozenset[str]]
) -> tuple[int, int]:
    """Return the best and the worst place of a row: only rows told apart from it stand off it."""
    order = [entry.trainer for entry in ranked]
    own = order.index(trainer)
    above = sum(frozenset((other, trainer)) in different for other in order[:own])
    below = sum(frozenset((other, trainer)) in different for other in order[own + 1 :])
    return 1 + above, len(order) - below
