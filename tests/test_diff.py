from __future__ import annotations

import hashlib
import json
from pathlib import Path

import generated
import pytest
from test_escape import CONTROL, HOSTILE

from harness.boards.questions import Questions
from harness.errors import HarnessError, TamperedError, UsageError
from harness.leaderboard.diff import diff, find_record
from harness.records import LETTERS, Record, write_record
from harness.render.diff import render
from harness.tasks.task import Task

NAMES = {letter: name for name, letter in LETTERS.items()}


def leave(folder: Path, trainer: str, seed: int | None, text: str = "", **verdicts: str) -> Record:
    """Write a record with its judged answers, as a bench does."""
    scores, files = [], {}
    for task, letters in verdicts.items():
        lines = [
            {
                "id": f"{task}-{place}",
                "text": f"{text} the answer of {trainer} to {place} is \\boxed{{{place}}}",
                "tokens": 12,
                "finish": "stop",
                "verdict": NAMES[letter],
                "extracted": str(place),
                "read": str(place),
                "why": "equal as numbers" if letter == "C" else "not equal",
                "strict": letter == "C",
                "flexible": letter == "C",
            }
            for place, letter in enumerate(letters)
        ]
        content = "".join(json.dumps(line, sort_keys=True) + "\n" for line in lines)
        files[f"{task}__chat_zeroshot.v1.jsonl"] = content
        digest = hashlib.sha256(content.encode()).hexdigest()
        scores.append(generated.score(task, letters, samples_sha256=digest))
    record = generated.record(trainer, seed, scores)
    write_record(record, folder / "records")
    place = folder / "answers" / record.id
    place.mkdir(parents=True)
    for name, content in files.items():
        (place / name).write_text(content)
    return record


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    leave(tmp_path, "start", None, words="CCWWNT", longer="WWWW")
    leave(tmp_path, "sft", 0, words="CWCWCT", longer="WWCC")
    leave(tmp_path, "sft", 1, words="CCCCCC", longer="CCCC")
    return tmp_path


def test_counts_and_test_of_each_task(runs):
    found = diff(runs, "start", "sft/0", limit=None)
    words, longer = found.tasks
    assert words.kinds == {"fixed": 2, "broken": 1, "both_wrong": 2, "both_right": 1}
    assert words.verdicts["no_answer"] == {"correct": 1}
    assert words.difference == pytest.approx(1 / 6)
    assert words.low < words.difference < words.high
    assert words.p == 1
    assert longer.p == 0.5
    assert (found.first, found.second) == ("start", "sft/0")
    assert found.filtered == len(found.questions) == 10


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"kinds": ["fixed"]}, ["words-2", "words-4", "longer-2", "longer-3"]),
        ({"kinds": ["broken"]}, ["words-1"]),
        ({"kinds": ["fixed", "broken"], "tasks": ["words"]}, ["words-1", "words-2", "words-4"]),
        ({"verdicts": ["truncated"]}, ["words-5"]),
        ({"verdicts": ["no_answer"]}, ["words-4"]),
        ({"search": "BAKES 5 ROLLS"}, ["words-5"]),
        ({"limit": 2}, ["words-0", "words-1"]),
        ({"search": "nowhere"}, []),
    ],
)
def test_filters(runs, filters, expected):
    found = diff(runs, "start", "sft/0", generated.questions(), **filters)
    assert [question.id for question in found.questions] == expected


def test_a_question_has_both_answers_and_what_was_read(runs):
    (question,) = diff(runs, "start", "sft/0", generated.questions(), kinds=["broken"]).questions
    assert question.problem.endswith("A baker bakes 1 rolls. How many rolls are there?")
    assert question.first.verdict == "correct"
    assert question.second.verdict == "wrong"
    assert question.second.why == "not equal"
    assert question.second.read == question.gold == "1"
    assert "answer of sft to 1" in question.second.text


def test_a_task_that_is_not_at_hand_is_one_line_and_the_rest_is_shown(runs):
    from rich.console import Console

    def find(name: str) -> Task:
        raise UsageError(f"no task {name!r}")

    found = diff(runs, "start", "sft/0", Questions(find), kinds=["broken"])
    (question,) = found.questions
    assert (question.problem, question.gold) == (None, None)
    assert found.missing[0] == "problems and gold answers of words are not at hand: no task 'words'"
    console = Console(width=100)
    with console.capture() as capture:
        console.print(render(found))
    assert found.missing[0] in capture.get()
    assert "answer of sft to 1" in capture.get()
    assert "Gold answer" not in capture.get()


def test_rows_of_another_version_are_not_shown(runs):
    other = Questions(lambda name: Task(name, lambda split: [], version=7))
    found = diff(runs, "start", "sft/0", other, kinds=["broken"])
    assert "not those that were scored" in found.missing[0]


def test_json_reads_back(runs):
    found = diff(runs, "start", "sft")
    assert type(found).model_validate_json(found.model_dump_json()) == found


@pytest.mark.parametrize(
    ("name", "expected"), [("start", None), ("sft", 0), ("sft/1", 1), ("made-up-sft-s1", 1)]
)
def test_cells_are_found_by_trainer_seed_or_record(runs, name, expected):
    assert find_record(runs, name).seed == expected
    assert find_record(runs / "records", name).seed == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("start", "stf/0"), "did you mean 'sft/0'"),
        (("start", "sft", {"kinds": ["fixd"]}), "did you mean 'fixed'"),
        (("start", "sft", {"verdicts": ["right"]}), "no verdict 'right'"),
        (("start", "sft", {"tasks": ["word"]}), "did you mean 'words'"),
    ],
)
def test_unknown_names_get_a_hint(runs, arguments, message):
    *names, filters = (*arguments, {})[:3]
    with pytest.raises(UsageError, match=message):
        diff(runs, *names, **filters)


def test_answers_that_were_changed_or_are_missing_are_refused(runs):
    path = next((runs / "answers" / "made-up-sft-s0").glob("words*"))
    content = path.read_text()
    path.write_text(content.replace("not equal", "unequal", 1))
    with pytest.raises(TamperedError, match="made-up-sft-s0"):
        diff(runs, "start", "sft/0")
    path.unlink()
    with pytest.raises(UsageError, match="no answers of sft/0"):
        diff(runs, "start", "sft/0")
    with pytest.raises(HarnessError, match="harness bench"):
        diff(runs / "nowhere", "start", "sft")


def test_cells_scored_on_different_questions_are_refused(runs):
    other = generated.record("kd", 0, [generated.score("words", "CWCWCT", task_digest="e" * 64)])
    write_record(other, runs / "records")
    with pytest.raises(UsageError, match="different questions"):
        diff(runs, "start", "kd/0")
    write_record(generated.record("rl", 0, {"other": "C"}), runs / "records")
    with pytest.raises(UsageError, match="share no task"):
        diff(runs, "start", "rl/0")


@pytest.mark.parametrize("name", ["ansi", "right to left", "nul", "rich", "huge", "invisible"])
@pytest.mark.parametrize("width", [60, 120])
def test_hostile_answers_are_harmless_in_the_terminal(tmp_path, name, width):
    from rich.console import Console

    leave(tmp_path, "start", None, words="CW")
    leave(tmp_path, "sft", 0, HOSTILE[name], words="WW")
    console = Console(width=width, force_terminal=False, color_system=None)
    with console.capture() as capture:
        console.print(render(diff(tmp_path, "start", "sft")))
    text = capture.get()
    assert not CONTROL.search(text)
    assert max(map(len, text.splitlines())) <= width
    assert len(text) < 50_000
    assert "broken" in text


def several(trainer: str, seed: int | None, verdicts: str, majority: str) -> Record:
    score = generated.score("words", verdicts, samples=3, majority=majority)
    return generated.record(trainer, seed, [score])


def test_of_several_answers_the_most_frequent_one_stands_for_the_question(tmp_path):
    records = [
        several("start", None, "CWW" + "CCW" + "WNT" + "CCC", "WCWC"),
        several("sft", 0, "WCC" + "WWC" + "WWW" + "CCC", "CWWC"),
    ]
    generated.leave(tmp_path, records)
    found = diff(tmp_path, "start", "sft/0", limit=None)
    words = found.tasks[0]
    assert words.kinds == {"fixed": 1, "broken": 1, "both_wrong": 1, "both_right": 1}
    assert (words.n, words.samples, words.test) == (4, 3, "t over questions")
    assert words.difference == pytest.approx(0)
    fixed = next(question for question in found.questions if question.kind == "fixed")
    assert (fixed.first.verdict, fixed.second.verdict) == ("wrong", "correct")
    assert [question.id for question in found.questions] == [f"words-{place}" for place in range(4)]


def test_answers_of_another_number_are_not_compared(tmp_path):
    write_record(several("start", None, "CWW", "W"), tmp_path / "records")
    write_record(generated.record("sft", 0, {"words": "C"}), tmp_path / "records")
    with pytest.raises(UsageError, match="another number of answers"):
        diff(tmp_path, "start", "sft/0")


def test_the_command_takes_a_board_file_too(runs, tmp_path, harness):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "mine").symlink_to(runs, target_is_directory=True)
    text = (Path(__file__).parent / "conftest.py").read_text().split('BOARD = """')[1]
    (tmp_path / "board.toml").write_text(text.split('"""')[0].replace('"small"', '"mine"'))
    by_file = json.loads(harness("diff", "start", "sft/0", "board.toml", "--json").stdout)
    by_name = json.loads(harness("diff", "start", "sft/0", "mine", "--json").stdout)
    assert by_file["questions"] == by_name["questions"]
    assert by_file["filtered"] == 5
    assert "no plug-in 'unruly'" in by_file["missing"][0]
    assert "no board 'mine'" in by_name["missing"][0]
    missing = harness("diff", "start", "sft/0", "none.toml", check=2)
    assert "none.toml" in missing.stderr
