"""Published records judged anew by a newer version of the verifier."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import handed_in
import pytest

from harness.boards.board import load_board
from harness.errors import TamperedError, UsageError
from harness.plugin.host import Host
from harness.publish import anew, join, rejudge
from harness.publish.check import check
from harness.publish.recheck import recheck
from harness.publish.rejudge import rejudge as judge_anew
from harness.publish.sources import gather
from harness.publish.write import _as_signed, publish
from harness.records import Record, read_record, read_record_files, read_records
from harness.verify import VERIFIER_VERSION

ROOT = Path(__file__).parents[1]
TASKS = Host(download=False).task
CELLS = {("start", None): 0.4, ("sft", 0): 0.7}
OLD = "0"
OTHER = {"C": ("W", "wrong"), "W": ("C", "correct")}


@pytest.fixture(scope="module", autouse=True)
def one_pool():
    with handed_in.one_pool(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(rejudge, "verifier_pool", anew.verifier_pool)
        yield


def older(runs: Path, record: Record) -> Record:
    """Rewrite a record and its answers as an older verifier left them: three verdicts differ."""
    first, *rest = record.scores
    flipped = [OTHER[letter] for letter in first.verdicts[:3]]
    file = next((runs / "answers" / record.id).glob(f"{first.task}*.jsonl"))
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    for row, (_, verdict) in zip(rows, flipped, strict=False):
        row["verdict"] = verdict
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    letters = "".join(letter for letter, _ in flipped) + first.verdicts[3:]
    update = {
        "verifier_version": OLD,
        "board": record.board.model_copy(update={"digest": handed_in.tiny().digests_under(OLD)[0]}),
        "scores": (first.model_copy(update={"verdicts": letters}), *rest),
    }
    changed = record.model_copy(update=update).sealed()
    (runs / "records" / f"{record.id}.json").write_text(changed.to_json())
    return changed


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with runs, and what an older version published of them."""
    folder = tmp_path_factory.mktemp("rejudged")
    board = handed_in.tiny()
    records = handed_in.leave(folder / "runs", CELLS)
    shutil.copytree(folder / "runs", folder / "now")
    for record in records.values():
        older(folder / "runs", record)
    conditions = board.conditions().model_copy(update={"digest": board.digests_under(OLD)[0]})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(anew, "differences", lambda *_: [])  # that version would have found none
        publish(folder / "runs", conditions, folder / "leaderboards", board.path, tasks=TASKS)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.mark.bench
def test_records_get_new_verdicts_and_keep_all_else(folder):
    place, out = folder / "leaderboards" / "records" / "tiny", folder / "leaderboards"
    before = read_record_files(place)
    now = {one.id: one for one in read_records(folder / "now" / "records")}
    found = judge_anew(handed_in.tiny(), out, TASKS)
    assert [one.changed for one in found] == [3, 3]
    after = read_record_files(place)
    assert after.keys() == before.keys() == now.keys()
    for name, record in after.items():
        old, first = before[name], record.judged_before
        assert record.scores == now[name].scores
        assert (record.verifier_version, first.verifier_version) == (VERIFIER_VERSION, OLD)
        assert first.digest == old.digest
        assert first.restored(record) == old  # nothing else has changed
    assert check(out) == ["tiny"]
    page = (out / "tiny.md").read_text()
    assert f"version {VERIFIER_VERSION}, which judged the answers anew; version {OLD}" in page
    states = recheck(gather(place), handed_in.tiny().conditions(), TASKS)
    assert {one.state for one in states} == {"recomputed"}
    assert judge_anew(handed_in.tiny(), out, TASKS) == []
    assert not list((out / "records").glob(".*"))


@pytest.mark.bench
def test_a_changed_record_of_before_is_found(folder):
    out = folder / "leaderboards"
    judge_anew(handed_in.tiny(), out, TASKS)
    path = next((out / "records" / "tiny").glob("sft-*.json"))
    record = read_record(path)
    forged = record.judged_before.model_copy(update={"verifier_version": "3"})
    path.write_text(record.model_copy(update={"judged_before": forged}).sealed().to_json())
    with pytest.raises(TamperedError, match="not the record that was judged anew"):
        read_record(path)


@pytest.mark.bench
def test_a_signed_submission_lists_the_first_record(folder, monkeypatch):
    out = folder / "leaderboards"
    place = out / "records" / "tiny"
    listed = [one.digest for one in read_record_files(place).values()]
    judge_anew(handed_in.tiny(), out, TASKS)
    found = read_record_files(place)
    ledger = join.Ledger(
        records=tuple(
            join.Published(file=name, digest=one.digest, answers=None, submission="theirs")
            for name, one in found.items()
        )
    )

    def manifest(_: Path) -> object:
        entries = [type("Entry", (), {"digest": digest}) for digest in listed]
        return type("Manifest", (), {"records": entries})

    monkeypatch.setattr("harness.publish.submission.read_manifest_file", manifest)
    _as_signed("theirs", place / "theirs.json", ledger, found)
    listed.pop()
    with pytest.raises(TamperedError, match="does not list the record"):
        _as_signed("theirs", place / "theirs.json", ledger, found)


@pytest.mark.bench
def test_what_cannot_be_judged_anew_is_refused_and_stays(folder, tmp_path):
    out = folder / "leaderboards"
    place = out / "records" / "tiny"
    conditions = json.loads((place / "conditions.json").read_text())
    whole = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}

    conditions["digest"] = "0" * 64
    path = place / "conditions.json"
    path.write_text(json.dumps(conditions))
    with pytest.raises((UsageError, TamperedError)):
        judge_anew(handed_in.tiny(), out, TASKS)
    path.write_bytes(whole[path])

    with pytest.raises(UsageError, match="has no board 'tiny': nothing to judge anew"):
        judge_anew(handed_in.tiny(), tmp_path / "elsewhere", TASKS)

    def missing(name: str) -> object:
        raise UsageError(f"no task {name}")

    with pytest.raises(UsageError, match="no task tiny_word"):
        judge_anew(handed_in.tiny(), out, missing)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == whole


@pytest.mark.bench
def test_conventions_that_a_task_had_before_are_no_other_questions(folder):
    out, board = folder / "changed", load_board("tiny", Host(download=False))
    publish(folder / "now", board.conditions(), out, board.path, tasks=TASKS)
    before = read_record_files(out / "records" / "tiny")
    name = board.ranking.task
    strict = board.tasks[name].conventions.model_copy(update={"units": "match"})
    changed = dataclasses.replace(board.tasks[name], conventions=strict)
    board.tasks[name] = changed
    vars(board).pop("digest")
    with pytest.raises(UsageError, match="other conditions than its verifier alone"):
        judge_anew(board, out, board.finder(Host(download=False)))

    known = dataclasses.replace(changed, earlier=(TASKS(name).conventions,))
    board.tasks[name] = known
    assert len(judge_anew(board, out, board.finder(Host(download=False)))) == len(before)
    for file, now in read_record_files(out / "records" / "tiny").items():
        first = next(one for one in now.scores if one.task == name)
        assert first.task_digest == known.digest != TASKS(name).digest
        assert now.judged_before is not None
        assert now.judged_before.restored(now) == before[file]


def test_conventions_that_published_records_were_judged_by_stay_known():
    changed = 0
    for place in (ROOT / "leaderboards" / "records").iterdir():
        for record in read_record_files(place).values():
            before = record.judged_before.scores if record.judged_before else ()
            for score, old in zip(record.scores, before, strict=bool(before)):
                if old.task_digest not in ("", score.task_digest):
                    assert old.task_digest in TASKS(score.task).digests[1:], record.id
                    changed += 1
    assert changed


@pytest.mark.bench
def test_a_claim_is_refused(folder, tmp_path):
    out = tmp_path / "claims"
    shutil.rmtree(folder / "runs" / "answers")
    board = handed_in.tiny()
    conditions = board.conditions().model_copy(update={"digest": board.digests_under(OLD)[0]})
    publish(folder / "runs", conditions, out, board.path, tasks=TASKS)
    with pytest.raises(UsageError, match="is a claim: there are no answers of it to judge anew"):
        judge_anew(board, out, TASKS)
