"""Time of training: what the harness costs beside TRL alone, what its engine saves in rollouts.

Stages of a board run in processes forked from this one, each as a bench runs it, for a
number of optimiser steps: the same model, rows, options and seed in the three ways of `stages.py`,
in turns, A B C A B C.

Where nothing is sampled the first and the last must end at the same weights. Elsewhere rollouts are
sampled by other random numbers, and what was learnt is compared over seeds: the mean reward of the
last steps, or the mean loss where there is none. One thread works and processor time is read. Run
with `python benchmarks/training.py`.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
from typing import Any

from measuring import apart, machine, versions
from stages import Outcome, Work, trained

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TQDM_DISABLE", "1")

WRITERS = ("rl", "hybrid-joint", "kd-on-policy")  # trainers whose student writes
LAST = 4  # steps whose rewards or losses say what was learnt


def times(slow: list[Outcome], fast: list[Outcome]) -> list[float]:
    """Return by how much stages took longer, pair by pair, in the order of size."""
    return sorted(a.seconds / b.seconds for a, b in zip(slow, fast, strict=True))


def learnt(run: Outcome) -> float:
    """Return the mean reward of the last steps, or the mean loss where there is no reward."""
    return statistics.mean((run.rewards or run.losses)[-LAST:])


def paired(ours: list[float], theirs: list[float]) -> tuple[float, float, float]:
    """Return the mean difference and its 95 % interval (Student's t over pairs of one seed)."""
    from scipy.stats import t

    differences = [one - other for one, other in zip(ours, theirs, strict=True)]
    mean, count = statistics.mean(differences), len(differences)
    if count == 1:
        return mean, -math.inf, math.inf
    half = float(t.ppf(0.975, count - 1)) * statistics.stdev(differences) / count**0.5
    return mean, mean - half, mean + half


def main() -> None:
    """Print seconds, overhead and gain of each trainer, with the machine and the versions."""
    import torch

    from harness.bench.executors import warm

    parser = argparse.ArgumentParser()
    parser.add_argument("--trainers", nargs="+", default=["sft", "kd", "rl", "kd-on-policy"])
    parser.add_argument("--steps", type=int, default=8, help="0: the board's budget")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--board", default="tiny", help="or the file of one with more seeds")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    warm.preload()
    for trainer in chosen.trainers:
        ways = ("alone", "before", "harness") if trainer in WRITERS else ("alone", "harness")
        if not chosen.steps:  # alone, nothing ends it
            ways = ways[1:]
        runs: dict[str, list[Outcome]] = {how: [] for how in ways}
        for seed in range(chosen.seeds):
            for how in ways:
                work = Work(chosen.board, trainer, seed, chosen.steps or None)
                runs[how].append(apart(trained, work, how, method="fork"))
        row: dict[str, Any] = {"trainer": trainer}
        for how, found in runs.items():
            row[f"{how}, s"] = round(statistics.median(one.seconds for one in found), 2)
            if not chosen.steps:
                row[f"{how}, steps"] = [one.cost.steps for one in found]
        if "alone" in runs:
            pairs = list(zip(runs["alone"], runs["harness"], strict=True))
            if trainer not in WRITERS and any(one.digest != other.digest for one, other in pairs):
                raise SystemExit(f"{trainer}: the harness changes what TRL trains")
            base = "before" if trainer in WRITERS else "harness"
            over = times(runs[base], runs["alone"])
            row["overhead, %"] = [round(100 * (one - 1), 1) for one in over]
        if trainer in WRITERS:
            gains = times(runs["before"], runs["harness"])
            row["times as fast"] = [round(one, 2) for one in gains]
            row["learnt from"] = "reward" if runs["harness"][0].rewards else "loss"
            late = {how: [learnt(one) for one in runs[how]] for how in ("before", "harness")}
            row |= {f"{how}, last steps": round(statistics.mean(late[how]), 4) for how in late}
            difference = paired(late["harness"], late["before"])
            row["harness minus before, 95 %"] = [round(one, 4) for one in difference]
        print(json.dumps(row), flush=True)
    packages = versions(("torch", "transformers", "trl"))
    print(f"{machine('cpu')}; {packages}; {vars(chosen)}")


if __name__ == "__main__":
    main()
