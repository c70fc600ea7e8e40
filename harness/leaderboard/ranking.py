"""Ranking: which rows differ significantly, and the places, letters and wins that follow."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Literal

from harness.leaderboard.data import Equal
from harness.leaderboard.multiple_testing import SIGNIFICANCE, holm
from harness.leaderboard.results import compare_entries

if TYPE_CHECKING:
    from harness.leaderboard.cells import Entry
    from harness.leaderboard.comparison import PairedDifference
    from harness.leaderboard.data import TaskResult


@dataclass(frozen=True)
class Ranking:
    """The ranked rows of a board."""

    order: list[str]  # their names, the best first
    places: dict[str, tuple[int, int]]  # the best and the worst place of each
    letters: dict[str, str]  # the group letters of each
    pairs: list[PairedDifference]  # the comparison of every two rows, in the order of them
    equal: tuple[Equal, ...]  # shown to lie within the margin of each other
    not_worse: tuple[str, ...]  # shown to be less than the margin behind the first


def rank(entries: Iterable[Entry], margin: float, level: float = SIGNIFICANCE) -> Ranking:
    """Rank the entries (given the best first) that are to be ranked.

    The margin, a share of 1, is what two rows may differ by and still count as equal; the level is
    what each family of tests may use of the 5 %.
    """
    ranked = [entry for entry in entries if entry.ranked]
    pairs = [
        compare_entries(first, second, first.questions.ranking)
        for first, second in combinations(ranked, 2)
    ]
    return ranking_of([entry.trainer for entry in ranked], pairs, margin, level)


def ranking_of(
    order: Sequence[str],
    pairs: Sequence[PairedDifference],
    margin: float,
    level: float = SIGNIFICANCE,
) -> Ranking:
    """Return the ranking of rows, given the best first, from the comparisons of every two."""
    adjusted = holm([one.p for one in pairs], level)
    different = {
        frozenset(names)
        for names, p in zip(combinations(order, 2), adjusted, strict=True)
        if p < SIGNIFICANCE
    }
    return Ranking(
        list(order),
        {name: place_of(name, order, different) for name in order},
        letters(order, different),
        list(pairs),
        _equal(order, pairs, margin, level),
        _not_worse(order, pairs, margin, level),
    )


def undecided(order: Sequence[str], shared: Mapping[str, str], equal: Iterable[Equal]) -> int:
    """Return how many pairs of rows are neither told apart nor shown to be equal.

    `shared` are the group letters of each.
    """
    same = {frozenset((one.first, one.second)) for one in equal}
    return sum(
        not _apart(shared[first], shared[second]) and frozenset((first, second)) not in same
        for first, second in combinations(order, 2)
    )


def _apart(first: str, second: str) -> bool:
    """Return whether two rows share no letter; a letter may have a number (`_letter`)."""
    groups = (set(re.findall(r"[a-z]\d*", one)) for one in (first, second))
    return set.isdisjoint(*groups)


def _equal(
    order: Sequence[str], pairs: Sequence[PairedDifference], margin: float, level: float
) -> tuple[Equal, ...]:
    """Return the pairs shown to be equal: two one-sided tests (Schuirmann 1987), Holm over all."""
    adjusted = holm([pair.p_within(margin) for pair in pairs], level)
    named = zip(combinations(order, 2), adjusted, strict=True)
    return tuple(Equal(first=a, second=b, p=p) for (a, b), p in named if p < SIGNIFICANCE)


def _not_worse(
    order: Sequence[str], pairs: Sequence[PairedDifference], margin: float, level: float
) -> tuple[str, ...]:
    """Return the rows shown to be less than the margin behind the first, Holm over them.

    That the first was chosen for its accuracy errs on the safe side: it is rather lower than it
    looks.
    """
    behind = [pair._replace(difference=-pair.difference) for pair in pairs[: len(order) - 1]]
    adjusted = holm([pair.p_below(margin) for pair in behind], level)
    return tuple(name for name, p in zip(order[1:], adjusted, strict=False) if p < SIGNIFICANCE)


def place_of(name: str, order: Sequence[str], different: set[frozenset[str]]) -> tuple[int, int]:
    """Return the best and the worst place of a row, by the rows that differ from it."""
    own = order.index(name)
    better = sum(frozenset((other, name)) in different for other in order[:own])
    worse = sum(frozenset((other, name)) in different for other in order[own + 1 :])
    return 1 + better, len(order) - worse


def tally(
    rows: Mapping[str, Sequence[TaskResult]], level: float = SIGNIFICANCE
) -> tuple[dict[str, tuple[TaskResult, ...]], dict[str, tuple[int, int, int]], int]:
    """Correct the gains of every row on every score for their number, all in one family.

    Another family are the differences between gains on shared questions and on others.

    Returns:
        The results with their adjusted p-values; on how many scores each row beats, ties with and
        loses to the start model; and how many comparisons that were.
    """
    found = _adjusted(_adjusted(rows, "gain", level), "shared_gain", level)
    counts = {name: [0, 0, 0] for name in rows}
    for name, results in found.items():
        for gain in (result.gain for result in results if result.gain):
            apart = gain.p_adjusted is not None and gain.p_adjusted < SIGNIFICANCE
            counts[name][(0 if gain.difference > 0 else 2) if apart else 1] += 1
    return (
        found,
        {name: (wins, ties, losses) for name, (wins, ties, losses) in counts.items()},
        sum(map(sum, counts.values())),
    )


def _adjusted(
    rows: Mapping[str, Sequence[TaskResult]], field: Literal["gain", "shared_gain"], level: float
) -> dict[str, tuple[TaskResult, ...]]:
    """Correct the p-values of one field for the number of results that have it (Holm)."""
    found = [getattr(result, field) for results in rows.values() for result in results]
    adjusted = iter(holm([one.p for one in found if one is not None], level))

    def corrected(result: TaskResult) -> TaskResult:
        one = getattr(result, field)
        if one is None:
            return result
        changed = one.model_copy(update={"p_adjusted": next(adjusted)})
        return result.model_copy(update={field: changed})

    return {name: tuple(map(corrected, results)) for name, results in rows.items()}


def letters(order: Sequence[str], different: set[frozenset[str]]) -> dict[str, str]:
    """Return a compact letter display: two names share a letter unless they are different.

    The insert-and-absorb algorithm of Piepho (2004); `order` has all names, the best first.
    """
    columns: list[set[str]] = [set(order)] if order else []
    # In a fixed order, since the letters depend on it.
    for pair in sorted(different, key=lambda pair: sorted(map(order.index, pair))):
        first, second = sorted(pair, key=order.index)
        split: list[set[str]] = []
        for column in columns:
            split += [column - {second}, column - {first}] if pair <= column else [column]
        columns = []
        for column in sorted(split, key=len, reverse=True):
            if not any(column <= other for other in columns):
                columns.append(column)
    columns.sort(key=lambda column: sorted(map(order.index, column)))
    return {
        name: "".join(_letter(i) for i, column in enumerate(columns) if name in column)
        for name in order
    }


def _letter(index: int) -> str:
    """Return a, b, ..., z, then a1, b1, ..."""
    return chr(ord("a") + index % 26) + (str(index // 26) if index >= 26 else "")
