"""Time of training: what the harness costs beside TRL alone, what its engine saves in rollouts.

Stages of the board `tiny` run in processes forked from this one, each as a bench runs it, for a
number of optimiser steps: the same model, rows, options and seed in the three ways of `stages.py`,
in turns, A B C A B C.

Where nothing is sampled the first and the last must end at the same weights. One thread works and
processor time is read. Run with `python benchmarks/training.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from typing import Any

from measuring import apart, machine, versions
from stages import Outcome, Work, trained

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TQDM_DISABLE", "1")

WRITERS = ("rl", "hybrid-joint", "kd-on-policy")  # trainers whose student writes
LAST = 4  # steps whose rewards say what was learnt


def times(slow: list[Outcome], fast: list[Outcome]) -> list[float]:
    """Return by how much stages took longer, pair by pair, in the order of size."""
    return sorted(a.seconds / b.seconds for a, b in zip(slow, fast, strict=True))


def main() -> None:
    """Print seconds, overhead and gain of each trainer, with the machine and the versions."""
    import torch

    from harness.bench.executors import warm

    parser = argparse.ArgumentParser()
    parser.add_argument("--trainers", nargs="+", default=["sft", "kd", "rl", "kd-on-policy"])
    parser.add_argument("--steps", type=int, default=8, help="0: the board's budget")
    parser.add_argument("--seeds", type=int, default=3)
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
                work = Work("tiny", trainer, seed, chosen.steps or None)
                runs[how].append(apart(trained, work, how, method="fork"))
        row: dict[str, Any] = {"trainer": trainer}
        for how, found in runs.items():
            row[f"{how}, s"] = round(statistics.median(one.seconds for one in found), 2)
            if not chosen.steps:
                row[f"{how}, steps"] = [one.cost.steps for one in found]
            if found[0].rewards:
                late = [statistics.mean(one.rewards[-LAST:]) for one in found]
                row[f"{how}, last rewards"] = [round(reward, 3) for reward in late]
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
        print(json.dumps(row), flush=True)
    packages = versions(("torch", "transformers", "trl"))
    print(f"{machine('cpu')}; {packages}; {vars(chosen)}")


if __name__ == "__main__":
    main()
