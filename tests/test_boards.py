"""Boards: valid ones load, every mistake is one line, the digest covers what changes results."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from harness.bench.plan import plan
from harness.boards.board import BUILT_IN, Board, load_board
from harness.boards.file import read_board_file
from harness.errors import UsageError
from harness.leaderboard.stats import wilson
from harness.plugin.host import Host


def load(path: Path) -> Board:
    return load_board(str(path), Host())


def test_a_board_names_its_tasks_and_models(small_board):
    board = load(small_board)
    assert set(board.tasks) == {"unruly_sums", "unruly_other"}
    assert board.ranking.task == "unruly_sums"
    assert len(board.train_rows()) == 12
    assert board.model("start").name == "start"
    assert board.train_rows()[0]["task"] == "unruly_sums"


BUILT_IN_BOARDS = sorted(path.stem for path in BUILT_IN.glob("*.toml"))


def test_the_embedded_board_loads():
    board = load_board("tiny", Host())
    assert board.ranking.task == "tiny_word"


def test_a_task_whose_plugin_is_not_named_is_one_line(small_board):
    small_board.write_text(small_board.read_text().replace('plugins = ["unruly"]', "plugins = []"))
    with pytest.raises(UsageError, match=r"no task 'unruly_sums'; add its plug-in to plugins"):
        load(small_board)


def test_commands_name_a_board_as_it_can_be_loaded(small_board):
    assert load_board("tiny", Host()).reference == "tiny"
    assert load(load_board("tiny", Host()).path).reference == "tiny"
    assert load(small_board).reference == small_board.name


def test_there_are_boards_of_real_models():
    assert BUILT_IN_BOARDS == ["math-0.5b", "srlm-0.5b-base", "srlm-0.5b-instruct"]


@pytest.mark.parametrize("name", BUILT_IN_BOARDS)
def test_a_built_in_board_is_whole_without_its_data(name, tmp_path, monkeypatch):
    """Tasks, protocols, trainers, chains and options exist; nothing has to be downloaded."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    host = Host(download=False)
    board = load_board(name, host)
    assert board.name == name
    conditions = board.conditions()
    assert len(board.digest) == 64
    assert conditions.start_model == board.file.start_model
    made = plan(board, host)
    assert {cell.trainer for cell in made.cells} == {"start", *board.file.trainers}
    assert set(board.file.options) <= {
        stage.identity.trainer for stage in made.stages.values() if stage.kind == "train"
    }
    for reference in (board.file.start_model, board.file.teacher):
        assert re.fullmatch(r"Qwen/Qwen2\.5-[\w.-]+@[0-9a-f]{40}", reference)
    assert sum(score.task == board.ranking.task for score in board.file.scores) >= 2


@pytest.mark.parametrize("name", BUILT_IN_BOARDS)
def test_token_limits_and_baselines_of_a_built_in_board(name):
    board = load_board(name, Host(download=False))
    for score in board.file.scores:
        easy = score.task.startswith(("gsm", "svamp", "asdiv", "mawps"))
        assert score.max_new_tokens >= (512 if easy else 1024), score.task
        if board.tasks[score.task].unfit:
            assert not score.ranking
            assert score.samples >= 16
        if score.baseline:
            n = board.problems(score)
            interval = wilson(round(score.baseline.accuracy * n), n)
            half = (interval[1] - interval[0]) / 2
            assert score.baseline.tolerance == pytest.approx(half, abs=0.001)
            assert score.baseline.source
            assert score.baseline.note
    for one in board.file.quoted:
        assert one.source.startswith("https://")
        assert one.note
        assert one.task in board.tasks


@pytest.mark.parametrize("name", BUILT_IN_BOARDS)
def test_a_built_in_board_has_the_same_digest_with_its_data(name, tmp_path, monkeypatch):
    from verify_shared import SHARED

    if not (SHARED / "data" / "gsm8k_train.jsonl.gz").exists():
        pytest.skip("no shared data beside the repository (set HARNESS_SHARED)")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    without = load_board(name, Host(download=False))
    with_data = load_board(name, Host(download=False, data_dir=SHARED / "data"))
    rows = with_data.train_rows()
    assert 7000 < len(rows) < 8000
    assert with_data.digest == without.digest
    for score in with_data.file.scores:
        if with_data.tasks[score.task].here("test"):
            assert len(with_data.test_rows(score)) == with_data.problems(score)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("title =", "titel =", "unknown key 'titel'; did you mean 'title'?"),
        ("steps = 3", "stepps = 3", "unknown key 'budget.stepps'; did you mean 'steps'?"),
        (
            "max_new_tokens = 6",
            "max_tokens = 6",
            "unknown key 'max_tokens' in the first [[scores]]",
        ),
        (
            "max_new_tokens = 6",
            "",
            "max_new_tokens in the first [[scores]]: it is missing; write max_new_tokens = 512",
        ),
        ("[budget]\nsteps = 3", "[budget]", "set at least one of steps"),
        ("steps = 3", "steps = 0", "budget.steps: must be above 0, not 0"),
        ("ranking = true", "ranking = false", "exactly one of the scores must have ranking = true"),
        ("seeds = [0, 1]", "seeds = [0, 0]", "seeds: the same seed is given twice"),
        ("seeds = [0, 1]", 'seeds = "0,1"', "seeds: '0,1' is not a list; write seeds = [0, 1, 2]"),
        (
            'trainers = ["unruly"]',
            "trainers = []",
            "trainers: it needs 1 or more; write trainers =",
        ),
        ('trainers = ["unruly"]', "trainers = [1]", "trainers.0: 1 is not a text, which stands in"),
        ("[budget]\nsteps = 3", "", "budget: it is missing; write [budget] and below it flops ="),
        ("batch_size = 8", 'dtype = "half"', "must be 'auto', 'float32' or 'bfloat16', not 'half'"),
        (
            "[budget]",
            "[options]\nsft = 3\n[budget]",
            "3 is not a table; write [options.sft] and its",
        ),
        ("schema = 1", "schema = 2", "schema: must be 1, not 2"),
        (
            'name = "small"',
            'name = "../small"',
            "name: '../small' is no name: lower-case letters, digits, _ and - make",
        ),
        ("title =", "title", "is not TOML"),
        ('task = "unruly_other"', 'task = "unruly_othr"', "did you mean 'unruly_other'?"),
        (
            'task = "unruly_other"',
            'task = "unruly_sums"',
            "two scores have the same task and protocol",
        ),
        ('["unruly_sums"]', '["unruly_other"]', "'unruly_other' has no training rows"),
        ('plugins = ["unruly"]', 'plugins = ["unruli"]', "did you mean 'unruly'?"),
        ("steps = 3", "flops = inf", "budget.flops: must be a finite number, not inf"),
        (
            "seeds = [0, 1]",
            "seeds = [0, -1]",
            "seeds.1: must be at least 0, not -",
        ),
        (
            "max_new_tokens = 4",
            'max_new_tokens = 4\nprotocol = "chat"',
            "no protocol 'chat'; did you mean 'chat_zeroshot'?",
        ),
    ],
)
def test_a_mistake_is_one_line_that_names_the_key(small_board, old, new, says):
    text = small_board.read_text()
    assert old in text
    small_board.write_text(text.replace(old, new))
    from harness.errors import HarnessError

    with pytest.raises(HarnessError) as caught:
        load(small_board).train_rows()
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('["unruly_sums"]', '["svamp"]', "task 'svamp' has no training rows"),
        ('["unruly_sums"]', '["unruly_sums"]\ntraces = ["svamp"]', "'svamp' has no training rows"),
        ('task = "unruly_other"', 'task = "gsm8k_r1"', "task 'gsm8k_r1' has no test rows"),
    ],
)
def test_published_data_without_the_split_is_refused_before_any_is_read(
    small_board, old, new, says
):
    text = small_board.read_text().replace('["unruly"]', '["unruly", "math"]')
    assert old in text
    small_board.write_text(text.replace(old, new))
    with pytest.raises(UsageError, match=says):
        load(small_board)


def test_an_unknown_board_gets_a_suggestion():
    with pytest.raises(UsageError, match="no board 'tinny'; did you mean 'tiny'"):
        load_board("tinny", Host())


def test_a_board_whose_teacher_is_missing_says_so(small_board):
    (small_board.parent / "teacher").unlink()
    with pytest.raises(UsageError, match=r"board 'small': no model folder .*teacher"):
        load(small_board).model("teacher")


def test_saving_alone_makes_no_condition_of_a_table(small_board):
    text = small_board.read_text().replace("batch_size = 8\n", "")
    text = text.replace("[compute]\nstage_seconds = 60\n", "")
    assert "[compute]" not in text
    small_board.write_text(text)
    before = load(small_board).digest
    small_board.write_text(text + "\n[compute]\nsave_minutes = 10\n")
    assert load(small_board).digest == before


def test_a_hub_model_must_be_pinned(small_board):
    small_board.write_text(small_board.read_text().replace('"start"', '"Qwen/Qwen2.5-0.5B"'))
    with pytest.raises(UsageError, match="needs a pinned revision"):
        load(small_board).model("start")


def test_the_identity_of_a_hub_model_is_its_revision_and_needs_no_download(small_board):
    reference = f"Qwen/Qwen2.5-0.5B@{'a' * 40}"
    small_board.write_text(small_board.read_text().replace('"start"', f'"{reference}"'))
    assert load(small_board).identity("start") == reference


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ("steps = 3", "steps = 4", True),
        ("max_new_tokens = 6", "max_new_tokens = 7", True),
        ("batch_size = 8", "batch_size = 9", True),
        ("seeds = [0, 1]", "seeds = [0, 1, 2]", True),
        ("[compute]", '[compute]\ndtype = "bfloat16"', True),
        ("[compute]", '[compute]\ndtype = "auto"', False),
        ("[data]", "[data]\nlongest = 60", True),
        ("[compute]", "[options.unruly]\nflip = 1\n\n[compute]", True),
        ('teacher = "teacher"', 'teacher = "start"', True),
        ('title = "A board for tests"', 'title = "Another title"', False),
        ("stage_seconds = 60", "stage_seconds = 61", False),
        ("stage_seconds = 60", "save_every = 5\nsave_minutes = 2.5", False),
        ('trainers = ["unruly"]', 'trainers = ["unruly", "sft"]', False),
    ],
)
def test_the_digest_covers_what_can_change_a_result(small_board, old, new, changes):
    before = load(small_board).digest
    text = small_board.read_text()
    assert old in text
    small_board.write_text(text.replace(old, new))
    assert (load(small_board).digest != before) is changes


def test_longer_training_rows_are_left_out_before_the_first_are_taken(small_board):
    rows = load(small_board).train_rows()
    lengths = sorted(len(row["problem"]) + len(row["solution"]) for row in rows)
    longest = lengths[len(rows) // 2]
    text = small_board.read_text()
    small_board.write_text(text.replace("[data]", f"[data]\nlongest = {longest}\nlimit = 2"))
    board = load(small_board)
    kept = [row for row in rows if len(row["problem"]) + len(row["solution"]) <= longest]
    assert len(kept) < len(rows)
    assert board.train_rows() == kept[:2]
    assert f"those of at most {longest} characters of 12, the first 2" in board.conditions().data
    assert len(board.test_rows(board.ranking)) == len(load(small_board).test_rows(board.ranking))


def test_a_row_without_a_gold_answer_is_neither_trained_on_nor_scored(small_board):
    board = load(small_board)
    whole = board.tasks["unruly_sums"]
    before = len(board.train_rows()), len(board.test_rows(board.ranking))

    def rows(split: str) -> list[dict[str, str]]:
        return [
            {**row, "answer": " " if number == 3 else row["answer"]}
            for number, row in enumerate(whole.split(split))
        ]

    board.tasks["unruly_sums"] = replace(whole, rows=rows)
    after = len(board.train_rows()), len(board.test_rows(board.ranking))
    assert after == (before[0] - 1, before[1] - 1)
    said = " ".join(board.conditions().notes)
    assert "1 of the 12 train rows of unruly_sums have no gold answer and are left out" in said
    assert "test rows of unruly_sums have no gold answer" in said


def test_a_board_of_ones_own_is_found_by_a_name_that_is_nearly_its_files(tmp_path, monkeypatch):
    """Its name without .toml, a slip of the pen, and a file that belongs to something else."""
    for name in ("mine", "pyproject"):
        (tmp_path / f"{name}.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    for given in ("mine", "mine.tml"):
        says = rf"no board '{given}'; did you mean 'mine\.toml'\?"
        with pytest.raises(UsageError, match=says):
            load_board(given, Host())
    for given in ("mien.toml", "../mine.toml"):
        with pytest.raises(UsageError, match=rf"no board file {given}") as caught:
            load_board(given, Host())
        assert ("did you mean 'mine.toml'?" in str(caught.value)) == (given == "mien.toml")
        assert "pyproject" not in str(caught.value)


def test_a_board_file_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match=r"no board file .*gone\.toml"):
        load_board(str(tmp_path / "gone.toml"), Host())
    with pytest.raises(UsageError, match=r"cannot read .*: it is not a regular file"):
        read_board_file(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[compute]", "[options.unruli]\nflip = 1\n\n[compute]",
         "board 'small': [options.unruli]: no such trainer; did you mean 'unruly'?"),
        ("[compute]", "[options.unruly-tel]\nflip = 1\n\n[compute]", "did you mean 'unruly-tell'?"),
        ("[compute]", "[options.sft]\nlearning_rat = 1\n\n[compute]",
         "options of trainer 'sft': unknown key 'learning_rat'; did you mean 'learning_rate'?"),
        ("max_new_tokens = 6", "max_new_tokens = 512",
         "board 'small': max_new_tokens = 512 of unruly_sums leaves no room for a prompt:"
         " the start model has a context of 512 tokens"),
    ],
)  # fmt: skip
def test_what_no_trainer_or_model_takes_is_refused_when_a_bench_is_planned(
    small_board, old, new, says
):
    text = small_board.read_text()
    assert old in text
    small_board.write_text(text.replace(old, new))
    host = Host()
    with pytest.raises(UsageError, match=re.escape(says)):
        plan(load_board(str(small_board), host), host)


def test_a_broken_plugin_with_options_stops_no_other(small_board, with_plugins):
    with_plugins("broken")
    text = small_board.read_text()
    small_board.write_text(text.replace("[compute]", "[options.broken]\nx = 1\n\n[compute]"))
    host = Host()
    assert plan(load_board(str(small_board), host), host).cells


@pytest.mark.parametrize(
    "content", [b"a = " + b"[" * 100_000, b"a = " + b"9" * 5000, b"\xff", b"\xef\xbb\xbfname = 1"]
)
def test_a_hostile_board_file_is_one_line(tmp_path, content):
    path = tmp_path / "x.toml"
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        read_board_file(path)
    assert "x.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_chat_needs_a_template(small_board):
    """It would fail after training otherwise, when the answers are generated."""
    import shutil

    start = small_board.parent / "start"
    folder = start.resolve()
    start.unlink()
    shutil.copytree(folder, start)
    (start / "chat_template.jinja").unlink()
    host = Host()
    says = r"chat_zeroshot needs a chat template and the start model has none; take base_fewshot"
    with pytest.raises(UsageError, match=says):
        plan(load_board(str(small_board), host), host)
    text = small_board.read_text().replace("ranking", 'protocol = "base_fewshot"\nranking')
    small_board.write_text(
        text.replace('task = "unruly_other"', 'task = "unruly_other"\nprotocol = "base_fewshot"')
    )
    assert plan(load_board(str(small_board), Host()), host).cells
