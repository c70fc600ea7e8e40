"""The plan knows the disk that a bench takes: checked against what benches leave."""

from __future__ import annotations

import json
from collections import namedtuple
from pathlib import Path

import pytest

from harness.boards.board import BUILT_IN
from harness.boards.file import Compute
from harness.forecast import disk as forecast
from harness.forecast.formulas import Estimate
from harness.forecast.model_sizes import QWEN

NAMES = sorted(path.stem for path in BUILT_IN.glob("*.toml"))
TINY = Path(__file__).parents[1] / "plugins" / "harness_tiny"
BOARD = f"""
schema = 1
name = "sized"
title = "The tiny board's models, trained for three steps"
start_model = "{TINY}/models/start"
plugins = ["tiny"]
trainers = ["sft", "sft-lora", "sft+rl"]
seeds = [0]
[data]
train = ["tiny_word"]
limit = 32
[budget]
steps = 3
chain = "rest"
[compute]
batch_size = 64
save_every = 1
stage_seconds = 3600
[[scores]]
task = "tiny_word"
max_new_tokens = 48
limit = 64
ranking = true
[options.sft]
max_steps = 2
batch_size = 8
[options.rl]
prompts_per_step = 4
num_generations = 4
"""


DATA = """[data]
train = ["tiny_word"]
limit = 32
"""
EVERY = f"""
teacher = "{TINY}/models/teacher"
{DATA}traces = ["tiny_word"]
[options.kd-sequence]
samples = 1
[options.kd-traces]
verified = false
[options.rft]
problems_at_once = 8
samples = 2
"""
ROLLOUTS = """
prompts_per_step = 4
num_generations = 4
"""


def size(*folders: Path) -> int:
    """Return the bytes of all files in folders."""
    files = (path for folder in folders for path in folder.rglob("*"))
    return sum(path.stat().st_size for path in files if path.is_file())


@pytest.mark.bench
def test_a_bench_leaves_what_was_planned(harness, tmp_path):
    (tmp_path / "sized.toml").write_text(BOARD)
    planned = json.loads(harness("bench", "sized.toml", "--dry-run", "--json").stdout)
    kept = planned["disk"]["kept_bytes"]
    assert planned["disk"]["checkpoints"] == 3
    harness("bench", "sized.toml", "--jobs", "1")
    runs = tmp_path / "runs" / "sized"
    assert size(runs) == pytest.approx(kept, rel=0.2)
    trained = sorted((runs / "stages").glob("train-*"))
    stages = {one["id"]: one["estimate"] for one in planned["stages"]}
    assert len(trained) == 3
    for folder in trained:
        assert size(folder / "checkpoint") == pytest.approx(stages[folder.name]["kept_bytes"], 0.02)
        assert not (folder / "scratch").exists()  # nothing continues from it now
    scored = [size(*(runs / "stages").glob("generate-*"), *(runs / "stages").glob("judge-*"))]
    scored.append(size(runs / "answers"))
    answers = sum(each["kept_bytes"] for name, each in stages.items() if "generate" in name)
    assert answers / 2 < sum(scored) < 2 * answers  # how long answers are, nobody knows before
    again = json.loads(harness("bench", "sized.toml", "--dry-run", "--json").stdout)["disk"]
    assert (again["kept_bytes"], again["working_bytes"], again["checkpoints"]) == (0, 0, 0)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_no_built_in_trainer_leaves_scratch(harness, tmp_path):
    pytest.importorskip("torch")
    from train_all import offers

    assert DATA in BOARD
    text = BOARD.replace(DATA, EVERY).replace("limit = 64", "limit = 4")
    text = text.replace("max_new_tokens = 48", "max_new_tokens = 96")  # traces have to fit
    for name in ("rloo", "rl-random", "rl-format", "hybrid-joint"):
        text += f"[options.{name}]{ROLLOUTS}"
    (tmp_path / "sized.toml").write_text(text)
    harness("bench", "sized.toml", "--plugins", ",".join(offers()), "--jobs", "1")
    stages = tmp_path / "runs" / "sized" / "stages"
    specs = [json.loads(path.read_text()) for path in stages.glob("train-*/stage.json")]
    alone = {name for name, offer in offers().items() if offer.train}  # the others are chains
    assert {spec["identity"]["trainer"] for spec in specs} == alone
    assert all(spec["compute"]["save_every"] == 1 for spec in specs)
    assert not [*stages.glob("*/scratch")]  # optimiser states lay in each


@pytest.mark.bench
@pytest.mark.parametrize("name", ["sft", "rl", "sft-lora"])
def test_training_checkpoints_are_as_large_as_planned(name, tmp_path):
    pytest.importorskip("torch")
    from train_all import train

    from harness import checkpoints

    start = TINY / "models" / "start"
    run = train(name, tmp_path, start, None, options={"max_steps": 4}, save_every=1)
    kept = sorted((run.scratch / "trainer").glob("checkpoint-*"))
    assert [path.name for path in kept] == ["checkpoint-3", "checkpoint-4"]
    whole = checkpoints.parameter_count(start)
    trained = 1.0
    if name == "sft-lora":
        from harness import weights

        adapter = weights.header(kept[0] / "adapter_model.safetensors")
        trained = sum(row[0] * row[1] for row in (one.shape for one in adapter.values())) / whole
    found = forecast.with_training(
        Estimate(steps=4), whole, forecast.beside(start), trained, Compute(save_every=1)
    )
    assert found.working_bytes / forecast.SAVED == pytest.approx(size(*kept) / 2, rel=0.2)


def test_a_stage_that_saves_nothing_needs_no_room_for_it():
    def working(steps: int, **compute: float) -> float | None:
        made = Compute.model_validate(compute)
        found = forecast.with_training(Estimate(steps=steps, seconds=600), 10**6, 0, 1.0, made)
        return found.working_bytes

    assert working(100) == working(3, save_every=5) == working(100, save_minutes=11) == 0
    assert working(100, save_every=60) == working(3, save_minutes=6) == 12e6
    assert working(100, save_every=10) == working(3, save_minutes=2) == 36e6


def test_stages_that_run_at_once_need_their_room_at_once(tmp_path):
    stages = [Estimate(kept_bytes=10, working_bytes=bytes) for bytes in (1, 5, 3)]
    scoring = [Estimate(kept_bytes=2)] * 3
    one, two, nine = (
        forecast.disk(stages, scoring, jobs, tmp_path / "not" / "yet") for jobs in (1, 2, 9)
    )
    assert (one.kept_bytes, one.working_bytes) == (36, 5)
    assert (two.working_bytes, nine.working_bytes) == (8, 9)
    assert one.folder == str(tmp_path)
    unknown = forecast.disk([*stages, Estimate()], scoring, 1, tmp_path)
    assert unknown.needed_bytes is None
    assert unknown.fits


@pytest.mark.parametrize("free", [20e9, 200e9])
@pytest.mark.parametrize("name", NAMES)
def test_what_does_not_fit_is_said_in_one_line(name, free, harness, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(forecast.shutil, "disk_usage", lambda place: usage(0, 0, int(free)))
    command = ("bench", name, "--seeds", "0", "--gpu", "H200", "--dry-run")
    found = json.loads(harness(*command, "--json").stdout)["disk"]
    trained = found["checkpoints"]
    saved = 4 * QWEN["0.5B"].parameters
    assert found["kept_bytes"] == pytest.approx(trained * saved, rel=0.2)
    assert found["working_bytes"] == 9 * saved  # the largest stage's three training checkpoints
    text = " ".join(harness(*command).stdout.split())
    assert f"Disk: {trained} checkpoints and all answers" in text
    needed = (found["kept_bytes"] + found["working_bytes"]) / 1e9
    warning = f"! {needed:.1f} GB of disk do not fit: name a folder on a larger one with --runs."
    assert (warning in text) == (free < needed * 1e9)
    assert 20 < needed < 200


@pytest.mark.parametrize("free", [2e9, 200e9])
def test_training_checkpoints_are_charged_to_the_disk_that_scratch_names(
    free, harness, monkeypatch, tmp_path
):
    own = tmp_path / "own"
    own.mkdir()
    usage = namedtuple("usage", "total used free")
    room = {str(own): int(free)}
    monkeypatch.setattr(
        forecast.shutil, "disk_usage", lambda place: usage(0, 0, room.get(str(place), int(50e9)))
    )
    plain = ("bench", NAMES[0], "--seeds", "0", "--gpu", "H200", "--dry-run")
    command = (*plain, "--scratch", str(own))
    before = json.loads(harness(*plain, "--json").stdout)["disk"]
    found = json.loads(harness(*command, "--json").stdout)["disk"]
    saved = 4 * QWEN["0.5B"].parameters
    assert before["scratch"] is None
    assert before["working_bytes"] == 9 * saved
    assert found["working_bytes"] == 6 * saved  # a copy, and the next one while it is written
    assert found["scratch"]["working_bytes"] == 9 * saved
    assert found["scratch"]["free_bytes"] == free
    text = " ".join(harness(*command).stdout.split())
    size = f"{9 * saved / 1e9:.1f} GB"
    assert f"Scratch: {size} while stages train, in " in text
    warning = f"! {size} of disk do not fit: name a folder on a larger one with --scratch."
    assert (warning in text) == (free < 50e9)
    assert "with --runs" not in text
    away = json.loads(harness(*command, "--executor", "slurm", "--json").stdout)["disk"]
    assert away["scratch"]["free_bytes"] is None
    missing = harness(*plain, "--scratch", str(tmp_path / "none"), check=2)
    assert "no such folder" in missing.stderr


def test_one_disk_holds_both_where_scratch_lies_beside_the_runs():
    def fits(beside: bool) -> bool:
        scratch = forecast.Scratch(working_bytes=60, free_bytes=100, folder="/own", beside=beside)
        return forecast.Disk(
            checkpoints=1, kept_bytes=50, working_bytes=0, free_bytes=100, folder="/runs",
            scratch=scratch,
        ).scratch_fits  # fmt: skip

    assert fits(beside=False)
    assert not fits(beside=True)


def test_writing_checkpoints_takes_time():
    """Twice the bytes for a training checkpoint in a second, which nothing digests."""

    def seconds(parameters: int = 10**9, **compute: int) -> float:
        sized = Estimate(steps=10, seconds=1000.0, source="sizes")
        found = forecast.with_training(sized, parameters, 0, 1.0, Compute(**compute))
        assert found.seconds is not None
        return found.seconds - 1000.0

    last = 4 * 10**9 / forecast.SAVE_RATE
    often = 12 * 10**9 / (2 * forecast.SAVE_RATE)
    assert seconds(save_every=0) == pytest.approx(last)
    assert seconds(save_every=5) == pytest.approx(last + 2 * often)
    assert seconds(save_every=0, save_minutes=4) == pytest.approx(last + 4 * often)
    assert seconds(2 * 10**9, save_every=5) == pytest.approx(2 * seconds(save_every=5))


@pytest.mark.parametrize("source", ["earlier records", "caps"])
def test_a_time_that_was_measured_or_capped_has_the_writing_in_it(source):
    told = Estimate(seconds=77.0, source=source)
    found = forecast.with_training(told, 10**9, 0, 1.0, Compute(save_every=0, save_minutes=1))
    assert found.seconds == 77.0


def test_a_stage_of_unknown_length_is_given_all_training_checkpoints():
    found = forecast.with_training(Estimate(), 10**9, 0, 1.0, Compute(save_minutes=10))
    assert found.seconds is None
    assert found.working_bytes == forecast.SAVED * forecast.STATE * 10**9
