"""Measure the verifier beside published ones: accuracy, speed, tails, threads, golds.

Run with the project's own interpreter; peers are measured in an interpreter of their own:

    python -m venv peers && peers/bin/pip install "math-verify[antlr4_13_2]==0.9.0"
    python benchmarks/verifier.py --peers peers/bin/python --shared ../shared \
        --out benchmarks/verifier.md

Without ``--peers`` only the project's own numbers are measured. One process, one thread, all
graders one after another in the same run; every case is timed alone, from text to verdict. A peer
gets at most ``--limit`` seconds a case (its own time limit stays as published).
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import json
import os
import platform
import random
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]

Grader = Callable[[str, str, str], bool]


def load(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a JSONL file, gzipped or not."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in data.decode("utf-8").split("\n") if line]


# -- the graders: (gold, answer, form) -> accepted; form is bare or text -------------------------


def own() -> Grader:
    """Return this project's verifier in the calling process."""
    sys.path.insert(0, str(ROOT))
    from harness.verify import verify

    def grade(gold: str, answer: str, form: str) -> bool:
        return verify(answer, gold, form="bare" if form == "bare" else "boxed").verdict == "correct"

    return grade


def own_pool() -> Grader:
    """Return this project's verifier in a pool of one worker, one answer a call."""
    sys.path.insert(0, str(ROOT))
    from harness.verify import VerifierPool

    pool = VerifierPool(workers=1, cache_size=0)

    def grade(gold: str, answer: str, form: str) -> bool:
        return (
            pool.verify_many([answer], [gold], form="bare" if form == "bare" else "boxed")[
                0
            ].verdict
            == "correct"
        )

    return grade


def math_verify(boxed: bool) -> Grader:
    """Return math-verify: as its README calls it, or with gold and bare answer put in a box."""
    from math_verify import parse, verify

    def grade(gold: str, answer: str, form: str) -> bool:
        if boxed:
            gold = f"\\boxed{{{gold}}}" if "\\boxed" not in gold else gold
            if form == "bare" and "\\boxed" not in answer:
                answer = f"\\boxed{{{answer}}}"
        return bool(verify(parse(gold), parse(answer)))

    return grade


def string_equality() -> Grader:
    """Return equality of stripped strings; texts by their last box."""

    def grade(gold: str, answer: str, form: str) -> bool:
        at = answer.rfind("\\boxed{")
        if form != "bare" and at >= 0:
            answer = answer[at + 7 : answer.rfind("}")]
        return gold.strip(" $") == answer.strip(" $")

    return grade


GRADERS: dict[str, Callable[[], Grader]] = {
    "harness": own,
    "harness, pool of one": own_pool,
    "math-verify, default": lambda: math_verify(False),
    "math-verify, boxed": lambda: math_verify(True),
    "string equality": string_equality,
}


def measure(name: str, cases: list[list[str]], repeat: int) -> dict[str, Any]:
    """Return verdicts and seconds per case of one grader; starting it is not timed."""
    import logging

    logging.disable(logging.CRITICAL)
    started = time.perf_counter()
    grader = GRADERS[name]()
    with contextlib.suppress(Exception):  # a peer that fails here fails visibly below
        grader("\\frac{1}{2}", "\\boxed{0.5}", "text")
    start = time.perf_counter() - started
    accepted, seconds, failed = [], [], 0
    for gold, answer, form in cases * repeat:
        begin = time.perf_counter()
        try:
            accepted.append(bool(grader(gold, answer, form)))
        except Exception:
            accepted.append(False)
            failed += 1
        seconds.append(time.perf_counter() - begin)
    return {
        "accepted": accepted[: len(cases)],
        "seconds": seconds,
        "failed": failed,
        "start": start,
    }


def from_thread(name: str, cases: list[list[str]]) -> dict[str, Any]:
    """Return the verdicts of a grader called from a second thread."""
    import logging
    import threading

    logging.disable(logging.CRITICAL)
    grader, got, raised = GRADERS[name](), [], 0

    def work() -> None:
        nonlocal raised
        for gold, answer, form in cases:
            try:
                got.append(bool(grader(gold, answer, form)))
            except Exception:
                got.append(False)
                raised += 1

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return {"accepted": got, "failed": raised}


def run_grader(
    python: str, name: str, cases: list[list[str]], what: str = "measure", repeat: int = 1
) -> dict[str, Any]:
    """Measure one grader in a process of its own."""
    request = json.dumps({"name": name, "cases": cases, "what": what, "repeat": repeat})
    environment = dict(os.environ) | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [python, __file__, "--serve"],
        input=request,
        capture_output=True,
        text=True,
        env=environment,
        timeout=3_600,
    )
    if done.returncode:
        raise SystemExit(f"{name}: {done.stderr[-800:]}")
    return json.loads(done.stdout.splitlines()[-1])


# -- figures ------------------------------------------------------------------------------------


SEALED = {  # what each set holds
    "sealed": "of many kinds",
    "sealed_natural": "as models usually write",
    "sealed_mixed": "as graders of benchmarks meet",
}


def sealed_section(name: str, kind: str, jobs: list[tuple[str, str]]) -> list[str]:
    """Return how the graders judge cases that nobody who made this verifier has looked at.

    All graders but the last are given gold and answer alone, the last what a task gives it too: the
    protocol's form, the conventions and the problem.
    """
    sys.path.insert(0, str(ROOT))
    from harness.verify import Conventions, verify

    rows = load(ROOT / "tests" / "support" / f"verify_{name}.jsonl")
    wrong = sum(not r["label"] for r in rows)
    lines = [f"## {len(rows)} sealed cases {kind}, of which {wrong} are wrong"]
    lines += ["", "| grader | accuracy | false negatives | false positives |", "|---|---|---|---|"]
    cases = [[r["gold"], r["answer"], "bare" if r["form"] == "bare" else "text"] for r in rows]
    for grader, python in jobs:
        lines.append(accuracy_row(grader, rows, run_grader(python, grader, cases)["accepted"]))
    asked = [
        verify(
            r["answer"],
            r["gold"],
            Conventions(**r["conventions"]),
            form=r["form"],
            problem=r["problem"] or None,
        ).verdict
        == "correct"
        for r in rows
    ]
    return [*lines, accuracy_row("harness, as a task asks it", rows, asked), ""]


def quantile(values: Iterable[float], q: float) -> float:
    """Return the q-quantile of values, by rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


def accuracy_row(name: str, rows: list[dict[str, Any]], accepted: list[bool]) -> str:
    """Return accuracy, false negatives and false positives as a table row."""
    right = sum(a == r["label"] for a, r in zip(accepted, rows, strict=True))
    positives = [a for a, r in zip(accepted, rows, strict=True) if r["label"]]
    negatives = [a for a, r in zip(accepted, rows, strict=True) if not r["label"]]
    return (
        f"| {name} | {100 * right / len(rows):.1f} % | "
        f"{100 * positives.count(False) / len(positives):.1f} % | "
        f"{100 * negatives.count(True) / len(negatives):.1f} % |"
    )


def speed_row(name: str, result: dict[str, Any], against: dict[str, float]) -> str:
    """Return cases per second, tail and ratios as a table row."""
    seconds = result["seconds"]
    rate = len(seconds) / sum(seconds)
    against[name] = rate
    ratio = against["harness"] / rate
    return (
        f"| {name} | {rate:,.0f} | {1e3 * statistics.median(seconds):.3f} | "
        f"{1e3 * quantile(seconds, 0.99):.2f} | {1e3 * max(seconds):.1f} | {ratio:.1f} |"
    )


def gsm8k_like(count: int = 1_000) -> list[list[str]]:
    """Return made-up worked answers that end in a whole number, two in five of them wrong."""
    rng = random.Random(7)
    cases = []
    for i in range(count):
        a, b = rng.randint(2, 90), rng.randint(2, 900)
        gold = a * b
        said = gold if i % 5 < 3 else gold + rng.randint(1, 9)
        text = (
            f"Each of the {a} boxes holds {b} pencils, so there are {a} * {b} = {said} "
            f"pencils in all.\nThe number of pencils is \\boxed{{{said:,}}}."
        )
        cases.append([str(gold), text, "text"])
    return cases


THREAD_CASES = [
    ["42", "\\boxed{42}", "text"],
    ["\\frac{1}{2}", "\\boxed{0.5}", "text"],
    ["2\\sqrt{3}", "\\boxed{\\sqrt{12}}", "text"],
    ["(1,2)", "\\boxed{(1, 2)}", "text"],
    ["x^2+2x+1", "\\boxed{(x+1)^2}", "text"],
    ["\\{1,2\\}", "\\boxed{\\{2,1\\}}", "text"],
    ["28\\%", "\\boxed{28\\%}", "text"],
    ["3\\pi", "\\boxed{3\\pi}", "text"],
]


def hostile_section(rows: list[dict[str, Any]]) -> list[str]:
    """Return what the pool does with hostile inputs."""
    sys.path.insert(0, str(ROOT))
    import tempfile

    from harness.verify import VerifierPool

    mark = Path(tempfile.mkdtemp()) / "mark"
    slowest, bad, ungradable = 0.0, [], 0
    started = time.perf_counter()
    with VerifierPool(workers=1, seconds=3.0, cache_size=0) as pool:
        pool.verify_many(["\\boxed{x+1}"], ["1+x"])
        start = time.perf_counter() - started
        for row in rows:
            text = row["prediction_text"]
            if row["prediction_spec"]:
                text = "".join(p * n for p, n in row["prediction_spec"])
            text = text.replace("@MARK@", str(mark))
            begin = time.perf_counter()
            form = "bare" if row["kind"] == "bare" else "boxed"
            judged = pool.verify_many([text], [row["gold"]], form=form)[0]  # type: ignore[arg-type]
            slowest = max(slowest, time.perf_counter() - begin)
            ungradable += judged.verdict == "ungradable"
            if row["expected"] is not None and (judged.verdict == "correct") != row["expected"]:
                bad.append(row["id"])
        killed = pool.killed
    return [
        f"{len(rows)} hostile inputs: {len(bad)} misjudged {bad or ''}, {killed} workers "
        f"killed, {ungradable} ungradable (beyond a bound), slowest {slowest:.2f} s, "
        f"code run: {'YES' if mark.exists() else 'none'}. "
        f"Pool start with first verdict: {start:.2f} s.",
        "",
    ]


def golds_section(shared: Path) -> list[str]:
    """Return the self-equality of every distinct gold answer."""
    grade = own()
    total, failed = 0, []
    for path in sorted((shared / "data").glob("*.jsonl.gz")):
        if path.name.startswith("outputs_"):
            continue
        for gold in sorted({r["answer"] for r in load(path)}):
            total += 1
            if not grade(gold, gold, "bare") or not grade(gold, f"So \\boxed{{{gold}}}.", "text"):
                failed.append((path.name.split(".")[0], gold))
    shown = "; ".join(f"{n}: {g!r}" for n, g in failed)
    return [
        f"{total - len(failed)} of {total} distinct gold answers equal themselves, bare and "
        f"boxed. Exceptions: {shown or 'none'}. An empty gold answer is `ungradable` by rule.",
        "",
    ]


def outputs_section(shared: Path) -> list[str]:
    """Return the agreement with labelled outputs."""
    sys.path.insert(0, str(ROOT))
    from harness.verify import verify

    lines = []
    for name, form in (("outputs_gsm8k_openai", "hash"), ("outputs_math_qwen", "boxed")):
        rows = load(shared / "data" / f"{name}.jsonl.gz")
        differ = [
            r
            for r in rows
            if (
                verify(r["output"], r["answer"], form=form).verdict  # type: ignore[arg-type]
                == "correct"
            )
            != r["correct"]
        ]
        golds = sorted({r["answer"] for r in differ})
        lines.append(
            f"- {name}: {len(rows) - len(differ)} of {len(rows)} labels agreed with"
            + (f"; differing golds: {golds}" if golds else "")
        )
    return [*lines, ""]


NUMBER = re.compile(r"(?<![\w.])\d+(?:,\d{3})*(?:\.\d+)?")


def unmarked(solution: str) -> str | None:
    """Return a reference solution without its mark, or None where it has not one."""
    if "####" in solution:
        return re.sub(r"<<[^>]*>>", "", solution.split("####")[0]).strip()
    before, box, behind = solution.partition(r"\boxed{")
    if not box or r"\boxed" in behind:
        return None
    depth = 1
    for place, letter in enumerate(behind):
        depth += (letter == "{") - (letter == "}")
        if not depth:
            return before + behind[:place] + behind[place + 1 :]
    return None


def solutions_section(shared: Path) -> list[str]:
    """Return how often the answer of a solution is found where nothing marks it.

    A wrong answer is another number of the same solution, drawn by chance.
    """
    sys.path.insert(0, str(ROOT))
    from harness.verify import verify

    lines = ["| solutions without marks | right | wrong accepted |", "|---|---|---|"]
    for name, form in (("gsm8k_test", "hash"), ("math_test", "boxed")):
        right = accepted = total = 0
        chance = random.Random(7)
        for row in load(shared / "data" / f"{name}.jsonl.gz"):
            text, gold = unmarked(row["solution"]), row["answer"]
            found = dict.fromkeys(NUMBER.findall(text or ""))
            others = [one for one in found if one.replace(",", "") != gold.replace(",", "")]
            if text is None or not others:
                continue
            asked = {"form": form, "problem": row["problem"]}
            total += 1
            right += verify(text, gold, **asked).verdict == "correct"
            accepted += verify(text, chance.choice(others), **asked).verdict == "correct"
        lines.append(
            f"| {name} ({total:,}) | {100 * right / total:.1f} % | {100 * accepted / total:.1f} % |"
        )
    return [*lines, ""]


def report(arguments: argparse.Namespace) -> list[str]:
    """Run everything and return the lines of the report."""
    cases = load(arguments.shared / "verifier" / "cases.jsonl")
    core = [r for r in cases if r["core"]]
    jobs = [("harness", sys.executable), ("harness, pool of one", sys.executable)]
    if arguments.peers:
        jobs += [("math-verify, default", arguments.peers), ("math-verify, boxed", arguments.peers)]
    jobs.append(("string equality", sys.executable))
    lines = [
        "# The verifier, measured",
        "",
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; "
        "one process and one thread a grader, in one run. How to run it again: "
        "`benchmarks/verifier.py`, and for its data "
        "[CONTRIBUTING.md](../CONTRIBUTING.md#tests-on-published-benchmarks).",
        "",
    ]
    results: dict[str, dict[str, Any]] = {}
    for name, python in jobs:
        results[name] = run_grader(
            python, name, [[r["gold"], r["answer"], r["kind"]] for r in core]
        )
    for kind, title in (("bare", "Bare answers"), ("text", "Full texts, own extraction")):
        chosen = [i for i, r in enumerate(core) if r["kind"] == kind]
        lines += [
            f"## {title}: {len(chosen)} uncontested labelled cases",
            "",
            "| grader | accuracy | false negatives | false positives |",
            "|---|---|---|---|",
        ]
        for name, _ in jobs:
            lines.append(
                accuracy_row(
                    name, [core[i] for i in chosen], [results[name]["accepted"][i] for i in chosen]
                )
            )
        lines.append("")
    for name, kind in SEALED.items():
        lines += sealed_section(name, kind, jobs)
    missed = [
        r for r, a in zip(core, results["harness"]["accepted"], strict=True) if a != r["label"]
    ]
    lines += [
        "Cases that harness misses: " + (", ".join(r["id"] for r in missed) or "none") + ".",
        "",
    ]
    head = [
        "| grader | cases/s | median ms | p99 ms | worst ms | harness is faster by |",
        "|---|---|---|---|---|---|",
    ]
    rates: dict[str, float] = {}
    lines += [f"## Speed on the labelled mix ({len(core)} cases)", "", *head]
    lines += [speed_row(name, results[name], rates) for name, _ in jobs]
    lines.append("")
    gsm, rates = gsm8k_like(), {}
    lines += [f"## Speed on GSM8K-like responses ({len(gsm)})", "", *head]
    for name, python in jobs:
        lines.append(speed_row(name, run_grader(python, name, gsm), rates))
    math = [
        [r["answer"], r["output"], "text"]
        for r in load(arguments.shared / "data" / "outputs_math_qwen.jsonl.gz")
    ]
    lines += ["", f"## Speed on real responses to MATH problems ({len(math)})", "", *head]
    rates = {}
    for name, python in jobs:
        lines.append(speed_row(name, run_grader(python, name, math), rates))
    lines += ["", "## From a second thread: 8 plain cases", ""]
    for name, python in jobs[:-1]:
        got = run_grader(python, name, THREAD_CASES, "thread")
        lines.append(f"- {name}: {sum(got['accepted'])} of 8 accepted, {got['failed']} raised")
    lines += ["", "## Hostile inputs", ""]
    lines += hostile_section(load(arguments.shared / "verifier" / "hostile.jsonl"))
    lines += ["## Gold answers against themselves", "", *golds_section(arguments.shared)]
    lines += ["## Reference solutions of test splits, with their problems", ""]
    lines += solutions_section(arguments.shared)
    lines += ["## Labelled outputs of models", "", *outputs_section(arguments.shared)]
    return lines


def main() -> None:
    """Run the measurement, or serve one grader to it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--peers", help="the interpreter that has math-verify")
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if arguments.serve:
        asked = json.loads(sys.stdin.read())
        if asked["what"] == "thread":
            print(json.dumps(from_thread(asked["name"], asked["cases"])))
        else:
            print(json.dumps(measure(asked["name"], asked["cases"], asked["repeat"])))
        return
    text = "\n".join(report(arguments)).rstrip() + "\n"
    print(text)
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
