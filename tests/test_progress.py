"""Progress: one line for each event that matters, whatever kind of stage it is of."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace

import pytest

from harness.render import progress as module
from harness.render.progress import Lines, Live, answers_done, last_event, progress

STAGES = {
    name: SimpleNamespace(id=name, kind=kind, label=label, seed=seed)
    for name, kind, label, seed in (
        ("t", "train", "sft", 0),
        ("g", "generate", "start", None),
        ("j", "judge", "sft", 0),
        ("u", "train", "rl", 0),
        ("v", "train", "sft", 1),
    )
}
CELLS = [
    SimpleNamespace(name="sft seed 0", stages=("t", "g", "j")),
    SimpleNamespace(name="rl seed 0", stages=("u",)),
    SimpleNamespace(name="sft seed 1", stages=("v",)),
]
OK = {"status": "ok", "error": None}
FAILED = {"status": "oom", "error": "out of\x1b[2J memory"}


@pytest.fixture
def plan():
    return SimpleNamespace(stages=STAGES, cells=CELLS)


@pytest.fixture
def clock(monkeypatch):
    """Let the tests say what time it is."""
    now = SimpleNamespace(seconds=1000.0)
    monkeypatch.setattr(module.time, "monotonic", lambda: now.seconds)
    return now


def write_events(folder, *events):
    folder.mkdir(exist_ok=True)
    text = "".join(json.dumps(one) + "\n" for one in events)
    (folder / "events.jsonl").write_text(text + '{"step": 8, "lo')


@pytest.mark.parametrize(
    ("event", "facts", "line"),
    [
        ("started", {"stage": "t"}, "train sft seed 0: started"),
        ("reused", {"stage": "g"}, "generate start: done before"),
        ("interrupted", {"stage": "j"}, "judge sft seed 0: interrupted"),
        ("ended", {"stage": "t", **OK}, "train sft seed 0: done (step 7, loss 0.25)"),
        ("ended", {"stage": "g", **OK}, "generate start: done"),
        ("started", {"stage": "j"}, ""),
        ("ended", {"stage": "j", **OK}, ""),
        ("warning", {"text": "a hook failed"}, "warning: a hook failed"),
        ("tick", {}, ""),
        ("planned", {"stages": ("t",)}, ""),
    ],
)
def test_an_event_is_a_line(plan, tmp_path, event, facts, line):
    write_events(tmp_path / "t", {"step": 6, "loss": 1.0}, {"step": 7, "loss": 0.25})
    assert Lines(plan, tmp_path).line(event, facts) == line


@pytest.mark.parametrize("stage", STAGES)
def test_a_failure_names_its_cause_and_its_log(plan, tmp_path, monkeypatch, capsys, stage):
    monkeypatch.chdir(tmp_path)
    with progress(plan, tmp_path / "stages") as show:
        show("ended", {"stage": stage, **FAILED})
    shown = capsys.readouterr().err
    assert f"memory (log: stages/{stage}/log.txt)" in shown
    assert "\x1b" not in shown


def test_a_long_stage_speaks_every_half_minute(plan, tmp_path, clock, capsys):
    """Where there is no live table: a step of how many, the speed, the loss, and what is left."""
    show = Lines(plan, tmp_path)
    show("started", {"stage": "t"})
    show("started", {"stage": "g"})
    capsys.readouterr()
    for _ in range(29):
        clock.seconds += 1
        show("tick", {})
    assert capsys.readouterr().err == ""
    at = {"step": 40, "steps": 120, "tokens": 50_000, "seconds": 20, "loss": 0.523}
    write_events(tmp_path / "t", {**at, "progress": 0.25, "spent": 0.1})
    (tmp_path / "g").mkdir()
    (tmp_path / "g" / "log.txt").write_text("answers:  10%|#  | 30/300 [00:10<02:00, 3.0it/s]\r")
    clock.seconds += 1
    show("tick", {})
    assert capsys.readouterr().err.splitlines() == [
        "[  30.0s] train sft seed 0: step 40 of 120, 2,500 tokens/s, loss 0.523, 90 s left",
        "[  30.0s] generate start: 30 of 300 answers, 4 min left",
    ]
    clock.seconds += 29
    show("tick", {})
    assert capsys.readouterr().err == ""
    clock.seconds += 1
    (tmp_path / "t" / "events.jsonl").unlink()
    show("tick", {})
    assert "train sft seed 0: running for 60 s" in capsys.readouterr().err
    show("ended", {"stage": "t", **OK})
    show("ended", {"stage": "g", **OK})
    capsys.readouterr()
    clock.seconds += 100
    show("tick", {})
    assert capsys.readouterr().err == ""


def test_what_an_interrupted_attempt_had_done_makes_no_stage_faster(plan, tmp_path, clock):
    """Four fifths were done when the bench went on: the rest takes what the new tokens say."""
    show = Lines(plan, tmp_path)
    write_events(tmp_path / "t", {"step": 85, "progress": 0.85, "spent": 0.1})
    (tmp_path / "g").mkdir()
    log = tmp_path / "g" / "log.txt"
    log.write_text("answers:  50%|#  | 150/300 [00:10<02:00, 3.0it/s]\r")
    show("started", {"stage": "t"})
    show("started", {"stage": "g"})
    clock.seconds += 4
    assert show.left_of("t") is None
    assert show.left_of("g") is None  # its answers are written anew
    write_events(tmp_path / "t", {"step": 80, "progress": 0.8})  # of the last checkpoint
    assert show.left_of("t") is None
    clock.seconds += 10
    write_events(tmp_path / "t", {"step": 81, "progress": 0.81})
    with log.open("a") as file:
        file.write("answers:  10%|#  | 30/300 [00:10<02:00, 3.0it/s]\r")
    assert show.left_of("t") == pytest.approx(190)
    assert show.left_of("g") == pytest.approx(14 * 9)
    assert show.at(STAGES["g"]) == "30 of 300 answers"
    # another seed of it begins at nothing
    show.planned = {"t", "v"}
    assert show.left() == pytest.approx((190 + 1000) / 2)
    clock.seconds += 190
    show("ended", {"stage": "t", **OK})
    assert show.took["train", "sft"] == [pytest.approx(204 / 0.2)]


def test_the_table_has_what_runs_and_the_count_of_what_is_done(plan, tmp_path):
    live = Live(plan, tmp_path)
    live("planned", {"stages": ("t", "g", "j")})
    live("reused", {"stage": "g"})
    live("started", {"stage": "t"})
    assert live.table().row_count == 1
    live("ended", {"stage": "t", **OK})
    assert live.table().row_count == 0
    assert live.headline().startswith("2 of 3 stages done, 0 of 3 cells finished")


def test_the_table_says_how_long_the_bench_has_left(plan, tmp_path, clock):
    live = Live(plan, tmp_path)
    live("planned", {"stages": ("t", "u", "v", "g", "j")})
    live("started", {"stage": "t"})
    assert live.left() is None  # nothing is known yet
    clock.seconds += 100
    write_events(tmp_path / "t", {"step": 1, "progress": 0.5})
    assert live.left() is None  # of generating nothing is known
    live("reused", {"stage": "g"})
    # t has 100 s left, sft with another seed takes 200, rl as long as what trains
    assert live.left() == pytest.approx(100 + 200 + 200)
    assert "about 8 min left" in live.headline()
    clock.seconds += 100
    live("ended", {"stage": "t", **OK})
    live("started", {"stage": "u"})
    live("started", {"stage": "v"})
    clock.seconds += 50
    assert live.left() == pytest.approx((150 + 150) / 2)
    failed = SimpleNamespace(status="failed", scores=())
    live("ended", {"stage": "u", **FAILED})
    live("record", {"cell": "rl seed 0", "record": failed})
    assert "3 of 5 stages done, 1 of 3 cells finished" in live.headline()
    live("ended", {"stage": "v", **OK})
    assert live.planned == {"j"}
    assert live.left() == 0.0


@pytest.mark.parametrize("line", ["[" * 5000, "[1]", '"x"', "\xff", "", '{"step": 1e999}'])
def test_a_strange_event_is_no_event(plan, tmp_path, line):
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "events.jsonl").write_bytes(line.encode("latin-1") + b"\n")
    event = last_event(tmp_path / "t")
    assert set(event) <= {"step"}
    lines = Lines(plan, tmp_path)
    lines("started", {"stage": "t"})
    assert lines.status("t").startswith("train sft seed 0: ")


def test_answers_are_counted_by_the_engines_own_bar(tmp_path):
    from tqdm import tqdm

    with (tmp_path / "log.txt").open("w") as log:
        for _ in zip(
            tqdm(range(5), desc="answers", file=log, mininterval=0), range(3), strict=False
        ):
            pass
    assert answers_done(tmp_path) == (3, 5)
    assert answers_done(tmp_path / "nowhere") is None


def test_a_pipe_in_the_place_of_events_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "events.jsonl")
    assert last_event(tmp_path) == {}
