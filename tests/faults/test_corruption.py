"""Files that were deleted, cut, emptied or changed: made again, refused in a line, or harmless."""

from __future__ import annotations

import gzip
import json
import random
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import handed_in
import pytest
from campaign import TIMES, WHOLE, done, leaderboard

pytestmark = pytest.mark.bench
WAYS = ("delete", "flip", "cut", "empty")
# where it lies in the folder of a board's runs, by what becomes of it
MADE_AGAIN = (
    "small.md",
    "small.svg",
    "small.json",
    "small.csv",
)  # by the next bench, with nothing to do
USED_AGAIN = (  # as long as the record stands nobody needs them; whoever does makes them again
    "data/train-*.jsonl",
    "data/holdout-*.jsonl",
    "stages/train-unruly-s0-*/checkpoint/model.safetensors",
    "stages/train-unruly-s0-*/checkpoint/config.json",
    "stages/train-unruly-s0-*/checkpoint/tokenizer.json",
    "stages/train-unruly-s0-*/result.json",
    "stages/train-unruly-s0-*/manifest.json",
    "stages/train-unruly-s0-*/stage.json",
    "stages/train-unruly-s0-*/outside.json",
    "stages/train-unruly-s0-*/events.jsonl",
    "stages/train-unruly-s0-*/log.txt",
    "stages/generate-unruly-s0-*/answers/unruly_sums__*.jsonl",
    "stages/generate-unruly-s0-*/lm_eval/*/*/results_*.json",
    "stages/generate-unruly-s0-*/result.json",
    "stages/generate-unruly-s0-*/manifest.json",
    "stages/judge-unruly-s0-*/answers/unruly_sums__*.jsonl",
    "stages/judge-unruly-s0-*/result.json",
    "stages/judge-unruly-s0-*/manifest.json",
    "stages/judge-unruly-s0-*/stage.json",
    "stages/judge-unruly-s0-*/lock",
)
USES = [(name, way) for name in USED_AGAIN for way in WAYS]
SAMPLE = ((2, "flip"), (4, "cut"), (8, "empty"), (13, "delete"), (15, "flip"))
MADE: list[Path] = []


@pytest.fixture(scope="module", autouse=True)
def one_pool() -> Iterator[None]:
    with handed_in.one_pool():
        yield


@pytest.fixture
def whole(small_board, harness, tmp_path, tmp_path_factory) -> Path:
    """Return a folder with a board's runs, and with its leaderboards, which hold a submission."""
    if not MADE:
        harness("bench", "small.toml")
        unruly = ("--cells", "unruly/0,unruly/1", "--trials", "1", "--out", "handed-in")
        harness("submit", "small.toml", *unruly)
        harness("publish", "small.toml", "--from", "handed-in")
        harness("publish", "small.toml")
        assert harness("check").stdout.strip().startswith("3 recomputed")
        MADE.append(tmp_path_factory.mktemp("whole"))
        for name in ("runs", "leaderboards"):
            (tmp_path / name).rename(MADE[0] / name)
    for name in ("runs", "leaderboards"):
        shutil.copytree(MADE[0] / name, tmp_path / name)
    return tmp_path


def spoil(path: Path, way: str, rng: random.Random) -> None:
    content = bytearray(path.read_bytes())
    if way == "delete":
        path.unlink()
    elif way == "flip":
        if content:
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        path.write_bytes(content)
    else:
        path.write_bytes(content[: len(content) // 2 if way == "cut" else 0])


def assert_one_line(said: str, *names: str) -> None:
    lines = [line for line in said.splitlines() if line.startswith("harness: ")]
    assert len(lines) == 1, said
    assert any(name in lines[0] for name in names), said


def check_runs(harness, code: int | None = 0):
    return harness("check", "small.toml", "runs/small", check=code)


@pytest.mark.promise("Whatever becomes of a stage's files, what is scored is what was trained")
@pytest.mark.parametrize(
    ("name", "way"), USES if WHOLE else [(USED_AGAIN[place], way) for place, way in SAMPLE]
)
def test_a_stages_file_is_made_again_when_it_is_used_again(whole, harness, name, way):
    before, board = done(whole), leaderboard(whole).comparable()
    (path,) = (whole / "runs/small").glob(name)
    spoil(path, way, random.Random(f"{name} {way}"))
    shutil.copytree(whole / "runs", whole / "spoilt")
    harness("bench", "small.toml")
    assert (done(whole), leaderboard(whole).comparable()) == (before, board)
    assert check_runs(harness).stdout.strip() == "3 recomputed"
    (record,) = (whole / "runs/small/records").glob("unruly-s0-*.json")
    record.unlink()
    harness("bench", "small.toml")
    assert done(whole) == before
    assert check_runs(harness).stdout.strip() == "3 recomputed"


@pytest.mark.promise("A record, an answer or a page that was changed is named, or made again")
@pytest.mark.parametrize("way", WAYS)
def test_a_records_file_is_refused_or_made_again(whole, harness, way):
    before, rng = done(whole), random.Random(way)
    (path,) = (whole / "runs/small/records").glob("unruly-s0-*.json")
    kept = path.read_bytes()
    for _ in range(TIMES if way == "flip" else 1):
        path.write_bytes(kept)
        spoil(path, way, rng)
        if way != "delete":
            assert_one_line(harness("bench", "small.toml", check=None).stderr, path.name)
            assert_one_line(check_runs(harness, None).stderr, path.name)
            path.unlink()
        harness("bench", "small.toml")
        assert done(whole) == before


@pytest.mark.promise("A record, an answer or a page that was changed is named, or made again")
@pytest.mark.parametrize("way", WAYS)
def test_answers_are_named_by_the_check_and_made_again_with_the_record(whole, harness, way):
    rng = random.Random(way)
    (path,) = (whole / "runs/small/answers").glob("unruly-s0-*/unruly_sums__*.jsonl")
    kept = path.read_bytes()
    for _ in range(TIMES if way == "flip" else 1):
        path.write_bytes(kept)
        spoil(path, way, rng)
        harness("bench", "small.toml")
        found = check_runs(harness, None)
        if way == "delete":
            assert "unruly/0 claimed: there are no answers of it" in found.stdout
        elif found.returncode == 0:  # a byte of what is not published: why an answer is right
            assert_same_where_it_counts(kept, path.read_bytes())
        else:
            assert re.search(rf"unruly/0 differs|{path.name}", found.stdout + found.stderr)
    (record,) = (whole / "runs/small/records").glob("unruly-s0-*.json")
    record.unlink()
    harness("bench", "small.toml")
    assert check_runs(harness).stdout.strip() == "3 recomputed"
    assert path.read_bytes() == kept


def assert_same_where_it_counts(before: bytes, after: bytes) -> None:
    published = ("id", "text", "tokens", "finish", "verdict")
    for one, other in zip(before.splitlines(), after.splitlines(), strict=True):
        one, other = json.loads(one), json.loads(other)
        assert [one.get(key) for key in published] == [other.get(key) for key in published]
        assert one.get("sample", 0) == other.get("sample", 0)  # an answer without one is the first


@pytest.mark.promise("A record, an answer or a page that was changed is named, or made again")
@pytest.mark.parametrize("way", WAYS)
def test_a_page_of_a_bench_is_written_anew(whole, harness, way):
    for name in MADE_AGAIN:
        path = whole / "runs/small" / name
        before = path.read_bytes()
        spoil(path, way, random.Random(way))
        harness("bench", "small.toml")
        assert path.read_bytes() == before


@pytest.mark.promise("`harness check` sees every file of published leaderboards that was changed")
@pytest.mark.parametrize("way", WAYS)
def test_every_file_of_leaderboards_that_was_spoilt_is_named(whole, harness, way):
    """Each is named; a byte that gzip itself has no use for is let pass."""
    places = sorted(path for path in (whole / "leaderboards").rglob("*") if path.is_file())
    assert len(places) > 14
    rng, harmless = random.Random(way), []
    for path in places:
        kept = path.read_bytes()
        for _ in range(TIMES if way == "flip" else 1):
            spoil(path, way, rng)
            found = harness("check", check=None)
            said = found.stdout + found.stderr
            if found.returncode == 0:
                assert found.stdout.strip().startswith("3 recomputed"), said
                harmless.append((path, kept, path.read_bytes() if path.exists() else None))
            else:
                assert_one_line(found.stderr, path.name, path.name.split(".")[0], "published.json")
            path.write_bytes(kept)
    for path, kept, spoilt in harmless:
        if path.suffix == ".gz":  # a byte of gzip's own
            assert gzip.decompress(spoilt) == gzip.decompress(kept)
        else:
            pytest.fail(f"{way} {path.relative_to(whole)} is seen by nobody")
    assert harness("check").stdout.strip().startswith("3 recomputed")
