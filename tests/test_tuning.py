"""Tuning: what is held out and tried, what is chosen, and what a page says of it."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path

import generated
import pytest
import recompute
from test_published import leaves

from harness.bench.executors.local import LocalExecutor
from harness.bench.folder import Folder, finished_record
from harness.bench.plan import plan
from harness.bench.stage_inputs import StageInputs
from harness.bench.tuning.search import plan_trials
from harness.boards.board import load_board
from harness.boards.holdout import TrialBoard
from harness.errors import UsageError
from harness.leaderboard.build import build
from harness.leaderboard.compute import expected_best
from harness.plugin.host import Host
from harness.records import Cost, read_records
from harness.render import markdown, spreadsheet
from harness.stage.spec import GenerateSpec, JudgeSpec, TrainSpec
from harness.tasks.local import LocalRows
from harness.tuning import Trial, Tuning, TuningRules

TABLE = "\n[tuning]\ntrials = 3\nshare = 0.5\nholdout = 4\n"
RULES = TuningRules(trials=3, share=0.5, holdout=4)
SPACE = {"sft": {"learning_rate": "0.125 to 8 times its value, log"}}


@pytest.fixture
def tuned_board(small_board) -> Path:
    """Return a small board with three trials for each row."""
    text = small_board.read_text().replace("steps = 3", "steps = 4\nfill = true")
    text = text.replace('plugins = ["unruly"]', 'plugins = ["unruly", "sft"]')
    small_board.write_text(text.replace("seeds = [0, 1]", "seeds = [0, 1, 2]") + TABLE)
    return small_board


def searched(path: Path, *terms: str, **options):
    host = Host()
    return plan_trials(load_board(str(path), host), host, terms, **options)


def tuning(*correct: int | None, **changes) -> Tuning:
    """Return the tuning of `sft` with so many of four answers right; None for one that failed."""
    trials = tuple(
        Trial(
            options={"sft": {"learning_rate": 10.0 ** -(number + 2)}},
            record=f"sft-trial-{number}",
            verdicts="" if right is None else "C" * right + "W" * (4 - right),
            error="failed: too much" if right is None else None,
            cost=Cost(flops=1e9 * (number + 1), seconds=2.0, steps=2, peak_memory_bytes=number),
        )
        for number, right in enumerate(correct)
    )
    given = {"seed": 0, "held_out": "5" * 64, "problems": 4, "samples": 1, "space": SPACE}
    rules = RULES.model_copy(update={"trials": max(2, len(trials))})
    return Tuning(**{"rules": rules, **given, "trials": trials, **changes})


# -- the board -------------------------------------------------------------------------------------


def test_a_board_says_how_options_are_chosen(tuned_board):
    before = tuned_board.read_text()
    board = load_board(str(tuned_board), Host())
    assert board.conditions().tuning == RULES
    tuned_board.write_text(before.replace(TABLE, ""))
    without = load_board(str(tuned_board), Host())
    assert without.digest != board.digest
    assert "tuning" not in json.loads(without.conditions().to_json())
    for change, says in (
        (("fill = true", ""), r"\[tuning\] needs \[budget\] fill = true"),
        (("trials = 3", "trials = 1"), "tuning.trials: must be at least 2, not 1"),
        (("share = 0.5", "share = 0"), "tuning.share"),
        (("holdout", "hold_out"), "unknown key 'tuning.hold_out'; did you mean 'holdout'"),
    ):
        tuned_board.write_text(before.replace(*change))
        with pytest.raises(UsageError, match=says):
            load_board(str(tuned_board), Host())


def test_what_is_held_out_is_trained_on_by_no_trial(tuned_board):
    text = tuned_board.read_text().replace("[data]", '[data]\ntraces = ["unruly_traces"]')
    tuned_board.write_text(text)
    board = load_board(str(tuned_board), Host())
    tried = TrialBoard(board, RULES)
    (score,) = tried.scores
    held = {row["problem"] for row in board.train_rows() if row["id"] in score.held_out}
    assert len(held) == len(score.held_out) == tried.problems(score.table) == 4
    for rows, all_rows in (
        (tried.train_rows(), board.train_rows()),
        (tried.trace_rows(), board.trace_rows()),
    ):
        assert {row["problem"] for row in rows} == {row["problem"] for row in all_rows} - held
        assert len(rows) == 8
    assert tried.train_rows("holdout") == board.train_rows("holdout")
    assert TrialBoard(board, RULES).held_out == tried.held_out
    with pytest.raises(UsageError, match="holdout = 7 is more than half of its 12 training prob"):
        TrialBoard(board, RULES.model_copy(update={"holdout": 7}))


def test_equal_problems_and_groups_are_held_out_together(tuned_board):
    rows = [
        {
            "id": f"{n}{way}",
            "problem": f"{n}+1?",
            "answer": f"{n + 1}",
            "solution": f"{way}: {n + 1}.",
        }
        for n in range(12)
        for way in "ab"
    ]
    for row in rows:
        number = int(row["id"][:-1])
        row |= {"group": f"g{number // 3}"} if number < 6 else {}
    path = tuned_board.parent / "train.jsonl"
    mine = '[tasks.mine]\ntrain = "train.jsonl"\n\n[data]'
    text = tuned_board.read_text().replace("[data]", mine)
    tuned_board.write_text(text.replace('train = ["unruly_sums"]', 'train = ["mine"]'))
    found = []
    for order in (rows, rows[::-1]):
        path.write_text("".join(json.dumps(row) + "\n" for row in order))
        board = load_board(str(tuned_board), Host())
        tried = TrialBoard(board, RULES.model_copy(update={"holdout": 5}))
        held = {
            row["problem"] for row in board.train_rows() if row["id"] in tried.scores[0].held_out
        }
        kept = {row["problem"] for row in tried.train_rows()}
        assert len(tried.scores[0].held_out) == len(held) >= 5  # a problem is asked once
        assert not held & kept
        assert len(tried.train_rows()) == 2 * len(kept)  # taught with both of its solutions
        for group in ({"0+1?", "1+1?", "2+1?"}, {"3+1?", "4+1?", "5+1?"}):
            assert group <= held or group <= kept
        found.append(held)
    assert found[0] == found[1]


# -- the plan --------------------------------------------------------------------------------------


def test_every_row_has_the_same_number_of_trials_with_its_share(tuned_board):
    made = searched(tuned_board, "sft", "sft+unruly-picky", "unruly")
    assert [(row.name, len(row.cells)) for row in made.rows] == [
        ("sft", 3), ("sft+unruly-picky", 3), ("unruly", 0),
    ]  # fmt: skip
    host = Host()
    whole = plan(load_board(str(tuned_board), host), host, ["sft", "sft+unruly-picky"], [0])
    for row in made.rows[:2]:
        for number, (cell, setting) in enumerate(zip(row.cells, row.settings, strict=True)):
            assert cell.trainer == f"{row.name} trial {number}"
            assert (cell.seed, cell.share) == (0, 0.5)
            identities = [made.plan.stages[name].identity for name in cell.train]
            caps = [one.budget.caps.steps for one in identities]
            assert caps == ([2] if row.name == "sft" else [1, 2])
            for one in identities:
                assert one.budget.fill
                assert one.held_out == made.plan.board.held_out != ""
                chosen = setting[one.trainer]
                assert {name: one.options[name] for name in chosen} == chosen
        final = next(cell for cell in whole.cells if cell.trainer == row.name)
        first = [made.plan.stages[name].identity.options for name in row.cells[0].train]
        assert first == [whole.stages[name].identity.options for name in final.train]
    assert all(not one.identity.held_out for one in whole.stages.values() if one.kind == "train")


def test_the_number_of_trials_may_be_another_and_the_row_says_so(tuned_board):
    host = Host()
    board = load_board(str(tuned_board), host)
    assert plan_trials(board, host, ["sft"], trials=0) is None
    cell = plan(board, host, ["sft"], [0], ["sft.loss=dft"], trials=0).cells[1]
    assert cell.trainer == "sft(trials=0, sft.loss=dft)"
    assert cell.command.endswith("--plugins sft --seeds 0 --tune 0 --set 'sft.loss=dft'")
    more = plan_trials(board, host, ["sft"], trials=5)
    assert [one.trainer for one in more.plan.cells] == [
        f"sft(trials=5) trial {n}" for n in range(5)
    ]
    assert more.rules.trials == 5
    assert plan(board, host, ["sft"], [0], trials=3).cells[1].trainer == "sft"
    fixed = plan_trials(board, host, ["sft"], ["sft.learning_rate=0.1"])
    assert [len(row.cells) for row in fixed.rows] == [0]
    board.file = board.file.model_copy(update={"tuning": None})
    assert plan_trials(board, host, ["sft"]) is None
    with pytest.raises(UsageError, match=r"--tune 2: board 'small' has no \[tuning\]"):
        plan(board, host, ["sft"], trials=2)


def test_no_test_row_is_read_to_choose(tuned_board, monkeypatch, tmp_path):
    def write(name, count, offset):
        rows = [{"problem": f"{n}+{n}?", "answer": n + n + offset, "solution": "."} for n in count]
        (tuned_board.parent / name).write_text("".join(json.dumps(row) + "\n" for row in rows))

    tables = '[tasks.taught]\ntrain = "train.jsonl"\n\n[tasks.asked]\ntest = "test.jsonl"\n\n[data]'
    text = tuned_board.read_text().replace("[data]", tables)
    text = text.replace('train = ["unruly_sums"]', 'train = ["taught"]')
    head, _, rest = text.partition("[[scores]]")
    score = '[[scores]]\ntask = "asked"\nmax_new_tokens = 6\nranking = true\n'
    tuned_board.write_text(f"{head}{score}\n[tuning]{rest.partition('[tuning]')[2]}")
    write("train.jsonl", range(20), 0)
    names, reads, lines = [], [], LocalRows.lines

    def noted(self, split):
        reads.append(split)
        return lines(self, split)

    for offset in (0, 1):  # another gold answer to every test problem
        write("test.jsonl", range(40, 50), offset)
        host = Host()
        board = load_board(str(tuned_board), host)
        assert board.digest  # its name covers every row; nothing from here on reads a test row
        with monkeypatch.context() as patch:
            patch.setattr(LocalRows, "lines", noted)
            made = plan_trials(board, host, ["sft"])
            folder = Folder(tmp_path / "runs", trials=True)
            inputs = StageInputs(made.plan, folder, LocalExecutor(1, "cpu", 1, tmp_path / "log"))
            inputs.write_rows(made.plan.stages)
            specs = [inputs.spec(one, 1) for one in made.plan.stages.values() if not one.parent]
            specs += [inputs.spec(one, 1) for one in made.plan.stages.values() if one.parent]
        names.append(list(made.plan.stages))
    assert set(reads) == {"train", "holdout"}
    assert names[0] == names[1]  # nothing that can change a trial's result follows from a test row
    test, train = ((tuned_board.parent / f"{name}.jsonl").resolve() for name in ("test", "train"))
    for spec in specs:
        if isinstance(spec, TrainSpec):
            assert test in spec.closed.paths
        else:
            assert isinstance(spec, GenerateSpec | JudgeSpec)
            assert [one.reads for one in spec.rows] == [(train,)]
            assert all(one.held_out and one.local.files == {"train": train} for one in spec.rows)


# -- what is chosen --------------------------------------------------------------------------------


def test_the_first_of_the_best_is_chosen_and_a_failed_trial_is_the_worst():
    assert tuning(1, 3, 3, chosen=1).setting == {"sft": {"learning_rate": 1e-3}}
    assert tuning(None, 0, None, chosen=1).chosen == 1
    assert tuning(None, None, chosen=0).chosen == 0
    assert tuning(1, 3, chosen=1).cost.flops == 3e9
    for given, says in (
        ({"chosen": 2}, "trial 2 was chosen and is not the first best"),
        ({"chosen": 0}, "trial 0 was chosen"),
        ({"chosen": 1, "problems": 5}, "trial 0 has other than 5 answers"),
        ({"chosen": 1, "space": {}}, "3 trials, and the rules say 0"),
        ({"chosen": 1, "space": {"sft": {"loss": "a or b"}}}, "sets other options than the space"),
        ({"chosen": 1, "rules": RULES.model_copy(update={"trials": 4})}, "the rules say 4"),
    ):
        with pytest.raises(ValueError, match=says):
            tuning(1, 3, 3, **given)


def test_the_best_of_so_many_is_between_the_mean_and_the_best():
    rates = [0.2, 0.6, 0.0, 0.5, 0.55]
    found = expected_best(rates)
    means = [one.accuracy for one in found]
    assert means[0] == pytest.approx(sum(rates) / 5)
    assert means == sorted(means)
    assert means[-1] < max(rates)
    assert [(one.low, one.high) for one in found[:2]] == [(0.0, 0.6), (0.0, 0.6)]
    assert found[-1].low == 0.5  # at most the second lowest: (2/5)^5 of 1 is below 2.5 %
    assert [one.accuracy for one in expected_best([0.3, 0.3])] == pytest.approx([0.3, 0.3])
    assert expected_best([]) == ()


# -- the page --------------------------------------------------------------------------------------


def records(chosen: Tuning | None = None, trainer: str = "sft", **more):
    made = generated.board({"start": 0.3, trainer: 0.5, "kd": 0.4}, n=60, tasks=("words",))
    kept = []
    for one in made:
        if one.trainer != trainer:
            kept.append(one if one.trainer == "start" else one.model_copy(update=more).sealed())
            continue
        options = chosen.setting.get("sft", {}) if chosen else {}
        stages = tuple(stage.model_copy(update={"options": options}) for stage in one.stages)
        kept.append(one.model_copy(update={"tuning": chosen, "stages": stages}).sealed())
    return kept


def board_of(made, rules=RULES):
    conditions = generated.conditions(("words",), tuning=rules, trainers=("sft", "kd"))
    return build(made, conditions)


NO_SPACE = Tuning(rules=RULES, seed=0, held_out="5" * 64, problems=4, samples=1, space={})


def test_a_page_shows_what_was_tried_what_was_chosen_and_what_it_cost():
    found = board_of(records(tuning(1, None, 3, chosen=2), tuning=NO_SPACE))
    text = markdown.render(found)
    assert "| Seeds | Budget | Trials |" in text
    assert "**Tuning:** 3 trials for each row, each with 50 % of the budget, scored on 4" in text
    part = text.split("## How options were chosen")[1].split("\n## ")[0]
    assert "never on a test problem" in " ".join(part.split())
    assert r"| **sft** | sft.learning\_rate=0.0001 | 2 of 3 | 25.0 | 75.0 [30.1," in part
    assert "- **sft**, trial 1: failed: too much" in part
    assert "no trainer of theirs declares a search space: **kd**" in part
    cost = text.split("## Cost of training one seed")[1].split("\n## ")[0]
    assert "FLOPs of trials | Time of trials |" in cost
    assert next(line for line in cost.split("\n") if "**sft**" in line).endswith("| 6.0e09 | 6 s |")
    lines = list(csv.DictReader(io.StringIO(spreadsheet.render(found))))
    line = next(one for one in lines if one["trainer"] == "sft")
    assert (line["trials"], line["trials_failed"], line["trials_flops"]) == (
        "3",
        "1",
        "6000000000.0",
    )
    assert line["setting"] == "sft.learning_rate=0.0001"
    assert float(line["holdout_accuracy"]) == 0.75
    assert next(one["trials"] for one in lines if one["trainer"] == "kd") == "0"
    row = next(row for row in found.rows if row.trainer == "sft")
    again = recompute.tuned(
        json.loads(records(tuning(1, None, 3, chosen=2))[1].to_json())["tuning"]
    )
    shown = json.loads(found.to_json())["rows"][found.rows.index(row)]["tuning"]
    expected, compared = dict(leaves(again)), dict(leaves(shown))
    assert compared.keys() == expected.keys()
    for path, value in compared.items():
        same = value == expected[path]
        close = isinstance(value, float) and math.isclose(value, expected[path], rel_tol=1e-7)
        assert same or close, (path, value, expected[path])
    assert "seconds" not in json.dumps(found.comparable()["rows"][0]["tuning"])


def test_a_board_without_tuning_has_nothing_of_it():
    made = records()
    found = board_of(made, None)
    for text in (markdown.render(found), found.to_json(), spreadsheet.render(found)):
        assert not any(word in text for word in ("tuning", "Tuning", "rials", "holdout_"))
    assert "tuning" not in json.loads(made[1].to_json())


def test_a_row_that_was_not_tuned_as_the_board_says_is_refused():
    good = tuning(1, 2, 3, chosen=2)

    def reason(made, rules=RULES):
        refused = board_of(made, rules).refused
        return {one.reason for one in refused if one.trainer != "kd"}

    assert reason(records(good)) == set()
    assert "its options were tuned, and the board has no tuning" in reason(records(good), None)
    assert any("chosen from 0 trials, and the board has 3" in one for one in reason(records()))
    assert reason(records(trainer="sft(trials=0)")) == set()
    two = tuning(1, 2, chosen=1)
    assert any("chosen from 2 trials" in one for one in reason(records(two)))
    assert reason(records(two, trainer="sft(trials=2)")) == set()
    other = good.model_copy(update={"rules": RULES.model_copy(update={"share": 0.25})})
    assert reason(records(other)) == {"its options were tuned by other rules than the board's"}
    made = [
        one.model_copy(
            update={"stages": tuple(s.model_copy(update={"options": {}}) for s in one.stages)}
        ).sealed()
        if one.trainer == "sft"
        else one
        for one in records(good)
    ]
    assert any("other options than those that tuning chose" in one for one in reason(made))


def test_a_tuned_chain_is_compared_with_the_tuned_row_before_its_last_stage():
    def made(first, second):
        found = []
        for one in generated.board(
            {"start": 0.3, "sft": 0.5, "sft+rl": 0.6}, n=60, tasks=("words",)
        ):
            chosen = {"sft": first, "sft+rl": second}.get(one.trainer)
            options = chosen.setting["sft"] if chosen else {"learning_rate": 0.5}
            stages = tuple(s.model_copy(update={"options": options}) for s in one.stages)
            update = {"stages": stages, "tuning": chosen}
            found.append(one.model_copy(update=update).sealed())
        return generated.spending(found, {"sft": 2e12, "sft+rl": 2e12})

    conditions = generated.conditions(("words",), tuning=RULES, caps={"flops": 2e12}, fill=True)
    found = build(made(tuning(1, 2, 3, chosen=2), tuning(3, 2, 1, chosen=0)), conditions)
    chain = next(row for row in found.rows if row.trainer == "sft+rl")
    assert [one.trainer for one in chain.controls] == ["sft"]
    assert chain.stage_gain.to == "sft"


# -- a bench ---------------------------------------------------------------------------------------


def test_a_trial_that_failed_is_done_and_one_that_was_killed_is_not(tuned_board, tmp_path):
    made = searched(tuned_board, "unruly-picky")
    folder, board = Folder(tmp_path / "runs", trials=True), made.plan.board
    folder.records.mkdir(parents=True)
    for status, done in (("killed", False), ("failed", True)):
        one = generated.record(made.plan.cells[1].trainer, 0, {})
        name = f"{made.plan.cells[1].record_id}.failed1"
        update = {"id": name, "status": status, "error": "no", "checkpoint": None}
        update["board"] = one.board.model_copy(update={"digest": board.digest})
        (folder.records / f"{name}.json").write_text(
            one.model_copy(update=update).sealed().to_json()
        )
        assert bool(finished_record(made.plan.cells[1], board, folder)) is done
        assert finished_record(made.plan.cells[1], board, Folder(folder.path)) is None
    assert made.chosen(made.finished(folder)) is None  # two trials have no record


@pytest.mark.slow
def test_the_better_of_two_rates_is_chosen_for_the_embedded_model(harness, tmp_path):
    """Two trials, half of the budget each; both are scored on 40 problems held out of training."""
    tiny = load_board("tiny", Host())
    text = tiny.path.read_text().replace('name = "tiny"', 'name = "tuned"')
    head = text.partition("[[scores]]")[0]
    head = head.replace("flops = 8.0e10", "flops = 3e10").replace("[0, 1, 2, 3, 4]", "[0]")
    for model in ("start", "teacher"):
        head = head.replace(f'"models/{model}"', f'"{tiny.path.parent / "models" / model}"')
    score = '[[scores]]\ntask = "tiny_word"\nmax_new_tokens = 96\nlimit = 20\nranking = true\n'
    options = "[options.sft]\nlearning_rate = 8e-4\nbatch_size = 16\n"
    table = "[tuning]\ntrials = 2\nshare = 0.5\nholdout = 40\n\n"
    (tmp_path / "tuned.toml").write_text(head + table + score + options)
    harness("bench", "tuned.toml", "--plugins", "sft")
    found = {one.trainer: one for one in read_records(tmp_path / "runs/tuned/records")}["sft"]
    trials = found.tuning.trials
    assert [one.options["sft"]["learning_rate"] for one in trials] == [8e-4, 1.51e-4]
    assert all(len(one.verdicts) == 40 and one.cost.flops <= 1.5e10 for one in trials)
    assert found.tuning.chosen == (trials[1].correct > trials[0].correct)
    assert found.stages[0].options["learning_rate"] == found.tuning.setting["sft"]["learning_rate"]


@pytest.mark.bench
def test_a_bench_tries_chooses_and_trains_anew(harness, tuned_board, tmp_path):
    board = ("small.toml", "--plugins", "unruly-picky,unruly")
    done = harness("bench", *board, "--seeds", "0")
    assert "unruly-picky: trial 0 of 0 to 2 is the best" in done.stderr
    assert "trial 1 failed and counts as the worst: failed: flip=" in done.stderr
    assert "unruly: declares no search space, so it is run as it is" in done.stderr
    runs = tmp_path / "runs" / "small"
    tried = {one.trainer: one for one in read_records(runs / "trials" / "records")}
    assert {name: one.status for name, one in tried.items()} == {
        "unruly-picky trial 0": "ok",
        "unruly-picky trial 1": "failed",
        "unruly-picky trial 2": "failed",
    }
    assert [(one.task, one.n) for one in tried["unruly-picky trial 0"].scores] == [
        ("unruly_sums", 4)
    ]
    assert tried["unruly-picky trial 0"].stages[0].notes["rows"] == 8
    found = {one.trainer: one for one in read_records(runs / "records")}
    assert found.keys() == {"start", "unruly-picky", "unruly"}
    final = found["unruly-picky"]
    assert final.stages[0].notes["rows"] == 12  # all of the training data
    assert final.tuning.setting == {"unruly-picky": {"flip": 0}}
    assert [one.error is None for one in final.tuning.trials] == [True, False, False]
    assert final.tuning.trials[0].cost == tried["unruly-picky trial 0"].cost
    assert final.tuning.problems == 4
    assert found["unruly"].tuning.trials == ()
    assert found["start"].tuning is None
    page = (runs / "small.md").read_text()
    assert "trial 1: failed: flip=" in page
    done = harness("bench", *board, "--seeds", "0")
    assert "Nothing to do" in done.stderr
    plain = json.loads(harness("bench", *board, "--seeds", "0", "--dry-run", "--json").stdout)
    assert {one["state"] for one in plain["cells"]} == {"done"}
    assert sum(one["trial"] for one in plain["stages"]) == 6
    harness("bench", "small.toml", "--plugins", "unruly-picky", "--seeds", "0", "--tune", "0")
    names = {one.trainer for one in read_records(runs / "records")}
    assert names == {"start", "unruly-picky", "unruly", "unruly-picky(trials=0)"}
    assert len(list((runs / "trials" / "records").iterdir())) == 3
