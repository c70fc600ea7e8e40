"""The GPU path; run with `-m gpu` on a machine that has a CUDA device."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from harness.bench.executors.gpus import gpu_names
from harness.leaderboard.build import build
from harness.leaderboard.data import Leaderboard
from harness.records import Record, read_records

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(not gpu_names(), reason="no CUDA device (nvidia-smi lists none)"),
]

TRACED = {"kd-traces"}  # the tiny board names no traces


def by_trainer(folder: Path) -> dict[str, Record]:
    return {record.trainer: record for record in read_records(folder / "records")}


def test_every_built_in_trainer_trains_and_is_scored_on_a_gpu(harness, tmp_path):
    import train_all

    names = [*sorted(train_all.offers().keys() - TRACED)]
    harness("bench", "--plugins", ",".join(names), "--seeds", "0", "--device", "cuda")
    records = by_trainer(tmp_path / "runs" / "tiny")
    assert set(records) == {"start", *names}
    assert {record.status for record in records.values()} == {"ok"}
    for name, record in records.items():
        assert record.environment.device == "cuda"
        assert record.environment.dtype == "bfloat16"
        assert record.environment.attention in ("sdpa", "flash_attention_2")
        assert record.environment.gpu
        if name != "start":
            assert record.cost.gpu_seconds == pytest.approx(record.cost.seconds)
            assert record.cost.peak_memory_bytes > 0
    board = Leaderboard.model_validate_json((tmp_path / "runs/tiny/tiny.json").read_text())
    gains = {row.trainer: row.gain.difference for row in board.rows if row.gain}
    assert gains["sft"] > 0
    assert "fresh interpreters" not in (tmp_path / "runs/tiny/warm.log").read_text()
    assert build([*records.values()], board.conditions)


def test_traces_are_learnt_on_a_gpu(harness, small_board):
    text = small_board.read_text().replace("stage_seconds = 60", "stage_seconds = 600")
    small_board.write_text(
        text.replace(
            'train = ["unruly_sums"]', 'train = ["unruly_sums"]\ntraces = ["unruly_traces"]'
        )
    )
    harness("bench", str(small_board), "--plugins", "kd-traces", "--seeds", "0",
            "--device", "cuda")  # fmt: skip
    assert by_trainer(small_board.parent / "runs" / "small")["kd-traces"].status == "ok"


def test_memory_that_is_really_full_halves_the_forward_pass(harness, small_board, with_plugins):
    """A process may take so little of the GPU that the whole batch cannot fit."""
    text = small_board.read_text().replace("stage_seconds = 60", "stage_seconds = 900")
    small_board.write_text(text + "\n[options.greedy]\nbatch_size = 64\nshare = 0.004\n")
    with_plugins("greedy")
    harness("bench", str(small_board), "--plugins", "greedy", "--seeds", "0",
            "--device", "cuda", check=None)  # fmt: skip
    record = by_trainer(small_board.parent / "runs" / "small")["greedy"]
    if record.status == "ok":
        assert record.stages[0].notes["out_of_memory_at"][0]["micro_batch_size"] == 64
    else:  # not one row fits into so small a share of this GPU
        assert record.status == "oom"
        assert "gradient_checkpointing" in record.error


def test_two_stages_share_a_gpu(harness, tmp_path):
    jobs = str(2 * len(gpu_names()))
    harness("bench", "--plugins", "sft", "--seeds", "0,1", "--jobs", jobs, "--device", "cuda")
    records = read_records(tmp_path / "runs" / "tiny" / "records")
    assert len(records) == 3
    assert {record.status for record in records} == {"ok"}
    for record in records:
        if record.seed is not None and record.cost.energy_joules is not None:
            assert "other stages" in record.stages[0].notes["energy"]


def counts_energy() -> bool:
    """Return whether the first GPU has a counter of its energy, as those since Volta do."""
    import pynvml

    pynvml.nvmlInit()
    try:
        return pynvml.nvmlDeviceGetTotalEnergyConsumption(pynvml.nvmlDeviceGetHandleByIndex(0)) > 0
    except pynvml.NVMLError_NotSupported:
        return False
    finally:
        pynvml.nvmlShutdown()


@pytest.mark.skipif(not importlib.util.find_spec("pynvml"), reason="pynvml is not installed")
def test_nvml_says_how_much_energy_a_stage_took(harness, tmp_path):
    harness("bench", "--plugins", "sft", "--seeds", "0", "--jobs", "1", "--device", "cuda")
    record = by_trainer(tmp_path / "runs" / "tiny")["sft"]
    if counts_energy():
        assert record.cost.energy_joules > 0
    else:
        assert record.cost.energy_joules is None
    assert "energy" not in record.stages[0].notes


@pytest.mark.skipif(len(gpu_names()) < 2, reason="needs two GPUs")
def test_one_stage_on_two_gpus(harness, small_board):
    text = small_board.read_text().replace("stage_seconds = 60", "stage_seconds = 900")
    small_board.write_text(text.replace("[compute]", "[compute]\ngpus = 2"))
    names = "sft,kd,kd-on-policy,rl,hybrid-joint"
    harness("bench", str(small_board), "--plugins", names, "--seeds", "0",
            "--device", "cuda")  # fmt: skip
    records = by_trainer(small_board.parent / "runs" / "small")
    assert {record.status for record in records.values()} == {"ok"}
    assert records["sft"].environment.gpus == 2
    assert records["sft"].cost.gpu_seconds == pytest.approx(2 * records["sft"].cost.seconds)


def test_slots_write_what_plain_generation_writes(tmp_path):
    """In float32; eight tokens are written between two looks, and free slots are refilled."""
    import models
    import test_decoding
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(models.save_model(tmp_path, seed=3)).cuda().eval()
    given = test_decoding.prompts(24)
    found = test_decoding.written(model, models.byte_tokenizer(), given, 5)
    assert [tokens for tokens, _ in found] == [test_decoding.alone(model, one) for one in given]


@pytest.mark.parametrize("settings", [{}, {"temperature": 1.0}, {"temperature": 1.0, "top_p": 0.9}])
def test_recorded_steps_write_what_single_ones_write(settings, monkeypatch, caplog):
    import models
    import test_decoding

    from harness.stage.decoding import graphs

    recorded: list[str] = []
    plain = graphs.CudaRecorder.record

    def record(self, run):
        recorded.append("a step")
        return plain(self, run)

    monkeypatch.setattr(graphs.CudaRecorder, "record", record)
    tokenizer, given = models.byte_tokenizer(), test_decoding.prompts(40)
    for name in ("llama", "qwen3", "gemma3_text", "gpt2"):
        model = test_decoding.architecture(name).cuda()
        before = len(recorded)
        ours = test_decoding.written(model, tokenizer, given, 8, **settings)
        assert len(recorded) > before + 2, name
        with monkeypatch.context() as patch:
            patch.setattr(graphs, "recorder", lambda device: None)
            assert test_decoding.written(model, tokenizer, given, 8, **settings) == ours, name
    assert "without CUDA graphs" not in caplog.text


def test_a_student_writes_with_weights_of_half_precision(tmp_path):
    import models
    import torch

    run = models.make_run(tmp_path, models.save_model(tmp_path / "start", seed=0), None,
                          device="cuda", dtype="bfloat16")  # fmt: skip
    student = run.student().cuda()
    before = [weights.clone() for weights in student.parameters()]
    answers = run.generate(student, run.tokenizer(), [[5, 6, 7]] * 3, samples=4, temperature=1.0)
    run.close()
    assert "batch_by_batch" not in run.notes
    assert [len(samples) for samples in answers] == [4, 4, 4]
    assert all(map(torch.equal, before, student.parameters()))


def test_processes_on_gpus_write_what_one_does_with_logits_in_float32(tmp_path):
    """One process for each GPU, and the last product as `torch.mm` with `out_dtype` has it."""
    import torch
    from models import byte_tokenizer, save_model
    from test_decoding import prompts, written
    from transformers import AutoModelForCausalLM

    from harness.stage.decoding.crew import Crew
    from harness.stage.decoding.head import ExactHead

    folder = save_model(tmp_path / "model", seed=3)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).cuda().eval()
    hidden = torch.randn(5, 1, model.config.hidden_size, device="cuda").bfloat16()
    with ExactHead(model), torch.inference_mode():
        logits = model.lm_head(hidden)
        exact = hidden.double() @ model.lm_head.weight.double().t()
    torch.testing.assert_close(logits.double(), exact, rtol=1e-5, atol=1e-5)
    given, tokenizer = prompts(40), byte_tokenizer()
    crew = Crew(folder, "bfloat16", "cuda", 1, len(gpu_names()))
    try:
        found = written(model, tokenizer, given, 8, crew=crew)
    finally:
        crew.close()
    alone = written(model, tokenizer, given, 8)
    assert sum(one == other for one, other in zip(found, alone, strict=True)) > 30  # rounding
