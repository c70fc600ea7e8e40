"""The plan: cells, shared stages, overrides, and what changes a stage's name."""

from pathlib import Path

import pytest

from harness.bench.plan import plan, plan_score, plan_start, row_name
from harness.boards.board import load_board
from harness.boards.recipes import Recipes
from harness.errors import HarnessError, UsageError
from harness.plugin.host import Host


def make(board: Path, *terms: str, **arguments):
    host = Host()
    return plan(load_board(str(board), host), host, terms, **arguments)


def stage_of(result, label: str, kind: str = "train"):
    return next(s for s in result.stages.values() if (s.label, s.kind) == (label, kind))


def test_the_start_model_is_always_a_cell(small_board):
    result = make(small_board)
    assert [cell.name for cell in result.cells] == ["start", "unruly seed 0", "unruly seed 1"]


def test_equal_stages_are_planned_once(small_board):
    result = make(small_board, "unruly", "unruly+unruly-slow", seeds=[0])
    alone, chain = result.cells[1:]
    assert alone.train[0] == chain.train[0]
    assert len(result.stages) == 8  # two stages train, three checkpoints are scored by two each


def test_an_even_split_of_the_budget_shares_nothing_with_the_whole(small_board):
    text = small_board.read_text().replace("steps = 3", 'steps = 4\nchain = "even"')
    small_board.write_text(text)
    result = make(small_board, "unruly", "unruly+unruly-slow", seeds=[0])
    alone, chain = result.cells[1:]
    assert alone.train[0] != chain.train[0]
    assert result.stages[chain.train[0]].identity.budget.caps.set_caps() == {"steps": 2}


def test_a_budget_that_is_used_up_leaves_each_stage_of_a_chain_its_part(small_board):
    text = small_board.read_text().replace("steps = 3", "steps = 7\nfill = true")
    small_board.write_text(text)
    chain = "unruly+unruly-slow+unruly-alike"
    result = make(small_board, "unruly", "unruly+unruly-slow", chain, seeds=[0])
    shares = [
        [result.stages[name].identity.budget for name in cell.train] for cell in result.cells[1:]
    ]
    caps = [[share.caps.steps for share in each] for each in shares]
    assert caps == [[7], [3, 7], [2, 4, 7]]  # of the whole cell, so far
    assert [share.rest for share in shares[2]] == [False, True, True]
    assert all(share.fill for each in shares for share in each)
    assert make(small_board).board.conditions().fill


def test_who_says_how_long_to_train_is_left_to_it(small_board):
    text = small_board.read_text().replace("steps = 3", "steps = 7\nfill = true")
    small_board.write_text(text.replace('plugins = ["unruly"]', 'plugins = ["unruly", "sft"]'))

    def fills(*overrides, options=""):
        small_board.write_text(text + options)
        result = make(small_board, "sft", "sft+unruly", seeds=[0], overrides=overrides)
        alone, chain = result.cells[1:]
        names = (*alone.train, *chain.train)
        return [result.stages[name].identity.budget.fill for name in names]

    assert fills() == fills("sft.learning_rate=1e-3") == [True, True, True]
    assert fills("sft.epochs=3") == fills("sft.max_steps=2") == [False, False, True]
    assert fills(options="\n[options.sft]\nepochs = 1\n") == [False, False, True]


def test_the_points_of_a_curve_are_cells_of_their_own(small_board):
    text = small_board.read_text().replace("steps = 3", "steps = 8\nfill = true")
    small_board.write_text(text)
    before = make(small_board, "unruly+unruly-slow", seeds=[0])
    small_board.write_text(text + "\n[curve]\nshares = [0.25, 0.5]\n")
    result = make(small_board, "unruly", "unruly+unruly-slow", seeds=[0])
    assert result.board.digest == before.board.digest  # points change no row
    cells = {cell.trainer: cell for cell in result.cells[1:]}
    assert [(name, cell.share) for name, cell in cells.items()] == [
        ("unruly", 1.0), ("unruly+unruly-slow", 1.0),
        ("unruly@0.25", 0.25), ("unruly+unruly-slow@0.25", 0.25),
        ("unruly@0.5", 0.5), ("unruly+unruly-slow@0.5", 0.5),
    ]  # fmt: skip

    def caps(name):
        return [result.stages[one].identity.budget.caps.steps for one in cells[name].train]

    assert caps("unruly@0.25") == [2]
    assert caps("unruly+unruly-slow@0.5") == [2, 4]
    assert cells["unruly@0.5"].train == cells["unruly+unruly-slow"].train[:1]
    assert cells["unruly"].command == cells["unruly@0.5"].command
    small_board.write_text(text.replace("fill = true", "") + "\n[curve]\nshares = [0.25]\n")
    with pytest.raises(UsageError, match=r"needs \[budget\] fill = true"):
        make(small_board)
    small_board.write_text(text + "\n[curve]\nshares = [0.5, 0.25]\n")
    with pytest.raises(UsageError, match=r"curve\.shares: write rising shares"):
        make(small_board)


def test_a_first_stage_that_uses_the_budget_up_leaves_no_rest(small_board):
    text = small_board.read_text().replace("steps = 3", 'steps = 3\nfill = true\nchain = "rest"')
    small_board.write_text(text)
    with pytest.raises(UsageError, match='budget: under fill = true, chain = "rest" leaves'):
        make(small_board)


def test_an_override_names_the_row_and_the_command(small_board):
    result = make(small_board, "unruly", seeds=[0], overrides=["unruly.flip=3"])
    cell = result.cells[1]
    assert cell.trainer == "unruly(unruly.flip=3)"
    assert "--set 'unruly.flip=3'" in cell.command
    assert result.stages[cell.train[0]].identity.options["flip"] == 3
    assert cell.train != make(small_board, "unruly", seeds=[0]).cells[1].train


@pytest.mark.parametrize("text", ["Réponds en français", "Think.  Then answer.", "x" * 300, "a\tb"])
def test_an_override_that_no_published_row_can_name_is_refused_when_planning(small_board, text):
    """Who benched it would learn that only when it is published."""
    board = load_board(str(small_board), Host())
    asked = Recipes(board, {"mine": ("mine",)}, {"mine": {"say": text}}, {})
    with pytest.raises(HarnessError, match="would be the row's name") as caught:
        row_name(asked, "mine")
    assert "\n" not in str(caught.value)
    fine = Recipes(board, {"mine": ("mine",)}, {"mine": {"say": "Think. Then answer. "}}, {})
    assert row_name(fine, "mine") == "mine(mine.say=Think. Then answer. )"


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["unruly.flop=3"], "options of trainer 'unruly': unknown key 'flop'; did you mean 'flip'"),
        (["unruly.flip=red"], "flip: 'red' is not a whole number"),
        (["unruli.flip=3"], "not in this bench; did you mean 'unruly'?"),
        (["flip=3"], "write trainer.option=value"),
    ],
)
def test_a_wrong_override_is_one_line(small_board, overrides, says):
    with pytest.raises(HarnessError) as caught:
        make(small_board, "unruly", overrides=overrides)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_trainer_that_needs_a_teacher_wants_one_on_the_board(small_board):
    make(small_board, "unruly-taught")
    text = small_board.read_text().replace('teacher = "teacher"\n', "")
    small_board.write_text(text)
    with pytest.raises(HarnessError, match="needs a teacher; board 'small' names none"):
        make(small_board, "unruly-taught")


def test_a_teacher_with_another_tokenizer_is_refused_before_training(small_board, tmp_path):
    import json
    import shutil

    make(small_board, "unruly-alike")
    (tmp_path / "teacher").unlink()
    shutil.copytree(tmp_path / "start", tmp_path / "teacher")
    path = tmp_path / "teacher" / "tokenizer.json"
    content = json.loads(path.read_text())
    content["model"]["vocab"]["extra"] = 300
    path.write_text(json.dumps(content))
    with pytest.raises(HarnessError, match="a teacher with the start model's tokenizer"):
        make(small_board, "unruly-alike")
    make(small_board, "unruly-taught")


def test_a_stage_is_named_by_what_can_change_it(small_board, monkeypatch):
    before = make(small_board, "unruly", seeds=[0])
    again = make(small_board, "unruly", seeds=[0])
    assert list(again.stages) == list(before.stages)
    other_seed = make(small_board, "unruly", seeds=[1])
    assert stage_of(other_seed, "unruly").id != stage_of(before, "unruly").id

    from harness.bench import facts

    monkeypatch.setattr(facts, "package_versions", lambda: {"torch": "0"})
    other_versions = make(small_board, "unruly", seeds=[0])
    assert stage_of(other_versions, "unruly").id != stage_of(before, "unruly").id


def test_seeds_that_the_board_does_not_fix_are_refused(small_board):
    with pytest.raises(UsageError, match="board 'small' fixes the seeds 0, 1, and 7, 9 is not"):
        make(small_board, "unruly", seeds=[0, 9, 7])


def test_only_the_training_caps_of_a_longer_bench_leave_its_scores_alone(small_board):
    """The start model's answers do not depend on the trainers' budget."""
    before = stage_of(make(small_board), "start", "generate").id
    small_board.write_text(small_board.read_text().replace("steps = 3", "steps = 9"))
    assert stage_of(make(small_board), "start", "generate").id == before


def test_a_model_folder_is_planned_as_one_cell(small_board, small_models):
    board = load_board(str(small_board), Host())
    result = plan_score(board, small_models / "teacher")
    assert [cell.trainer for cell in result.cells] == ["teacher"]
    assert [stage.kind for stage in result.stages.values()] == ["generate", "judge"]


def test_another_verifier_judges_answers_anew(small_board, monkeypatch):
    from harness.bench import stage_identity

    (before,) = plan_start(load_board(str(small_board), Host())).cells
    monkeypatch.setattr(stage_identity, "VERIFIER_VERSION", "0")
    (after,) = plan_start(load_board(str(small_board), Host())).cells
    assert after.generate == before.generate
    assert after.judge != before.judge


def test_stages_are_called_what_their_rows_are(harness):
    """With the settings of the command line, as far as they concern the stage."""
    board = load_board("tiny", Host())
    made = plan(board, Host(), ["kd", "sft+rl"], [0], ["kd.temperature=4.0", "rl.temperature=0.9"])
    labels = {stage.label: stage.id for stage in made.stages.values() if stage.kind == "train"}
    changed = {"kd(kd.temperature=4.0)", "sft+rl(rl.temperature=0.9)"}
    assert labels.keys() == {"sft@0.5", *changed}
    assert changed < {cell.trainer for cell in made.cells}
    assert labels["kd(kd.temperature=4.0)"].startswith("train-kd-s0-")  # the folder is not longer
    shown = harness("bench", "--dry-run", "--plugins", "kd", "--set", "kd.temperature=4.0").stdout
    assert shown.startswith("With settings of this command: kd(kd.temperature=4.0)\n")
    assert "train kd(kd.temperature=4.0)" in shown
