"""How often the claims of a leaderboard are wrong, measured on generated answers.

    python benchmarks/claims.py                       # measure what claims.json lacks
    python benchmarks/claims.py --only power --repeats 200
    python benchmarks/claims.py --write docs/statistics.md

Each measurement is kept in claims.json as soon as it is made, so a run goes on where it was
stopped; all of them take about ten minutes of one core. The comparisons, ranks, intervals and plans
are the leaderboard's own.

The model: question q has a difficulty that all share, every trainer has questions of its own that
it finds easier or harder (an interaction), an answer has noise, and each training seed moves the
checkpoint's accuracy by a normal shift. An answer is right when their sum is below a threshold.
With the shares below the answers of two trainers correlate at about 0.4, of two seeds at about 0.5.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterator
from functools import cache
from itertools import combinations
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))

import generated
from claims_report import report, write

from harness.boards.conditions import Benchmark
from harness.files import write_atomically
from harness.leaderboard.build import build
from harness.leaderboard.comparison import (
    PairedDifference,
    Questions,
    Sample,
    compare,
    compare_checkpoints,
    half_apart,
    sample,
)
from harness.leaderboard.data import Noise
from harness.leaderboard.gain_parts import Readable, parts_of_gain
from harness.leaderboard.multiple_testing import SIGNIFICANCE, holm, level_at
from harness.leaderboard.planning import noise_of_samples, smallest_difference
from harness.leaderboard.ranking import ranking_of, undecided
from harness.leaderboard.stats import accuracy_interval, wilson

RESULTS = Path(__file__).with_suffix(".json")
ACCURACY = 0.4
SHARED, OWN = 0.55, 0.15
"""Shares of the variance of what decides an answer: of the question, of a trainer with it."""
MARGIN = 0.02
Counts = dict[str, float]
Draw = np.random.Generator


class World:
    """Questions, and trainers that answer them."""

    def __init__(self, rng: Draw, n: int) -> None:
        self.rng, self.difficulty = rng, rng.normal(size=n)
        self.questions = Questions.of(n)

    def trainer(
        self,
        seeds: int,
        sd: float,
        accuracy: float = ACCURACY,
        *,
        own: np.ndarray | None = None,
        shifts: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return right (1) or wrong (0), shape (seeds, n)."""
        n = self.difficulty.size
        own = self.rng.normal(size=n) if own is None else own
        shifts = self.rng.normal(size=seeds) if shifts is None else shifts
        shifted = np.clip(accuracy + sd * shifts, 0.005, 0.995)
        threshold = np.array([NormalDist().inv_cdf(p) for p in shifted])
        fixed = math.sqrt(SHARED) * self.difficulty + math.sqrt(OWN) * own
        noise = math.sqrt(1 - SHARED - OWN) * self.rng.normal(size=(seeds, n))
        right: np.ndarray = fixed + noise < threshold[:, None]
        return right

    def row(self, *args: Any, **more: Any) -> Sample:
        return sample(self.trainer(*args, **more), self.questions)


def _pairs(rows: list[Sample]) -> list[PairedDifference]:
    return [compare(a, b) for a, b in combinations(rows, 2)]


def equal_rows(rng: Draw, n: int, seeds: int, sd: float, arms: int) -> Counts:
    """Compare equal trainers: any difference that is claimed is wrong."""
    world = World(rng, n)
    rows = [world.row(seeds, sd) for _ in range(arms)]
    pairs = _pairs(rows)
    start = world.row(1, 0.0)
    gains = [compare(start, row, first_trained=False).p for row in rows]
    return {
        "apart": float(np.mean([one.p < SIGNIFICANCE for one in pairs])),
        "board": min(holm([one.p for one in pairs])) < SIGNIFICANCE,
        "covers": float(np.mean([one.low <= 0 <= one.high for one in pairs])),
        "gain": float(np.mean([p < SIGNIFICANCE for p in gains])),
        "gains": min(holm(gains)) < SIGNIFICANCE,
    }


def ranks(rng: Draw, n: int, seeds: int, sd: float, arms: int) -> Counts:
    """Rank trainers of which a third each is equal: is a range without a row's true places?"""
    world = World(rng, n)
    true = [ACCURACY + 0.02 * (arm % 3) for arm in range(arms)]
    rows = [world.row(seeds, sd, accuracy) for accuracy in true]
    order = sorted(range(arms), key=lambda arm: -rows[arm].mean)
    pairs = [compare(rows[a], rows[b]) for a, b in combinations(order, 2)]
    places = ranking_of([str(arm) for arm in order], pairs, MARGIN).places
    wrong = 0
    for arm in range(arms):
        low, high = places[str(arm)]
        better = sum(one > true[arm] + 1e-9 for one in true)
        tied = sum(abs(one - true[arm]) < 1e-9 for one in true)
        wrong += low > better + 1 or high < better + tied
    return {"board": wrong > 0, "width": float(np.mean([b - a + 1 for a, b in places.values()]))}


def power(rng: Draw, n: int, seeds: int, sd: float, effect: float) -> Counts:
    """Compare two trainers of which one is better."""
    world = World(rng, n)
    first, better = world.trainer(seeds, sd), world.trainer(seeds, sd, ACCURACY + effect)
    found = compare(*(sample(one, world.questions) for one in (first, better)))
    equal = world.trainer(1, sd)
    return {
        "found": found.p < SIGNIFICANCE and found.difference > 0,
        "covers": found.low <= effect <= found.high,
        "naive": compare_checkpoints(first[0], equal[0]).p < SIGNIFICANCE,  # none is better
    }


def printed(rng: Draw, n: int, seeds: int, sd: float, arms: int) -> Counts:
    """Make one trainer better by what the board says it finds: is it told from another?"""
    world, count = World(rng, n), math.comb(arms, 2)
    size = _size(n, seeds, sd, count)
    rows = [world.row(seeds, sd, ACCURACY + size), *(world.row(seeds, sd) for _ in range(arms - 1))]
    pairs = _pairs(rows)
    noise = noise_of_samples(rows, pairs, n)
    return {
        "found": holm([one.p for one in pairs])[0] < SIGNIFICANCE,
        "size": size,
        "measured": smallest_difference(noise, n, seeds, count) if noise else math.nan,
    }


@cache
def _true_noise() -> Noise:
    """Return the true components of the model but for the seeds', by a large sample."""
    world = World(np.random.default_rng(99), 200_000)
    rows = [world.row(4, 0.0) for _ in range(2)]
    found = noise_of_samples(rows, _pairs(rows), 200_000)
    assert found is not None
    return found


@cache
def _size(n: int, seeds: int, sd: float, pairs: int) -> float:
    """Return the difference that is said to be found."""
    return smallest_difference(_true_noise().model_copy(update={"seeds": sd**2}), n, seeds, pairs)


def chain(rng: Draw, n: int, seeds: int, sd: float, effect: float) -> Counts:
    """Compare a chain with its first stage, whose seeds and questions it has in common (0.9)."""
    world = World(rng, n)
    shifts, own = rng.normal(size=seeds), rng.normal(size=n)
    first = world.row(seeds, sd, own=own, shifts=shifts)
    share, rest = math.sqrt(0.9), math.sqrt(0.1)
    second = world.row(
        seeds,
        sd,
        ACCURACY + effect,
        own=share * own + rest * rng.normal(size=n),
        shifts=0.9 * shifts + math.sqrt(1 - 0.81) * rng.normal(size=seeds),
    )
    paired, apart = compare(first, second, paired=True), compare(first, second)
    return {
        "paired": paired.p < SIGNIFICANCE,
        "covers": paired.low <= effect <= paired.high,
        "independent": apart.p < SIGNIFICANCE,
    }


def equivalent(rng: Draw, n: int, seeds: int, sd: float, effect: float) -> Counts:
    """Ask whether two trainers lie within two points of each other."""
    world = World(rng, n)
    found = compare(world.row(seeds, sd), world.row(seeds, sd, ACCURACY + effect))
    return {"shown": found.p_within(MARGIN) < SIGNIFICANCE}


def early(rng: Draw, n: int, sd: float, most: int) -> Counts:
    """Look after each seed from the third on, as a board does not: it ranks when all are there."""
    world = World(rng, n)
    first, second = world.trainer(most, sd), world.trainer(most, sd)
    looks = [
        compare(*(sample(one[:seeds], world.questions) for one in (first, second))).p
        for seeds in range(3, most + 1)
    ]
    return {"any": min(looks) < SIGNIFICANCE, "last": looks[-1] < SIGNIFICANCE}


LOOKS = (3, 5, 10)


def decided(rng: Draw, n: int, sd: float, arms: int, effect: float, margin: float) -> Counts:
    """Look after some seeds until every two rows are decided, as `--until-decided` does.

    The first trainer is better than all others, which are equal, by an effect.
    """
    world = World(rng, n)
    better = [effect, *(0.0 for _ in range(arms - 1))]
    rows = [world.trainer(LOOKS[-1], sd, ACCURACY + more) for more in better]
    names = [str(arm) for arm in range(arms)]
    wrong, plain, found, seeds = False, False, False, 0
    for look in LOOKS:
        order = sorted(names, key=lambda name: -float(rows[int(name)][:look].mean()))
        samples = [sample(rows[int(name)][:look], world.questions) for name in order]
        pairs = _pairs(samples)
        level = level_at(LOOKS, look)
        ranking = ranking_of(order, pairs, margin, level)
        for names_of, p in zip(combinations(order, 2), holm([one.p for one in pairs]), strict=True):
            same = effect == 0 or "0" not in names_of
            plain |= same and p < SIGNIFICANCE  # as if each look had all of the 5 %
            wrong |= same and p < level
        seeds = look
        first = ranking.places["0"]
        found = first == (1, 1)
        if not undecided(order, ranking.letters, ranking.equal):
            break
    return {"wrong": wrong, "plain": plain, "found": found, "seeds": seeds / LOOKS[-1]}


def shared(rng: Draw, n: int, seeds: int, sd: float, hit: int, learnt: float) -> Counts:
    """Compare a row's gain on some questions with that on the others.

    Of a share `learnt` of the questions that are shared it knows the answer by heart.
    """
    world = World(rng, n)
    start, row = world.trainer(1, 0.0, ACCURACY - 0.1), world.trainer(seeds, sd)
    true = learnt * (1 - ACCURACY)
    row[:, :hit] |= rng.random(hit) < learnt
    sides = []
    for answers in (start, row):
        parts = (
            sample(one, Questions.of(one.shape[1])) for one in np.split(answers, [hit], axis=1)
        )
        sides.append(half_apart(*parts))
    found = compare(*sides, first_trained=False)
    return {
        "claimed": found.p < SIGNIFICANCE,
        "covers": 2 * found.low <= true <= 2 * found.high,
        "half": found.high - found.low,
    }


def several(rng: Draw, n: int, k: int, accuracy: float, spread: float) -> Counts:
    """Ask for k answers to each question; a question's chance is beta distributed."""
    chance = rng.beta(accuracy * spread, (1 - accuracy) * spread, n)
    low, high, _ = accuracy_interval(rng.random((n, k)) < chance[:, None])
    return {"covers": low <= accuracy <= high, "width": high - low}


def parts(rng: Draw, n: int, seeds: int, sd: float) -> Counts:
    """Split the gain of a trainer that reads better and reasons better."""
    world = World(rng, n)
    (r0, q0), (r1, q1) = (0.85, 0.45), (0.97, 0.5)

    def letters(seeds: int, sd: float, r: float, q: float) -> Readable:
        right, read = world.trainer(seeds, sd, q), rng.random((seeds, n)) < r
        return Readable((right & read).astype(float), read.astype(float))

    answers = letters(1, 0.0, r0, q0), letters(seeds, sd, r1, q1)
    found = parts_of_gain([(*answers, world.questions)], "trainers", first_trained=False)
    true = (r1 - r0) * (q0 + q1) / 2, (q1 - q0) * (r0 + r1) / 2
    names = ("format", "correctness")
    hits = zip(names, found, true, strict=True)
    return {name: one.low <= value <= one.high for name, one, value in hits}


def accuracies(rng: Draw, n: int, group: int, accuracy: float) -> Counts:
    """Bound an accuracy, where so many questions come of one template."""
    difficulty = np.repeat(rng.normal(size=n // group), group)
    latent = math.sqrt(0.65) * difficulty + math.sqrt(0.35) * rng.normal(size=n)
    right = latent < NormalDist().inv_cdf(accuracy)
    groups = np.repeat(np.arange(n // group), group) if group > 1 else ()
    low, high, _ = accuracy_interval(right, groups=groups)
    plain = wilson(int(right.sum()), n)
    return {"covers": low <= accuracy <= high, "plain": plain.low <= accuracy <= plain.high}


def page(rng: Draw, n: int, seeds: int, sd: float, arms: int, tasks: int) -> Counts:
    """Build pages from records: equal trainers as good as the start model, and a single seed more.

    Any win or loss is wrong, and any two rows told apart; the row without the board's seeds must
    not be ranked.
    """
    names = [f"t{place}" for place in range(tasks)]
    worlds = {name: World(rng, n) for name in names}
    records = [generated.record("start", None, {t: _letters(w, 0.0) for t, w in worlds.items()})]
    for arm in range(arms + 1):
        own = {name: rng.normal(size=n) for name in names}
        for seed in range(1 if arm == arms else seeds):
            shift = rng.normal(size=1)
            scores = {t: _letters(w, sd, own=own[t], shifts=shift) for t, w in worlds.items()}
            records.append(generated.record(f"arm{arm}", seed, scores))
    benchmarks = tuple(
        Benchmark(task=t, protocol="chat_zeroshot.v1", max_new_tokens=128, ranking=t == "t0")
        for t in names
    )
    board = build(records, generated.conditions(benchmarks=benchmarks, seeds=range(seeds)))
    single = next(row for row in board.rows if row.trainer == f"arm{arms}")
    assert single.rank is None
    assert board.claim == "trainers"
    return {
        "mark": any(row.wins + row.losses for row in board.rows),
        "apart": any(row.rank not in (None, (1, arms)) for row in board.rows),
    }


def _letters(world: World, sd: float, **more: Any) -> str:
    return "".join(np.where(world.trainer(1, sd, **more)[0], "C", "W"))


BOARDS = [
    {"n": n, "seeds": seeds, "sd": sd, "arms": arms}
    for n in (300, 1319)
    for seeds in (3, 5, 10)
    for sd in (0.0, 0.01, 0.02, 0.03, 0.05)
    for arms in (6, 12)
]
PAIRS = [
    {"n": n, "seeds": seeds, "sd": sd}
    for n in (300, 1319)
    for seeds in (3, 5, 10)
    for sd in (0.0, 0.01, 0.02)
]
FEW = [one for one in PAIRS if one["seeds"] < 10 and one["sd"] < 0.02]
MEASURED: dict[str, tuple[Callable[..., Counts], int, list[dict[str, Any]]]] = {
    "power": (power, 4000, [{**one, "effect": 0.03} for one in PAIRS]),
    "several": (
        several,
        4000,
        [
            {"n": n, "k": k, "accuracy": accuracy, "spread": spread}
            for n in (30, 40)
            for k in (16, 64)
            for accuracy in (0.01, 0.02, 0.05)
            for spread in (0.5, 2.0)
        ],
    ),
    "accuracies": (
        accuracies,
        4000,
        [
            {"n": 30, "group": 1, "accuracy": 0.1},
            {"n": 500, "group": 1, "accuracy": 0.02},
            {"n": 1319, "group": 1, "accuracy": 0.4},
            {"n": 1000, "group": 10, "accuracy": 0.4},
        ],
    ),
    "chain": (chain, 1000, [{**one, "effect": e} for one in FEW for e in (0.0, 0.03)]),
    "equivalent": (
        equivalent,
        1000,
        [{**one, "effect": e} for one in FEW for e in (0.0, 0.02)],
    ),
    "shared": (
        shared,
        1000,
        [
            {"n": n, "seeds": 5, "sd": 0.01, "hit": hit, "learnt": learnt}
            for n in (300, 1319)
            for hit in (5, 20, 80)
            for learnt in (0.0, 0.5)
        ],
    ),
    "early": (early, 500, [{"n": 1319, "sd": sd, "most": 10} for sd in (0.0, 0.01, 0.02)]),
    "decided": (
        decided,
        1000,
        [
            {"n": 1319, "sd": sd, "arms": arms, "effect": effect, "margin": margin}
            for arms in (2, 6)
            for effect, margin in ((0.0, 0.002), (0.0, 0.04), (0.06, 0.04))
            for sd in (0.0, 0.01, 0.02)
        ],
    ),
    "parts": (parts, 1000, PAIRS),
    "equal_rows": (equal_rows, 600, BOARDS),
    "printed": (printed, 400, [{**one, "arms": arms} for one in FEW for arms in (6, 12)]),
    "ranks": (
        ranks,
        800,
        [{**one, "arms": 9} for one in PAIRS if one["seeds"] < 10],
    ),
    "page": (
        page,
        300,
        [{"n": 300, "seeds": 5, "sd": sd, "arms": 5, "tasks": 3} for sd in (0.0, 0.01, 0.02)],
    ),
}
"""What is measured: by what, how often, and where; the quick ones first."""


def cells(only: str | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and the place of each measurement."""
    for name, (_, _, places) in MEASURED.items():
        if only in (None, name):
            yield from ((name, place) for place in places)


def measure(name: str, place: dict[str, Any], repeats: int) -> dict[str, Any]:
    """Return the means of what one measurement counts, and their Monte-Carlo errors."""
    key = json.dumps([name, place], sort_keys=True).encode()
    rng = np.random.default_rng(list(key))
    found = [MEASURED[name][0](rng, **place) for _ in range(repeats)]
    means = {what: float(np.mean([float(one[what]) for one in found])) for what in found[0]}
    errors = {
        what: float(np.std([float(one[what]) for one in found]) / math.sqrt(repeats))
        for what in found[0]
    }
    return {"name": name, "place": place, "repeats": repeats, "means": means, "errors": errors}


def main() -> None:
    """Measure what is missing, or write the tables between the marks of a page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=MEASURED, help="only these measurements")
    parser.add_argument("--repeats", type=int, help="of each; as many as are planned by default")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--write", type=Path, help="page with the marks to write between")
    arguments = parser.parse_args()
    path = arguments.results
    results = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    if arguments.write:
        write(arguments.write, report(results))
        return
    done = {json.dumps([one["name"], one["place"]], sort_keys=True) for one in results}
    for name, place in cells(arguments.only):
        if json.dumps([name, place], sort_keys=True) not in done:
            results.append(measure(name, place, arguments.repeats or MEASURED[name][1]))
            write_atomically(path, json.dumps(results, indent=1) + "\n")
            sys.stdout.write(f"{name} {place}: {results[-1]['means']}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
