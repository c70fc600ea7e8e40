"""Contamination: the normalisation, the counts, the known facts of GSM8K and MATH, the bench."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from verify_shared import rows as shared_rows

from harness.boards.board import Board, load_board
from harness.boards.score import BoardScore
from harness.contamination import rephrased
from harness.contamination.board import BoardOverlaps, check_apart
from harness.contamination.overlap import Passage, TestSets, passages
from harness.contamination.words import whole, words
from harness.errors import TamperedError, UsageError
from harness.plugin.host import Host
from harness.records import read_records
from harness.tasks.source import Place, Source, Split
from harness.tasks.task import Task

ROOT = Path(__file__).parents[1]
TALE = (
    "Max bought stamps at the post office on Monday and gave three of the stamps to his brother"
    " Tom. How many are left?"
)
COPY = "Lee bought stamps at the post office on Monday and gave three of the stamps to his aunt."


def problems(*texts: str) -> list[dict[str, str]]:
    return [{"id": f"p{place}", "problem": text} for place, text in enumerate(texts)]


def check(tests: list[str], *training: dict[str, str]):
    return TestSets({"set": problems(*tests)}).check(passages(training))["set"]


def row(problem: str, solution: str = "", source: str = "t") -> dict[str, str]:
    return {"id": source, "problem": problem, "solution": solution}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Janet\u2019s ducks", "janets ducks"),
        ("$1,000,000$ and 1{,}234 and 12,34", "1000000 and 1234 and 12 34"),
        (r"\left( \dfrac{1}{2} \right)\, \text{cm}", "frac 1 2 cm"),
        ("48/2 = <<48/2=24>>24", "48 2 24"),
        ("a [asy] draw((0,0)--(1,1)); [/asy] b", "a b"),
        ("a [asy] never closed", "a"),
        ("\uff21\u00b2 \u2460", "a2 1".replace("a2", "a 2")),
        ("3x + 0.5", "3 x 0.5"),
        ("na\u00efve \u6570\u5b66", "na\u00efve \u6570\u5b66"),
        ("", ""),
    ],
)
def test_words_are_those_that_the_page_defines(text, expected):
    assert words(text) == expected.split()


def test_thirteen_words_in_a_row_and_eight():
    found = check([TALE], row(COPY))
    assert (found.overlap_13, found.overlap_8, found.same) == ((0,), (0,), ())
    shared = found.examples[0]
    assert shared.words == " ".join(words(COPY)[1:-1])  # the whole run, not its first 13
    assert (shared.kind, shared.id, shared.source) == ("13 words", "p0", "t")
    eight = check([TALE], row("gave three of the stamps to his brother"))
    assert (eight.overlap_13, eight.overlap_8) == ((), (0,))
    assert check([TALE], row("gave three of the stamps to his aunt")).overlap_8 == ()


def test_twelve_words_are_no_hit_and_a_solution_counts_as_much_as_a_problem():
    run = words(TALE)[2:14]
    assert len(run) == 12
    assert check([TALE], row("x", " ".join(run))).overlap_13 == ()
    assert check([TALE], row("x", " ".join([*run, words(TALE)[14]]))).overlap_13 == (0,)


def test_no_run_goes_from_a_problem_into_its_solution():
    told = words(TALE)
    assert check([TALE], row(" ".join(told[:7]), " ".join(told[7:14]))).overlap_8 == ()


def test_a_short_problem_is_hit_only_as_a_whole():
    found = check(["Compute $3 + 4$."], row("compute 3+4"), row("Compute 3 - 4. Then rest."))
    assert (found.overlap_13, found.overlap_8, found.same, found.verbatim) == ((0,), (0,), (0,), ())
    assert check(["Compute $3 + 4$."], row("Compute $3 - 4$.")).same == ()
    assert check(["Compute $3 + 4$."], row("x", "Compute $3 + 4$.")).same == ()  # a solution


def test_figures_are_no_words_but_part_of_a_whole_problem():
    figure = "[asy] draw((0,0)--(1,1)--(2,3)--(4,5)--(6,7)--(8,9)); [/asy]"
    other = figure.replace("8,9", "8,8")
    text = "What is the area?"
    assert check([f"{text} {figure}"], row(f"Where is it? {figure}")).overlap_8 == ()
    assert check([f"{text} {figure}"], row(f"{text} {figure}")).same == (0,)
    assert check([f"{text} {figure}"], row(f"{text} {other}")).same == ()
    assert whole(f"{text} {figure}") != whole(f"{text} {other}")


def test_no_training_text_and_no_test_problem():
    assert check([TALE]).overlap_8 == ()
    assert TestSets({"set": []}).check([Passage("t", TALE, problem=True)])["set"].n == 0
    assert check([""], row("x")).same == ()


def test_two_bodies_of_text_are_joined():
    sets = TestSets({"set": problems(TALE, "Compute $3 + 4$.")})
    first = sets.check([Passage("a", COPY)])["set"]
    second = sets.check([Passage("b", "compute 3 + 4", problem=True)])["set"]
    both = first.joined(second)
    assert both.overlap_13 == (0, 1)
    assert [shared.kind for shared in both.examples] == ["same", "13 words"]


def shared_overlap(train: str, *tests: str):
    sets = TestSets({name: shared_rows(f"data/{name}.jsonl.gz") for name in tests})
    return sets.check(passages(shared_rows(f"data/{train}.jsonl.gz")))


@pytest.mark.bench
def test_gsm8k_has_no_test_problem_in_its_training_problems():
    found = shared_overlap("gsm8k_train", "gsm8k_test")["gsm8k_test"]
    assert found.verbatim == found.same == ()
    assert (len(found.overlap_13), len(found.overlap_8)) == (3, 79)
    stamps = next(shared for shared in found.examples if shared.id == "gsm8k-test-632")
    assert stamps.source == "gsm8k-train-20"
    assert stamps.words.startswith("bought stamps at the post office some of the stamps had")


@pytest.mark.bench
def test_math_has_one_test_problem_in_its_training_problems_and_three_in_other_notation():
    found = shared_overlap("math_train", "math_test", "math500")
    test, five_hundred = found["math_test"], found["math500"]
    known = {(shared.source, shared.id) for shared in test.examples if shared.kind == "verbatim"}
    assert known == {("train/geometry/6032.json", "test/precalculus/24307.json")}
    assert len(test.verbatim) == 1
    assert len(test.same) == 4
    assert (len(test.overlap_13), len(test.overlap_8)) == (504, 1994)
    assert five_hundred.same == ()
    assert (len(five_hundred.overlap_13), len(five_hundred.overlap_8)) == (54, 204)


BOARD = """
schema = 1
name = "quoted"
title = "A board whose test problems are quoted"
start_model = "start"
plugins = ["quoting"]
trainers = ["quoting"]
seeds = [0]

[data]
train = ["quoting_walks"]

[budget]
steps = 3

[[scores]]
task = "quoting_walks"
max_new_tokens = 4
ranking = true

[[scores]]
task = "quoting_walks"
protocol = "base_fewshot"
max_new_tokens = 4
limit = 5
"""


@pytest.fixture
def quoted(tmp_path, small_models, with_plugins):
    with_plugins("quoting")
    (tmp_path / "start").symlink_to(small_models / "start")
    (tmp_path / "quoted.toml").write_text(BOARD)
    return tmp_path


@pytest.mark.bench
def test_a_bench_counts_what_its_rows_trained_on(quoted, harness):
    harness("bench", "quoted.toml", "--plugins", "quoting,quoting-not,quoting+quoting-not")
    found = {record.trainer: record for record in read_records(quoted / "runs/quoted/records")}
    whole = {trainer: record.scores[0].overlap_13 for trainer, record in found.items()}
    assert whole == {
        "start": (),  # nothing was trained
        "quoting-not": (2,),  # in a solution of the training data
        "quoting": (2, 7),  # and in its teacher's text
        "quoting+quoting-not": (2, 7),  # which a later stage does not undo
    }
    assert all(record.scores[1].overlap_13 in ((), (2,)) for record in found.values())
    assert found["quoting"].scores[0].groups == (0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3)
    assert found["quoting"].stages[0].environment is not None
    assert not (quoted / "runs/quoted/contamination").exists()  # it would quote test problems

    shown = harness("contamination", "quoted.toml")
    assert "texts made by train-quoting" in shown.stdout
    assert "A teacher wrote: Hana walks 9 miles" in " ".join(shown.stdout.split())
    content = json.loads(harness("contamination", "quoted.toml", "--json").stdout)
    assert [one[0]["overlap_13"] for one in content.values()] == [[2], [7]]

    (texts,) = (quoted / "runs/quoted/stages").glob("train-quoting-*/synthetic.jsonl")
    texts.write_text('{"text": "nothing of the kind"}\n')
    done = harness("contamination", "quoted.toml", check=3)
    assert "synthetic.jsonl was changed after it was written; the next bench does" in done.stderr


def test_two_files_are_compared(tmp_path, harness):
    (tmp_path / "train.jsonl").write_text(json.dumps(row(COPY)) + "\n\n")
    lines = "".join(json.dumps({"question": text}) + "\n" for text in (TALE, "\x1b[2J ?"))
    (tmp_path / "test.jsonl").write_text(lines)
    arguments = ("contamination", "--train", "train.jsonl", "--test", "test.jsonl")
    shown = harness(*arguments).stdout
    assert "test.jsonl line 1 and t: 13 words" in shown
    assert "\x1b" not in shown
    content = json.loads(harness(*arguments, "--json").stdout)
    assert content["train.jsonl"][0]["overlap_13"] == [0]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 1 of rows.jsonl is not JSON"),
        ("", "rows.jsonl holds no row"),
        ("[" * 100_000, "line 1 of rows.jsonl is nested more than"),
        ("[1]", "line 1 of rows.jsonl is not a JSON object"),
        ('{"text": 3}', "line 1 has no text under problem or question"),
    ],
)
def test_files_that_hold_no_problems_are_refused_in_one_line(tmp_path, harness, line, message):
    (tmp_path / "rows.jsonl").write_text(line + "\n")
    done = harness("contamination", "--train", "rows.jsonl", "--test", "rows.jsonl", check=2)
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_board_or_two_files_must_be_named(harness):
    assert "name a board" in harness("contamination", "--train", __file__, check=2).stderr
    assert "name a board" in harness("contamination", "tiny", "--train", __file__, check=2).stderr


def test_a_row_of_a_stage_without_a_text_is_compared_as_a_whole(tmp_path):
    board = load_board("tiny", Host())
    longest = max(board.test_rows(board.ranking), key=lambda row: len(words(row["problem"])))
    rows = [{"text": "nothing"}, {"answer": longest["problem"]}]
    (tmp_path / "synthetic.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = BoardOverlaps(board).of_stage(tmp_path)[board.ranking.task]
    (shared,) = [one for one in found.examples if one.id == longest["id"]]
    assert shared.source.endswith("/synthetic.jsonl:2")
    (tmp_path / "synthetic.jsonl").write_text("{}\nno JSON\n")
    with pytest.raises(UsageError, match=r"line 2 of .*synthetic\.jsonl is not JSON"):
        BoardOverlaps(board).of_stage(tmp_path)


def test_what_is_compared_in_a_thread_ends_with_its_bench(tmp_path):
    board = load_board("tiny", Host())
    with BoardOverlaps(board) as overlaps:
        overlaps.begin()
        overlaps.begin_stage(tmp_path, None)
        assert overlaps.of_stage(tmp_path) == {}
        assert overlaps.idle  # one thread does both, in order
        assert overlaps.of_data() == overlaps.of_data()
    with pytest.raises(RuntimeError, match="after shutdown"):
        overlaps.of_traces()


def test_texts_that_were_changed_are_not_compared(tmp_path):
    board = load_board("tiny", Host())
    (tmp_path / "synthetic.jsonl").write_text('{"text": "nothing"}\n')
    with pytest.raises(
        TamperedError, match=r"synthetic\.jsonl was changed .* does the stage again"
    ):
        BoardOverlaps(board).of_stage(tmp_path, "0" * 64)


def board_of(tasks: dict[str, Task], train: str, test: str) -> Board:
    """Return the tiny board with other tasks."""
    board = load_board("tiny", Host())
    table = board.file.scores[0].model_copy(update={"task": test})
    data = board.file.data.model_copy(update={"train": (train,)})
    board.file = board.file.model_copy(update={"scores": (table,), "data": data})
    board.tasks = tasks
    board.scores = (BoardScore(table, tasks[test], board.protocol),)
    return board


def test_test_problems_among_the_rows_of_trainers_are_an_error_unless_both_are_published(tmp_path):
    same = [{"id": "r1", "problem": "What is 7 - 4?", "answer": "3"}]
    own = Task("own", lambda split: same)
    apart = Task("apart", lambda split: [same[0] | {"id": split, "problem": f"{split}?"}])
    loud = Task("loud", lambda split: [same[0] | {"id": "l1", "problem": "WHAT is 7 -  4?"}])
    tasks = {"own": own, "apart": apart, "loud": loud}
    check_apart(board_of(tasks, "apart", "own"))
    message = "its trainers are given 1 test problems of loud: l1 is r1 of own; remove them"
    with pytest.raises(UsageError, match=message):
        check_apart(board_of(tasks, "own", "loud"))
    for name in ("train", "holdout", "test"):
        text = "".join(json.dumps(row) + "\n" for row in same)
        (tmp_path / f"public_{name}.jsonl").write_text(text)
    splits = {name: Split(1) for name in ("train", "holdout", "test")}
    public = Task("public", source=Source(hub="us/public", splits=splits)).at(Place(tmp_path))
    check_apart(board_of({"public": public}, "public", "public"))
    with pytest.raises(UsageError, match="of own: r1 is"):
        check_apart(board_of({"public": public, "own": own}, "public", "own"))
    with pytest.raises(UsageError, match="of public"):
        check_apart(board_of({"public": public, "own": own}, "own", "public"))


CHATTY = (
    "Chatty prepared three dozen eggs for her four children's treasure hunt. Assuming each child"
    " gets the same number of eggs, how many eggs does each child receive?"
)
RETOLD = (
    "For a treasure hunt, Chatty has 3 dozen eggs to be divided equally among her 4 children. Can"
    " you say what number of eggs each will get?"
)
OTHER_NUMBERS = CHATTY.replace("three", "five").replace("four", "six")


def crowd(n: int = 400) -> list[dict[str, str]]:
    """Return training problems of one sort, with names of their own and ever other numbers."""
    names = [f"{first}{second}" for first in ("Ka", "Lo", "Mi", "Ne") for second in ("ra", "si")]
    return [
        row(
            f"{names[place % 8]}{place} bought {place + 3} eggs for {2 * place + 5} dollars. How"
            " many dollars does each egg cost?"
        )
        for place in range(n)
    ]


def test_a_problem_in_other_words_is_rephrased_and_one_with_other_numbers_of_the_same_template():
    found = check([CHATTY], *crowd(), row(RETOLD, source="retold"))
    assert (found.rephrased, found.template, found.overlap_8) == ((0,), (), ())
    (shared,) = found.examples
    assert (shared.kind, shared.source) == ("rephrased", "retold")
    assert {"chatty", "treasure", "hunt", "12"} <= set(shared.words.split())
    other = check([CHATTY], *crowd(), row(OTHER_NUMBERS))
    assert (other.rephrased, other.template) == ((), (0,))
    assert check([CHATTY], *crowd()).rephrased == ()
    # the words are shared, and so are the numbers, but many problems have these words
    sold = "Mi7 bought 10 eggs for 19 dollars at a shop. How many dollars does each of them cost?"
    assert check([sold], *crowd()).rephrased == ()


def test_the_same_problem_is_rephrased_too_however_short():
    assert check(["Compute $3 + 4$."], row("compute 3+4")).rephrased == (0,)
    assert check(["Compute $3 + 4$."], row("compute 3+5")).rephrased == ()


def test_a_rephrased_problem_in_a_text_of_a_stage_is_found_by_its_paragraph():
    filler = " ".join(f"word{place} of the long story" for place in range(300))
    text = f"{filler}\n\n{RETOLD}\n{filler}"
    sets = TestSets({"set": problems(CHATTY)})
    assert sets.check([Passage("s", text)])["set"].rephrased == (0,)
    assert sets.check([Passage("s", text.replace("\n", " "))])["set"].rephrased == ()
    assert sets.check([Passage("s", RETOLD, solution=True)])["set"].rephrased == ()


def test_what_is_rephrased_does_not_depend_on_other_test_sets_or_order():
    rows = [*crowd(), row(RETOLD)]
    alone = TestSets({"set": problems(CHATTY)}).check(passages(rows))["set"]
    others = {"other": [{"id": "o", "problem": one["problem"]} for one in crowd(50)]}
    beside = TestSets({**others, "set": problems(CHATTY)}).check(passages(rows[::-1]))["set"]
    assert alone.rephrased == beside.rephrased == (0,)


@pytest.mark.bench
def test_most_rephrased_problems_of_gsm_plus_are_found_and_few_of_gsm8k_wrongly():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        import rephrased as measuring
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))
    plus, train, test = (
        shared_rows(f"data/{name}.jsonl.gz")
        for name in ("gsm_plus_testmini", "gsm8k_train", "gsm8k_test")
    )
    train = measuring.telling(train)
    told = [one for one in plus if one["perturbation_type"] == measuring.REPHRASED]
    page = (ROOT / "docs" / "contamination.md").read_text()
    own = measuring.halves(test, "problem")
    for half, rows in measuring.halves(told, "seed_problem").items():
        found = len(measuring.related(rows, train)["rephrased"])
        wrong = len(rephrased.find(measuring.telling(own[half]), train)["rephrased"])
        assert found / len(rows) >= 0.6
        assert wrong / len(own[half]) <= 0.01
        assert f"{100 * found / len(rows):.1f} % of {len(rows)} " in page
        assert f"{100 * wrong / len(own[half]):.1f} % of {len(own[half])} " in page
    numbers = [one for one in plus if one["perturbation_type"] == "numerical substitution"]
    related = measuring.related(numbers, train)
    assert len(related["same template"]) / len(numbers) > 0.8
    assert len(related["rephrased"]) / len(numbers) < 0.05
