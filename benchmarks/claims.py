"""How often the claims of a leaderboard are wrong, measured on generated answers.

    python benchmarks/claims.py                          # print the tables (about ten minutes)
    python benchmarks/claims.py --write docs/statistics.md
    python benchmarks/claims.py --repeats 200            # quicker and coarser

The model: question q has a difficulty, a checkpoint answers it right when the difficulty plus noise
of its own stays below a threshold, and each training seed moves the checkpoint's accuracy by a
normal shift. With the shares below, two checkpoints' answers correlate at about 0.45.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from statistics import NormalDist

import numpy as np

from harness.leaderboard.bootstrap import (
    PairedDifference,
    Questions,
    compare,
    compare_checkpoints,
    sample,
)
from harness.leaderboard.multiple_testing import holm
from harness.leaderboard.stats import clustered_wilson, paired_interval, wilson

N = 1319
ACCURACY = 0.4
SHARED = 0.65
"""Share of the variance of what decides an answer that lies in the question."""
SEED_SDS = (0.0, 0.01, 0.02)
BEGIN, END = "<!-- claims:begin -->", "<!-- claims:end -->"


@cache
def questions(n: int = N) -> Questions:
    """Return the resamples of n questions; they do not depend on the answers."""
    return Questions.of(n, key="claims")


def answers(
    rng: np.random.Generator, difficulty: np.ndarray, seeds: int, accuracy: float, sd: float
) -> np.ndarray:
    """Return right (1) or wrong (0), shape (seeds, n), for seeds of one trainer."""
    shifted = np.clip(accuracy + rng.normal(0, 1, seeds) * sd, 0.005, 0.995)
    threshold = np.array([NormalDist().inv_cdf(p) for p in shifted])
    noise = rng.normal(size=(seeds, difficulty.size))
    right: np.ndarray = (
        np.sqrt(SHARED) * difficulty + np.sqrt(1 - SHARED) * noise < threshold[:, None]
    )
    return right


def two_trainers(
    rng: np.random.Generator, seeds: int, sd: float, effect: float, *, start: bool = False
) -> tuple[PairedDifference, np.ndarray, np.ndarray]:
    """Compare two trainers, or a trainer with the start model, whose true difference is known."""
    difficulty = rng.normal(size=N)
    first = answers(rng, difficulty, 1 if start else seeds, ACCURACY, 0.0 if start else sd)
    second = answers(rng, difficulty, seeds, ACCURACY + effect, sd)
    found = compare(
        sample(first, questions(), key=f"a{rng.integers(1 << 30)}"),
        sample(second, questions(), key=f"b{rng.integers(1 << 30)}"),
        first_trained=not start,
    )
    return found, first, second


def error_rates(repeats: int, seed: int = 0) -> list[dict[str, float]]:
    """Return for each seed noise and number of seeds how often each claim was made wrongly."""
    rng = np.random.default_rng(seed)
    rows = []
    for sd in SEED_SDS:
        for seeds in (3, 5):
            made = {"pair": 0, "start": 0, "naive": 0, "covers": 0, "covers start": 0, "power": 0}
            for _ in range(repeats):
                found, first, second = two_trainers(rng, seeds, sd, 0.0)
                made["pair"] += found.p < 0.05
                made["covers"] += found.low <= 0 <= found.high
                made["naive"] += compare_checkpoints(first[0], second[0]).p < 0.05
                gain, _, _ = two_trainers(rng, seeds, sd, 0.0, start=True)
                made["start"] += gain.p < 0.05
                made["covers start"] += gain.low <= 0 <= gain.high
                better, _, _ = two_trainers(rng, seeds, sd, 0.04)
                made["power"] += better.p < 0.05 and better.difference > 0
            rows.append(
                {"sd": sd, "seeds": seeds} | {name: n / repeats for name, n in made.items()}
            )
    return rows


def family_error(repeats: int, seed: int = 1, trainers: int = 5, sd: float = 0.01) -> float:
    """Return how often a board of equal trainers tells any two apart, after Holm."""
    rng = np.random.default_rng(seed)
    wrong = 0
    for _ in range(repeats):
        difficulty = rng.normal(size=N)
        rows = [
            sample(answers(rng, difficulty, 3, ACCURACY, sd), questions(), key=f"{_} {i}")
            for i in range(trainers)
        ]
        p_values = [compare(a, b).p for i, a in enumerate(rows) for b in rows[i + 1 :]]
        wrong += min(holm(p_values)) < 0.05
    return wrong / repeats


def coverage(repeats: int, seed: int = 2) -> list[tuple[str, float]]:
    """Return the coverage of each interval at 95 % nominal."""
    rng = np.random.default_rng(seed)

    def share(hit: Callable[[], bool]) -> float:
        return sum(hit() for _ in range(repeats)) / repeats

    def plain(n: int, p: float) -> bool:
        low, high = wilson(int(rng.binomial(n, p)), n)
        return low <= p <= high

    def seeds_as_groups() -> bool:
        right = answers(rng, rng.normal(size=N), 3, ACCURACY, 0.0)
        low, high = clustered_wilson(right.ravel(), np.tile(np.arange(N), 3))
        return low <= ACCURACY <= high

    def templates() -> bool:
        difficulty = np.repeat(rng.normal(size=100), 10)
        right = answers(rng, difficulty, 1, ACCURACY, 0.0).ravel()
        low, high = clustered_wilson(right, np.repeat(np.arange(100), 10))
        return low <= ACCURACY <= high

    def templates_ignored() -> bool:
        difficulty = np.repeat(rng.normal(size=100), 10)
        right = answers(rng, difficulty, 1, ACCURACY, 0.0)
        low, high = wilson(int(right.sum()), right.size)
        return low <= ACCURACY <= high

    def paired(n: int) -> bool:
        difficulty = rng.normal(size=n)
        first = answers(rng, difficulty, 1, ACCURACY, 0.0)[0]
        second = answers(rng, difficulty, 1, ACCURACY + 0.04, 0.0)[0]
        low, high = paired_interval(int((second & ~first).sum()), int((first & ~second).sum()), n)
        return low <= 0.04 <= high

    return [
        ("Wilson, 30 questions at 10 %", share(lambda: plain(30, 0.1))),
        ("Wilson, 500 questions at 2 %", share(lambda: plain(500, 0.02))),
        ("Wilson, 1,319 questions at 40 %", share(lambda: plain(1319, 0.4))),
        ("clustered Wilson, 1,319 questions under 3 seeds", share(seeds_as_groups)),
        ("clustered Wilson, 100 templates of 10 questions", share(templates)),
        ("plain Wilson on the same templates", share(templates_ignored)),
        ("paired, 60 questions", share(lambda: paired(60))),
        ("paired, 1,319 questions", share(lambda: paired(1319))),
    ]


def report(repeats: int) -> str:
    """Return the tables as markdown."""
    lines = [
        f"{repeats:,} repeats a cell, {N:,} questions, accuracy {ACCURACY:.0%}; per cent.",
        "",
        "| Seed noise, points | Seeds | Trainers told apart, none better | Gain over the start"
        " claimed, none there | McNemar on one seed, none better | Interval of the pair covers |"
        " Interval of the gain covers | +4 points found |",
        "| --: | --: | --: | --: | --: | --: | --: | --: |",
    ]
    names = ("pair", "start", "naive", "covers", "covers start", "power")
    for row in error_rates(repeats):
        shares = " | ".join(f"{100 * row[name]:.1f}" for name in names)
        lines.append(f"| {100 * row['sd']:.0f} | {row['seeds']:.0f} | {shares} |")
    family = family_error(max(100, repeats // 4))
    lines += [
        "",
        f"Five equal trainers, three seeds, 1 point of seed noise: any two told apart after Holm"
        f" on {family:.1%} of boards.",
        "",
        "| Interval at 95 % nominal | Covers, % |",
        "| :-- | --: |",
        *(f"| {name} | {100 * share:.1f} |" for name, share in coverage(repeats)),
    ]
    return "\n".join(lines)


def main() -> None:
    """Print the tables, or write them between the marks of a page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=1000)
    parser.add_argument("--write", type=Path, help="page with the marks to write between")
    arguments = parser.parse_args()
    text = report(arguments.repeats)
    if arguments.write is None:
        sys.stdout.write(text + "\n")
        return
    page = arguments.write.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    arguments.write.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
