"""What publishing many records takes: each is read, judged anew, joined, and the pages are written.

    python benchmarks/publishing.py --records 10000

The records are made up and their answers are judged by the harness; making them is not counted.
Printed are seconds, seconds of processors, and the peak memory of a process of its own for
`publish`, for writing the pages anew, for `publish --check`, and for judging everything anew as
`harness check` does. An older version in PYTHONPATH is measured too, as far as it has these
steps.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
import generated

from harness.boards.conditions import Conditions
from harness.records import write_record
from harness.stage.judge import judge
from harness.stage.spec import JudgedScore
from harness.tasks.task import Task
from harness.verify import VERIFIER_VERSION, Conventions, VerifierPool

QUESTIONS = 60
SEEDS = 100
ENDED = {"tokens": 9, "finish": "stop"}


def rows(split: str) -> list[dict[str, str]]:
    """Return the made-up questions: numbers, as most gold answers are."""
    keys, made = ("id", "problem", "answer"), range(QUESTIONS if split == "test" else 0)
    return [
        dict(zip(keys, (f"q{one}", f"What is {one} + 1?", str(one + 1)), strict=True))
        for one in made
    ]


TASK = Task("words", rows)


def conditions() -> Conditions:
    return generated.conditions(tasks=["words"], seeds=range(SEEDS))


def make(runs: Path, count: int) -> None:
    """Leave so many records with judged answers, a hundred seeds a trainer."""
    scored = JudgedScore(
        task="words", digest=TASK.digest, protocol="chat_zeroshot.v1", max_new_tokens=128,
        limit=None, samples=1, version=1, ranking=True, form="boxed", conventions=Conventions(),
    )  # fmt: skip
    given, problems = runs / "given", rows("test")
    given.mkdir(parents=True)
    with VerifierPool() as pool:
        for number in range(count):
            trainer, seed = f"t{number // SEEDS}", number % SEEDS
            lines = []
            for place, row in enumerate(problems):
                draw = hashlib.sha256(f"{trainer} {seed} {place}".encode()).digest()[0]
                value = row["answer"] if draw < 100 + number // SEEDS else "7777"
                text = f"{trainer} {seed} \\boxed{{{value}}}"
                lines.append({"id": row["id"], "sample": 0, "text": text} | ENDED)
            name = f"{scored.name}.jsonl"
            (given / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
            identity = f"{trainer}-s{seed}"
            score = judge(scored, problems, given, runs / "answers" / identity, pool)
            record = generated.record(
                trainer, seed, [score], id=identity, verifier_version=VERIFIER_VERSION,
                created=f"2026-01-02T{seed // 60:02d}:{seed % 60:02d}:00Z",
            )  # fmt: skip
            write_record(record, runs / "records")


def publish(runs: Path, out: Path) -> None:
    from harness.publish import write

    arguments = {"tasks": lambda name: TASK} if hasattr(write, "Outcome") else {}
    write.publish(runs, conditions(), out, **arguments)


def render(runs: Path, out: Path) -> None:
    from harness.publish import write

    if hasattr(write, "Outcome"):
        write.publish([], conditions(), out)


def compare(runs: Path, out: Path) -> None:
    from harness.publish.check import check

    check(out)


def judge_anew(runs: Path, out: Path) -> None:
    try:
        from harness.publish.recheck import recheck
    except ImportError:
        return
    from harness.publish.sources import gather

    place = out / "records" / "made-up"
    found = list(recheck(gather(place), conditions(), lambda name: TASK))
    assert {one.state for one in found} == {"recomputed"}, found[0]


STEPS = {"publish": publish, "render": render, "compare": compare, "judge_anew": judge_anew}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--step", choices=STEPS)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    if given.step:  # in a process of its own
        began = time.monotonic()
        STEPS[given.step](given.folder / "runs", given.folder / "out")
        took = time.monotonic() - began
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        busy, peak = sum(one.ru_utime + one.ru_stime for one in used), used[0].ru_maxrss / 1024
        print(f"{given.step}: {took:.1f} s, {busy:.1f} s of processors, {peak:.0f} MiB")
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.folder or Path(scratch)
        if not (folder / "runs").exists():
            make(folder / "runs", given.records)
        for step in STEPS:
            command = [sys.executable, __file__, "--step", step, "--folder", str(folder)]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
