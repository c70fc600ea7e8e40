from __future__ import annotations

import json
import shutil
from pathlib import Path

import generated
import pytest

from harness.errors import HarnessError, TamperedError, UsageError
from harness.publish.check import check
from harness.publish.write import publish
from harness.records import Record, read_records, second_name, write_record

ACCURACIES = {"start": 0.4, "sft": 0.6, "rl": 0.7}


def leave(folder: Path, records: list[Record]) -> Path:
    for record in records:
        write_record(record, folder / "records")
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a board's file and runs, published."""
    folder = tmp_path_factory.mktemp("made")
    runs = leave(folder / "runs" / "made-up", generated.board(ACCURACIES, n=120))
    (folder / "made-up.toml").write_text('name = "made-up"\n')
    publish(runs, generated.conditions(), folder / "leaderboards", folder / "made-up.toml")
    return folder


@pytest.fixture
def runs(tmp_path: Path, made: Path) -> Path:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path / "runs" / "made-up"


@pytest.fixture
def published(tmp_path: Path, runs: Path) -> Path:
    return tmp_path / "leaderboards"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_what_is_published_can_be_checked_and_published_again_to_the_byte(published, runs):
    before = contents(published)
    pages = {f"made-up.{ending}" for ending in ("md", "svg", "json", "csv")}
    assert {"README.md", *pages} <= before.keys()
    assert {"leaderboard.schema.json", "records/made-up/board.toml"} <= before.keys()
    assert len([name for name in before if name.startswith("records/made-up/made-up-")]) == 7
    assert check(published) == check(published, ["made-up"]) == ["made-up"]
    publish(runs, generated.conditions(), published, runs.parent.parent / "made-up.toml")
    assert contents(published) == before


def test_records_are_copied_byte_for_byte(published, runs):
    for path in (runs / "records").glob("*.json"):
        assert (published / "records" / "made-up" / path.name).read_bytes() == path.read_bytes()


@pytest.mark.promise("`harness check` sees every file of published leaderboards that was changed")
@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "made-up.md",
        "made-up.svg",
        "made-up.json",
        "made-up.csv",
        "records/made-up/made-up-rl-s1.json",
        "records/made-up/board.toml",
    ],
)
@pytest.mark.parametrize("how", ["edit", "delete", "empty", "noise"])
def test_a_file_that_was_touched_is_named(published, name, how):
    path = published / name
    if how == "edit":
        text = path.read_text()
        path.write_text(text.replace("rl", "RL", 1) if "rl" in text else text + "#")
    elif how == "delete":
        path.unlink()
    else:
        path.write_bytes(b"" if how == "empty" else b"\xff\x00\xfe")
    with pytest.raises(HarnessError, match=path.name.replace(".", r"\.")) as caught:
        check(published)
    assert "\n" not in str(caught.value)


def test_conditions_that_were_edited_are_found(published):
    path = published / "records" / "made-up" / "conditions.json"
    path.write_text(path.read_text().replace("200,000 trained", "100,000 trained"))
    with pytest.raises(TamperedError, match=r"made-up\.md"):
        check(published)
    digest = generated.DIGEST
    path.write_text(path.read_text().replace(digest, digest.replace("d", "e")))
    with pytest.raises(UsageError, match="other conditions"):
        check(published)


def test_a_better_score_written_into_a_record_is_found_even_when_sealed_again(published):
    path = published / "records" / "made-up" / "made-up-rl-s1.json"
    content = json.loads(path.read_text())
    content["scores"][0]["verdicts"] = "C" * content["scores"][0]["n"]
    path.write_text(json.dumps(content))
    with pytest.raises(TamperedError, match=r"made-up-rl-s1\.json was changed"):
        check(published)
    path.write_text(Record.model_validate(content).sealed().to_json())
    with pytest.raises(TamperedError, match=r"made-up-rl-s1\.json was changed after it was publ"):
        check(published)


def test_a_renamed_record_and_stray_files_are_found(published):
    records = published / "records" / "made-up"
    (records / "made-up-rl-s1.json").rename(records / "made-up-rl-s9.json")
    with pytest.raises(TamperedError, match=r"made-up-rl-s1\.json is missing"):
        check(published)
    (records / "made-up-rl-s9.json").rename(records / "made-up-rl-s1.json")
    for stray in (
        published / "other.md",
        published / "other.svg",
        records / "note.txt",
        published / "records" / "old",
    ):
        stray.mkdir() if stray.suffix == "" else stray.write_text("x")
        with pytest.raises(TamperedError, match=stray.name):
            check(published)
        stray.rmdir() if stray.is_dir() else stray.unlink()
    (published / ".gitkeep").touch()
    assert check(published) == ["made-up"]


def test_a_record_added_by_copying_a_file_asks_for_publishing(published, tmp_path):
    extra = generated.board({"kd": 0.65}, n=120)
    for record in extra:
        write_record(record, published / "records" / "made-up")
    with pytest.raises(TamperedError, match=r"not listed in published\.json: harness publish"):
        check(published)
    publish([], generated.conditions(), published)
    assert check(published) == ["made-up"]


def test_unknown_boards_and_empty_folders_are_refused(published, tmp_path):
    with pytest.raises(UsageError, match="did you mean 'made-up'"):
        check(published, ["made-upp"])
    with pytest.raises(UsageError, match="no published board"):
        check(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="no record of board"):
        publish(tmp_path, generated.conditions(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_boards_of_two_people_join_though_both_scored_the_start_model(tmp_path, published):
    """The start model is scored by each of them, with the same id; only times and dates differ."""
    made = generated.board({"kd": 0.65, "start": 0.4}, n=120)
    theirs = [one.model_copy(update={"created": "2026-02-02T00:00:00Z"}) for one in made]
    own = {path.name: path.read_bytes() for path in (published / "records/made-up").glob("*.json")}
    outcome = publish(leave(tmp_path / "theirs", theirs), generated.conditions(), published)
    assert outcome.joined.refused == []
    assert check(published) == ["made-up"]
    page = (published / "made-up.md").read_text()
    assert "**kd**" in page
    start = [one for one in published.glob("records/made-up/made-up-start-s0*.json")]
    assert len(start) == 2  # the second one is named by its digest too
    for name in own.keys() - {"published.json"}:
        assert (published / "records" / "made-up" / name).read_bytes() == own[name]
    before = contents(published)
    publish([tmp_path / "theirs"], generated.conditions(), published)  # once more: nothing new
    publish([], generated.conditions(), published)  # from the records alone
    assert contents(published) == before


@pytest.mark.parametrize("name", ["conditions", "Published"])
def test_a_record_that_would_lie_in_a_file_of_the_board_is_refused(tmp_path, published, name):
    (made,) = generated.board({"kd": 0.65}, n=120)[:1]
    made = made.model_copy(update={"id": name}).sealed()
    folder = tmp_path / "theirs" / "records"
    folder.mkdir(parents=True)
    (folder / f"{second_name(made)}.json").write_text(made.to_json())
    before = contents(published)
    with pytest.raises(TamperedError, match=f"'{name}' is no id of a record"):
        publish(tmp_path / "theirs", generated.conditions(), published)
    assert contents(published) == before
    assert check(published) == ["made-up"]


def test_no_record_takes_the_file_of_another(tmp_path, published):
    """One of them was copied in by hand, and has the id of one that is taken in."""
    made = generated.board({"kd": 0.65}, n=120)[0]
    other = made.model_copy(update={"command": "another"}).sealed()
    by_hand = published / "records" / "made-up" / f"{made.id}.json"
    by_hand.write_text(made.to_json())
    outcome = publish(leave(tmp_path / "theirs", [other]), generated.conditions(), published)
    assert outcome.joined.refused == []
    assert by_hand.read_text() == made.to_json()
    assert by_hand.with_name(f"{second_name(other)}.json").read_text() == other.to_json()
    assert check(published) == ["made-up"]

    third = made.model_copy(update={"command": "a third"}).sealed()
    early = {"id": second_name(third), "created": "2001-01-01T00:00:00Z"}
    evil = made.model_copy(update=early).sealed()
    sent = leave(tmp_path / "more", [evil, third])
    (line,) = publish(sent, generated.conditions(), published).joined.refused
    assert f"{made.id}.json and {second_name(third)}.json are other records" in line
    assert check(published) == ["made-up"]


def test_other_conditions_are_never_mixed_in(published, tmp_path):
    other = generated.conditions(digest="e" * 64)
    records = [
        r.model_copy(update={"board": r.board.model_copy(update={"digest": "e" * 64})})
        for r in generated.board(ACCURACIES, n=120)
    ]
    runs = leave(tmp_path / "changed", records)
    before = contents(published)
    with pytest.raises(UsageError, match="never mixed"):
        publish(runs, other, published)
    assert contents(published) == before
    changed = next((runs / "records").glob("*rl*"))
    whole = changed.read_text()
    changed.write_text(whole.replace("rl", "RL", 1))
    with pytest.raises(HarnessError):
        publish(runs, other, published, replace=True)
    assert contents(published) == before  # what a refusal would have replaced is still there
    changed.write_text(whole)
    publish(runs, other, published, replace=True)
    assert check(published) == ["made-up"]


def test_records_of_older_conditions_in_the_runs_folder_are_left_out(runs, tmp_path):
    old = generated.record("sft", 7, {"words": "C"})
    old = old.model_copy(update={"board": old.board.model_copy(update={"digest": "0" * 64})})
    leave(runs, [old])
    publish(runs, generated.conditions(), tmp_path / "out")
    assert not (tmp_path / "out" / "records" / "made-up" / f"{old.id}.json").exists()


def test_a_second_board_joins_the_index(published, tmp_path):
    records = [
        r.model_copy(update={"board": r.board.model_copy(update={"name": "another"})})
        for r in generated.board({"start": 0.3, "hybrid": 0.5}, n=100)
    ]
    publish(
        leave(tmp_path / "more", records),
        generated.conditions(board="another", title="Another board"),
        published,
    )
    index = (published / "README.md").read_text()
    assert "[A made-up board](made-up.md)" in index
    assert "[Another board](another.md)" in index
    assert check(published) == ["another", "made-up"]


@pytest.mark.parametrize("name", ["../escape", "a/b", "", ".hidden", "x" * 300])
def test_a_record_whose_id_is_no_file_name_is_refused(tmp_path, name):
    record = generated.record("sft", 0, {"words": "C"}, id=name)
    folder = tmp_path / "records"
    folder.mkdir()
    (folder / "innocent.json").write_text(record.to_json())
    with pytest.raises(TamperedError, match="is no id of a record"):
        read_records(folder)


def test_links_lead_to_files_that_are_there(published):
    import re

    for page in (published / "made-up.md", published / "README.md"):
        targets = re.findall(r"\]\(([^)]+)\)", page.read_text())
        assert targets
        for target in targets:
            assert (published / target).is_file(), target
