"""Confinement: what a trainer that attacks the bench is refused, and what is said elsewhere."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import landlockpy
import pytest
from processes import all_ended

from harness.bench.executors import calls, confinement, measured
from harness.bench.executors import local as executor_module
from harness.leaderboard.data import Leaderboard
from harness.leaderboard.origins import Spent, unaccounted
from harness.leaderboard.warnings import _process_warnings, _uncounted_seconds
from harness.records import Cost, Environment, Outside, StageRef, read_records
from harness.stage.spec import GenerateSpec, TrainSpec
from harness.tasks.guard import Closed

ENVIRONMENT = Environment(python="3", platform="Linux", processor="one core")

needs_landlock = pytest.mark.skipif(
    landlockpy.abi_version() < 6, reason="this kernel has no Landlock, or one older than ABI 6"
)


@pytest.fixture
def attacked(small_board: Path, harness, with_plugins, monkeypatch):
    """Return a function that benches the hostile trainer beside another.

    It returns its record, the kinds of its row's warnings, and what was printed.
    """
    with_plugins("unruly", "hostile")
    monkeypatch.setenv("SOME_API_KEY", "secret")

    def bench(port: int, compute: str = "") -> tuple:
        text = small_board.read_text().replace("[compute]", f"[compute]\n{compute}")
        small_board.write_text(text)
        folder = small_board.parent / "runs/small"
        bench = ("bench", "small.toml", "--seeds", "0", "--plugins")
        harness(*bench, "unruly")
        known = {
            "rival": "stages/generate-*/result.json",
            "record": "records/unruly-*.json",
            "answers": "answers/unruly-*/*.jsonl",
            "data": "data/train-*.jsonl",
        }
        options = [f"port = {port}"]
        options += (f'{name} = "{next(folder.glob(path))}"' for name, path in known.items())
        # in the board, since options of a command are in a row's name, which has a bound
        small_board.write_text("\n".join([text, "[options.hostile]", *options, ""]))
        done = harness(*bench, "hostile")
        (record,) = (
            one for one in read_records(folder / "records") if one.trainer.startswith("hostile")
        )
        board = Leaderboard.model_validate_json((folder / "small.json").read_text())
        (row,) = (row for row in board.rows if row.trainer == record.trainer)
        said = (*row.warnings, *board.properties)  # of every row alike
        return record, {warning.kind for warning in said}, done

    return bench


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.promise(
    "A trainer reads and writes nothing that is not its own, and reaches no network and no process"
)
@pytest.mark.bench
@needs_landlock
def test_a_hostile_trainer_is_refused_everything(attacked, listener):
    record, warnings, _ = attacked(listener)
    stage = record.stages[0]
    assert stage.environment.confinement.startswith("landlock ")
    offline = stage.environment.confinement.endswith("; no network")
    # where no network namespace may be made Landlock knows TCP alone
    assert stage.notes["done"] == ([] if offline else ["resolve"])
    assert stage.notes["allowed"] is True
    assert stage.notes["made"] == 2
    assert "SOME_API_KEY" not in stage.notes["variables"]
    assert "long" not in stage.notes
    assert "notes passed" in stage.notes["left_out"]
    assert record.environment.confinement == stage.environment.confinement
    assert stage.outside.seconds >= stage.cost.seconds
    assert not warnings & {"unconfined", "had_network"}


@pytest.mark.bench
@needs_landlock
def test_a_board_may_allow_the_network_and_variables(attacked, listener):
    compute = 'network = true\nenvironment = ["SOME_API_KEY"]'
    record, warnings, _ = attacked(listener, compute)
    stage = record.stages[0]
    assert stage.environment.confinement.endswith("; network")
    assert stage.notes["done"] == ["connect", "resolve"]
    assert "SOME_API_KEY" in stage.notes["variables"]
    assert record.environment.confinement.endswith("no network")  # the answers were made without
    assert "had_network" in warnings


@pytest.mark.promise("A row says where nothing kept its trainer from other files")
@pytest.mark.bench
def test_without_landlock_a_row_says_so(attacked, listener, monkeypatch, tmp_path):
    """A library that finds no Landlock; then an attack ends the bench, in one clear line."""
    place = tmp_path / "site"
    place.mkdir()
    (place / "sitecustomize.py").write_text(
        "import landlockpy\nlandlockpy.abi_version = lambda: 0\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(place), prepend=os.pathsep)
    monkeypatch.syspath_prepend(str(place))
    with pytest.raises(AssertionError, match=r"/runs/small was removed while the bench ran; the"):
        attacked(listener)


@pytest.mark.promise("A row says where nothing kept its trainer from other files")
@pytest.mark.parametrize(
    ("how", "kinds"),
    [
        ("", set()),  # a record of before
        ("landlock 7; no network", set()),
        ("landlock 3; no TCP", set()),
        ("landlock 7; network", {"had_network"}),
        ("none (this system has no Landlock); no network", {"unconfined"}),
        ("none (this system has no Landlock); network", {"unconfined", "had_network"}),
    ],
)
def test_a_row_says_how_it_was_trained(how, kinds):
    stage = trained(
        Cost(flops=1e9), environment=ENVIRONMENT.model_copy(update={"confinement": how})
    )
    assert {warning.kind for warning in _process_warnings([stage])} == kinds


@pytest.mark.promise(
    "What a stage took is measured outside it too, and a cost that contradicts that is named"
)
@pytest.mark.parametrize(
    ("cost", "outside", "attempts", "what"),
    [
        (Cost(flops=1e9, seconds=10), Outside(seconds=12, cpu_seconds=9), 1, None),
        (Cost(flops=1e9, seconds=20), Outside(seconds=12, cpu_seconds=9), 1, "more seconds"),
        (Cost(flops=1e9, seconds=20), Outside(seconds=12, cpu_seconds=9), 2, None),
        (Cost(), Outside(seconds=12, cpu_seconds=9), 1, None),
        (Cost(flops=1e9, seconds=20), Outside(seconds=200, cpu_seconds=9), 1, "minutes more"),
        (Cost(flops=1e9, seconds=200), Outside(seconds=500, cpu_seconds=9), 1, None),
        (Cost(seconds=400), Outside(seconds=400, cpu_seconds=390), 1, "no FLOPs"),
        (Cost(seconds=400), Outside(seconds=400, cpu_seconds=9, gpu_seconds=400), 1, "no FLOPs"),
    ],
)
def test_a_cost_that_contradicts_what_was_measured_is_named(cost, outside, attempts, what):
    found = list(_process_warnings([trained(cost, outside=outside, attempts=attempts)]))
    assert [warning.kind for warning in found] == (["costs_contradict"] if what else [])
    assert all(what in warning.values["what"] for warning in found)


PARTS = {"head_flops": 0.0, "attention_flops": 0.0}


@pytest.mark.parametrize(
    ("cost", "times"),
    [
        (Cost(flops=1e9), None),  # nobody looked at what was computed
        (Cost(flops=1e9, body_flops=0.47e9, **PARTS), None),
        (Cost(flops=1e9, body_flops=1.4e9, head_flops=0.1e9, attention_flops=0.2e9), None),
        (Cost(flops=1e9, body_flops=0.9e9, head_flops=0.1e9, attention_flops=9e9), None),  # long
        (Cost(flops=5.3e9, body_flops=1.06e11, **PARTS), 20),
        (Cost(flops=1e9, body_flops=0.05e9, **PARTS), 0.05),
        (Cost(body_flops=1e9, **PARTS), None),  # is named as one without FLOPs
    ],
)
def test_a_row_that_computes_something_else_than_is_counted_is_named(cost, times):
    plain = Cost(flops=1e9, body_flops=1e9, **PARTS)
    found = list(_process_warnings([trained(plain), trained(cost)]))
    assert [warning.kind for warning in found] == (["computes_otherwise"] if times else [])
    assert [warning.values["times"] for warning in found] == ([pytest.approx(times)] * bool(times))


def trained(cost: Cost, **fields) -> StageRef:
    known = {"trainer": "t", "plugin": "t", "distribution": "t", "version": "1", "options": {}}
    known |= {"source_sha256": "", "stage": "train-t", "status": "ok"}
    return StageRef(**known, cost=cost, **fields)


def seen(seconds, children, verifier=None, attempts=1, **fields):
    """Return a stage that took so many CPU seconds, some of them in other processes."""
    outside = Outside(
        seconds=seconds, cpu_seconds=seconds, child_cpu_seconds=children, attempts=attempts
    )
    cost = Cost(flops=1e9, seconds=seconds, verifier_cpu_seconds=verifier)
    return trained(cost, outside=outside, attempts=attempts, **fields)


@pytest.mark.promise(
    "What a stage took is measured outside it too, and a cost that contradicts that is named"
)
@pytest.mark.parametrize(
    ("stages", "share"),
    [
        ([seen(100, None)], None),  # a record of before, or several processes that are counted
        ([seen(100, 5)], None),  # workers that put batches together
        ([seen(100, 25)], None),
        ([seen(100, 30)], 0.3),
        ([seen(0, 100)], 1.0),  # which somebody wrote
        ([seen(12, 9)], None),  # too few to say anything
        ([seen(12, 9), seen(12, 9)], 0.75),  # two seeds
        ([seen(12, 9), seen(12, None)], None),
        ([seen(100, 60, verifier=58.5)], None),
        ([seen(100, 60, verifier=20)], 0.4),
        ([seen(100, 60, verifier=20), seen(100, 10, verifier=30)], None),
        ([seen(80, 65, notes={"compiler": "x"}), seen(80, 65, notes={"compiler": "x"})], None),
        ([seen(100, 90, notes={"compiler": "x"})], 0.3),
        ([seen(100, 90, notes={"compiled": "x"})], 0.9),  # a trainer's own word
        ([seen(100, 60), seen(300, 2).model_copy(update={"trainer": "u"})], 0.6),  # a chain
    ],
)
def test_a_row_that_computes_in_processes_in_which_nothing_is_counted_is_named(stages, share):
    found = list(_process_warnings(stages))
    assert [warning.kind for warning in found] == (["computes_beside"] if share else [])
    assert [warning.values["share"] for warning in found] == [pytest.approx(share)] * bool(share)


def test_a_measurement_of_before_keeps_its_bytes_and_says_nothing_with_another():
    old, new = (
        Outside(seconds=1, cpu_seconds=1),
        Outside(seconds=1, cpu_seconds=1, child_cpu_seconds=0.5),
    )
    assert "child_cpu_seconds" not in old.model_dump_json()
    assert old.plus(new).child_cpu_seconds is new.plus(old).child_cpu_seconds is None
    assert new.plus(new).child_cpu_seconds == 1


@pytest.mark.parametrize(
    ("cost", "seconds", "named"),
    [
        (Cost(flops=4e8, trained_tokens=1000), 35, True),  # one step is counted, many are not
        (Cost(flops=4e8, trained_tokens=1000), 25, False),  # a start that takes long is no evidence
        (Cost(flops=3e11, trained_tokens=1000), 35, False),
        (Cost(flops=1e10, trained_tokens=10, generated_tokens=1000), 35, False),  # it samples
        (Cost(flops=4e8, trained_tokens=1000, generated_tokens=10), 35, True),
    ],
)
def test_work_that_no_counted_flops_account_for_is_named(cost, seconds, named):
    def row(name, cost, seconds, place=ENVIRONMENT):
        outside = Outside(seconds=seconds, cpu_seconds=seconds)
        stages = [trained(cost, outside=outside, environment=place)]
        return SimpleNamespace(trainer=name, done=[SimpleNamespace(stages=stages)])

    rows = [row("a", Cost(flops=9e10), 3.4), row("b", Cost(flops=9e10), 4), row("c", cost, seconds)]
    assert set(_uncounted_seconds(rows)) == ({"c"} if named else set())
    assert _uncounted_seconds(rows[2:]) == {}  # nothing to compare it with
    elsewhere = ENVIRONMENT.model_copy(update={"processor": "another"})
    also = [*rows, row("d", Cost(flops=9e10), 400, elsewhere)]  # with nothing to compare it with
    assert set(_uncounted_seconds(also)) == ({"c"} if named else set())


@pytest.mark.parametrize(
    ("flops", "made", "seconds", "named"),
    [
        (8e10, 0, 90, True),  # four times what others like it work, and twice over the middle
        (8e10, 0, 55, False),
        (8e10, 900, 90, False),  # one that samples is compared with those that do
        (8e10, 900, 900, True),
        (2e10, 0, 90, True),
    ],
)
def test_a_row_is_compared_with_those_that_sample_as_it_does(flops, made, seconds, named):
    def spent(flops, made, seconds):
        outside = Outside(seconds=seconds, cpu_seconds=seconds)
        cost = Cost(flops=flops, trained_tokens=1000, generated_tokens=made)
        return Spent.by([trained(cost, outside=outside, environment=ENVIRONMENT)])

    rows = {name: spent(8e10, 0, 16 + place) for place, name in enumerate("abc")}
    rows |= {name: spent(8e10, 900, 150 + place) for place, name in enumerate("de")}
    assert unaccounted(rows) == {}
    assert set(unaccounted(rows | {"x": spent(flops, made, seconds)})) == (
        {"x"} if named else set()
    )


def test_a_row_says_that_test_problems_were_within_reach_or_reached_for():
    notes = {"refused": ["harness_vault, which makes test problems"], "other": ["x"]}
    stages = [
        trained(Cost(flops=1e9), notes=notes),
        trained(Cost(flops=1e9), notes={"test_problems_within_reach": ["sums"], "refused": 5}),
    ]
    found = {warning.kind: warning.values["what"] for warning in _process_warnings(stages)}
    assert found == {"within_reach": "sums", "reached_for": notes["refused"][0]}


def test_what_lies_in_the_place_of_a_measurement_does_not_hide_it(tmp_path):
    seen = measured.Measured(outside=Outside(seconds=1, cpu_seconds=1), confinement="")
    (tmp_path / "outside.json" / "full").mkdir(parents=True)
    assert measured.read(tmp_path) is None
    seen.write(tmp_path)
    assert measured.read(tmp_path) == seen
    (tmp_path / "outside.json").unlink()
    os.mkfifo(tmp_path / "outside.json")
    assert measured.read(tmp_path) is None
    seen.write(tmp_path)
    assert measured.read(tmp_path) == seen


def test_what_is_granted_of_a_python_that_test_rows_come_from(tmp_path, monkeypatch):
    """Everything else is read and listed, the standard library beside `site-packages` too."""
    library = tmp_path / "python/lib/python3.11"
    tasks = library / "site-packages/harness_exam"
    for folder in (tasks, library / "json", library / "site-packages/torch"):
        folder.mkdir(parents=True)
    (library / "os.py").touch()
    (library / "site-packages/one.py").touch()
    spec = TrainSpec.model_construct(
        closed=Closed(paths=(tasks, library / "site-packages/one.py", tmp_path / "data")),
        paths=(),
        report_to=(),
        sealed=None,
        compute=SimpleNamespace(network=False),
        identity=SimpleNamespace(gpus=1, engine="hf"),
    )
    monkeypatch.setattr(confinement, "_system", lambda: (tmp_path / "python",))
    monkeypatch.setattr(confinement, "_code", lambda: ((), ()))
    found = confinement.rights(tmp_path / "runs/small/stages/train-x", spec, tmp_path / "private")
    names = {str(path.relative_to(library)) for path in found.reads if path.is_relative_to(library)}
    assert names == {"os.py", "json", "site-packages/torch"}
    assert {library, library / "site-packages"} <= {*found.lists}
    assert tmp_path not in found.lists


@pytest.mark.parametrize(
    ("kind", "engine", "gpus", "alone"),
    [
        (TrainSpec, "hf", 1, True),
        (TrainSpec, "hf", 2, False),
        (TrainSpec, "vllm", 1, False),
        (GenerateSpec, "hf", 1, True),
        (GenerateSpec, "vllm", 1, False),
    ],
)
def test_a_stage_with_vllm_keeps_tcp_where_it_has_no_network_of_its_own(
    kind, engine, gpus, alone, tmp_path
):
    spec = kind.model_construct(
        closed=Closed(),
        paths=(),
        rows=(),
        report_to=(),
        sealed=None,
        compute=SimpleNamespace(network=False),
        identity=SimpleNamespace(gpus=gpus, engine=engine),
    )
    folder = tmp_path / "runs/small/stages/x"
    assert confinement.rights(folder, spec, tmp_path / "private").alone is alone


def test_what_is_granted_of_a_folder_with_runs_in_it(tmp_path):
    """Of a folder that holds runs the rest is granted, and no link leads into them."""
    for name in ("runs/small/stages", "runs/other/stages", "runs/empty", "code", "data"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "runs")
    kept = confinement._kept(tmp_path / "runs/small/stages/train-x")
    found = {path.relative_to(tmp_path) for path in confinement._without(tmp_path, kept)}
    assert found == {Path("code"), Path("data"), Path("runs/empty")}
    assert list(confinement._without(tmp_path / "runs/small/stages", kept)) == []


@needs_landlock
def test_modules_beside_runs_can_be_imported_and_nothing_else_read(tmp_path):
    """A fresh interpreter, confined, whose working folder holds modules, runs and data."""
    (tmp_path / "plain.py").write_text("x = 1")
    (tmp_path / "package").mkdir()
    (tmp_path / "package/__init__.py").write_text("x = 2")
    (tmp_path / "data.jsonl").write_text("gold")
    (tmp_path / "runs/small/stages/train-x").mkdir(parents=True)
    (tmp_path / "runs/small/record.json").write_text("a record")
    script = """
import sys
from pathlib import Path
from harness.bench.executors import confinement
kept = confinement._kept(Path("runs/small/stages/train-x").resolve())
reads, lists = confinement._code()
roots = [path for root in confinement._system() for path in confinement._without(root, kept)]
rights = confinement.Rights((*roots, *reads), lists, (), network=False, alone=True)
print(confinement.confine(rights))
import package, plain
print(package.x + plain.x)
for path in ("data.jsonl", "runs/small/record.json"):
    try:
        print(open(path).read())
    except OSError as error:
        print(type(error).__name__)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[1:] == ["3", "PermissionError", "PermissionError"]


def test_a_fresh_interpreter_is_guarded_as_a_fork_is(tmp_path, monkeypatch, light):
    """As on a GPU where an import has initialised CUDA; it finds no `stage.json`, and says so."""
    monkeypatch.setattr(executor_module, "gpu_names", lambda: ("0",))
    executor = light("stage", device="cuda")
    (ended,) = all_ended(executor)
    assert ended.status == "failed"
    assert ended.error.startswith("cannot read stage.json")
    seen = measured.read(tmp_path / "stage")
    assert seen.outside.gpu_seconds == seen.outside.seconds > 0
    assert seen.confinement.startswith("landlock" if landlockpy.abi_version() else "none")


@pytest.mark.promise("A stage neither stops its guard nor speaks in its name")
@needs_landlock
def test_a_stage_neither_stops_its_guard_nor_talks_to_the_bench(tmp_path, light):
    executor = light("stop", "talk")
    ended = {one.folder.name: one.status for one in all_ended(executor)}
    assert ended == {"stop": "ok", "talk": "ok"}
    assert (tmp_path / "stop/refused").read_text() == "4"
    assert (tmp_path / "talk/talked").read_text() == ""
    assert not (tmp_path / "warm.log").read_text()


@pytest.mark.promise(
    "A trainer reads and writes nothing that is not its own, and reaches no network and no process"
)
@needs_landlock
def test_a_stage_opens_no_terminal(tmp_path):
    """Neither that of the bench, by any name, nor one of its own."""
    script = """
import os, sys
from pathlib import Path
from harness.bench.executors import confinement
given = confinement.Rights(confinement._system(), (), (), network=False, alone=True)
os.setsid()
confinement.confine(given)
for path in (sys.argv[1], "/dev/tty", "/dev/ptmx", "/dev/pts/ptmx", "/proc/self/fd/1", "/dev/null"):
    try:
        os.close(os.open(path, os.O_RDWR))
        print(path, "opened", file=sys.stderr)
    except OSError as error:
        print(path, type(error).__name__, file=sys.stderr)
"""
    ours, theirs = os.openpty()
    name = os.ttyname(theirs)
    done = subprocess.run(
        [sys.executable, "-c", script, name],
        cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=theirs, stderr=subprocess.PIPE,
        text=True, check=True,
    )  # fmt: skip
    os.close(ours)
    os.close(theirs)
    found = dict(line.split() for line in done.stderr.splitlines())
    assert found.pop("/dev/null") == "opened"
    assert found.pop("/dev/tty") in ("PermissionError", "OSError")  # it has none to speak of
    assert set(found.values()) == {"PermissionError"}, found


@pytest.mark.promise(
    "A trainer reads and writes nothing that is not its own, and reaches no network and no process"
)
@pytest.mark.skipif(
    os.uname().machine not in calls.ATTRIBUTES, reason="no filter knows this machine"
)
def test_a_stage_sets_no_attribute_of_a_file(tmp_path):
    """On no file, by no call, and by no program that it starts; what copies files still does."""
    script = """
import ctypes, os, shutil, subprocess, sys
from pathlib import Path
from harness.bench.executors.calls import refuse_calls
os.setxattr("before", "user.w", b"weights")
assert refuse_calls()
libc = ctypes.CDLL(None, use_errno=True)
descriptor = os.open("before", os.O_RDONLY)
code = "import os; os.setxattr('before', 'user.w', b'other')"
def by_number(number, *given):
    if libc.syscall(number, *given) < 0:
        raise OSError(ctypes.get_errno(), "")
for way in (
    lambda: os.setxattr("before", "user.w", b"other"),
    lambda: os.setxattr("before", "user.w", b"other", follow_symlinks=False),
    lambda: os.setxattr(descriptor, "user.w", b"other"),
    lambda: os.removexattr("before", "user.w"),
    lambda: by_number(463, -100, b"before", 0, b"user.w", 0, 0),
    lambda: by_number(425, 1, ctypes.create_string_buffer(256)),
    lambda: subprocess.run([sys.executable, "-c", code], check=True, stderr=-3),
):
    try:
        way()
        print("done")
    except (OSError, subprocess.CalledProcessError) as error:
        print(getattr(error, "errno", "program"))
print(os.getxattr("before", "user.w"))
shutil.copy2("before", "after")
os.utime("after")
print(Path("after").read_text())
"""
    (tmp_path / "before").write_text("content")
    try:
        os.setxattr(tmp_path / "before", "user.w", b"")
    except OSError:
        pytest.skip("this file system has no attributes")
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True
    )
    none, refused = str(errno.EOPNOTSUPP), str(errno.EPERM)
    found = [none] * 5 + [refused, "program", "b'weights'", "content"]
    assert done.stdout.split() == found, done.stderr


def test_where_no_calls_can_be_refused_the_text_says_so(monkeypatch):
    monkeypatch.setattr(confinement, "refuse_calls", lambda: False)
    monkeypatch.setattr(confinement, "_leave_namespaces", lambda network: (True, True, False))
    monkeypatch.setattr(landlockpy, "abi_version", lambda: 0)
    given = confinement.Rights((), (), (), network=False, alone=True)
    said = confinement.confine(given)
    assert said.endswith("; shared memory, attributes of files, no network")


@pytest.mark.promise("A stage leaves nothing in memory for another one")
@needs_landlock
def test_a_stage_finds_nothing_in_memory_that_another_one_left(tmp_path):
    """In `/dev/shm`, and in a segment of System V's shared memory."""
    script = """
import ctypes, os
from pathlib import Path
from harness.bench.executors.confinement import Rights, confine
shared = Path("/dev/shm")
print(confine(Rights((Path("/"),), (), (shared,), network=False, alone=True)))
place, key = shared / f"harness-{os.getppid()}", os.getppid()
def segment(flags):
    return ctypes.CDLL(None).shmget(key, 4096, flags)
print(place.exists(), segment(0o600))
place.write_text("left")
print(place.exists(), segment(0o1600) >= 0)
"""
    command = [sys.executable, "-c", script]
    for _ in range(2):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        how, before, after = done.stdout.splitlines()
        if "shared memory" in how:
            pytest.skip("this system lets nobody have memory of its own")
        assert (before, after) == ("False -1", "True True")


def test_what_triton_compiles_lies_in_a_stages_own_home(tmp_path):
    """It keeps the home of the process that imported it, below which a stage may not write."""
    script = """
import os, sys
from pathlib import Path
from harness.bench.executors.guard import _settle_in
_settle_in(Path(sys.argv[1]))
print(os.environ["HOME"], os.environ["TRITON_HOME"])
"""
    command = [sys.executable, "-c", script, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(tmp_path)] * 2
