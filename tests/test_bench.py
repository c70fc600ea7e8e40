"""A bench on a small board: what fails alone, what continues, what is never done twice."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import processes
import pytest

from harness.bench.executors.local import LocalExecutor
from harness.files import file_sha256, write_atomically
from harness.leaderboard.build import build
from harness.leaderboard.data import Leaderboard
from harness.records import read_records
from harness.stage import manifest

pytestmark = pytest.mark.bench

EXPECTED = {
    "unruly-segfault": ("killed", "the process was ended by SIGSEGV"),
    "unruly-leave": ("failed", "the trainer ended its process by sys.exit(3)"),
    "unruly-vanish": ("failed", "the process ended with exit code 0 and no result"),
    "unruly-fail": ("failed", "ValueError: the loss is not a number"),
    "unruly-explain": ("failed", "no row is short enough; raise max_length"),
    "unruly-hang": ("timeout", "the stage passed its time limit and was stopped"),
    "unruly-kill": ("killed", "the process was ended by SIGKILL"),
    "unruly-exhaust": ("oom", "MemoryError: cannot take 900 GiB"),
    "unruly-fill": ("failed", "the disk is full"),
    "unruly-nothing": (
        "failed",
        "left no checkpoint: call run.save(model) at the end of its train",
    ),
    "unruly-pickle": ("failed", "pytorch_model.bin could run code; leave safetensors only"),
    "unruly-overrun": ("failed", "stopped: the trainer went on after its budget of 3 steps"),
}


def records(folder: Path) -> dict[tuple[str, int | None], object]:
    found = read_records(folder / "runs" / "small" / "records")
    return {(record.trainer, record.seed): record for record in found}


def leaderboard(folder: Path) -> Leaderboard:
    return Leaderboard.model_validate_json((folder / "runs/small/small.json").read_text())


def start_bench(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [*processes.HARNESS, "bench", "small.toml", *arguments]
    return processes.start(command, cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)


def read_until(process: subprocess.Popen[str], pattern: str) -> bool:
    """Read progress lines until one matches; return whether one did."""
    assert process.stderr is not None
    return any(re.search(pattern, line) for line in process.stderr)


def stage_processes(folder: Path) -> list[int]:
    """Return the processes that work below a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            targets = [os.readlink(link) for link in (entry / "fd").iterdir()]
        except OSError:
            continue
        if any(target.startswith(str(folder / "runs")) for target in targets):
            found.append(int(entry.name))
    return [pid for pid in found if pid != os.getpid()]


@pytest.fixture
def hurried(monkeypatch):
    """Let the time limit pass soon for the trainer that hangs and never for the others."""
    plain = LocalExecutor.start

    def start(executor, folder, seconds, **options):
        assert seconds == 60  # the board's
        return plain(executor, folder, 2 if "unruly-hang" in folder.name else 600, **options)

    monkeypatch.setattr(LocalExecutor, "start", start)


@pytest.mark.promise("A stage that fails, in whatever way, fails alone and says why")
def test_failing_cells_fail_alone_and_say_why(small_board, harness, hurried, tmp_path):
    """Every way of failing gives a row with its reason, exit code 1, and good cells finish."""
    trainers = ",".join(["unruly", *EXPECTED, "unruly+unruly-fail"])
    arguments = ("bench", "small.toml", "--plugins", trainers, "--seeds", "0")
    done = harness(*arguments, "--jobs", "3", check=1)
    found = records(tmp_path)
    assert found["start", None].status == "ok"
    assert found["unruly", 0].status == "ok"
    for trainer, (status, reason) in EXPECTED.items():
        record = found[trainer, 0]
        assert (record.status, reason in record.error) == (status, True), record
        assert record.error in done.stderr
        assert (tmp_path / "runs" / "small" / record.log).is_file()
    chain = found["unruly+unruly-fail", 0]
    assert chain.status == "failed"
    assert [ref.status for ref in chain.stages] == ["ok", "failed"]
    board = leaderboard(tmp_path)
    assert {failure.trainer for failure in board.failures} == {*EXPECTED, "unruly+unruly-fail"}
    traceback = (tmp_path / "runs/small" / found["unruly-fail", 0].log).read_text()
    assert 'raise ValueError("the loss is\\nnot a number")' in traceback

    # what failed is tried again and keeps its failed record; what is done is not done again
    before = found["unruly", 0]
    again = harness("bench", "small.toml", "--plugins", "unruly,unruly-fail",
                    "--seeds", "0", check=1)  # fmt: skip
    after = records(tmp_path)
    assert after["unruly", 0] == before
    assert after["unruly-fail", 0].supersedes == found["unruly-fail", 0].id
    assert after["unruly-fail", 0].stages[0].attempts == 2
    assert "train unruly seed 0: started" not in again.stderr


@pytest.mark.promise("What is done is never done again")
def test_the_same_command_again_does_nothing(small_board, harness, warm, tmp_path):
    """Nothing is started, nothing heavy is imported, and only the leaderboard is written again."""
    arguments = ("bench", "small.toml", "--seeds", "0")
    first = harness(*arguments)
    before = processes.written(tmp_path / "runs/small")
    warm.allowed = False
    second = harness(*arguments)
    assert second.stdout == first.stdout
    assert "Nothing to do: every cell of this bench was done before." in second.stderr
    assert not processes.imported_by(*arguments, folder=tmp_path) & {"torch", "lm_eval", "sympy"}
    after = processes.written(tmp_path / "runs/small")
    again = {path.name for path, _ in after.items() ^ before.items()}
    assert again == {"lock", "small.md", "small.svg", "small.json", "small.csv"}

    # a bench that was killed between judging and its record does not judge again
    warm.allowed = True
    stages = processes.written(tmp_path / "runs/small/stages")
    before = records(tmp_path)
    shutil.rmtree(tmp_path / "runs/small/records")
    shutil.rmtree(tmp_path / "runs/small/answers")
    third = harness(*arguments)
    assert third.stdout == first.stdout
    assert processes.written(tmp_path / "runs/small/stages") == stages
    for key, record in records(tmp_path).items():
        assert record.scores == before[key].scores
        for score in record.scores:
            name = f"{score.task}__{score.protocol}.jsonl"
            path = tmp_path / "runs/small/answers" / record.id / name
            assert file_sha256(path) == score.samples_sha256


@pytest.mark.promise(
    "A bench that is killed while it imports, trains, generates or judges continues to the same"
    " leaderboard"
)
def test_a_bench_killed_at_any_moment_continues_to_the_same_leaderboard(
    small_board, harness, tmp_path
):
    """SIGKILL while importing, training, generating and judging; then the same command ends it."""
    plugins = ("--plugins", "unruly,unruly-slow,unruly+unruly-slow", "--jobs", "2")
    moments = [
        "train unruly.* started",
        "train unruly seed 0: done",
        "generate .*: started",
        "generate .*: done",
        "unruly_sums .* %",
    ]
    for moment in moments:
        process = start_bench(tmp_path, *plugins)
        assert read_until(process, moment), moment
        process.send_signal(signal.SIGKILL)
        process.communicate()
        # a process that only just started ends when its Python is up; one look at all processes
        # may miss one that is forked meanwhile, by one that ends meanwhile
        deadline, looks = time.monotonic() + 120, 0
        while looks < 5 and time.monotonic() < deadline:
            looks = 0 if stage_processes(tmp_path) else looks + 1
            time.sleep(0.1)
        assert looks == 5, stage_processes(tmp_path)  # nothing outlives the bench
    harness("bench", "small.toml", *plugins)
    killed = leaderboard(tmp_path)
    (tmp_path / "runs").rename(tmp_path / "killed")
    harness("bench", "small.toml", *plugins)
    assert killed.comparable() == leaderboard(tmp_path).comparable()


@pytest.mark.promise(
    "A signal that ends a bench ends what runs, in one line; the same command continues"
)
def test_ctrl_c_stops_the_stages_and_says_how_to_go_on(small_board, harness, tmp_path):
    process = start_bench(tmp_path, "--plugins", "unruly-hang", "--seeds", "0")
    assert read_until(process, "start: unruly_sums")  # this cell is done, the other one hangs
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "train unruly-hang seed 0: interrupted" in rest
    assert "the same command continues" in rest
    assert stage_processes(tmp_path) == []
    assert list(records(tmp_path)) == [("start", None)]  # an interrupted cell has no record


@pytest.mark.promise("Two benches do not write to one folder at a time")
def test_two_benches_do_not_share_a_folder(small_board, harness, tmp_path):
    process = start_bench(tmp_path, "--plugins", "unruly-hang", "--seeds", "0")
    try:
        assert read_until(process, "started")
        second = harness("bench", "small.toml", check=2)
        assert "is in use by another bench (process" in second.stderr
    finally:
        process.send_signal(signal.SIGTERM)
        _, rest = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert "Interrupted by SIGTERM; the same command continues." in rest


@pytest.mark.promise("Whatever becomes of a stage's files, what is scored is what was trained")
def test_a_stage_whose_output_changed_is_done_again(small_board, harness, tmp_path):
    arguments = ("bench", "small.toml", "--seeds", "0")
    harness(*arguments)
    board = leaderboard(tmp_path)
    (weights,) = tmp_path.glob("runs/small/stages/train-*/checkpoint/model.safetensors")
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(bytes(data))
    for record in (tmp_path / "runs/small/records").glob("unruly*.json"):
        record.unlink()
    again = harness(*arguments)
    assert "train unruly seed 0: started" in again.stderr
    assert "generate unruly seed 0: done before" in again.stderr
    assert leaderboard(tmp_path).comparable() == board.comparable()


@pytest.mark.promise("Whatever becomes of a stage's files, what is scored is what was trained")
def test_a_result_that_is_gone_is_made_again(small_board, harness, tmp_path, monkeypatch):
    """Whatever removes a file of a stage that was done, while the bench runs."""
    plain, removed = manifest.is_done, []

    def is_done(folder):
        done = plain(folder)
        if done and not removed and folder.name.startswith("judge-unruly"):
            (train,) = folder.parent.glob("train-unruly-s0-*/result.json")
            train.unlink()
            removed.append(train)
        return done

    monkeypatch.setattr(manifest, "is_done", is_done)
    harness("bench", "small.toml", "--seeds", "0", "--plugins", "unruly")
    shutil.rmtree(tmp_path / "runs/small/records")
    removed.clear()
    done = harness("bench", "small.toml", "--seeds", "0", "--plugins", "unruly")
    assert "a file of it is gone; it is done again" in done.stderr
    assert records(tmp_path)["unruly", 0].stages[0].attempts >= 2


@pytest.mark.promise("Files get the modes that the umask leaves")
def test_files_keep_to_the_umask(tmp_path):
    before = os.umask(0o077)
    try:
        write_atomically(tmp_path / "private", "text")
    finally:
        os.umask(before)
    write_atomically(tmp_path / "usual", "text")
    assert (tmp_path / "private").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "usual").stat().st_mode & 0o777 == 0o666 & ~before


def test_other_conditions_share_a_folder(small_board, harness, tmp_path):
    """A board whose budget was changed judges the start model anew and trains the others."""
    arguments = ("bench", "small.toml", "--seeds", "0")
    harness(*arguments)
    text = small_board.read_text()
    assert "steps = 3" in text
    small_board.write_text(text.replace("steps = 3", "steps = 2"))
    again = harness(*arguments)
    assert "generate start: done before" in again.stderr
    assert "train unruly seed 0: started" in again.stderr
    assert len(records(tmp_path)) == 2
    assert len(list((tmp_path / "runs/small/records").glob("*.json"))) == 4


def test_answers_are_kept_with_their_judgement(small_board, harness, tmp_path):
    harness("bench", "small.toml", "--seeds", "0")
    record = records(tmp_path)["unruly", 0]
    path = tmp_path / "runs/small/answers" / record.id / "unruly_sums__chat_zeroshot.v1.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["id"] for row in rows] == [f"test-{i}" for i in range(10)]
    assert set(rows[0]) >= {"text", "tokens", "finish", "verdict", "why"}
    assert not {"problem", "gold", "gold_read"} & set(rows[0])
    score = next(score for score in record.scores if score.task == "unruly_sums")
    assert score.completion_tokens == sum(row["tokens"] for row in rows)
    assert score.limit_reached == sum(row["finish"] == "length" for row in rows)


def test_observers_are_told_and_cannot_change_a_record(
    small_board, harness, with_plugins, tmp_path, monkeypatch
):
    """The hooks harness_cell_started and harness_cell_finished."""
    monkeypatch.setenv("OBSERVER_NOTES", str(tmp_path / "notes"))
    with_plugins("observer")
    text = small_board.read_text().replace(
        '["unruly"]\ntrainers', '["unruly", "observer"]\ntrainers'
    )
    small_board.write_text(text)
    done = harness("bench", "small.toml", "--seeds", "0")
    notes = (tmp_path / "notes").read_text().splitlines()
    assert sorted(notes) == sorted(
        ["started start", "started unruly seed 0", "finished start ok", "finished unruly ok"]
    )
    assert "warning: plug-in 'observer': harness_cell_finished failed" in done.stderr
    assert len(records(tmp_path)) == 2


def test_a_model_folder_is_scored_without_training(small_board, harness, tmp_path):
    first = harness("score", "teacher", "small.toml", "--json")
    board = Leaderboard.model_validate_json(first.stdout)
    assert {row.trainer for row in board.rows} == {"start", "teacher"}
    assert not list(tmp_path.glob("runs/small/stages/train-*"))
    second = harness("score", "teacher", "small.toml", "--json")
    assert second.stdout == first.stdout
    harness("score", "gone", "small.toml", check=2)
    shutil.copytree(tmp_path / "start", tmp_path / "copied")
    same = "harness: copied has the start model's weights"
    assert same in harness("score", "copied", "small.toml").stderr
    assert "start model's weights" not in first.stderr


@pytest.mark.promise(
    "A full disk is one line and loses nothing: the same command continues when there is room"
)
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_is_one_line_and_loses_nothing(small_board, harness, tmp_path):
    harness("bench", "small.toml", "--seeds", "0")
    before = records(tmp_path)
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this system does not let us mount a small disk")
    try:
        subprocess.run(["cp", "-r", str(tmp_path / "runs" / "small"), str(disk)], check=True)
        room = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
        (disk / "ballast").write_bytes(b"x" * (room - 40_000))  # less than a checkpoint needs
        done = harness("bench", "small.toml", "--seeds", "0,1", "--runs", str(disk), check=1)
        assert "No space left" in done.stderr or "disk is full" in done.stderr
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    assert records(tmp_path) == before
    assert build(before.values(), leaderboard(tmp_path).conditions)


def test_where_the_budget_is_used_up_a_chain_spends_what_its_first_stage_alone_does(
    harness, small_board, tmp_path
):
    text = small_board.read_text().replace("steps = 3", "trained_tokens = 6000\nfill = true")
    more = "\n[curve]\nshares = [0.5]\n"
    more += "\n[options.sft]\nbatch_size = 4\n\n[options.sft-lora]\nbatch_size = 4\n"
    small_board.write_text(text.replace("seeds = [0, 1]", "seeds = [0]") + more)
    chain, early = "sft+sft-lora", "sft(sft.epochs=0.5)"
    harness("bench", "small.toml", "--plugins", f"sft,{chain}")
    harness("bench", "small.toml", "--plugins", "sft", "--set", "sft.epochs=0.5")
    found = records(tmp_path)
    spent = {name: record.cost.trained_tokens for (name, _), record in found.items()}
    step = spent["sft"] / found["sft", 0].cost.steps
    assert 6000 - 2 * step < spent["sft"] <= 6000
    assert 6000 - 2 * step < spent[chain] <= 6000
    first, _ = found[chain, 0].stages
    assert 3000 - 2 * step < first.cost.trained_tokens <= 3000
    assert spent[early] < 3000  # by its own rule
    assert first.stage != found["sft", 0].stages[0].stage
    rows = {row.trainer: row for row in leaderboard(tmp_path).rows}
    assert rows["sft"].budget_used == pytest.approx(spent["sft"] / 6000)
    assert [one.trainer for one in rows[chain].controls] == ["sft", early]
    assert [one.matched for one in rows[chain].controls] == [True, False]
    assert rows[chain].stage_gain.to == "sft"
    half = found["sft@0.5", 0]
    assert (half.share, half.stages[0].stage) == (0.5, first.stage)  # trained once
    assert [one.share for one in rows["sft"].curve] == [0.5, 1.0]
    assert rows["sft"].curve[0].budget_used == pytest.approx(half.cost.trained_tokens / 6000)
    assert [one.share for one in leaderboard(tmp_path).leads] == [0.5, 1.0]
    assert not any("@" in name for name in rows)
    assert "without a record" not in (tmp_path / "runs/small/small.md").read_text()
