"""Labelled cases, hostile inputs and real outputs, read where they lie."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import pytest
from verify_shared import SHARED, hostile_text, rows

from harness.verify import Verdict, VerifierPool, verify


@pytest.mark.parametrize("kind", ["bare", "text"])
def test_labelled_core_cases(kind: str) -> None:
    cases = [r for r in rows("verifier/cases.jsonl") if r["core"] and r["kind"] == kind]
    form = "bare" if kind == "bare" else "boxed"
    judged = {r["id"]: verify(r["answer"], r["gold"], form=form).verdict for r in cases}
    wrong = [r["id"] for r in cases if (judged[r["id"]] == "correct") != r["label"]]
    negatives = [r for r in cases if not r["label"]]
    false_positives = [r["id"] for r in negatives if judged[r["id"]] == "correct"]
    assert len(wrong) <= 0.01 * len(cases), wrong
    assert len(false_positives) <= 0.003 * len(negatives), false_positives


def worker_memory() -> list[int]:
    """Return the peak resident memory of each verifier worker of this process, in KiB."""
    found = []
    for listed in Path("/proc/self/task").glob("*/children"):
        for pid in listed.read_text().split():
            with contextlib.suppress(OSError):
                if b"harness.verify" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    status = Path(f"/proc/{pid}/status").read_text()
                    found += [int(n) for n in re.findall(r"VmHWM:\s+(\d+)", status)]
    return found


@pytest.mark.parametrize("wrapped", [False, True])
def test_hostile_inputs_in_a_pool(tmp_path: Path, wrapped: bool) -> None:
    mark = tmp_path / "mark"
    peak = 0
    with VerifierPool(seconds=30) as pool:
        for row in rows("verifier/hostile.jsonl"):
            text = hostile_text(row, mark)
            form = "bare"
            if wrapped or row["kind"] == "text":
                text = text if row["kind"] == "text" else f"\\boxed{{{text}}}"
                form = "boxed"
            judged = pool.verify_many([text], [row["gold"]], form=form)[0]  # type: ignore[arg-type]
            peak = max([peak, *worker_memory()])
            if row["expected"] is False:
                assert judged.verdict is not Verdict.correct, row["id"]
            elif row["expected"] is True and not (wrapped and text.endswith("\\}")):
                assert judged.verdict is Verdict.correct, row["id"]
        assert pool.killed == 0  # none hung
    assert not mark.exists()
    assert 10_000 < peak < 600_000  # KiB


BENCHMARKS = [
    "gsm8k_train",
    "gsm8k_test",
    "gsm_hard",
    "gsm_plus_testmini",
    "svamp",
    "asdiv",
    "mawps_addsub",
    "mawps_multiarith",
    "mawps_singleeq",
    "mawps_singleop",
    "math_train",
    "math_test",
    "math500",
    "aime24",
    "aime25",
    "amc23",
    "minerva_math",
    "olympiadbench_math_en",
    "college_math",
    "gaokao2023en",
]


@pytest.mark.bench
@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_gold_equals_itself(name: str) -> None:
    golds = {r["answer"] for r in rows(f"data/{name}.jsonl.gz")}
    for gold in golds - {""}:  # two benchmarks have rows whose gold answer is empty
        for text, form in ((gold, "bare"), (f"So \\boxed{{{gold}}}.", "boxed")):
            judged = verify(text, gold, form=form)  # type: ignore[arg-type]
            assert judged.verdict is Verdict.correct, (gold, form, judged)


def test_all_shared_benchmarks_are_named() -> None:
    if not SHARED.exists():
        pytest.skip("no shared data beside the repository (set HARNESS_SHARED)")
    found = {p.name.removesuffix(".jsonl.gz") for p in (SHARED / "data").glob("*.jsonl.gz")}
    assert {f for f in found if not f.startswith("outputs_")} == set(BENCHMARKS)


@pytest.mark.bench
def test_labelled_outputs_of_gsm8k() -> None:
    outputs = rows("data/outputs_gsm8k_openai.jsonl.gz")
    differ = [
        r["id"]
        for r in outputs
        if (verify(r["output"], r["answer"], form="hash").verdict == "correct") != r["correct"]
    ]
    assert differ == []


@pytest.mark.bench
def test_labelled_outputs_of_math() -> None:
    outputs = rows("data/outputs_math_qwen.jsonl.gz")
    differ = [
        r
        for r in outputs
        if (verify(r["output"], r["answer"]).verdict == "correct") != r["correct"]
    ]
    # the published labels call these nine wrong: 4:30 p.m. in LaTeX, and 10000 for 10{,}000
    assert {r["answer"] for r in differ} == {r"\text{4:30 p.m.}", "10{,}000"}
    assert len(differ) == 9
    assert not any(r["correct"] for r in differ)


_VERB = re.compile(
    r"\b(?:find|compute|evaluate|simplify|what (?:is|are)|expand|factor|express|determine"
    r"|calculate|solve|how many|convert|write|rationalize|give)\b",
    re.I,
)
_FORMULA = re.compile(r"\\\[(.+?)\\\]|\$\$(.+?)\$\$|\$([^$]+)\$|\\\((.+?)\\\)", re.S)


def copied(problem: str) -> str | None:
    """Return the answer of the rule "box the first formula after the verb"."""
    verb = _VERB.search(problem)
    formula = _FORMULA.search(problem, verb.start() if verb else 0) or _FORMULA.search(problem)
    return f"\\boxed{{{next(filter(None, formula.groups())).strip()}}}" if formula else None


def test_copying_the_problem_scores_nothing() -> None:
    problems = rows("data/math500.jsonl.gz")
    answers = [(copied(r["problem"]) or "", r) for r in problems]
    judged = [verify(a, r["answer"], problem=r["problem"]) for a, r in answers]
    accepted = sum(j.verdict == "correct" for j in judged)
    refused = sum(j.reason == "copied" for j in judged)
    assert accepted < 0.005 * len(problems)
    assert refused > 0.05 * len(problems)  # each would have been a reward for no arithmetic


@pytest.mark.parametrize(
    "name", ["math_train", "math500", "math_test", "minerva_math", "olympiadbench_math_en"]
)
def test_no_gold_is_a_copy_of_its_problem(name: str) -> None:
    for row in rows(f"data/{name}.jsonl.gz"):
        if row["answer"]:
            answer = f"So \\boxed{{{row['answer']}}}."
            judged = verify(answer, row["answer"], problem=row["problem"])
            assert judged.verdict is Verdict.correct, (row["problem"], judged)


@pytest.mark.parametrize("name", ["outputs_gsm8k_openai", "outputs_math_qwen"])
def test_no_real_answer_is_called_a_copy(name: str) -> None:
    form = "hash" if "gsm8k" in name else "boxed"
    for row in rows(f"data/{name}.jsonl.gz")[::3]:
        judged = verify(row["output"], row["answer"], form=form, problem=row["problem"])  # type: ignore[arg-type]
        assert judged.reason != "copied", (row["id"], judged)
