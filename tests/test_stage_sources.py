"""The digest of the code that runs in a stage: all of it, and nothing else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.bench.stage_sources import ROOT, source_digest, stage_sources

# everything of the harness that is loaded when a stage has trained, generated and judged
STAGE = """
import importlib, json, sys
from pathlib import Path
for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
from harness.plugin.host import Host
host = Host()
host.load_all()
host.trainers(), host.tasks()
found = [m.__file__ for n, m in sys.modules.items() if n.split(".")[0] == "harness"]
print(json.dumps(sorted(found)))
"""


@pytest.fixture
def tree(tmp_path) -> Path:
    """Return a copy of the package."""
    ignored = shutil.ignore_patterns("__pycache__")
    return shutil.copytree(ROOT, tmp_path / "harness", ignore=ignored)


def digest(tree: Path) -> str:
    source_digest.cache_clear()
    return source_digest(tree)


def test_a_copy_has_the_digest_of_the_original(tree):
    assert digest(tree) == digest(ROOT)


def test_a_file_that_is_added_to_the_stage_changes_the_digest(tree):
    before = digest(tree)
    (tree / "stage" / "new.py").write_text("")
    assert digest(tree) != before


@pytest.mark.parametrize(
    "name",
    [
        "stage/metering/meter.py",
        "verify/workers/worker.py",
        "tasks/rows.py",
        "plugin/options.py",
        "files.py",
    ],
)
def test_one_byte_of_what_a_stage_runs_changes_the_digest(tree, name):
    before = digest(tree)
    (tree / name).write_bytes((tree / name).read_bytes() + b"\n")
    assert digest(tree) != before


def test_a_file_that_is_renamed_changes_the_digest(tree):
    before = digest(tree)
    (tree / "stage" / "memory.py").rename(tree / "stage" / "remembered.py")
    assert digest(tree) != before


def test_a_package_that_a_stage_comes_to_import_changes_the_digest(tree):
    path = tree / "stage" / "memory.py"
    path.write_text(path.read_text() + "\n\ndef late():\n    import harness.render.numbers\n")
    before = digest(tree)
    numbers = tree / "render" / "numbers.py"
    numbers.write_text(numbers.read_text() + "\n")
    assert digest(tree) != before


def test_files_that_no_stage_imports_do_not_change_it(tree):
    before = digest(tree)
    for package in ("render", "bench", "cli", "leaderboard", "boards"):
        for path in (tree / package).rglob("*.py"):
            path.write_bytes(path.read_bytes() + b"\n")
    assert digest(tree) == before


def test_what_a_stage_loads_is_in_the_digest(tmp_path):
    names = [
        f"harness.stage.{path.stem}"
        for path in (ROOT / "stage").glob("*.py")
        if path.stem != "__init__"
    ]
    done = subprocess.run(
        [sys.executable, "-c", STAGE, json.dumps(names)],
        env={**os.environ, "PYTHONPATH": str(ROOT.parent)},
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    loaded = {Path(name) for name in json.loads(done.stdout.splitlines()[-1])}
    assert len(loaded) > 40
    assert loaded - set(stage_sources()) == set()
