"""Progress: one line for each event that matters, whatever kind of stage it is of."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from harness.render.progress import Lines, Live, progress

STAGES = {
    name: SimpleNamespace(id=name, kind=kind, label=label, seed=seed)
    for name, kind, label, seed in (
        ("t", "train", "sft", 0),
        ("g", "generate", "start", None),
        ("j", "judge", "sft", 0),
    )
}
OK = {"status": "ok", "error": None}
FAILED = {"status": "oom", "error": "out of\x1b[2J memory"}


@pytest.fixture
def plan():
    return SimpleNamespace(stages=STAGES)


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
    ],
)
def test_an_event_is_a_line(plan, tmp_path, event, facts, line):
    (tmp_path / "t").mkdir()
    events = [{"step": 6, "loss": 1.0}, {"step": 7, "loss": 0.25}]
    text = "".join(json.dumps(one) + "\n" for one in events)
    (tmp_path / "t" / "events.jsonl").write_text(text + '{"step": 8, "lo')
    assert Lines(plan, tmp_path).line(event, facts) == line


@pytest.mark.parametrize("stage", STAGES)
def test_a_failure_names_its_cause_and_its_log(plan, tmp_path, monkeypatch, capsys, stage):
    monkeypatch.chdir(tmp_path)
    with progress(plan, tmp_path / "stages") as show:
        show("ended", {"stage": stage, **FAILED})
    shown = capsys.readouterr().err
    assert f"memory (log: stages/{stage}/log.txt)" in shown
    assert "\x1b" not in shown


def test_the_table_has_what_runs_and_the_count_of_what_is_done(plan, tmp_path):
    live = Live(plan, tmp_path)
    live("reused", {"stage": "g"})
    live("started", {"stage": "t"})
    assert live.table().row_count == 1
    live("ended", {"stage": "t", **OK})
    assert live.table().row_count == 0
    assert live.table().title.startswith("2 of 3 stages done")
