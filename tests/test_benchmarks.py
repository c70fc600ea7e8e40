"""What scripts in benchmarks/ do: those for a GPU without one, and one beside a bare script."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.stage import main as stage_main
from harness.stage import memory

ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "benchmarks"


@pytest.fixture(scope="module")
def scripts() -> SimpleNamespace:
    sys.path.append(str(BENCHMARKS))
    before = dict(os.environ)
    try:
        names = ("flips", "gpu", "gpu_inputs", "measuring", "peers", "stages")
        return SimpleNamespace(**{name: importlib.import_module(name) for name in names})
    finally:
        sys.path.remove(str(BENCHMARKS))
        for name in os.environ.keys() - before:  # the scripts set some for themselves
            del os.environ[name]


def test_answers_are_compared_up_to_the_first_token_that_differs(scripts):
    expected = [[1, 2, 3], [4, 5, 6], [7], [8, 9]]
    found = scripts.flips.compared(expected, [[1, 2, 3], [4, 0, 7], [7], [8, 9, 1]])
    assert found == {
        "other answers": "2 of 4",
        "other answers, %": 50.0,
        "first differing tokens": "2 of 9 in the same context",  # 3 + 2 + 1 + 3
        "of 1,000 such tokens": 222.22,
        "place of the first, median": 1.5,
    }
    assert scripts.flips.compared(expected, expected)["of 1,000 such tokens"] == 0


def test_the_table_has_every_figure(scripts):
    rows = [
        {"part": "decode", "case": "4 rows", "way": "engine", "tokens": 1234, "same": True},
        {"part": "decode", "way": "vLLM", "failed": "a | b"},
    ]
    assert scripts.measuring.table(rows).splitlines() == [
        "| part | case | way | figures |",
        "|---|---|---|---|",
        "| decode | 4 rows | engine | tokens: 1,234; same: True |",
        "| decode |  | vLLM | failed: a / b |",
    ]


def test_a_way_that_fails_is_a_row_and_one_without_memory_has_fewer_rows(scripts):
    held = []

    def narrow(asked, rows):
        if rows > 2:
            raise RuntimeError("CUDA out of memory")
        held.append(len(asked))
        return [one.args[0] for one in asked]

    def broken(asked, rows):
        raise ValueError("no kernel\nand more")

    asked = scripts.peers.requests(["a b", "c d", "e f", "g h", "i j", "k l"], 2)
    ways = {scripts.peers.ENGINE: narrow, "broken": broken}
    found, failed = scripts.peers.in_turns(ways, asked, 5, 2, "cpu")
    assert failed == {"broken": "ValueError: no kernel"}
    assert held == [5, 6, 6]  # once before it is timed
    engine, other = scripts.peers.measured(found, failed, {"part": "decode"})
    assert (engine["rows at once"], engine["tokens"]) == (2, 12)
    assert other == {"part": "decode", "way": "broken", "failed": "ValueError: no kernel"}


def test_a_way_that_does_not_load_and_a_case_that_is_killed_leave_the_others(
    scripts, tmp_path, monkeypatch
):
    peers, rows = scripts.peers, []

    def loaded(folder, device, dtype):
        return lambda asked, rows: [one.args[0] for one in asked]

    def missing(folder, device, dtype):
        raise ImportError("no lm_eval")

    def apart(work, folder, device, texts, *how):
        if len(texts) > 1:
            raise BrokenProcessPool("killed")
        return work(folder, device, texts, *how)

    monkeypatch.setattr(peers, "engine", loaded)
    monkeypatch.setattr(peers, "generate", loaded)
    monkeypatch.setattr(peers, "lm_eval", missing)
    monkeypatch.setattr(peers, "apart", apart)
    cases = [({"case": "first"}, ["a b", "c"], 2, 2, 1), ({"case": "second"}, ["a b"], 2, 1, 1)]
    peers.compare(tmp_path, "cpu", [({"part": "decode", **one}, *more) for one, *more in cases],
                  rows.append)  # fmt: skip
    said = {(row.get("case"), row.get("way")): row for row in rows}
    assert said["first", None]["failed"] == "BrokenProcessPool: killed"
    assert said["second", "engine"]["tokens"] == said["second", "transformers' generate"]["tokens"]
    assert said["second", "lm-eval's hf model"]["failed"] == "ImportError: no lm_eval"


def test_the_table_is_written_after_every_figure(scripts, tmp_path):
    out = tmp_path / "table.md"
    chosen = SimpleNamespace(out=out, model=None, parts=["decode"])
    sheet = scripts.gpu.Sheet(chosen, "a GPU")
    for number in (1, 2):
        sheet.show({"part": "decode", "case": str(number), "way": "engine", "s": number})
        assert out.read_text().count("| decode |") == number


def test_vllm_gets_the_same_prompts_and_limits(scripts, tmp_path, monkeypatch):
    seen = {}

    class LLM:
        def __init__(self, **given):
            seen.update(given)

        def generate(self, prompts, sampling, use_tqdm):
            texts = [" ".join([one] * sampling["max_tokens"]) for one in prompts]
            return [SimpleNamespace(outputs=[SimpleNamespace(text=text)]) for text in texts]

    stand_in = SimpleNamespace(LLM=LLM, SamplingParams=dict)
    monkeypatch.setitem(sys.modules, "vllm", stand_in)
    monkeypatch.setattr(scripts.peers, "timed", lambda answer, asked, device: (1.0, answer(asked)))
    cases = [(["a", "b"], 2, 2, 1), (["c"], 3, 4, 2)]
    (first, _), (second, failed) = scripts.peers.by_vllm(tmp_path, cases)
    assert seen["max_num_seqs"] == 4
    assert (seen["model"], seen["dtype"]) == (str(tmp_path), "bfloat16")
    assert first["vLLM"] == ([1.0], ["a a", "b b"], 2)
    assert (second["vLLM"], failed) == (([1.0, 1.0], ["c c c"], 4), {})


def test_all_ways_of_training_begin_anew_where_one_has_no_memory_or_fails(scripts, monkeypatch):
    stages, tried = scripts.stages, []

    def apart(work, given, how):
        tried.append((how, given.micro))
        if how == "alone" and (given.micro or 8) > 4:
            raise stages.Full(4)
        if how == "before":
            raise ValueError("broken")
        return how

    monkeypatch.setattr(stages, "apart", apart)
    runs, failed = stages.in_turns(stages.Work("b", "rl"), ("harness", "alone", "before"), 2)
    assert runs == {"harness": ["harness"] * 2, "alone": ["alone"] * 2}
    assert failed == {"before": "ValueError: broken"}
    assert tried[-4:] == [("harness", 4), ("alone", 4)] * 2


def test_a_stage_without_memory_says_how_many_rows_to_try(scripts, tmp_path, monkeypatch):
    def train(folder, spec, known):
        attempt = memory.Attempt(micro_batch_size=8, rows=8, step=1, seconds=1.0)
        memory.add_failure(folder, (), attempt)
        raise memory.TryAgain

    stages = scripts.stages
    monkeypatch.setattr(stages, "apart", lambda *_: (tmp_path, None))
    monkeypatch.setattr(stages, "way", lambda _: contextlib.nullcontext())
    monkeypatch.setattr(stage_main, "_seed", lambda _: None)
    monkeypatch.setattr(stage_main, "_train", train)
    with pytest.raises(stages.Full) as full:
        stages.trained(stages.Work("b", "rl"), "alone")
    assert full.value.args == (4,)


@pytest.mark.slow
@pytest.mark.bench
def test_every_part_of_the_gpu_script_runs_on_a_cpu(tmp_path):
    command = [sys.executable, str(BENCHMARKS / "gpu.py"), "--device", "cpu", "--shape", "small"]
    out = tmp_path / "table.md"
    ran = subprocess.run([*command, "--out", str(out)], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-3000:]
    rows = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
    assert not [row for row in rows if "failed" in row]
    assert {row["part"] for row in rows} == {"decode", "answers", "train", "compile", "flips"}
    texts = {row["texts as the engine's"] for row in rows if "texts as the engine's" in row}
    assert texts <= {"4 of 4", "8 of 8", "16 of 16"}
    (same,) = (found for row in rows if (found := row.get("the same weights as TRL alone")))
    assert same == "1 of 1"
    page = out.read_text()
    assert page.count("\n| ") == len(rows) + 1
    assert page in ran.stdout
    assert "random" in page
    assert str(tmp_path) not in page


@pytest.mark.slow
def test_a_bare_script_ends_at_the_weights_of_a_stage() -> None:
    given = [sys.executable, "overhead.py", "--steps", "3", "--rounds", "1"]
    ran = subprocess.run(given, cwd=BENCHMARKS, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-2_000:]
    assert "same weights: 1 of 1" in ran.stdout
    figures = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
    assert [one.get("way") for one in figures] == ["TRL alone", "harness", None]
