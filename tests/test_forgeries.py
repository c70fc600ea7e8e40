"""Forged records: whatever is written into one, it is not ranked, and one line says why."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import handed_in
import pytest

from harness.boards.conditions import read_conditions
from harness.errors import HarnessError
from harness.files import jsonl
from harness.leaderboard.data import Leaderboard
from harness.plugin.host import Host
from harness.publish import answers
from harness.publish.check import check
from harness.publish.recheck import recheck
from harness.publish.recompute import judged_anew
from harness.publish.sources import gather
from harness.publish.write import Outcome, publish
from harness.records import Record, read_record
from harness.verify import VerifierPool

TASKS = Host(download=False).task
ANSWER = {"id": "x", "sample": 0, "text": "a", "tokens": 1, "finish": "stop", "verdict": "wrong"}
FORGER = {("rl", 0): 0.5, ("rl", 1): 0.5}


@pytest.fixture(scope="module", autouse=True)
def one_pool():
    with handed_in.one_pool():
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a published board and the runs of somebody who wants to be first."""
    folder = tmp_path_factory.mktemp("forgeries")
    handed_in.leave(folder / "own")
    publish(folder / "own", handed_in.tiny().conditions(), folder / "leaderboards", tasks=TASKS)
    handed_in.leave(folder / "theirs", FORGER, day=2)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    for name in ("leaderboards", "theirs"):
        shutil.copytree(made / name, tmp_path / name)
    return tmp_path


def path_of(folder: Path, trainer: str = "rl", seed: int = 0) -> Path:
    return folder / "theirs" / "records" / f"{trainer}-s{seed}-0123456789ab.json"


def rewrite(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change a record's file and seal it again, as one who has this code can."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(Record.model_validate(content).sealed().to_json())


def take_in(folder: Path) -> Outcome:
    board = handed_in.tiny()
    return publish(folder / "theirs", board.conditions(), folder / "leaderboards", tasks=TASKS)


def rows(folder: Path) -> dict[str, Any]:
    text = (folder / "leaderboards" / "tiny.json").read_text()
    return {row.trainer: row for row in Leaderboard.model_validate_json(text).rows}


def refused(folder: Path) -> str:
    """Take in the forger's runs and return the one line of what is refused."""
    (line,) = take_in(folder).joined.refused
    assert "\n" not in line
    assert rows(folder).get("rl") is None or 0 not in rows(folder)["rl"].seeds
    assert rows(folder)["sft"].rank == (1, 1)
    assert check(folder / "leaderboards") == ["tiny"]
    return line


def answers_file(folder: Path, score: str = "tiny_word__chat_zeroshot.v1", seed: int = 0) -> Path:
    return folder / "theirs" / "answers" / f"rl-s{seed}-0123456789ab" / f"{score}.jsonl"


def all_right(content: dict[str, Any]) -> None:
    score = content["scores"][0]
    score["verdicts"] = "C" * score["n"]


@pytest.mark.promise("A record whose answers do not give its verdicts is not ranked")
def test_verdicts_that_were_edited(folder):
    rewrite(path_of(folder), all_right)
    assert "it has other verdicts" in refused(folder)


@pytest.mark.promise("A record whose answers do not give its verdicts is not ranked")
def test_verdicts_that_were_edited_in_the_answers_too(folder):
    rewrite(path_of(folder), all_right)
    path = answers_file(folder)
    path.write_text(path.read_text().replace('"verdict": "wrong"', '"verdict": "correct"'))
    assert "verdicts are others; it says 300 right" in refused(folder)


@pytest.mark.promise("A record whose answers do not give its verdicts is not ranked")
def test_answers_that_were_edited_to_the_golds(folder):
    path = answers_file(folder)
    golds = handed_in.tiny().test_rows(handed_in.tiny().file.scores[0])
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line, row in zip(lines, golds, strict=True):
        line |= {"text": f"\\boxed{{{row['answer']}}}", "verdict": "correct"}
    path.write_text(jsonl(lines))

    def everything(content: dict[str, Any]) -> None:
        all_right(content)
        content["scores"][0] |= {"strict": 300, "flexible": 300}

    rewrite(path_of(folder), everything)
    assert "its answers are not those that were judged" in refused(folder)


def test_answers_of_another_record(folder):
    for score in handed_in.tiny().scores:
        shutil.copy(answers_file(folder, score.name, 1), answers_file(folder, score.name, 0))
    assert "is not what record rl-s0-0123456789ab was made from" in refused(folder)


@pytest.mark.promise("Nobody is ranked by answers that somebody else handed in")
def test_the_record_of_somebody_else_under_a_new_name(folder, made):
    """The whole of `sft/0`, answers included, as the first seed of `rl`."""
    name = "sft-s0-0123456789ab"
    path = path_of(folder)
    theirs = json.loads((made / "own" / "records" / f"{name}.json").read_text())
    rewrite(path, lambda content: content.update(theirs, id=path.stem, trainer="rl"))
    shutil.rmtree(answers_file(folder).parent)
    shutil.copytree(made / "own" / "answers" / name, answers_file(folder).parent)
    assert "those of sft/0" in refused(folder)


@pytest.mark.promise("A record holds no cost that its tokens, stages and budget do not allow")
def test_a_cost_that_was_edited(folder):
    rewrite(path_of(folder), lambda content: content["cost"].update(flops=1.0))
    assert "its cost of 1 flops is not that of its stages" in refused(folder)


@pytest.mark.promise("A record holds no cost that its tokens, stages and budget do not allow")
def test_a_cost_of_fewer_flops_than_its_tokens_take(folder):
    def cut(content: dict[str, Any]) -> None:
        for cost in (content["cost"], content["stages"][0]["cost"]):
            cost["flops"] = 1.0

    rewrite(path_of(folder), cut)
    assert "trained tokens take more than 1 FLOPs" in refused(folder)


@pytest.mark.promise("A record holds no cost that its tokens, stages and budget do not allow")
@pytest.mark.parametrize("spent", [9e15, 3.0e11])
def test_a_cost_above_the_budget(folder, spent):
    def spend(content: dict[str, Any]) -> None:
        for cost in (content["cost"], content["stages"][0]["cost"]):
            cost["flops"] = spent

    rewrite(path_of(folder), spend)
    assert "the board allows 8e+10" in refused(folder)


@pytest.mark.promise("A record of other conditions than the board's does not join it")
def test_a_seed_that_is_not_the_boards(folder):
    path = path_of(folder)
    rewrite(path, lambda content: content.update(seed=7))
    assert "seed 7 is none of the board's seeds 0, 1, 2" in refused(folder)


def test_a_name_that_looks_like_that_of_another_row(folder):
    """The first letter of this `sft` is a Cyrillic one."""
    rewrite(path_of(folder), lambda content: content.update(trainer="\u0455ft"))
    assert "is no name of a trainer" in refused(folder)


def test_a_small_file_that_holds_millions_of_answers(folder):
    """It is read line by line, and no further than there are answers."""
    entry = read_record(path_of(folder))
    line = (answers.to_text({"tiny_word__chat_zeroshot.v1": [ANSWER]})) * 2000
    with pytest.raises(HarnessError, match=r"has more lines than rl-s0-\S+ has answers, 650"):
        answers.parse(line, entry, path_of(folder))
    text, seen = "x\n" * 10**7, []
    with pytest.raises(HarnessError, match="line 1 of"):
        answers.parse(text, entry, path_of(folder))
    for number, found in answers._lines("a\n\nb", path_of(folder)):
        seen.append((number, found))
    assert seen == [(1, b"a"), (2, b""), (3, b"b")]


def test_a_small_file_is_unpacked_no_further_than_its_record_has_answers(folder):
    """A few of half a gigabyte each would fill the memory before a line is looked at."""
    record = read_record(path_of(folder))
    most = answers.most_bytes(record)
    assert len(answers.to_text(answers.collect(folder / "theirs", record))) < most < 10**7
    place = folder / "copy" / "answers"
    place.mkdir(parents=True)
    shutil.copy(path_of(folder), folder / "copy")
    (place / f"{record.id}.jsonl.gz").write_bytes(gzip.compress(b"x" * (most + 1)))
    with pytest.raises(HarnessError, match="more than the answers of its record can have"):
        gather(folder / "copy")


def test_a_record_of_another_board_with_the_digest_of_this_one(folder):
    rewrite(path_of(folder), lambda content: content["scores"][0].update(task="gsm8k"))
    assert "the board has no task 'gsm8k'" in refused(folder)


@pytest.mark.promise("A record of other conditions than the board's does not join it")
def test_the_first_record_of_a_board_cannot_choose_its_questions(folder, harness):
    """Nothing is published yet that would tell how many there are."""
    board, path = handed_in.tiny(), path_of(folder)
    record = read_record(path)
    given = answers.collect(folder / "theirs", record)
    scores = []
    with VerifierPool(workers=1) as pool:
        for name, one in zip(answers.names(record), record.scores, strict=True):
            kept = one.model_copy(update={"n": 7})
            score, rows = judged_anew(kept, given[name][:7], TASKS, pool)
            answers_file(folder, name).write_text(rows)
            scores.append(score)
    path.write_text(record.model_copy(update={"scores": tuple(scores)}).sealed().to_json())
    path_of(folder, seed=1).unlink()
    says = "tiny_word: it has 7 questions, and the board asks 300; bench it again with all of them"
    with pytest.raises(HarnessError, match=says):
        publish(folder / "theirs", board.conditions(), folder / "first", tasks=TASKS)
    (folder / "theirs").rename(folder / "tiny")
    done = harness("check", "./tiny", "--published", "none", check=3)
    assert f"rl/0 differs: {says}" in done.stdout
    given = ("--runs", ".", "--published", "none", "--out", "mine")
    done = harness("submit", "tiny", "--cells", "rl/0", "--trials", "1", *given, check=3)
    assert f"rl/0 cannot be handed in (differs): {says}" in done.stderr
    conditions = board.conditions()
    few = [one.model_copy(update={"limit": 7}) for one in conditions.benchmarks]
    limited = conditions.model_copy(update={"benchmarks": tuple(few)})  # a board that asks so few
    assert publish(folder / "tiny", limited, folder / "first", tasks=TASKS).new == 1


@pytest.mark.promise("A record of other conditions than the board's does not join it")
def test_a_record_that_lacks_a_benchmark_of_the_board(folder):
    """Its hand left out what would show it, such as the answers to a score that ranks nobody."""
    lacking = handed_in.tiny().conditions().benchmarks[-1]
    rewrite(path_of(folder), lambda content: content["scores"].pop(-1))
    says = f"rl/0: it lacks {lacking.task} ({lacking.protocol}) of the board: a record has a score"
    assert says in refused(folder)


@pytest.mark.promise("A record of other conditions than the board's does not join it")
def test_a_start_model_that_is_another(folder):
    """A start model that is worse makes every gain larger."""
    path = path_of(folder)
    rewrite(path, lambda content: content.update(trainer="start", seed=None, stages=[], cost={}))
    before = rows(folder)["start"].accuracy
    assert "the board's start model is" in refused(folder)
    assert rows(folder)["start"].accuracy == before


def test_a_claim_of_a_start_model_changes_no_gain(folder):
    path = path_of(folder)
    start = handed_in.tiny().identity("start")

    def pretend(content: dict[str, Any]) -> None:
        content.update(trainer="start", seed=None, stages=[], cost={})
        content["checkpoint"]["digest"] = start

    rewrite(path, pretend)
    shutil.rmtree(answers_file(folder).parent)
    before = rows(folder)["sft"].gain
    assert take_in(folder).joined.claims
    assert rows(folder)["sft"].gain.difference == before.difference


@pytest.mark.promise("Nobody's record replaces that of another")
@pytest.mark.parametrize("theirs", ["start-0123456789ab", "sft-s0-0123456789ab"])
def test_a_record_that_would_replace_that_of_another(folder, theirs):
    rewrite(path_of(folder), lambda content: content.update(supersedes=theirs))
    before = rows(folder)
    assert take_in(folder).joined.refused == []
    assert rows(folder)["start"].accuracy == before["start"].accuracy
    assert [ref.id for ref in rows(folder)["sft"].records] == [
        ref.id for ref in before["sft"].records
    ]


def test_other_answers_for_a_cell_that_is_published(folder, tmp_path):
    """The first that was published counts, whatever date the other one has."""
    handed_in.leave(tmp_path / "late", {("sft", 0): 0.99}, salt="x", day=1)
    rewrite(
        tmp_path / "late" / "records" / "sft-s0-x-0123456789ab.json",
        lambda content: content.update(created="2001-01-01T00:00:00Z"),
    )
    shutil.rmtree(folder / "theirs")
    (tmp_path / "late").rename(folder / "theirs")
    before = rows(folder)["sft"]
    take_in(folder)
    assert rows(folder)["sft"].accuracy == before.accuracy
    page = (folder / "leaderboards" / "tiny.md").read_text()
    assert "sft/0: the record sft-s0-x-0123456789ab has other answers than" in page


@pytest.mark.promise("Nobody's record replaces that of another")
def test_neither_a_failure_nor_a_claim_of_others_takes_a_row_out_of_the_ranking(folder):
    before = rows(folder)["kd"]
    rewrite(path_of(folder, seed=0), lambda content: content.update(trainer="kd", seed=1))
    shutil.rmtree(answers_file(folder).parent)

    def fail(content: dict[str, Any]) -> None:
        content.update(trainer="kd", seed=2, status="failed", error="no", scores=[])

    rewrite(path_of(folder, seed=1), fail)
    sent = folder / "sent"  # as somebody else's: a folder of records is not one's own runs
    (folder / "theirs" / "records").rename(sent)
    board = handed_in.tiny()
    outcome = publish(sent, board.conditions(), folder / "leaderboards", tasks=TASKS)
    assert "is a claim" in outcome.joined.claims[0]
    assert rows(folder)["kd"].rank == before.rank
    assert check(folder / "leaderboards") == ["tiny"]


def nan(path: Path) -> None:
    path.write_text(path.read_text().replace('"seconds": 31.5', '"seconds": NaN'))


def huge_number(path: Path) -> None:
    path.write_text(path.read_text().replace('"flops": 50000000000.0', '"flops": 1e300'))


def many_digits(path: Path) -> None:
    path.write_text(path.read_text().replace('"steps": 60', f'"steps": {"9" * 5000}'))


def negative(path: Path) -> None:
    path.write_text(path.read_text().replace('"steps": 60', '"steps": -60'))


def no_tokens(path: Path) -> None:
    path.write_text(path.read_text().replace('"completion_tokens": 6000', '"completion_tokens": 0'))


def deep(path: Path) -> None:
    path.write_text(path.read_text().replace('"options": {}', f'"options": {"[" * 9999}'))


def deep_and_whole(path: Path) -> None:
    nested = '{"a":' * 5000 + "1" + "}" * 5000
    path.write_text(path.read_text().replace('"options": {}', f'"options": {nested}'))


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def endless(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def link(path: Path) -> None:
    path.rename(path.with_suffix(".moved"))
    path.symlink_to(path.with_suffix(".moved"))


def huge(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(2**30)


@pytest.mark.promise(
    "A file that is no record, whatever it is, is refused in one line and changes nothing"
)
@pytest.mark.parametrize(
    ("forge", "says"),
    [
        (nan, "seconds"),
        (huge_number, "flops"),
        (many_digits, "is not JSON that can be read"),
        (negative, "steps"),
        (no_tokens, "is not a record|digest does not match"),
        (deep, "is nested more than 64 deep|is not JSON"),
        (deep_and_whole, "is nested more than 64 deep"),
        (pipe, "is not a regular file"),
        (endless, "is a link"),
        (link, "is a link"),
        (huge, "is larger than"),
    ],
)
def test_a_file_that_is_no_record_refuses_the_whole_and_changes_nothing(folder, forge, says):
    forge(path_of(folder))
    before = {path: path.read_bytes() for path in (folder / "leaderboards").rglob("*.*")}
    with pytest.raises(HarnessError, match=says) as caught:
        take_in(folder)
    assert "\n" not in str(caught.value)
    assert {path: path.read_bytes() for path in (folder / "leaderboards").rglob("*.*")} == before


def forged_by_hand(folder: Path) -> Path:
    """Edit a published record with its answers and seals, and write all that depends on it."""
    place = folder / "leaderboards" / "records" / "tiny"
    path = place / "kd-s0-0123456789ab.json"
    packed = place / "answers" / "kd-s0-0123456789ab.jsonl.gz"
    text = gzip.decompress(packed.read_bytes()).decode()
    head, tail = text.splitlines(keepends=True)[:300], text.splitlines(keepends=True)[300:]
    head = [line.replace('"verdict": "wrong"', '"verdict": "correct"') for line in head]
    packed.write_bytes(answers.pack("".join([*head, *tail])))
    before = read_record(path).digest
    rewrite(path, all_right)
    ledger = place / "published.json"
    content = json.loads(ledger.read_text())
    (entry,) = (one for one in content["records"] if one["digest"] == before)
    entry |= {
        "digest": read_record(path).digest,
        "answers": answers.digest("".join([*head, *tail])),
    }
    ledger.write_text(json.dumps(content))
    publish([], read_conditions(place / "conditions.json"), folder / "leaderboards")
    return place


@pytest.mark.promise(
    "A published board that was forged in every file is found by judging its answers anew"
)
def test_a_published_board_that_was_forged_in_every_file_is_found_by_judging_anew(folder):
    place = forged_by_hand(folder)
    assert check(folder / "leaderboards") == ["tiny"]  # every file is what the others give
    assert rows(folder)["kd"].accuracy.accuracy == 1
    found = list(recheck(gather(place), read_conditions(place / "conditions.json"), TASKS))
    (wrong,) = (one for one in found if one.state == "differs")
    assert (wrong.cell, wrong.state) == ("kd/0", "differs")
    assert "it says 300 right" in wrong.why


def test_the_command_names_what_differs_and_ends_with_3(folder, harness):
    assert harness("check").stdout.strip() == "7 recomputed"
    forged_by_hand(folder)
    done = harness("check", check=3)
    assert "tiny: kd/0 differs: tiny_word:" in done.stdout
    assert "1 differs, 6 recomputed" in done.stdout
    listed = json.loads(harness("check", "--json", check=3).stdout)
    states = {one["cell"]: one["state"] for one in listed}
    same = ("start", *(f"sft/{seed}" for seed in range(5)))
    assert states == dict.fromkeys(same, "recomputed") | {"kd/0": "differs"}


def test_a_record_that_was_changed_by_hand_is_named(folder):
    path = folder / "leaderboards" / "records" / "tiny" / "kd-s0-0123456789ab.json"
    rewrite(path, all_right)
    with pytest.raises(HarnessError, match="was changed after it was published"):
        check(folder / "leaderboards")
    with pytest.raises(HarnessError, match="was changed after it was published"):
        take_in(folder)


@pytest.mark.parametrize("what", ["gone", "other", "stray"])
def test_answers_that_are_not_those_that_were_published_are_named(folder, what):
    place = folder / "leaderboards" / "records" / "tiny" / "answers"
    path = place / "kd-s0-0123456789ab.jsonl.gz"
    if what == "gone":
        path.unlink()
    else:
        shutil.copy(place / "sft-s0-0123456789ab.jsonl.gz", path)
        if what == "stray":
            path.rename(place / "other.jsonl.gz")
    with pytest.raises(HarnessError, match=r"missing|changed after|belongs to no record") as caught:
        check(folder / "leaderboards")
    assert "\n" not in str(caught.value)


@pytest.mark.promise("No published answer holds a gold answer or a problem")
def test_no_published_answer_holds_a_gold_answer_or_a_problem(folder):
    place = folder / "leaderboards" / "records" / "tiny" / "answers"
    keys = {"score", "id", "sample", "text", "tokens", "finish", "verdict"}
    for path in place.iterdir():
        packed = path.read_bytes()
        text = gzip.decompress(packed).decode()
        assert answers.pack(text) == packed  # the same bytes from the same answers
        assert {key for line in text.splitlines() for key in json.loads(line)} == keys
