"""A stage as two processes, as on two GPUs: one batch, one budget, one checkpoint."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch
from safetensors.torch import load_file

from harness.costs import PARTS
from harness.records import read_records

pytestmark = pytest.mark.bench
COMPILES = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("g++"), reason="torch compiles with g++"),
]

OPTIONS = """
[options.sft]
epochs = 30
batch_size = 4
learning_rate = 1e-4

[options.kd]
batch_size = 4
learning_rate = 1e-4
"""


@pytest.fixture
def two(small_board: Path, harness):
    """Return a function that trains on the small board as one or two processes."""
    text = small_board.read_text()

    def bench(processes: int, *arguments: str, budget: str = "steps = 3", **options):
        name = f"small{processes}"
        changed = text.replace('name = "small"', f'name = "{name}"')
        changed = changed.replace("steps = 3", budget)
        changed = changed.replace("stage_seconds = 60", "stage_seconds = 400")
        changed = changed.replace("[compute]", f"[compute]\ngpus = {processes}")
        path = small_board.parent / f"{name}.toml"
        path.write_text(changed + OPTIONS)
        done = harness("bench", str(path), "--seeds", "0", "--jobs", "1", *arguments, **options)
        folder = small_board.parent / "runs" / name
        records = {record.trainer: record for record in read_records(folder / "records")}
        return records, folder, done

    return bench


def checkpoint(folder: Path, label: str) -> dict[str, torch.Tensor]:
    (file,) = (folder / "stages").glob(f"train-{label}-s0-*/checkpoint/model.safetensors")
    return load_file(file)


@pytest.mark.slow
def test_two_processes_train_on_the_same_batches_as_one(two):
    alone, one, _ = two(1, "--plugins", "sft,kd")
    both, other, _ = two(2, "--plugins", "sft,kd")
    # the same model: two processes generate the answers of one, and the record says so
    assert both["start"].scores == alone["start"].scores
    assert both["start"].status == "ok"
    assert (alone["start"].environment.gpus, both["start"].environment.gpus) == (1, 2)
    for name in ("sft", "kd"):
        left, right = alone[name], both[name]
        assert left.status == right.status == "ok"
        assert right.environment.gpus == 2
        assert right.cost.steps == left.cost.steps == 3
        assert right.cost.trained_tokens == left.cost.trained_tokens > 0
        assert right.cost.teacher_tokens == left.cost.teacher_tokens
        assert right.cost.flops == pytest.approx(left.cost.flops)
        for part in PARTS:  # but for padding, which depends on what is put together
            assert getattr(right.cost, part) == pytest.approx(getattr(left.cost, part), rel=0.1)
        assert right.stages[0].notes["micro_batch_size"] == 2
        assert left.stages[0].notes["micro_batch_size"] == 4
        for (key, a), b in zip(
            checkpoint(one, name).items(), checkpoint(other, name).values(), strict=True
        ):
            # Adam's first steps are signs of gradients: where one is nought, rounding decides
            assert torch.isclose(a, b, atol=1e-5).float().mean() > 0.99, key


@pytest.mark.slow
def test_the_budget_is_of_all_processes_together(two):
    records, folder, _ = two(2, "--plugins", "sft", budget="trained_tokens = 1000")
    cost = records["sft"].cost
    assert records["sft"].status == "ok"
    assert records["sft"].stages[0].notes["stopped_by_budget"] is True
    assert 500 < cost.trained_tokens <= 1000
    (stage,) = (folder / "stages").glob("train-sft-*")
    steps = [line for line in (stage / "events.jsonl").read_text().splitlines() if '"loss"' in line]
    assert len(steps) == cost.steps  # logged by one process


@pytest.mark.slow
def test_a_batch_that_two_processes_cannot_share_is_one_line(two):
    records, _, done = two(2, "--plugins", "rl", "--set", "rl.prompts_per_step=1",
                           "--set", "rl.num_generations=3", check=1)  # fmt: skip
    (failed,) = (record for name, record in records.items() if name != "start")
    assert failed.status == "failed"
    assert "a batch of 3 rows cannot be shared by 2 processes" in failed.error
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("how", [[], pytest.param(["compiled"], marks=COMPILES)])
def test_sharded_weights_are_saved_whole(how, small_models, tmp_path):
    """FSDP 2 on a CPU: what two processes save is what one process without it has."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    address = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    command = [sys.executable, str(Path(__file__).parent / "support" / "shard.py")]
    processes = [
        subprocess.Popen(
            [*command, str(small_models / "start"), str(tmp_path), *how],
            env={**os.environ, **address, "RANK": str(rank), "PYTHONPATH": paths},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    for process in processes:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors[-3000:]
    saved = load_file(tmp_path / "checkpoint" / "model.safetensors")
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(small_models / "start")
    ids = torch.arange(8).reshape(2, 4) + 5
    model(input_ids=ids, labels=ids).loss.backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    assert saved.keys() == load_file(small_models / "start" / "model.safetensors").keys()
    for name, weight in model.state_dict().items():
        if name in saved:
            torch.testing.assert_close(saved[name], weight, msg=name)
