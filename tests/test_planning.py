"""Plans: estimates follow from sizes, and a dry run needs neither data, network nor GPU."""

from __future__ import annotations

import json
import math
import re
import shutil
from pathlib import Path

import numpy as np
import processes
import pytest
from rich.console import Console

from harness.bench.folder import Folder
from harness.bench.plan import plan
from harness.boards.board import load_board
from harness.boards.conditions import read_conditions
from harness.boards.file import Compute, ScoreTable
from harness.errors import UsageError
from harness.forecast import formulas, model_sizes
from harness.forecast.formulas import Setting
from harness.forecast.gpus import GPUS, cpu_speed, find_gpu
from harness.forecast.model_sizes import Shape
from harness.forecast.power import measured_noise, power, power_of
from harness.forecast.preview import choose_gpu, preview
from harness.forecast.stages import workload
from harness.leaderboard.build import build
from harness.leaderboard.comparison import Uncertainty
from harness.leaderboard.data import Noise
from harness.leaderboard.planning import ASSUMED, smallest_difference
from harness.leaderboard.stats import minimum_detectable
from harness.plugin.host import Host
from harness.plugin.workload import Expected, Workload
from harness.records import read_records
from harness.render.plan import render, render_power

QWEN = model_sizes.QWEN["0.5B"]
WORK = Workload(rows=7473, prompt=100, solution=100, answer=280, limit=512)
SFT = Expected(steps=935, sequences=32, length=200, micro_batch=32)
RL = Expected(
    steps=234, sequences=256, length=380, micro_batch=256, rollouts=256, limit=512, together=256
)


def train(expected, caps=None, teacher=None, gpu="H200", **compute):
    at = Setting(QWEN, teacher, WORK, Compute(**compute), find_gpu(gpu))
    return formulas.training(expected, caps or {}, at)


def dry_run(name, folder, gpu=None, **arguments):
    host = Host(download=False)
    board = load_board(name, host)
    chosen, note = choose_gpu(gpu, board, "cpu")
    made = plan(board, host, where="cuda" if chosen else "cpu", **arguments)
    return preview(made, Folder(folder), chosen, note)


def shown(preview, width=100):
    console = Console(width=width, markup=False, highlight=False)
    with console.capture() as capture:
        console.print(render(preview))
    return capture.get()


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("h200", "H200"),
        ("NVIDIA H200", "H200"),
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA H100 PCIe", "H100-PCIe"),
        ("NVIDIA A100-SXM4-80GB", "A100-80"),
        ("NVIDIA A100-SXM4-40GB", "A100-40"),
        ("A100 80GB PCIe", "A100-80"),
        ("NVIDIA GeForce RTX 4090", "RTX-4090"),
        ("rtx3090", "RTX-3090"),
        ("Tesla T4", "T4"),
        ("NVIDIA L40S", "L40S"),
        ("NVIDIA A10", "A10"),
    ],
)
def test_a_gpu_is_found_by_the_names_people_and_nvidia_smi_give_it(written, name):
    assert find_gpu(written).name == name


def test_an_unknown_gpu_is_one_line_with_the_nearest():
    with pytest.raises(UsageError, match=r"no figures for a GPU 'H2000'; did you mean 'H200'\?"):
        find_gpu("H2000")
    with pytest.raises(UsageError, match="known: A10, ") as caught:
        find_gpu("NVIDIA Quadro 9")
    assert all(str(caught.value).count(f" {name},") < 2 for name in GPUS)


def test_every_gpu_is_found_by_its_own_name():
    assert [find_gpu(name).name for name in GPUS] == list(GPUS)


@pytest.mark.parametrize("size", model_sizes.QWEN)
def test_the_parameters_of_the_table_follow_from_the_shapes(size):
    shape = model_sizes.QWEN[size]
    h, kv, f, v = shape.hidden, shape.kv, shape.inner, shape.vocabulary
    attention = 2 * h * h + h + 2 * (h * kv + kv)
    layer = attention + 3 * h * f + 2 * h
    embeddings = v * h * (2 if size == "7B" else 1)
    assert shape.parameters == shape.layers * layer + h + embeddings


def test_the_shape_of_a_folder_is_that_of_its_model(small_models):
    shape = model_sizes.folder_shape(small_models / "start")
    assert (shape.layers, shape.hidden, shape.inner, shape.kv, shape.vocabulary) == (
        2, 32, 64, 16, 320,
    )  # fmt: skip
    from harness.checkpoints import parameter_count

    assert shape.parameters == parameter_count(small_models / "start")


def test_supervised_training_costs_six_flops_a_parameter_and_token():
    found = train(SFT)
    assert found.trained_tokens == 935 * 32 * 200
    assert found.flops == pytest.approx(6 * 494_032_768 * 935 * 32 * 200)
    assert found.generated_tokens == found.teacher_tokens == 0
    adapter = train(Expected(**{**vars(SFT), "adapter": 0.0}))
    assert adapter.flops == pytest.approx(found.flops * 4 / 6)
    assert adapter.memory_bytes < found.memory_bytes


def test_a_cap_stops_a_stage_before_it_is_passed():
    whole = train(SFT)
    for caps in (
        {"steps": 100},
        {"trained_tokens": whole.trained_tokens / 3},
        {"flops": whole.flops / 7},
        {"computed_flops": whole.flops / 7},
        {"seconds": (whole.seconds - formulas.START_SECONDS["cuda"]) / 2},
        {"gpu_seconds": (whole.gpu_seconds - formulas.START_SECONDS["cuda"]) / 2},
    ):
        found = train(SFT, caps)
        assert found.steps < whole.steps
        for name, cap in caps.items():
            spent = getattr(found, name)
            spent -= formulas.START_SECONDS["cuda"] if "seconds" in name else 0
            step = spent / found.steps
            assert cap - step < spent <= cap * 1.000001


def test_rollouts_take_time_that_flops_do_not_show():
    supervised, reinforced = train(SFT), train(RL)
    ratio = reinforced.flops / supervised.flops
    assert reinforced.seconds / supervised.seconds > 2 * ratio
    per_step = 512 * 24 * 0.8e-3  # launches of 24 layers, 512 tokens
    assert reinforced.seconds > 234 * per_step
    assert train(RL, engine="vllm").seconds < reinforced.seconds / 3


def test_a_teacher_is_paid_for_in_flops_and_memory():
    taught = Expected(**{**vars(SFT), "taught": 32})
    teacher = model_sizes.QWEN["1.5B"]
    found = train(taught, teacher=teacher)
    assert found.teacher_tokens == found.trained_tokens
    extra = 2 * teacher.parameters * found.teacher_tokens
    assert found.flops == pytest.approx(train(SFT).flops + extra)
    assert found.memory_bytes - train(SFT).memory_bytes == pytest.approx(2 * teacher.parameters)


def test_the_forward_pass_is_halved_until_it_fits():
    large = train(RL)
    little = train(RL, gpu="RTX-3090")
    assert little.micro_batch < large.micro_batch <= 256
    assert little.fits
    assert little.memory_bytes <= 0.9 * 24e9
    assert math.log2(256 / little.micro_batch).is_integer()
    checkpointed = train(RL, gpu="RTX-3090", gradient_checkpointing=True)
    assert checkpointed.micro_batch > little.micro_batch


def test_several_gpus_share_a_batch_and_its_rollouts():
    assert train(SFT, gpus=2).micro_batch == 16
    four = Expected(**{**vars(SFT), "micro_batch": 4})
    assert train(four, gpus=2).micro_batch == 4  # a process has 16 rows in a step
    written = Expected(**{**vars(RL), "micro_batch": 1, "together": 4096})  # the cache is the peak
    one, two = train(written).memory_bytes, train(written, gpus=2).memory_bytes
    cache = 4096 * (WORK.prompt + RL.limit) * QWEN.cache_bytes
    assert one - two == pytest.approx(cache / 2)


def test_what_cannot_fit_says_so():
    teacher = model_sizes.QWEN["7B"]
    taught = Expected(**{**vars(SFT), "taught": 32})
    found = train(taught, teacher=teacher, gpu="T4")
    assert not found.fits
    assert found.micro_batch == 1


def test_two_gpus_halve_the_hours_and_not_the_gpu_hours():
    one, two = train(RL), train(RL, gpus=2)
    start = formulas.START_SECONDS["cuda"]
    assert two.seconds - start == pytest.approx((one.seconds - start) / 2)
    assert two.gpus == 2


def test_scoring_on_two_gpus_halves_the_hours_and_holds_both():
    table = ScoreTable(task="t", max_new_tokens=100)
    start = formulas.START_SECONDS["cuda"]
    one, two, vllm = (
        formulas.scoring([(table, 256, 50.0)], Setting(QWEN, None, WORK, compute, find_gpu("H200")))
        for compute in (Compute(), Compute(gpus=2), Compute(gpus=2, engine="vllm"))
    )
    assert two.seconds - start == pytest.approx((one.seconds - start) / 2)
    assert (one.gpus, two.gpus, vllm.gpus) == (1, 2, 2)
    assert two.flops == one.flops
    alone = Setting(QWEN, None, WORK, Compute(engine="vllm"), find_gpu("H200"))
    assert vllm.seconds == formulas.scoring([(table, 256, 50.0)], alone).seconds


def test_scoring_counts_every_sample():
    once = ScoreTable(task="t", max_new_tokens=100)
    many = ScoreTable(task="t", max_new_tokens=100, samples=4, temperature=0.7)
    at = Setting(QWEN, None, WORK, Compute(), find_gpu("H200"))
    one = formulas.scoring([(once, 640, 50.0)], at)
    four = formulas.scoring([(many, 640, 50.0)], at)
    assert four.generated_tokens == 4 * one.generated_tokens
    start = formulas.START_SECONDS["cuda"]
    assert four.seconds - start == pytest.approx(4 * (one.seconds - start))


@pytest.mark.parametrize("name", ["srlm-0.5b-instruct", "srlm-0.5b-base", "math-0.5b"])
def test_a_dry_run_of_a_real_board_needs_nothing(name, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "none"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "none"))
    found = dry_run(name, tmp_path)
    board = load_board(name, Host(download=False))
    assert found.machine == "H200"
    assert "no GPU is visible" in found.notes[0]
    assert len(found.cells) == 1 + 3 * len(board.file.trainers)
    assert 1 < found.gpu_hours < 100
    for each in found.stages:
        assert each.estimate.fits, each.label
        assert each.estimate.seconds > 0
        cap = board.file.budget.flops
        assert each.kind == "generate" or 0 < each.estimate.flops <= cap * 1.001
    models = {one.name: one for one in found.downloads if one.what != "data"}
    assert all(one.state == "to download" and len(one.revision) == 40 for one in models.values())
    assert models[board.file.start_model.partition("@")[0]].bytes == pytest.approx(
        0.988e9, rel=0.01
    )
    data = {task for one in found.downloads if one.what == "data" for task in one.tasks}
    assert data == set(board.tasks)
    text = shown(found)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 100
    assert "GPU-hours" in text


def test_the_later_stage_of_a_chain_gets_what_is_left(tmp_path):
    found = dry_run("srlm-0.5b-instruct", tmp_path, terms=("sft+rl", "rl"), seeds=(0,))
    flops = {each.label: each.estimate.flops for each in found.stages if each.kind == "train"}
    assert flops["sft@0.5"] + flops["sft+rl"] <= 6e16
    assert flops["sft+rl"] < flops["rl"]


def test_only_what_the_trainers_of_the_plan_need_is_downloaded(tmp_path):
    def names(*terms):
        found = dry_run("srlm-0.5b-instruct", tmp_path, terms=terms, seeds=(0,)).downloads
        return {one.what for one in found} | {task for one in found for task in one.tasks}

    assert not names("sft") & {"teacher", "gsm8k_r1"}
    assert names("kd") & {"teacher", "gsm8k_r1"} == {"teacher"}
    assert names("kd-traces") & {"teacher", "gsm8k_r1"} == {"gsm8k_r1"}


def test_a_larger_gpu_takes_less_time(tmp_path):
    fast = dry_run("srlm-0.5b-instruct", tmp_path, "H200", terms=("sft",), seeds=(0,))
    slow = dry_run("srlm-0.5b-instruct", tmp_path, "RTX-3090", terms=("sft",), seeds=(0,))
    assert slow.seconds > fast.seconds
    assert fast.notes == ()


def test_a_gpu_without_bfloat16_is_named(tmp_path):
    found = dry_run("srlm-0.5b-instruct", tmp_path, "T4", terms=("sft",), seeds=(0,))
    assert any("T4 has no bfloat16" in note for note in found.notes)


def test_the_tiny_board_is_planned_for_the_cpu(tmp_path):
    found = dry_run("tiny", tmp_path)
    assert found.device == "cpu"
    assert found.gpu_hours is None
    assert all(one.state == "here" for one in found.downloads)
    assert "CPU thread" in shown(found)


def test_who_asks_for_a_cpu_has_it_planned(harness):
    command = ["bench", "srlm-0.5b-instruct", "--device", "cpu", "--dry-run", "--json"]
    assert json.loads(harness(*command).stdout)["machine"] == "1 CPU thread"
    named = harness(*command, "--gpu", "A100-80")
    assert json.loads(named.stdout)["machine"] == "A100-80"


def test_a_wider_model_is_planned_to_keep_a_cpu_busier():
    tiny, wide, huge = (cpu_speed(size, "float32") for size in (860_000, 135_000_000, 10**9))
    assert tiny < wide < huge
    assert cpu_speed(135_000_000, "bfloat16") > wide
    assert cpu_speed(860_000, "bfloat16") == tiny
    for size in (860_000, 135_000_000, 10**9):
        assert cpu_speed(size, "float32", reading=True) > cpu_speed(size, "float32")


@pytest.mark.parametrize(
    ("shape", "rows", "answers", "prompt", "tokens_a_second"),
    [
        (Shape(1_180_800, 4, 128, 512, 128, 512), 128, 384, 50, 5877),
        (Shape(3_936_512, 4, 256, 1024, 64, 260), 64, 128, 51, 4568),
        (Shape(3_936_512, 4, 256, 1024, 64, 260), 8, 24, 46, 1969),
        (Shape(162_826_560, 30, 576, 1536, 192, 49_152), 8, 16, 45, 54),
        (Shape(162_826_560, 30, 576, 1536, 192, 49_152), 32, 48, 47, 133),
    ],
)
def test_writing_on_a_cpu_is_planned_within_a_factor_of_two_of_what_was_measured(
    shape, rows, answers, prompt, tokens_a_second
):
    """With the models of `benchmarks/generation.py` on one thread of a Xeon; see `gpus.py`."""
    at = Setting(shape, None, WORK, Compute(), None)
    mean = formulas.ANSWER_SHARE * 128
    seconds = at.decode(shape, answers, rows, prompt + mean, 128)
    assert 1 / 2 < answers * mean / seconds / tokens_a_second < 2
    half = Setting(shape, None, WORK, Compute(dtype="bfloat16"), None)
    two = Setting(shape, None, WORK, Compute(threads=2), None)
    assert half.decode(shape, answers, rows, prompt + mean, 128) < seconds
    assert two.decode(shape, answers, rows, prompt + mean, 128) == pytest.approx(seconds / 2)


@pytest.mark.parametrize("gpu", [None, find_gpu("H200")])
def test_rows_that_end_make_room_and_the_longest_answer_is_waited_for(gpu):
    at = Setting(QWEN, None, WORK, Compute(), gpu)

    def seconds(answers, rows):
        return at.decode(QWEN, answers, rows, 300.0, 200)

    assert at.decode(QWEN, 0, 8, 300.0, 200) == 0
    # two batches of answers that have half of their limit take hardly more steps than the longest
    assert seconds(64, 64) < seconds(128, 64) < 1.999 * seconds(64, 64)
    assert seconds(1280, 64) == pytest.approx(2 * seconds(640, 64))


def test_a_plan_fills_the_budget_that_is_to_be_used_up(tmp_path):
    found = dry_run("tiny", tmp_path, terms=("sft", "rl", "sft+rl"), seeds=(0,))
    cap = found.caps["flops"]
    flops = {one.label: one.estimate.flops for one in found.stages if one.kind == "train"}
    assert flops.keys() == {"sft", "rl", "sft@0.5", "sft+rl"}
    rl, whole, half, last = (flops[name] for name in ("rl", "sft", "sft@0.5", "sft+rl"))
    assert 0.8 * cap < whole <= cap
    assert 0.8 * cap < rl <= cap
    assert half <= cap / 2
    assert 0.8 * cap < half + last <= cap


def test_earlier_records_of_the_same_gpu_tell_the_time(small_board, tmp_path):
    from generated import record

    from harness.records import Environment, Outside, write_record

    folder = Folder(tmp_path / "runs")

    def seconds(gpu):
        found = dry_run(str(small_board), folder.path, gpu, terms=("unruly",), seeds=(0,))
        return [(one.estimate.seconds, one.estimate.source) for one in found.stages]

    place = {"python": "3.11", "platform": "Linux", "processor": "x86"}
    where = Environment(**place, gpu="NVIDIA H100 80GB HBM3", device="cuda")
    made = record("unruly", 0, {"words": "CCWW"}, environment=where, scoring_seconds=77.0)
    write_record(made, folder.records)
    assert (77.0, "earlier records") in seconds("H100")
    assert made.stages[0].cost.seconds in [value for value, _ in seconds("H100")]
    outside = Outside(
        seconds=made.stages[0].cost.seconds + 5, cpu_seconds=1, peak_memory_bytes=1, processes=1
    )
    slow = made.stages[0].model_copy(update={"outside": outside})
    write_record(made.model_copy(update={"stages": (slow,)}), Folder(tmp_path / "slow").records)
    folder = Folder(tmp_path / "slow")  # with what a stage takes to start
    assert {(82.0, "earlier records"), (outside.seconds, "earlier records")} <= {*seconds("H100")}
    assert all(source != "earlier records" for _, source in seconds("A100-80"))
    assert all(source != "earlier records" for _, source in seconds(None))


def test_a_share_of_the_budget_and_a_place_in_a_chain_have_times_of_their_own(tmp_path):
    """What `sft` and `rl` took says nothing of `sft@0.5` and of `sft+rl`."""
    from generated import record

    from harness.records import Environment, write_record

    where = Environment(python="3.11", platform="Linux", processor="")

    def sources(*rows):
        folder = Folder(tmp_path / "-".join(name for name, _ in rows))
        for number, (name, share) in enumerate(rows):
            made = record(name.split("@")[0], number, {"words": "CW"}, environment=where)
            write_record(made.model_copy(update={"trainer": name, "share": share}), folder.records)
        found = dry_run("tiny", folder.path, terms=("sft", "rl", "sft+rl"), seeds=(0,))
        told = {one.label: one.estimate.source for one in found.stages if one.kind == "train"}
        assert told.keys() == {"sft", "rl", "sft@0.5", "sft+rl"}
        return {label for label, source in told.items() if source == "earlier records"}

    assert sources(("sft", 1.0)) == {"sft"}
    assert sources(("rl", 1.0)) == {"rl"}
    assert sources(("sft@0.5", 0.5)) == {"sft@0.5"}
    assert sources(("sft+rl", 1.0)) == {"sft@0.5", "sft+rl"}
    assert sources(("sft+rl@0.5", 0.5)) == set()


def test_on_a_cpu_the_same_processor_tells_the_time_and_assumed_times_are_marked(
    small_board, tmp_path
):
    """By its model: how many of its cores a bench may use says nothing of a stage's threads."""
    from generated import record

    from harness.records import Environment, write_record
    from harness.stage.environment import processor_name

    small_board.write_text(small_board.read_text().replace("steps = 3", "flops = 1e9"))
    mine = processor_name()
    model, cores = mine.rsplit(", ", 1)

    def planned(name, processor):
        folder = Folder(tmp_path / name)
        if processor is not None:
            place = {"python": "3.11", "platform": "Linux", "processor": processor}
            made = record(
                "unruly", 0, {"words": "CCWW"}, environment=Environment(**place),
                scoring_seconds=77.0,
            )  # fmt: skip
            write_record(made, folder.records)
        return dry_run(str(small_board), folder.path, terms=("unruly", "unruly-slow"), seeds=(0,))

    def times(found):
        """Return the time of each line of stages, and the plan's."""
        lines = [re.sub(r" +", " ", line) for line in shown(found).splitlines()]
        stages = [line for line in lines if re.match(r" (train|score) ", line)]
        (total,) = [line for line in lines if line.startswith("To do:")]
        return ["*" in line for line in stages], "*" in total

    none = planned("none", None)
    assert times(none) == ([True, True, True], True)
    assert "*: assumed" in shown(none)
    assert "earlier records" not in " ".join(none.notes)
    assert "median of earlier records" not in shown(none)
    for name, processor in {
        "same": mine, "more cores": f"{model}, 4096 cores", "not said": ""
    }.items():  # fmt: skip
        found = planned(name, processor)
        sources = {one.label: one.estimate.source for one in found.stages if one.kind == "train"}
        assert sources == {"unruly": "earlier records", "unruly-slow": "caps"}
        assert found.notes == none.notes
        # scoring and the trainer that has a record are told by it; the other's time is assumed
        assert sorted(times(found)[0]) == [False, False, True]
        assert times(found)[1]
        assert "times without *: median of earlier records" in " ".join(shown(found).split())
    other = planned("other", f"Abacus 9000, {cores}")
    assert times(other) == times(none)
    (said,) = set(other.notes) - set(none.notes)
    assert said.endswith("made on another machine (Abacus 9000) are not used")
    assert said in " ".join(shown(other).split())


def test_lengths_are_measured_where_the_rows_are_at_hand():
    board = load_board("tiny", Host())
    found = workload(board)
    assert found.rows == 3000
    assert 30 < found.prompt < 90
    assert found.limit == 96


def test_a_trainer_that_says_nothing_of_itself_is_estimated_by_its_caps(small_board, tmp_path):
    text = small_board.read_text()
    small_board.write_text(text.replace("steps = 3", "flops = 1e9"))
    found = dry_run(str(small_board), tmp_path / "runs")
    (one, _) = [each for each in found.stages if each.kind == "train"]
    assert (one.estimate.flops, one.estimate.source) == (1e9, "caps")


def test_a_model_in_the_hubs_cache_is_found_without_asking_the_hub(
    small_board, small_models, tmp_path, monkeypatch
):
    commit = "c" * 40
    cache = tmp_path / "cache"
    place = cache / "models--us--small" / "snapshots" / commit
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    old = 'start_model = "start"'
    small_board.write_text(
        small_board.read_text().replace(old, f'start_model = "us/small@{commit}"')
    )
    found = dry_run(str(small_board), tmp_path / "runs")
    assert found.downloads[0].state == "to download"
    assert found.downloads[0].bytes is None
    assert any("not known until it is downloaded" in note for note in found.notes)
    assert "unknown" in shown(found)
    shutil.copytree(small_models / "start", place)
    found = dry_run(str(small_board), tmp_path / "runs")
    assert found.downloads[0].state == "here"
    assert found.downloads[0].revision == commit
    (place / "model.safetensors").write_bytes(b"cut short")
    assert dry_run(str(small_board), tmp_path / "runs").downloads[0].state == "to download"


def test_the_command_prints_the_plan_and_its_json(harness):
    text = harness("bench", "math-0.5b", "--dry-run", "--gpu", "a100-80").stdout
    assert "planned for one A100-80" in text
    assert "Not fit for ranking: amc23, aime24." in " ".join(text.split())
    board = ("srlm-0.5b-base", "--plugins", "rl")
    given = harness("bench", *board, "--dry-run", "--gpu", "h100", "--json").stdout
    found = json.loads(given)
    assert found["machine"] == "H100"
    assert {"steps", "trained_tokens", "generated_tokens", "flops", "seconds"} <= set(
        found["stages"][-1]["estimate"]
    )
    assert [(one["state"], len(one["stages"])) for one in found["cells"]] == [
        ("to do", 1), ("to do", 2), ("to do", 2), ("to do", 2),
    ]  # fmt: skip
    done = harness("bench", "--gpu", "H100", check=2)
    assert "use it with --dry-run" in done.stderr
    done = harness("bench", "tiny", "--dry-run", "--gpu", "H2000", check=2)
    assert "did you mean 'H200'" in done.stderr


def test_a_plan_fits_a_narrow_terminal_and_cuts_no_name_off(tmp_path):
    text = shown(dry_run("math-0.5b", tmp_path, "T4"), 80)
    assert max(map(len, text.splitlines())) <= 80
    head = text.split("Needs")[0]
    assert "…" not in head
    assert all(name in head for name in ("chat_zeroshot", "base_fewshot", "kd-on-policy", "Memory"))
    assert "!: more than this GPU has" in head
    assert re.search(r"aime24 +chat_zeroshot +30 +16 +2,048 +\d\d\.\d points", head)
    said = " ".join(head.split())
    assert "after Holm over 55 pairs of rows with 3 seeds, by assumed noise" in said
    assert re.search(
        r"To find 4 points: more than 50 seeds with these problems, or about [\d,]+ problems with",
        said,
    )
    assert "Ranks by math500 (chat_zeroshot)." in head


def test_a_board_that_trains_on_its_test_problems_is_not_planned(
    small_board, with_plugins, tmp_path
):
    with_plugins("wayward")
    text = small_board.read_text().replace('"unruly_sums"', '"wayward_seen"')
    text = text.split('[[scores]]\ntask = "unruly_other"')[0]
    small_board.write_text(text.replace('["unruly"]', '["wayward"]'))
    with pytest.raises(
        UsageError, match="given 1 test problems of wayward_seen: e is a of wayward"
    ):
        dry_run(str(small_board), tmp_path / "runs")


def test_a_dry_run_takes_the_records_that_are_published_as_the_plan_does(harness, tmp_path):
    (tmp_path / "leaderboards").symlink_to(Path(__file__).parents[1] / "leaderboards")
    planned = json.loads(harness("plan", "tiny", "--json").stdout)
    assert planned["records"] == "leaderboards/records/tiny"
    done = json.loads(harness("bench", "tiny", "--dry-run", "--json").stdout)
    assert done["power"]["source"] == "earlier records"
    assert done["power"]["noise"] == planned["noise"]
    text = " ".join(harness("bench", "tiny", "--dry-run").stdout.split())
    assert "train sft@0.5 " in text
    assert "@: that share of a cell's budget" in text
    alone = harness("bench", "tiny", "--dry-run", "--plugins", "sft").stdout
    assert "@: that share" not in alone


def test_runs_of_a_folder_above_are_named(tmp_path):
    published = Path(__file__).parents[1] / "leaderboards" / "records" / "tiny"
    place = tmp_path / "runs" / "tiny" / "records"
    place.mkdir(parents=True)
    for path in published.glob("sft-s*.json"):
        shutil.copy(path, place)
    below = tmp_path / "below"
    below.mkdir()

    def said(folder, *more):
        return processes.run_here(("bench", "--dry-run", *more), folder).stderr

    assert f"the runs in {tmp_path / 'runs' / 'tiny'} are not used" in said(below)
    assert "are not used" not in said(tmp_path)
    assert "are not used" not in said(below, "--runs", "../runs")


def test_what_a_board_finds_is_said_before_anything_is_trained(harness):
    text = " ".join(harness("plan", "tiny").stdout.split())
    assert "by assumed noise, for want of earlier records" in text
    folder = Path(__file__).parents[1] / "leaderboards"
    published = ("--published", str(folder))
    done = harness("plan", "tiny", *published)
    assert f"by the records in {folder / 'records' / 'tiny'}" in done.stderr
    found = json.loads(harness("plan", "tiny", *published, "--json").stdout)
    assert (found["rows"], found["seeds"], found["questions"]) == (5, 5, 300)
    printed = json.loads((folder / "tiny.json").read_text())["detectable"]
    assert found["noise"] == pytest.approx(printed["noise"])  # one implementation
    for need in found["needs"]:
        seeds, questions = need["seeds"] or need["with_seeds"], need["questions"]
        line = f"To find {100 * need['difference']:g} point"
        assert line in " ".join(done.stdout.split())
        noise = Noise(**found["noise"])
        assert (
            questions is None
            or smallest_difference(noise, questions, need["with_seeds"], found["comparisons"])
            <= need["difference"]
        )
        assert (
            need["seeds"] is None
            or smallest_difference(noise, 300, seeds, found["comparisons"]) <= need["difference"]
        )
    few = json.loads(harness("plan", "tiny", *published, "--json", "--rows", "2").stdout)
    assert few["comparisons"] == 1
    wanted = ("--points", "3", "--seeds", "10", "--json")
    more = json.loads(harness("plan", "tiny", *published, *wanted).stdout)
    assert [one["difference"] for one in more["needs"]] == [0.03]
    assert more["seeds"] == 10
    done = harness("plan", "tiny", "--points", "x", check=2)
    assert "is not a list of points such as 1,2,4" in done.stderr


@pytest.mark.parametrize("seeds", [3, 4, 5, 10])
@pytest.mark.parametrize("rows", [2, 3, 13])
def test_more_problems_never_need_more_and_a_larger_difference_never_does(seeds, rows):
    wanted = (0.01, 0.02, 0.04, 0.08, 0.155)
    found = power_of(None, rows, seeds, 1319, wanted)
    sizes = [330, 660, 1319, 2638, 5276, 50_000]
    best = found.finds_best(sizes)
    assert best == sorted(best, reverse=True)
    whole = [found.finds(size) for size in sizes]  # what the leaderboard's own test finds
    assert all(one in whole for one in best)
    assert best[0] == whole[0]
    needed = [one.questions for one in found.needs if one.questions]
    assert needed == sorted(needed, reverse=True)
    assert [one.with_seeds for one in found.needs] == sorted(
        (one.with_seeds for one in found.needs), reverse=True
    )
    for one in found.needs:
        if one.questions:
            with_seeds = found.model_copy(update={"seeds": one.with_seeds})
            assert with_seeds.finds(one.questions) <= one.difference


@pytest.mark.parametrize("questions", [1319, 5276])
def test_the_printed_verdict_finds_what_the_plan_says_it_finds(questions):
    seeds, pairs, rng = 3, 78, np.random.default_rng(0)
    flips, apart = ASSUMED.answers / questions, ASSUMED.questions / questions
    true = smallest_difference(ASSUMED, questions, seeds, pairs)
    found = []
    for _ in range(1000):
        rows = rng.normal(0, math.sqrt(ASSUMED.seeds + flips), (2, seeds))
        difference = true + rng.normal(0, math.sqrt(apart)) + rows[1].mean() - rows[0].mean()
        excess = (max(0.0, row.var(ddof=1) - flips) / seeds for row in rows)
        parts = tuple((one, flips / seeds, seeds) for one in excess)
        known = Uncertainty(apart + 2 * flips / seeds, questions - 1, parts)
        found.append(difference > known.half_width(0.05 / pairs))
    assert np.mean(found) == pytest.approx(0.8, abs=0.05)


def test_the_plan_says_where_more_problems_do_not_help():
    console = Console(width=120, color_system=None)
    with console.capture() as capture:
        console.print(render_power(power_of(None, 13, 3, 1319), "a-board", 1319, 13))
    text = capture.get()
    (few,) = [line.split() for line in text.splitlines() if line.split()[:1] == ["3"]]
    assert few == ["3", "15.0", "15.0*", "15.0*"]
    assert "3 seeds with 5,276 problems: 18.3" in " ".join(text.split())
    with console.capture() as capture:
        console.print(render_power(power_of(None, 2, 3, 300), "a-board", 300, 2))
    assert "*" not in capture.get()


def test_a_plan_says_what_it_finds_from_earlier_records_or_from_what_is_assumed():
    host = Host()
    board = load_board("tiny", host)
    records = [
        one.model_copy(update={"board": one.board.model_copy(update={"digest": board.digest})})
        for one in read_records(Path(__file__).parents[1] / "leaderboards" / "records" / "tiny")
    ]
    seeds = tuple(sorted({one.seed for one in records if one.seed is not None}))
    board.file = board.file.model_copy(update={"seeds": seeds})
    planned = plan(board, host, ["sft", "kd", "rl"])

    def noise(some):
        return measured_noise(board.conditions, board.digest, some)

    assumed, measured = (power(planned, noise(some), 300) for some in ([], records))
    assert (assumed.source, measured.source) == ("assumed", "earlier records")
    assert (measured.seeds, measured.comparisons, measured.sides) == (len(seeds), 3, 2)
    assert measured.finds(300) < assumed.finds(300)
    assert measured.finds(1319) < measured.finds(300) < measured.finds(100)
    for need in measured.needs:
        if need.seeds:
            found = smallest_difference(measured.noise, 300, need.seeds, 3)
            assert found <= need.difference
        if need.questions:
            found = smallest_difference(measured.noise, need.questions, need.with_seeds, 3)
            assert found <= need.difference
    single = power(plan(board, host, ["sft", "kd"], [0]), noise(records), 300)
    assert (single.seeds, single.comparisons, single.needs) == (1, 2, ())
    assert single.finds(300) == minimum_detectable(300, comparisons=2)
    assert single.unranked == ("kd", "sft")


@pytest.mark.parametrize(
    ("there", "given", "earlier", "unranked", "says"),
    [
        ((), "sft,rl", (), (), "told apart four times in five, at 5 % with 5 seeds"),
        (("sft", "kd"), "rl", ("kd", "sft"), (), "after Holm over 3 pairs of rows with 5 seeds"),
        (("sft", "kd"), "rl --seeds 0", ("kd", "sft"), ("rl",), "at 5 % with 5 seeds"),
        (
            (),
            "sft,rl --seeds 0,1,2",
            (),
            ("rl", "sft"),
            "after Holm over the gains of 2 rows",
        ),
        (("sft",), "rl --seeds 0", ("sft",), ("rl",), "at 5 %, of a row from the start model"),
    ],
)
def test_a_dry_run_counts_what_the_leaderboard_will_compare(
    harness, tmp_path, there, given, earlier, unranked, says
):
    """Rows that the folder has already are on it too, and are ranked by the board's seeds."""
    published = Path(__file__).parents[1] / "leaderboards" / "records" / "tiny"
    place = tmp_path / "runs" / "tiny" / "records"
    place.mkdir(parents=True)
    for path in (path for name in there for path in published.glob(f"{name}-s[0-9]-*.json")):
        shutil.copy(path, place)
    options = ("bench", "--dry-run", "--plugins", *given.split())
    found = json.loads(harness(*options, "--json").stdout)["power"]
    assert (found["earlier"], found["unranked"]) == ([*earlier], [*unranked])
    text = " ".join(harness(*options).stdout.split())
    assert says in text
    assert ("Compared too, since the folder of this bench has them: kd, sft." in text) == (
        earlier == ("kd", "sft")
    )
    plugins, _, seeds = given.partition(" --seeds ")
    chosen = {int(seed) for seed in (seeds or "0,1,2,3,4").split(",")}
    after = [
        one
        for one in read_records(published)
        if one.seed is None
        or one.trainer in there
        or (one.trainer in plugins.split(",") and one.seed in chosen)
    ]
    made = build(after, read_conditions(published / "conditions.json"))
    assert found["claim"] == made.claim
    assert found["comparisons"] == (made.pair_family or made.gain_family)
