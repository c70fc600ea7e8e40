"""A stage that runs out of memory halves its forward pass and keeps its batch."""

from __future__ import annotations

import json

import models
import pytest
from test_trainers import assert_close

from harness.errors import StageError
from harness.records import Caps, Cost, read_records
from harness.stage import memory

OPTIONS = """
[options.sft]
batch_size = 8
learning_rate = 1e-4

[options.{greedy}]
batch_size = 8
learning_rate = 1e-4
room = {room}
"""


def bench(small_board, harness, with_plugins, room, *, greedy="greedy", check=0):
    """Return the records by trainer and the folder of a bench of `sft` and of a greedy trainer."""
    with_plugins("unruly", "greedy")
    text = small_board.read_text().replace(
        "stage_seconds = 60", "stage_seconds = 400\nsave_every = 1"
    )
    small_board.write_text(text + OPTIONS.format(room=room, greedy=greedy))
    harness("bench", str(small_board), "--plugins", f"sft,{greedy}", "--seeds", "0",
            "--jobs", "2", check=check)  # fmt: skip
    folder = small_board.parent / "runs" / "small"
    return {record.trainer: record for record in read_records(folder / "records")}, folder


@pytest.mark.bench
@pytest.mark.parametrize(
    "greedy", ["greedy", pytest.param("greedy-cublas", marks=pytest.mark.slow)]
)
def test_half_the_rows_until_they_fit_and_the_same_result(
    small_board, harness, with_plugins, greedy
):
    """Whether torch's allocator finds no memory or cuBLAS, which says it in other words."""
    records, folder = bench(small_board, harness, with_plugins, room=2, greedy=greedy)
    plain, halved = records["sft"], records[greedy]
    assert plain.status == halved.status == "ok"
    assert plain.stages[0].notes["micro_batch_size"] == 8
    notes = halved.stages[0].notes
    assert notes["micro_batch_size"] == 2
    failed = notes["out_of_memory_at"]
    assert [attempt["micro_batch_size"] for attempt in failed] == [8, 4]
    assert all(attempt["step"] == 0 and attempt["rows"] == 8 for attempt in failed)
    assert halved.cost.steps == 3  # what failed attempts did is in the notes, not in the budget
    assert halved.cost.trained_tokens == plain.cost.trained_tokens
    one, other = (next((folder / "stages").glob(f"train-{name}-*/checkpoint"))
                  for name in ("sft", greedy))  # fmt: skip
    assert_close(one, other)
    # optimiser states of three steps lay in it; nothing continues from them now
    assert not [*(folder / "stages").glob("train-*/scratch")]


@pytest.mark.bench
def test_what_was_trained_before_memory_ended_is_spent_and_gone(small_board, harness, with_plugins):
    records, _ = bench(small_board, harness, with_plugins, room=8, greedy="greedy-late")
    plain, late = records["sft"], records["greedy-late"]
    assert late.status == "ok"
    assert late.cost.steps == plain.cost.steps == 3  # two of them in the attempt that failed
    notes = late.stages[0].notes
    assert "mine.pt" not in notes["found"]
    assert notes["found_open"] == []
    assert notes["found_rank"] is None
    (failed,) = notes["out_of_memory_at"]
    assert (failed["micro_batch_size"], failed["step"]) == (8, 2)
    assert 0 < failed["trained_tokens"] < late.cost.trained_tokens
    assert 0 < failed["flops"] < late.cost.flops


@pytest.mark.parametrize(
    ("steps", "caps", "spent"),
    [
        ([0, 0, 0], {"steps": 3}, None),  # in the first step: nothing is lost by it
        ([9], {"steps": 100}, None),
        ([9, 3], {"steps": 100}, 12),
        ([40, 60], {"steps": 100}, 60),  # that one began with the 40
        ([100], {"steps": 100}, 99),
        ([5], {"steps": 100, "flops": 40.0}, 5),
        ([5], {"seconds": 10.0}, None),
    ],
)
def test_what_attempts_without_memory_spent(steps, caps, spent):
    failed = tuple(
        memory.Attempt(
            micro_batch_size=8, rows=8, step=n, seconds=1, cost=Cost(steps=n, flops=n, seconds=1)
        )
        for n in steps
    )
    found = memory.spent(failed, Caps(**caps))
    assert (found and found.steps) == spent


@pytest.mark.slow
@pytest.mark.bench
def test_one_row_too_many_is_said_with_what_to_do(small_board, harness, with_plugins):
    records, folder = bench(small_board, harness, with_plugins, room=0, check=1)
    assert records["sft"].status == "ok"
    assert records["greedy"].status == "oom"
    assert "gradient_checkpointing = true" in records["greedy"].error
    (stage,) = (folder / "stages").glob("train-greedy-*")
    tried = json.loads((stage / memory.FILE).read_text())
    assert [attempt["micro_batch_size"] for attempt in tried] == [8, 4, 2]


@pytest.mark.bench
def test_answers_without_room_end_a_stage_and_divide_no_batch(small_board, harness, with_plugins):
    """Fewer rows in a forward pass would not change how many answers are written at once."""
    greedy = "greedy-answers"
    records, folder = bench(small_board, harness, with_plugins, room=0, greedy=greedy, check=1)
    assert records["sft"].status == "ok"
    assert records[greedy].status == "oom"
    assert "out of memory where one answer is written at a time" in records[greedy].error
    assert "set a smaller completion length" in records[greedy].error
    (stage,) = (folder / "stages").glob(f"train-{greedy}-*")
    assert not (stage / memory.FILE).exists()  # which an attempt with fewer rows would go by


@pytest.mark.parametrize(
    ("micro", "rows", "half"), [(32, 32, 16), (24, 24, 12), (3, 24, 1), (9, 9, 3), (5, 5, 1)]
)
def test_half_divides_the_batch(micro, rows, half):
    assert memory.half(micro, rows) == half


def test_the_board_says_how_many_rows_a_forward_pass_has(tmp_path):
    run = models.make_run(tmp_path, tmp_path, None)
    given = {"per_device_train_batch_size": 8, "gradient_accumulation_steps": 2}
    assert run.arguments(**given)["gradient_accumulation_steps"] == 2
    run = models.make_run(tmp_path, tmp_path, None, micro_batch_size=4)
    arguments = run.arguments(**given)
    assert arguments["per_device_train_batch_size"] == 4
    assert arguments["gradient_accumulation_steps"] == 4
    assert run.notes["micro_batch_size"] == 4
    run = models.make_run(tmp_path, tmp_path, None, micro_batch_size=3)
    with pytest.raises(StageError, match="micro_batch_size=3 does not divide the 16 rows"):
        run.arguments(**given)
    # more than there are: all at once
    run = models.make_run(tmp_path, tmp_path, None, micro_batch_size=64)
    assert run.arguments(**given)["per_device_train_batch_size"] == 16
    assert "per_device_train_batch_size" not in run.arguments()


def test_gradient_checkpointing_is_the_boards(tmp_path):
    run = models.make_run(tmp_path, tmp_path, None)
    assert run.arguments()["gradient_checkpointing"] is False
    run = models.make_run(tmp_path, tmp_path, None, gradient_checkpointing=True)
    assert run.arguments()["gradient_checkpointing"] is True
