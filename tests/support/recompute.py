"""Recompute a published board from its records, apart from the code that published it.

    python tests/support/recompute.py leaderboards tiny

Nothing of `harness` is imported. What each question adds to a number is found by differentiating
the number itself (complex steps), not by the formulas of the project; the rest is written again
from docs/statistics.md. It knows boards of one answer to a question and questions without groups.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Sequence
from itertools import combinations, product
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
from scipy import optimize, stats

VERDICTS = {"correct": "C", "wrong": "W", "no_answer": "N", "truncated": "T", "ungradable": "U"}
PARTS = ("body_flops", "head_flops", "attention_flops")  # of what was really computed
NEWER = (*PARTS, "verifier_cpu_seconds")  # fields of a cost that older records lack
LOST = 1.5
Z = stats.norm.ppf(0.975)
Number = dict[str, Any]
Statistic = Callable[[np.ndarray], Any]


class Estimate:
    """A number under each seed, as a function of how often each question of each task is"
    " counted."""

    def __init__(self, seeds: Sequence[Sequence[tuple[Statistic, int]]]) -> None:
        self.values = np.array([mean(float(f(np.ones(n))) for f, n in tasks) for tasks in seeds])
        parts = [[_slope(f, n) / len(tasks) for f, n in tasks] for tasks in seeds]
        self.slopes = [np.array(each) for each in zip(*parts, strict=True)]  # by task: seeds, n

    def flips(self) -> float:
        """Return the variance of one seed's number as far as single answers explain it."""
        seeds, total = len(self.values), 0.0
        for slope in self.slopes:
            n = slope.shape[1]
            rest = slope - slope.mean(axis=0)
            total += float((rest**2).sum()) / (seeds - 1) * n / (n - 1)
        return total


def _slope(f: Statistic, n: int) -> np.ndarray:
    """Return the derivative of a number by the weight of each question."""
    step, found = 1e-20, np.empty(n)
    weights = np.ones(n, dtype=complex)
    for place in range(n):
        weights[place] += 1j * step
        found[place] = f(weights).imag / step
        weights[place] = 1.0
    return found


def holm(p_values: Sequence[float]) -> list[float]:
    found = [1.0] * len(p_values)
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    for rank, place in enumerate(order):
        before = found[order[rank - 1]] if rank else 0.0
        found[place] = max(before, min(1.0, p_values[place] * (len(p_values) - rank)))
    return found


class Difference:
    """A difference with its t interval: over questions, and over the seeds of the sides."""

    def __init__(self, value: float, total: list[np.ndarray], sides: Sequence[Estimate]) -> None:
        self.value = value
        by_task = [len(one) / (len(one) - 1) * float((one**2).sum()) for one in total]
        sizes = [len(one) for one in total]
        self.question = max(sum(by_task), sum(2 / (n + 2) ** 2 for n in sizes) / len(sizes) ** 2)
        below = sum(v * v / (n - 1) for v, n in zip(by_task, sizes, strict=True))
        # where all answers are alike only the floor is left
        free = sum(by_task) ** 2 / below if below else min(sizes) - 1
        self.seeds = []
        for side in sides:
            count, flips = len(side.values), side.flips()
            more = max(0.0, float(side.values.var(ddof=1)) - flips)
            self.seeds.append((more / count, flips / count, count - 1))
        self._finish(free)

    def _finish(self, question_df: float) -> None:
        self.free = question_df
        self.variance = self.question + sum(more for more, _, _ in self.seeds)
        flips = sum(flips for _, flips, _ in self.seeds)
        below = max(0.0, self.question - flips) ** 2 / question_df
        if self.seeds:
            each = [(more + flips, df) for more, flips, df in self.seeds]
            together = sum(df for _, df in each) - LOST
            below += max(sum(v * v / df for v, df in each), sum(v for v, _ in each) ** 2 / together)
        self.df = max(1.0, self.variance**2 / below)

    def half(self, level: float) -> float:
        if len(self.seeds) != 1:
            return float(stats.t.isf(level / 2, self.df)) * math.sqrt(self.variance)
        more, _, free = self.seeds[0]
        by_question = float(stats.t.isf(level / 2, self.free)) ** 2 * self.question
        return math.sqrt(by_question + float(stats.t.isf(level / 2, free)) ** 2 * more)

    def p(self, away: float | None = None) -> float:
        away = abs(self.value if away is None else away)
        if len(self.seeds) != 1:
            return 2 * float(stats.t.sf(away / math.sqrt(self.variance), self.df))
        if self.half(1e-14) <= away:
            return 0.0  # a page does not tell it from none
        return math.exp(
            optimize.brentq(lambda x: self.half(math.exp(x)) - away, -33, 0, xtol=1e-13)
        )

    def interval(self) -> tuple[float, float]:
        half = self.half(0.05)
        return max(-1.0, self.value - half), min(1.0, self.value + half)

    def below(self, margin: float, sign: int = 1) -> float:
        """Return the p-value that shows the difference (times the sign) to be below a margin."""
        away = margin - sign * self.value
        return self.p(away) / 2 if away > 0 else 1 - self.p(away) / 2


class Row:
    """The records of one trainer."""

    def __init__(self, records: list[Number]) -> None:
        self.records = sorted(records, key=lambda one: one["seed"] or 0)
        self.name = records[0]["trainer"]
        self.start = self.name == "start"

    def scores(self, key: tuple[str, str]) -> list[Number]:
        return [
            score
            for record in self.records
            for score in record["scores"]
            if (score["task"], score["protocol"]) == key
        ]

    def letters(self, key: tuple[str, str], without: Sequence[int] = ()) -> np.ndarray:
        kept = [
            [c for i, c in enumerate(s["verdicts"]) if i not in without] for s in self.scores(key)
        ]
        return np.array(kept)

    def accuracy(self, keys: Sequence[tuple[str, str]], without: Sequence[int] = ()) -> Estimate:
        tables = [self.letters(key, without) == "C" for key in keys]
        return Estimate(
            [
                [(_share(table[seed]), table.shape[1]) for table in tables]
                for seed in range(len(self.records))
            ]
        )


def _share(right: np.ndarray) -> Statistic:
    return lambda weights: (weights * right).sum() / weights.sum()


def compare(first: Estimate, second: Estimate, start: bool, paired: bool = False) -> Difference:
    total = [
        mine.mean(axis=0) - theirs.mean(axis=0)
        for theirs, mine in zip(first.slopes, second.slopes, strict=True)
    ]
    value = float(second.values.mean() - first.values.mean())
    if paired:
        both = Estimate.__new__(Estimate)
        both.values = second.values - first.values
        both.slopes = [b - a for a, b in zip(first.slopes, second.slopes, strict=True)]
        return Difference(value, total, [both])
    return Difference(value, total, [second] if start else [first, second])


def parts(
    first: Row, second: Row, key: tuple[str, str], paired: bool, without: Sequence[int] = ()
) -> dict[str, Difference]:
    """Return the format and correctness parts of a gain, by differentiating Shapley's split."""
    before, after = first.letters(key, without), second.letters(key, without)
    pairs = [(i, j) for i in range(len(before)) for j in range(len(after)) if not paired or i == j]

    def part(i: int, j: int, which: int) -> tuple[Statistic, int]:
        masks = [(one == "C", (one == "C") | (one == "W")) for one in (before[i], after[j])]

        def value(weights: np.ndarray) -> Any:
            n = weights.sum()
            (c0, m0), (c1, m1) = (((weights * c).sum(), (weights * m).sum()) for c, m in masks)
            r0, r1, q0, q1 = m0 / n, m1 / n, c0 / m0, c1 / m1
            return (r1 - r0) * (q0 + q1) / 2 if which == 0 else (q1 - q0) * (r0 + r1) / 2

        return value, len(before[i])

    found = {}
    for which, name in enumerate(("format", "correctness")):
        every = Estimate([[part(i, j, which)] for i, j in pairs])
        total = [every.slopes[0].mean(axis=0)]
        sides = (
            [every]
            if paired or first.start
            else [_grouped(every, pairs, 0), _grouped(every, pairs, 1)]
        )
        found[name] = Difference(float(every.values.mean()), total, sides)
    return found


def _grouped(every: Estimate, pairs: Sequence[tuple[int, int]], side: int) -> Estimate:
    one = Estimate.__new__(Estimate)
    seeds = sorted({pair[side] for pair in pairs})
    chosen = [[k for k, pair in enumerate(pairs) if pair[side] == seed] for seed in seeds]
    one.values = np.array([every.values[each].mean() for each in chosen])
    one.slopes = [np.array([every.slopes[0][each].mean(axis=0) for each in chosen])]
    return one


def gain(first: Row, second: Row, key: tuple[str, str], **more: Any) -> Number:
    paired, without = more.get("paired", False), more.get("without", ())
    found = compare(
        first.accuracy([key], without), second.accuracy([key], without), first.start, paired
    )
    low, high = found.interval()
    shown: Number = {"difference": found.value, "low": low, "high": high, "p": found.p()}
    for name, one in parts(first, second, key, paired, without).items():
        shown[name] = one.value
        shown[f"{name}_low"], shown[f"{name}_high"] = one.interval()
    return shown


def accuracy(row: Row, key: tuple[str, str], without: Sequence[int] = ()) -> Number:
    one = row.accuracy([key], without)
    right = row.letters(key, without) == "C"
    seeds, n = right.shape
    total = one.slopes[0].mean(axis=0)
    question = n / (n - 1) * float((total**2).sum())
    flips = one.flips() if seeds > 1 else None
    low, high = _wilson(right)
    return {
        "accuracy": float(right.mean()),
        "low": low,
        "high": high,
        "question_sd": math.sqrt(max(0.0, question - (flips or 0.0) / seeds)),
        "seed_sd": None
        if flips is None
        else math.sqrt(max(0.0, float(one.values.var(ddof=1)) - flips)),
        "answer_sd": None if flips is None else math.sqrt(flips),
        "n": n,
        "seeds": seeds,
    }


def _wilson(right: np.ndarray) -> tuple[float, float]:
    """Return Wilson's interval with the effective number of answers; a question is a cluster."""
    seeds, n = right.shape
    size: float = seeds * n
    p = float(right.mean())
    if seeds > 1:
        shifted = (right.sum() + 0.25 * seeds) / (size + 0.5 * seeds)
        squares = float(((right.sum(axis=0) - seeds * shifted) ** 2).sum())
        squares += 0.25 * seeds**2 * (shifted**2 + (1 - shifted) ** 2)
        variance = squares / (size * (size + 0.5 * seeds))
        effective = (Z / stats.t.ppf(0.975, n - 1)) ** 2 * shifted * (1 - shifted) / variance
        size = min(size, max(float(n), effective))
    bounds = np.roots([1 + Z**2 / size, -(2 * p + Z**2 / size), p**2])
    return float(min(bounds)), float(max(bounds))


def smallest(noise: Number, n: int, seeds: int, comparisons: float, sides: int) -> float:
    """Return what the verdict finds four times in five, over seven quantiles of each variance."""
    free = seeds - 1
    spread = [stats.chi2.ppf((step + 0.5) / 7, free) / free for step in range(7)]
    flips, apart = noise["answers"] / n, noise["questions"] / n
    one = noise["seeds"] + flips
    grid = np.array(np.meshgrid(*[spread] * sides)).reshape(sides, -1).T
    halves = []
    for factors in grid:
        known = Difference.__new__(Difference)
        known.question = apart + sides * flips / seeds
        known.seeds = [(max(0.0, one * f - flips) / seeds, flips / seeds, free) for f in factors]
        known._finish(n - 1)
        halves.append(known.half(0.05 / comparisons))
    error = math.sqrt(apart + sides * one / seeds)
    return float(
        optimize.brentq(
            lambda size: stats.norm.cdf((size - np.array(halves)) / error).mean() - 0.8, 0, 5
        )
    )


def recompute(folder: Path, board: str) -> Number:
    """Return every number of a published board's rows, and of the whole, from its records."""
    records = folder / "records" / board
    conditions = json.loads((records / "conditions.json").read_text())
    found: dict[str, list[Number]] = {}
    for path in sorted(records.glob("*.json")):
        content = json.loads(path.read_text())
        if path.name not in ("conditions.json", "published.json") and content["status"] == "ok":
            found.setdefault(content["trainer"], []).append(content)
    stricter = 1.0
    if looks := conditions.get("looks"):
        stricter = _look(found, conditions, looks)

    def corrected(p_values: Sequence[float]) -> list[float]:
        return [min(1.0, stricter * p) for p in holm(p_values)]

    whole = {name: Row(each) for name, each in found.items()}
    rows = {name: row for name, row in whole.items() if row.records[0]["share"] == 1}
    start = rows["start"]
    keys = [(one["task"], one["protocol"]) for one in conditions["benchmarks"]]
    main = next(k for k, one in zip(keys, conditions["benchmarks"], strict=True) if one["ranking"])
    order = sorted(
        (name for name in rows if name != "start"),
        key=lambda name: (-round(float((rows[name].letters(main) == "C").mean()), 12), name),
    )
    shown: dict[str, Number] = {name: _row(rows[name], start, keys, conditions) for name in rows}

    main_place = keys.index(main)
    gains = [shown[name]["tasks"][main_place]["gain"] for name in order]
    for name, one, p in zip(order, gains, corrected([one["p"] for one in gains]), strict=True):
        shown[name]["gain"] = {**one, "p_adjusted": p}
    every = [(name, task) for name in shown for task in shown[name]["tasks"] if task["gain"]]
    for (name, task), p in zip(every, corrected([t["gain"]["p"] for _, t in every]), strict=True):
        task["gain"]["p_adjusted"] = p
        kind = "ties" if p >= 0.05 else "wins" if task["gain"]["difference"] > 0 else "losses"
        shown[name][kind] += 1
    apart_again = [task["shared_gain"] for _, task in every if task["shared_gain"]]
    for one, p in zip(apart_again, holm([one["p"] for one in apart_again]), strict=True):
        one["p_adjusted"] = p

    estimates = {name: rows[name].accuracy([main]) for name in rows}
    pairs = {(a, b): compare(estimates[a], estimates[b], False) for a, b in combinations(order, 2)}
    adjusted = dict(zip(pairs, corrected([one.p() for one in pairs.values()]), strict=True))
    apart = {frozenset(pair) for pair, p in adjusted.items() if p < 0.05}
    for place, name in enumerate(order):
        better = sum({name, other} in apart for other in order[:place])
        worse = sum({name, other} in apart for other in order[place + 1 :])
        shown[name]["rank"] = [1 + better, len(order) - worse]
    margin = conditions["margin"] / 100
    both = corrected([max(one.below(margin), one.below(margin, -1)) for one in pairs.values()])
    behind = corrected([pairs[order[0], name].below(margin, -1) for name in order[1:]])

    for name in order:
        if "+" not in name:
            continue
        parts, spent = name.split("+"), shown[name]["budget_used"]
        shorter = ["+".join(parts[:length]) for length in range(len(parts) - 1, 0, -1)]
        controls = [
            {
                "trainer": one,
                "budget_used": shown[one]["budget_used"],
                "matched": shown[one]["budget_used"] >= 0.9 * spent,
            }
            for one in shorter
            if one in rows
        ]
        shown[name]["controls"] = sorted(controls, key=lambda one: not one["matched"])
        control = next((one["trainer"] for one in controls if one["matched"]), None)
        if control:
            mine, theirs = (
                [[stage["stage"] for stage in record["stages"]] for record in rows[one].records]
                for one in (name, control)
            )
            shared = all(m[: len(t)] == t for m, t in zip(mine, theirs, strict=True))
            shown[name]["stage_gain"] = gain(rows[control], rows[name], main, paired=shared)
    chains = [shown[name]["stage_gain"] for name in order if shown[name]["stage_gain"]]
    for one, p in zip(chains, corrected([one["p"] for one in chains]), strict=True):
        one["p_adjusted"] = p
    _overall(rows, order, keys, shown)
    curves = _curves(whole, order, conditions)
    reached = _draw(curves, shown, main, conditions)

    n, seeds = len(start.scores(main)[0]["verdicts"]), len(conditions["seeds"])
    low = stats.chi2.median(seeds - 1) / (seeds - 1)
    flips = median(estimates[name].flips() for name in order)
    between = median(float(estimates[name].values.var(ddof=1)) for name in order) / low - flips
    over_start = [compare(estimates["start"], estimates[name], True) for name in order]

    def noise(comparisons: Sequence[Difference]) -> Number:
        middle = median(one.question - sum(f for _, f, _ in one.seeds) for one in comparisons)
        known = {"questions": max(0.0, middle) * n, "seeds": max(0.0, between)}
        return {**known, "answers": flips * n}

    known = noise(list(pairs.values()))
    return {
        "rows": shown,
        "order": order,
        "apart": apart,
        "gain_family": len(order),
        "pair_family": len(pairs),
        "score_family": len(every),
        "detectable": {
            "gain": smallest(noise(over_start), n, seeds, stricter * len(order), 1),
            "pair": smallest(known, n, seeds, stricter * len(pairs), 2),
            "noise": known,
        },
        "equal": [
            {"first": a, "second": b, "p": p}
            for (a, b), p in zip(pairs, both, strict=True)
            if p < 0.05
        ],
        "not_worse": [n for n, p in zip(order[1:], behind, strict=True) if p < 0.05],
        "leads": _leads(curves, main),
        "reached": reached,
    }


def _curves(
    whole: dict[str, Row], order: Sequence[str], conditions: Number
) -> dict[str, dict[float, Row]]:
    """Return the rows of each curve by their share; a point needs all of the board's seeds."""
    found = {}
    for name in order:
        shares = {**{s: whole.get(f"{name}@{s:g}") for s in conditions["curve"]}, 1.0: whole[name]}
        kept = {
            s: row
            for s, row in shares.items()
            if row and len(row.records) == len(conditions["seeds"])
        }
        if len(kept) > 1 and 1.0 in kept:
            found[name] = kept
    return found


def _draw(
    curves: dict[str, dict[float, Row]],
    shown: dict[str, Number],
    main: tuple[str, str],
    conditions: Number,
) -> float | None:
    """Fill in the points of each curve, and the FLOPs to an accuracy; return that accuracy."""
    for name, curve in curves.items():
        shown[name]["curve"] = [
            {
                "share": share,
                "accuracy": accuracy(row, main),
                "budget_used": used(row, conditions),
                "cost": mean_cost(row),
            }
            for share, row in curve.items()
        ]
    highs = [max(p["accuracy"]["accuracy"] for p in shown[name]["curve"]) for name in curves]
    reached = min(highs, default=None)
    for name in curves:
        at = [
            (p["accuracy"]["accuracy"], math.log(p["cost"]["flops"])) for p in shown[name]["curve"]
        ]
        place = next(i for i, (right, _) in enumerate(at) if right >= reached)
        if place:  # it is not known since when the first point is there
            (low, a), (high, b) = at[place - 1], at[place]
            shown[name]["flops_to_reach"] = math.exp(np.interp(reached, [low, high], [a, b]))
    return reached


def _leads(curves: dict[str, dict[float, Row]], main: tuple[str, str]) -> list[Number]:
    """Return who is first with each share, and who is told apart from it."""
    firsts, p_values = {}, {}
    for share in sorted({share for curve in curves.values() for share in curve}):
        there = {
            name: curve[share].accuracy([main]) for name, curve in curves.items() if share in curve
        }
        if len(there) > 1:
            first = firsts[share] = min(
                there, key=lambda name: (-round(float(there[name].values.mean()), 12), name)
            )
            for name in there:
                if name != first:
                    p_values[share, name] = compare(there[first], there[name], False).p()
    adjusted = dict(zip(p_values, holm(list(p_values.values())), strict=True))
    return [
        {
            "share": share,
            "first": first,
            "apart": [name for (at, name), p in adjusted.items() if at == share and p < 0.05],
        }
        for share, first in firsts.items()
    ]


def _look(found: dict[str, list[Number]], conditions: Number, looks: Sequence[int]) -> float:
    """Keep the seeds of the last look that a row has whole; return how much stricter tests are."""
    done = [{one["seed"] for one in each if one["status"] == "ok"} for each in found.values()]
    now = [n for n in looks if any({*conditions["seeds"][:n]} <= seeds for seeds in done)][-1]
    conditions["seeds"] = conditions["seeds"][:now]
    for name, each in found.items():
        found[name] = [one for one in each if one["seed"] in (None, *conditions["seeds"])]
    edge = stats.norm.isf(0.025)
    used = [2 * float(stats.norm.sf(edge * math.sqrt(looks[-1] / n))) for n in looks]
    place = looks.index(now)
    return 0.05 / (used[place] - (used[place - 1] if place else 0.0))


def _row(row: Row, start: Row, keys: Sequence[tuple[str, str]], conditions: Number) -> Number:
    tuning = row.records[0].get("tuning")
    main = next(k for k, one in zip(keys, conditions["benchmarks"], strict=True) if one["ranking"])
    return {
        "accuracy": accuracy(row, main),
        "budget_used": used(row, conditions),
        "controls": None,
        "cost": mean_cost(row),
        "curve": [],
        "failed_seeds": [],
        "flops_to_reach": None,
        "gain": None,
        "letters": None,
        "losses": 0,
        "missing_seeds": [],
        "overall": None,
        "parameters": row.records[0]["checkpoint"]["parameters"],
        "rank": None,
        "seeds": [record["seed"] for record in row.records if record["seed"] is not None],
        "stage_gain": None,
        "tasks": [_task(row, start, key) for key in keys],
        "ties": 0,
        "wins": 0,
        **({"tuning": tuned(tuning)} if tuning else {}),
    }


def mean_cost(row: Row) -> Number | None:
    """Return what a seed cost in the mean; of memory the most."""
    if not any(record["stages"] for record in row.records):
        return None
    cost = {}
    for name, first in row.records[0]["cost"].items():
        values = [record["cost"].get(name) for record in row.records]
        if name == "peak_memory_bytes":
            cost[name] = max(values)
        elif None in values:
            if name not in NEWER:  # which are left out where they are not known
                cost[name] = None
        else:
            cost[name] = sum(values) / len(values)
            cost[name] = round(cost[name]) if isinstance(first, int) else cost[name]
    return cost


def used(row: Row, conditions: Number) -> float | None:
    """Return the share of the tightest cap that a seed spent in the mean."""
    cost, caps = mean_cost(row), conditions["caps"]
    if cost:
        cost["computed_flops"] = sum(cost.get(name, 0.0) for name in PARTS)
    return cost and max(cost[name] / cap for name, cap in caps.items() if cap)


def tuned(tuning: Number) -> Number:
    """Return what is shown of a row's trials; the best of so many by going through all draws."""
    trials, answers = tuning["trials"], tuning["problems"] * tuning["samples"]
    shares = [one["verdicts"].count("C") / answers for one in trials]
    expected = []
    for n in range(1, len(shares) + 1):
        draws = sorted(max(draw) for draw in product(shares, repeat=n))
        ends = (draws[-(-len(draws) * part // 40) - 1] for part in (1, 39))
        low, high = ends
        expected.append({"trials": n, "accuracy": mean(draws), "low": low, "high": high})
    ends = (None, None)
    place = shares.index(max(shares)) if shares else 0
    failed = {str(n): one["error"] for n, one in enumerate(trials) if one["error"] is not None}
    if trials and str(place) in failed:  # one that answers nothing right is better
        place = next((n for n in range(len(trials)) if str(n) not in failed), 0)
    if trials and str(place) not in failed:
        letters = np.array(list(trials[place]["verdicts"])) == "C"
        ends = _wilson(letters.reshape(tuning["problems"], tuning["samples"]).T)
    cost = {}
    for name in trials[0]["cost"] if trials else Number():
        values = [one["cost"][name] for one in trials if one["cost"].get(name) is not None]
        cost[name] = max(values) if name == "peak_memory_bytes" else sum(values) if values else None
    return {
        "accuracy": shares[place] if ends[0] is not None else None,
        "chosen": place,
        "cost": cost,
        "default": None if not trials or "0" in failed else shares[0],
        "expected": expected,
        "failed": failed,
        "high": ends[1],
        "low": ends[0],
        "problems": tuning["problems"],
        "setting": trials[place]["options"] if trials else {},
        "space": tuning["space"],
        "trials": len(trials),
    }


def shared_gain(start: Row, row: Row, key: tuple[str, str], shared: Sequence[int]) -> Number | None:
    """Return the gain on some questions less the gain on the others: twice a mean of two tasks."""
    n = row.letters(key).shape[1]
    others = [place for place in range(n) if place not in shared]
    if min(len(shared), len(others)) < 10:
        return None

    def half(one: Row) -> Estimate:
        mine, rest = (one.letters(key, left) == "C" for left in (others, shared))
        return Estimate(
            [
                [(_share(mine[seed]), len(shared)), (_share(-1.0 * rest[seed]), len(others))]
                for seed in range(len(one.records))
            ]
        )

    found = compare(half(start), half(row), True)
    low, high = found.interval()
    return {"difference": 2 * found.value, "low": 2 * low, "high": 2 * high, "p": found.p()}


def _task(row: Row, start: Row, key: tuple[str, str]) -> Number:
    scores = row.scores(key)
    answers = sum(len(score["verdicts"]) for score in scores)
    hits = {
        kind: sorted({place for score in scores for place in score.get(kind) or ()})
        for kind in ("overlap_13", "overlap_8", "rephrased")
    }
    looked = all(score.get("rephrased") is not None for score in scores)
    shared = sorted({*hits["overlap_13"], *hits["rephrased"]})
    left_out = shared if 0 < len(shared) < scores[0]["n"] else []
    letters = "".join(score["verdicts"] for score in scores)
    own = {name: mean(one["own"][name] for one in scores) for name in scores[0]["own"]}
    trained = not row.start
    return {
        "accuracy": accuracy(row, key),
        "clean": accuracy(row, key, left_out) if left_out else None,
        "clean_gain": {**gain(start, row, key, without=left_out), "p_adjusted": None}
        if left_out and trained
        else None,
        "copied": sum(score["copied"] for score in scores) / answers,
        "flexible": sum(score["flexible"] for score in scores) / answers,
        "gain": gain(start, row, key) if trained else None,
        "limit_reached": sum(score["limit_reached"] for score in scores) / answers,
        "majority": None,
        "mean_tokens": sum(score["completion_tokens"] for score in scores) / answers,
        "overlap_13": len(hits["overlap_13"]),
        "overlap_8": len(hits["overlap_8"]),
        "rephrased": len(hits["rephrased"]) if looked else None,
        "shared": len(shared),
        "shared_gain": shared_gain(start, row, key, left_out) if left_out and trained else None,
        "own": own,
        "pass_at": {},
        "samples": 1,
        "strict": sum(score["strict"] for score in scores) / answers,
        "unreadable": sum(score["unreadable"] for score in scores) / answers,
        "verdicts": {name: letters.count(letter) / answers for name, letter in VERDICTS.items()},
    }


def _overall(
    rows: dict[str, Row],
    order: Sequence[str],
    keys: Sequence[tuple[str, str]],
    shown: dict[str, Number],
) -> None:
    """Fill in the mean over tasks; it knows tasks that are scored under one protocol each."""
    assert len({task for task, _ in keys}) == len(keys)
    together = {name: row.accuracy(keys) for name, row in rows.items()}
    each = {
        name: [(row.letters(key) == "C").mean(axis=1) for key in keys] for name, row in rows.items()
    }

    def above(first: str, second: str) -> float:
        shares = []
        for mine, theirs in zip(each[first], each[second], strict=True):
            apart = np.round(mine[:, None] - theirs[None, :], 12)
            shares.append(float(((apart > 0) + 0.5 * (apart == 0)).mean()))
        return mean(shares)

    for name in order:
        found = compare(together["start"], together[name], True)
        low, high = found.interval()
        shown[name]["overall"] = {
            "accuracy": float(together[name].values.mean()),
            "gain": found.value,
            "low": low,
            "high": high,
            "above_start": above(name, "start"),
            "above_others": mean(above(name, other) for other in order if other != name),
        }


if __name__ == "__main__":
    content = recompute(Path(sys.argv[1]), sys.argv[2])
    content["apart"] = sorted(sorted(pair) for pair in content["apart"])
    sys.stdout.write(json.dumps(content, indent=1) + "\n")
