"""Handing in: what is submitted, how it is taken in beside others' results, and the workflow."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import generated
import handed_in
import pytest
import yaml

from harness.errors import HarnessError
from harness.leaderboard.data import Leaderboard, Row
from harness.plugin.host import Host
from harness.publish.check import check
from harness.publish.sources import gather
from harness.publish.submission import can_verify, read_manifest
from harness.publish.submit import pull_request, submit
from harness.publish.write import publish
from harness.records import BoardRef, Record, read_record, read_records, write_record
from harness.rejudged import JudgedBefore, ScoreBefore
from harness.render.escape import markdown
from harness.verify import VERIFIER_VERSION

ROOT = Path(__file__).parents[1]
WORKFLOWS = ROOT / ".github" / "workflows"
TASKS = Host(download=False).task
SFT = ("sft", 0)


@pytest.fixture(scope="module", autouse=True)
def one_pool():
    with handed_in.one_pool():
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a published board and the runs of three others.

    `again` made `sft/0` again, `other` has other answers for it, `new` brings a trainer alone.
    """
    folder = tmp_path_factory.mktemp("submissions")
    conditions = handed_in.tiny().conditions()
    handed_in.leave(folder / "runs" / "tiny")
    publish(folder / "runs" / "tiny", conditions, folder / "leaderboards", tasks=TASKS)
    own = handed_in.CELLS[SFT]
    handed_in.leave(folder / "again", {SFT: own, ("start", None): 0.4}, day=3)
    handed_in.leave(folder / "other", {SFT: 0.9}, salt="x", day=2)
    handed_in.leave(folder / "new", {("rl", seed): 0.75 for seed in range(5)}, day=2)
    cells = {
        "again": ["sft/0", "start"],
        "other": ["sft/0"],
        "new": [f"rl/{seed}" for seed in range(5)],
    }
    for name, wanted in cells.items():
        submit(folder / name, conditions, wanted, TASKS, 4, out=folder / "submissions" / name)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path


def row(folder: Path, trainer: str) -> Row:
    text = (folder / "leaderboards" / "tiny.json").read_text()
    return next(one for one in Leaderboard.model_validate_json(text).rows if one.trainer == trainer)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_submission_says_what_was_tried_and_by_which_code(folder):
    manifest = read_manifest(folder / "submissions" / "new")
    assert (manifest.board, manifest.trials) == ("tiny", 4)
    assert [one.cell for one in manifest.records] == [f"rl/{seed}" for seed in range(5)]
    assert manifest.plugins[0].source_sha256 == "abcdef0123456789" * 4
    text = (folder / "submissions" / "new" / "PULL_REQUEST.md").read_text()
    for said in ("rl/1", "Settings tried in all: 4", "rl of srlm-harness"):
        assert said in text


def test_a_trainer_of_another_distribution_is_not_said_to_be_of_this_project(folder):
    chosen = gather(folder / "submissions" / "new")
    other = chosen.manifest.plugins[0].model_copy(update={"distribution": "harness-theirs"})
    ours = pull_request(chosen.manifest, chosen)
    theirs = pull_request(chosen.manifest.model_copy(update={"plugins": (other,)}), chosen)
    assert ours.count(": this project") == 1
    assert "this project" not in theirs
    assert "of harness-theirs" in theirs
    assert ": no address was given" in theirs


def test_somebody_who_brings_a_new_trainer_needs_no_start_model(folder, harness):
    done = harness("publish", "tiny", "--from", "submissions/new", "--runs", "nowhere")
    assert "harness: tiny: 5 records joined the 7 published before\n" in done.stderr
    found = row(folder, "rl")
    assert found.rank is not None
    assert found.gain is not None
    name = read_manifest(folder / "submissions" / "new").name
    assert {ref.submission for ref in found.records} == {name}
    assert f"handed in as {name}" in (folder / "leaderboards/tiny.md").read_text().replace("\\", "")
    assert check(folder / "leaderboards") == ["tiny"]
    before = tree(folder / "leaderboards")
    harness("publish", "tiny", "--from", "submissions/new", "--runs", "nowhere")
    harness("publish", "tiny", "--runs", "nowhere")  # from the records alone
    assert tree(folder / "leaderboards") == before


def test_records_of_other_conditions_are_named_and_not_left_out_in_silence(folder, harness):
    (folder / "nothing").mkdir()
    theirs = folder / "theirs"
    theirs.mkdir()
    record = read_records(folder / "runs/tiny/records")[0]
    board = record.board.model_copy(update={"digest": "f" * 64})
    other = record.model_copy(update={"board": board}).sealed()
    (theirs / f"{other.id}.json").write_text(other.to_json())
    done = harness("publish", "tiny", "--from", "theirs", "--from", "nothing", check=3)
    assert "theirs: 1 of 1 records are of 'tiny' (digest ffffffffffff)" in done.stderr
    assert "nothing holds no record" in done.stderr


def test_a_cell_made_again_by_others_confirms_it(folder, harness):
    before = row(folder, "sft")
    done = harness("publish", "tiny", "--from", "submissions/again")
    assert "tiny: 2 records joined the 7 published before; 2 of them confirm one" in done.stderr
    after = row(folder, "sft")
    assert (after.accuracy, after.rank) == (before.accuracy, before.rank)
    assert [ref.seed for ref in after.confirmations] == [0]
    assert (
        "made again once with the same weights and answers"
        in (folder / "leaderboards" / "tiny.md").read_text()
    )
    same = [one for one in read_records(folder / "leaderboards/records/tiny") if one.seed == 0]
    assert [one.trainer for one in same].count("sft") == 2


def test_other_answers_are_named_and_the_first_that_was_published_counts(folder, harness):
    before = row(folder, "sft")
    harness("publish", "tiny", "--from", "submissions/other", "--from", "submissions/new")
    assert row(folder, "sft").accuracy == before.accuracy
    assert "has other answers than" in (folder / "leaderboards" / "tiny.md").read_text()
    assert harness("check").stdout.strip() == "13 recomputed"


def test_the_order_in_which_boards_join_changes_who_is_first_and_nothing_is_lost(folder):
    conditions, out = handed_in.tiny().conditions(), folder / "apart"
    for name in ("other", "again"):
        publish(folder / "submissions" / name, conditions, out, tasks=TASKS)
    publish(folder / "runs" / "tiny", conditions, out, tasks=TASKS)
    records = read_records(out / "records" / "tiny")
    assert len(records) == len(handed_in.CELLS) + 3
    board = Leaderboard.model_validate_json((out / "tiny.json").read_text())
    assert {one.trainer: one for one in board.rows}["sft"].records[0].id.startswith("sft-s0-x")
    assert check(out) == ["tiny"]


def rewrite(runs: Path, **update: object) -> None:
    """Change the records of a runs folder, and seal them again."""
    for path in (runs / "records").glob("*.json"):
        path.write_text(read_record(path).model_copy(update=update).sealed().to_json())


def test_the_runs_of_somebody_else_replace_nothing_of_the_publisher(folder, harness):
    before = row(folder, "sft")
    rewrite(folder / "other", supersedes="sft-s0-0123456789ab")
    harness("publish", "tiny", "--from", "other")
    after = row(folder, "sft")
    assert [ref.id for ref in after.records] == [ref.id for ref in before.records]
    assert "sft-s0-x-0123456789ab has other answers than" in (
        folder / "leaderboards" / "tiny.md"
    ).read_text().replace("\\", "")
    shutil.copytree(folder / "other", folder / "runs" / "tiny", dirs_exist_ok=True)
    harness("publish", "tiny", "--from", "runs/tiny", "--out", "own")  # one's own, named
    board = Leaderboard.model_validate_json((folder / "own" / "tiny.json").read_text())
    (sft,) = (one for one in board.rows if one.trainer == "sft")
    assert [ref.id for ref in sft.records][:1] == ["sft-s0-x-0123456789ab"]
    assert {ref.submission for ref in sft.records} == {""}


def test_of_two_that_are_taken_in_together_the_first_named_counts_whatever_their_dates(folder):
    conditions, thief = handed_in.tiny().conditions(), folder / "thief"
    for seed in range(5):
        copied(folder / "new", seed=seed, of="rl")
        name = f"mine-s{seed}-0123456789ab"
        (thief / "records").mkdir(parents=True, exist_ok=True)
        (folder / "new" / "records" / f"{name}.json").rename(thief / "records" / f"{name}.json")
        (thief / "answers").mkdir(exist_ok=True)
        (folder / "new" / "answers" / name).rename(thief / "answers" / name)
    rewrite(thief, created="2001-01-01T00:00:00Z")
    both = [folder / "new", thief]
    for given, refused in ((both, "mine"), (both[::-1], "rl")):
        out = folder / f"without-{refused}"
        joined = publish([], conditions, out, others=given, tasks=TASKS).joined
        assert len(joined.refused) == 5
        assert all(f": {refused}/" in line for line in joined.refused)


def test_what_would_be_refused_cannot_be_handed_in(folder, harness):
    done = harness("submit", "tiny", "--cells", "sftt/0", "--trials", "1", check=2)
    assert "no finished cell 'sftt/0'" in done.stderr
    shutil.rmtree(folder / "runs" / "tiny" / "answers" / "sft-s0-0123456789ab")
    done = harness("submit", "tiny", "--cells", "sft/0", "--trials", "1", check=3)
    assert "sft/0 cannot be handed in (claimed): there are no answers of it" in done.stderr
    done = harness("submit", "tiny", "--cells", "sft/1", "--trials", "1")
    assert "harness: sft/0, sft/2, sft/3, sft/4 not handed in: a row is ranked" in done.stderr
    made = done.stdout.splitlines()[0]
    assert harness("check", made).stdout.strip() == "1 recomputed"
    assert (
        "there is no folder submissions/none"
        in harness("check", "submissions/none", check=2).stderr
    )
    assert (
        "is there already"
        in harness("submit", "tiny", "--cells", "sft/1", "--trials", "1", check=2).stderr
    )


def copied(runs: Path, trainer: str = "mine", seed: int = 0, of: str = "sft") -> None:
    """Leave in a runs folder another trainer's record and answers under a trainer's own name."""
    record = read_record(runs / "records" / f"{of}-s{seed}-0123456789ab.json")
    stage = record.stages[0].model_copy(update={"trainer": trainer, "plugin": trainer})
    identity = record.id.replace(of, trainer)
    update = {"id": identity, "trainer": trainer, "stages": (stage,)}
    made = record.model_copy(update={**update, "created": "2026-02-02T00:00:00Z"}).sealed()
    write_record(made, runs / "records")
    shutil.copytree(runs / "answers" / record.id, runs / "answers" / identity)


def test_a_record_under_another_trainers_name_is_refused_where_it_is_handed_in(folder, harness):
    says = "its answers are, letter by letter, those of sft/0 (sft-s0-0123456789ab)"
    copied(folder / "runs" / "tiny")
    given = ("submit", "tiny", "--trials", "1", "--out", "handed/in", "--cells")
    for cells, published in (("sft/0,mine/0", "none"), ("mine/0", "leaderboards")):
        done = harness(*given, cells, "--published", published, check=3)
        assert f"mine/0 cannot be handed in (recomputed): {says}" in done.stderr
    made = harness(*given, "mine/0", "--published", "none").stdout.splitlines()[0]
    assert harness("check", made, "--published", "none").stdout.strip() == "1 recomputed"
    done = harness("check", made, check=3)
    assert done.stdout.splitlines() == [f"tiny: mine/0 differs: {says}", "1 differs"]


def test_a_reason_that_several_records_share_is_said_once(folder, harness):
    for seed in (0, 1):
        (answers,) = (folder / "runs" / "tiny" / "answers").glob(f"sft-s{seed}-*")
        shutil.rmtree(answers)
    done = harness("check", "runs/tiny")
    lines = done.stdout.splitlines()
    assert lines[0] == "tiny: sft/0, sft/1 claimed: there are no answers of it"
    assert lines[1].startswith("2 claimed, ")
    assert len(lines) == 2
    says = "2 of 7 records are claims and were not recomputed, for the reason above"
    assert done.stderr == f"harness: {says}\n"


def test_a_check_that_recomputes_nothing_does_not_pass(folder, harness):
    """There are records without any answers, and a folder without any record."""
    runs = folder / "runs" / "tiny"
    shutil.rmtree(runs / "answers")
    done = harness("check", "runs/tiny", check=4)
    assert done.stdout.splitlines()[-1] == "7 claimed"
    says = "nothing was recomputed: all 7 records are claims, for the reason above"
    assert done.stderr == f"harness: {says}\n"
    states = json.loads(harness("check", "runs/tiny", "--json", check=4).stdout)
    assert {one["state"] for one in states} == {"claimed"}
    for path in (runs / "records").iterdir():
        path.unlink()
    assert "runs/tiny holds no record" in harness("check", "runs/tiny", check=2).stderr


def test_a_check_names_failed_cells(folder, harness):
    reference = BoardRef(name="tiny", digest=handed_in.tiny().digest)
    failed = generated.record(
        "kd", 0, {}, board=reference, status="failed", error="no", verifier_version=VERIFIER_VERSION
    )
    write_record(handed_in.cheap(failed), folder / "runs" / "tiny" / "records")
    lines = harness("check", "runs/tiny").stdout.splitlines()
    assert lines == [
        "tiny: kd/0 failed: a failed cell has nothing to judge",
        "1 failed, 7 recomputed",
    ]


def test_a_submission_that_is_not_what_its_manifest_lists_is_refused(folder, harness):
    place = folder / "submissions" / "new" / "records"
    shutil.copy(folder / "submissions/other/records/sft-s0-x-0123456789ab.json", place)
    assert "is not the record that it lists" in harness("check", "submissions/new", check=3).stderr
    done = harness("publish", "tiny", "--from", "submissions/new", check=3)
    assert "is not the record that it lists" in done.stderr


def test_a_manifest_that_names_other_cells_or_plug_ins_than_its_records_is_refused(folder):
    path = folder / "submissions" / "new" / "submission.json"
    kept = json.loads(path.read_text())
    for where, change, says in (
        ("records", {"cell": "sft/0"}, r"rl-s0-0123456789ab is of rl/0"),
        ("plugins", {"plugin": "sft", "address": ""}, "plug-in 'rl' is not as its records name it"),
    ):
        first, *others = kept[where]
        path.write_text(json.dumps(kept | {where: [first | change, *others]}))
        with pytest.raises(HarnessError, match=says):
            gather(path.parent)
    path.write_text(json.dumps(kept))
    gather(path.parent)


def test_a_submission_holds_no_record_that_is_said_to_have_been_judged_anew(folder):
    """Once published, it would not be what its signed manifest lists."""
    place = folder / "submissions" / "new"
    path = next((place / "records").glob("rl-s0-*.json"))
    record = read_record(path)
    kept = [{name: getattr(s, name) for name in ScoreBefore.model_fields} for s in record.scores]
    said = {"verifier_version": "0", "board": "f" * 64, "digest": "", "scores": kept}
    before = JudgedBefore.model_validate(said)
    before = before.model_copy(update={"digest": before.restored(record).compute_digest()})
    forged = record.model_copy(update={"judged_before": before}).sealed()
    path.write_text(forged.to_json())
    manifest = place / "submission.json"
    manifest.write_text(manifest.read_text().replace(record.digest, forged.digest))
    with pytest.raises(HarnessError, match="is said to have been judged anew"):
        gather(place)


@pytest.mark.promise("Nobody hands in under the name of another; a signature is checked and shown")
def test_nobody_hands_in_under_the_name_of_another(folder, harness):
    """The same name would be the same hand, whose records may replace each other."""
    harness("publish", "tiny", "--from", "submissions/new")
    name = read_manifest(folder / "submissions" / "new").name
    manifest = folder / "submissions" / "other" / "submission.json"
    content = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(content | {"name": name}))
    before = tree(folder / "leaderboards")
    done = harness("publish", "tiny", "--from", "submissions/other", check=2)
    assert f"another submission is named '{name}'" in done.stderr
    assert tree(folder / "leaderboards") == before


@pytest.mark.promise("Nobody hands in under the name of another; a signature is checked and shown")
@pytest.mark.skipif(not can_verify(), reason="ssh-keygen is not installed")
def test_a_signature_is_checked_and_shown(folder, harness):
    for name in ("key", "stranger"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", name]
        subprocess.run(command, cwd=folder, check=True)
    public = (folder / "key.pub").read_text().split()
    allowed = folder / "leaderboards" / "allowed_signers"
    allowed.write_text(f'ada@example.org namespaces="srlm-harness" {public[0]} {public[1]}\n')
    given = ("submit", "tiny", "--cells", "kd/0", "--trials", "1", "--out")
    harness(*given, "signed", "--sign", "key", "--runs", "runs")
    harness("publish", "tiny", "--from", "signed", "--out", "leaderboards")
    page = folder / "leaderboards" / "tiny.md"
    assert "signed by" not in page.read_text()  # kd/0 was published before, by the publisher
    shutil.rmtree(folder / "leaderboards" / "records")
    harness("publish", "tiny", "--from", "signed")
    assert f"signed by {markdown('ada@example.org')}" in page.read_text()
    assert check(folder / "leaderboards") == ["tiny"]

    harness(*given, "strange", "--sign", "stranger")
    done = harness("publish", "tiny", "--from", "strange", check=3)
    assert "is no signature of submission.json by anybody in" in done.stderr
    ledger = folder / "leaderboards" / "records" / "tiny" / "published.json"
    ledger.write_text(ledger.read_text().replace("ada@", "bob@"))
    with pytest.raises(HarnessError, match=r"is by ada@example\.org, and published\.json says"):
        check(folder / "leaderboards")
    ledger.write_text(ledger.read_text().replace("bob@", "ada@"))
    manifest = next((ledger.parent / "submissions").glob("*.json"))
    manifest.write_text(manifest.read_text().replace('"trials": 1', '"trials": 2'))
    with pytest.raises(HarnessError, match="is no signature of"):
        check(folder / "leaderboards")


# -- the workflow ---------------------------------------------------------------------------------


def workflow(name: str) -> dict[str, Any]:
    content: dict[Any, Any] = yaml.safe_load((WORKFLOWS / name).read_text())
    return {("on" if key is True else str(key)): value for key, value in content.items()}


@pytest.mark.promise(
    "A pull request is checked without a secret, and without installing or running anything of it"
)
@pytest.mark.parametrize("name", ["submission.yml", "tests.yml"])
def test_a_workflow_may_read_and_nothing_else(name):
    found = workflow(name)
    assert found["permissions"] == {"contents": "read"}
    assert "pull_request" in found["on"]
    assert "pull_request_target" not in found["on"]
    text = (WORKFLOWS / name).read_text()
    assert "secrets." not in text
    for job in found["jobs"].values():
        assert "permissions" not in job
        assert job["timeout-minutes"] <= 60
        for step in job["steps"]:
            assert "${{" not in step.get("run", "")  # nothing of a pull request becomes a command
            if step.get("uses", "").startswith("actions/checkout"):
                assert step["with"]["persist-credentials"] is False


def test_only_a_tag_releases_and_only_one_job_may_say_who_it_is():
    found = workflow("release.yml")
    assert found["on"] == {"push": {"tags": ["v*"]}}
    assert found["permissions"] == {"contents": "read"}
    build, publish = found["jobs"]["build"], found["jobs"]["publish"]
    assert "permissions" not in build
    assert publish["permissions"] == {"id-token": "write"}
    assert publish["needs"] == "build"
    assert "secrets." not in (WORKFLOWS / "release.yml").read_text()
    assert not [
        step for step in publish["steps"] if "run" in step
    ]  # nothing is run with that right


def test_the_workflow_of_the_tests_runs_the_command_of_the_readme():
    job = workflow("tests.yml")["jobs"]["tox"]
    (command,) = [step["run"] for step in job["steps"] if "run" in step]
    assert os.access(ROOT / command, os.X_OK)
    assert (ROOT / command).read_text().splitlines()[-1] in (ROOT / "README.md").read_text()


@pytest.mark.promise(
    "A pull request is checked without a secret, and without installing or running anything of it"
)
def test_the_workflow_installs_the_base_branch_alone():
    steps = workflow("submission.yml")["jobs"]["check"]["steps"]
    (install,) = [step["run"] for step in steps if "pip install" in step.get("run", "")]
    assert "./base" in install
    assert "head" not in install
    places = {
        step["with"]["path"]: step["with"]["ref"] for step in steps if "ref" in step.get("with", {})
    }
    assert "base.sha" in places["base"]
    assert "head.sha" in places["head"]


@pytest.fixture
def run_check(folder: Path):
    """Return a function that runs the very commands of the workflow's check on a pull request."""
    steps = workflow("submission.yml")["jobs"]["check"]["steps"]
    (step,) = [step for step in steps if step.get("name") == "Check"]
    base, head = folder / step["env"]["BASE"], folder / step["env"]["HEAD"]
    base.mkdir()
    shutil.move(folder / "leaderboards", base / "leaderboards")
    (head / "submissions").mkdir(parents=True)
    bin_ = folder / "bin"
    bin_.mkdir()
    (bin_ / "harness").write_text(f'#!/bin/sh\nexec {sys.executable} -m harness "$@"\n')
    (bin_ / "harness").chmod(0o755)
    (bin_ / "python").symlink_to(sys.executable)
    paths = os.pathsep.join([str(bin_), os.environ["PATH"]])
    summary = folder / "summary.md"

    def run(name: str) -> tuple[int, str]:
        if (folder / "submissions" / name).exists():
            shutil.copytree(
                folder / "submissions" / name, head / "submissions" / name, symlinks=True
            )
        env = os.environ | step["env"] | {"PATH": paths, "GITHUB_STEP_SUMMARY": str(summary)}
        done = subprocess.run(
            ["bash", "-c", step["run"]], cwd=folder, env=env, capture_output=True, text=True
        )
        return done.returncode, done.stdout + done.stderr

    return run


def test_the_commands_of_the_workflow_pass_a_good_submission(folder, run_check):
    code, said = run_check("new")
    assert code == 0, said
    assert "5 recomputed" in said
    assert "| **rl** " in (folder / "summary.md").read_text()
    assert (folder / "preview" / "tiny.md").is_file()


def test_the_commands_of_the_workflow_say_that_nothing_was_recomputed(folder, run_check):
    """Where the data of a board is not at hand, who takes a submission in has to check it."""
    place = folder / "submissions" / "new"
    shutil.rmtree(place / "answers")
    manifest = json.loads((place / "submission.json").read_text())
    manifest["records"] = [{**one, "answers": None} for one in manifest["records"]]
    (place / "submission.json").write_text(json.dumps(manifest))
    code, said = run_check("new")
    assert code == 0, said
    assert "nothing was recomputed: all 5 records" in said
    assert (folder / "summary.md").read_text().startswith("new: not one record was recomputed here")


@pytest.mark.promise("A forged submission is stopped by the workflow that checks it")
def test_the_commands_of_the_workflow_stop_a_forged_submission(folder, run_check):
    path = folder / "submissions" / "new" / "records" / "rl-s0-0123456789ab.json"
    manifest = folder / "submissions" / "new" / "submission.json"
    content = json.loads(path.read_text())
    before = content["digest"]
    content["scores"][0]["verdicts"] = "C" * 300
    forged = Record.model_validate(content).sealed()
    path.write_text(forged.to_json())
    manifest.write_text(manifest.read_text().replace(before, forged.digest))
    code, said = run_check("new")
    assert code == 3, said
    assert "rl/0 differs" in said
    assert not (folder / "summary.md").exists()


@pytest.mark.promise("A forged submission is stopped by the workflow that checks it")
@pytest.mark.parametrize("what", ["nothing", "link", "file"])
def test_the_commands_of_the_workflow_stop_what_is_no_submission(folder, run_check, what):
    if what == "link":
        (folder / "submissions" / "new" / "records" / "zero.json").symlink_to("/dev/zero")
    if what == "file":
        (folder / "head" / "submissions" / "a;b").write_text("x")
    code, said = run_check("none" if what == "nothing" else "new")
    assert code == 3, said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("submissions/new/submission.json", True),
        ("submissions.txt", False),
        ("leaderboards/allowed_signers", False),
        (".github/workflows/submission.yml", False),
        ("a\nsubmissions/x", False),
    ],
)
def test_the_workflow_stops_a_pull_request_that_changes_anything_else(tmp_path, path, allowed):
    steps = workflow("submission.yml")["jobs"]["check"]["steps"]
    (step,) = [step for step in steps if step.get("name") == "Nothing but submissions"]
    head, env = tmp_path / "head", dict(os.environ)
    env |= dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"), "me")
    env |= dict.fromkeys(("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), "me@example.org")

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(head), *arguments]
        return subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout

    head.mkdir()
    git("init", "-q")
    for name, variable in ((None, "BASE_SHA"), (path, "HEAD_SHA")):
        if name:
            (head / name).parent.mkdir(parents=True, exist_ok=True)
            (head / name).write_text("x")
        git("add", "-A")
        git("commit", "-q", "--allow-empty", "-m", "x")
        env[variable] = git("rev-parse", "HEAD").strip()
    command = ["bash", "-c", step["run"]]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert (done.returncode == 0) == allowed, done.stdout + done.stderr
    assert done.stdout.count("\n") == (0 if allowed else 1)


def test_what_the_board_fixes_is_not_taken_from_who_hands_in(folder, harness):
    """A submission that brings conditions of its own, with a larger budget."""
    new = folder / "submissions" / "new"
    path, manifest = new / "records" / "rl-s0-0123456789ab.json", new / "submission.json"
    content = json.loads(path.read_text())
    before = content["digest"]
    for cost in (content["cost"], content["stages"][0]["cost"]):
        cost["flops"] = 9e12
    record = Record.model_validate(content).sealed()
    path.write_text(record.to_json())
    manifest.write_text(manifest.read_text().replace(before, record.digest))
    own = json.loads((folder / "leaderboards/records/tiny/conditions.json").read_text())
    own["caps"]["flops"] = 1e15
    (new / "conditions.json").write_text(json.dumps(own))
    done = harness("check", "submissions/new", check=3)
    assert "rl/0 differs: it spent 9e+12 flops, and the board allows 8e+10" in done.stdout
