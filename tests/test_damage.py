"""Damaged records and answers: every command that reads them names the file and what to do."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import handed_in
import pytest

from harness.plugin.host import Host
from harness.publish.submit import submit
from harness.publish.write import publish

pytestmark = pytest.mark.bench
TASKS = Host(download=False).task
ID = "sft-s0-0123456789ab"
RUNS, PUBLISHED, SUBMITTED = "runs/tiny", "leaderboards/records/tiny", "submissions/new"
HAND_IN = ("submit", "tiny", "--cells", "sft/0", "--trials", "1", "--published", "none")
RECORDS = (
    ("bench", "--dry-run"),
    ("plan", "tiny"),
    ("report", "tiny"),
    ("diff", "start", "sft/0"),
    ("export", "eee"),
    ("push", "sft/0", "me/x"),
    ("regrade", "tiny"),
    ("check", RUNS),
    ("publish", "tiny", "--out", "pages"),
    HAND_IN,
)
PAGES = (("check", "tiny"), ("publish", "--check"), ("publish", "tiny", "--rejudge"))


@pytest.fixture(scope="module", autouse=True)
def one_pool():
    with handed_in.one_pool():
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the runs of few cells, their leaderboards, and a submission."""
    folder, conditions = tmp_path_factory.mktemp("damage"), handed_in.tiny().conditions()
    cells = {("start", None): 0.4, ("sft", 0): 0.7}
    handed_in.leave(folder / RUNS, cells)
    publish(folder / RUNS, conditions, folder / "leaderboards", tasks=TASKS)
    handed_in.leave(folder / "new", {("sft", 0): 0.9}, salt="", day=2)
    submit(folder / "new", conditions, ["sft/0"], TASKS, 4, out=folder / SUBMITTED)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path


def content(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def write(path: Path, text: bytes) -> None:
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the one JSON value of a file, or that of its second line."""
    lines = content(path).splitlines() if ".jsonl" in path.name else [b"", content(path)]
    value = json.loads(lines[1])
    change(value["records"][0] if path.name == "published.json" else value)
    lines[1] = json.dumps(value).encode()
    write(path, b"\n".join(lines) + b"\n")


def key(path: Path) -> str:
    names = {"conditions.json": "seeds", "published.json": "digest", "submission.json": "board"}
    return names.get(path.name, "verdict" if ".jsonl" in path.name else "trainer")


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def lead_nowhere(path: Path) -> None:
    path.unlink()
    path.symlink_to("/nowhere")


DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut off": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "empty": lambda path: path.write_bytes(b""),
    "a field is missing": lambda path: edit(path, lambda row: row.pop(key(path))),
    "a wrong type": lambda path: edit(path, lambda row: row.update({key(path): 7})),
    "a list": lambda path: write(path, b"[1]\n"),
    "not UTF-8": lambda path: write(path, content(path)[:40] + b"\xff" + content(path)[40:]),
    "a folder": make_folder,
    "a link": lead_nowhere,
    "not to be read": lambda path: path.chmod(0),
}
OFTEN = ("cut off", "a field is missing", "not UTF-8", "a link")  # the others are run with -m slow
damages = pytest.mark.parametrize(
    "damage",
    [name if name in OFTEN else pytest.param(name, marks=pytest.mark.slow) for name in DAMAGES],
)


def spoil(folder: Path, file: str, damage: str) -> Path:
    (path,) = folder.glob(file)
    DAMAGES[damage](path)
    if damage == "not to be read" and os.access(path, os.R_OK):
        pytest.skip("this user may read every file")
    return path.relative_to(folder)


def only_line(said: str) -> str:
    lines = [line for line in said.splitlines() if line.startswith("harness: ")]
    assert len(lines) == 1, said
    return lines[0]


@damages
def test_a_damaged_record_is_named_by_every_command_in_the_same_words(folder, harness, damage):
    path = spoil(folder, f"{RUNS}/records/{ID}.json", damage)
    said = set()
    for command in RECORDS:
        line = only_line(harness(*command, check=2).stderr)
        assert str(path) in line
        assert line.endswith("; restore it, or delete it and bench the cell again")
        said.add(line.replace(f"{folder}/", ""))
    assert len(said) == 1


def test_a_record_of_a_newer_harness_is_not_called_damaged(folder, harness):
    (path,) = folder.glob(f"{RUNS}/records/{ID}.json")
    edit(path, lambda record: record.update({"schema_version": 99}))
    said = only_line(harness("report", "tiny", check=2).stderr)
    assert "has record schema 99, newer than " in said
    assert said.endswith("; install a newer one")


@damages
def test_damaged_answers_are_named_by_every_command_in_the_same_words(folder, harness, damage):
    """Those that hold many cells against their answers name this one, and take the others."""
    path = spoil(folder, f"{RUNS}/answers/{ID}/tiny_word__*.jsonl", damage)
    what = f"{path} is not what record {ID} was made from"
    todo = "; restore it, or delete that record and bench the cell again"
    for command in (("diff", "start", "sft/0"), ("export", "parquet"), ("export", "eee")):
        line = only_line(harness(*command, check=3).stderr)
        assert line.startswith(f"harness: {what}")
        assert line.endswith(todo)
    done = harness("check", RUNS, check=3).stdout.splitlines()
    assert done[0].startswith(f"tiny: sft/0 differs: {what}")
    assert done[0].endswith(todo)
    assert done[1:] == ["1 differs, 1 recomputed"]
    done = harness("publish", "tiny", "--out", "pages", check=3).stderr.splitlines()
    assert done[0] == "harness: tiny: 1 records published"
    assert done[1].startswith(f"harness: refused: {RUNS}/records/{ID}.json: sft/0: {what}")
    assert done[1].endswith(todo)
    line = only_line(harness(*HAND_IN, check=3).stderr)
    assert line.startswith(f"harness: sft/0 cannot be handed in (differs): {what}")
    assert line.endswith(todo)


@damages
@pytest.mark.parametrize(
    ("file", "code"),
    [
        (f"{PUBLISHED}/{ID}.json", 2),
        (f"{PUBLISHED}/conditions.json", 2),
        (f"{PUBLISHED}/published.json", 2),
        (f"{PUBLISHED}/answers/{ID}.jsonl.gz", 3),
    ],
)
def test_what_is_published_and_damaged_is_named(folder, harness, file, code, damage):
    path = spoil(folder, file, damage)
    said = set()
    for command in PAGES:
        line = only_line(harness(*command, check=code).stderr)
        assert str(path) in line
        assert "; restore it" in line
        said.add(line)
    assert len(said) == 1


@damages
@pytest.mark.parametrize(
    ("file", "code"),
    [
        (f"{SUBMITTED}/submission.json", 2),
        (f"{SUBMITTED}/records/{ID}.json", 2),
        (f"{SUBMITTED}/answers/{ID}.jsonl.gz", 3),
    ],
)
def test_a_damaged_submission_is_named(folder, harness, file, code, damage):
    spoil(folder, file, damage)
    said = {
        only_line(harness(*command, check=code).stderr)
        for command in (("check", SUBMITTED), ("publish", "tiny", "--from", SUBMITTED))
    }
    assert len(said) == 1
    (line,) = said
    assert Path(file).name.split(".")[0] in line
    assert re.search("; restore it|is not the record that it lists", line)
