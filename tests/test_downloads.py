"""Models and data of the Hub: fetched once, by whoever needs them first; stages fetch nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import processes
import pytest
from small_hub import COMMIT, contents, small_hub
from test_remote_executors import results

FETCH = """
import sys
from harness import hub
kind, commit = sys.argv[1:]
print(hub.download("me/small", kind=kind, revision=commit, patterns=["*.jsonl", "*.json"]))
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch) -> Path:
    """Return an empty cache of the Hub, for processes that are started."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    return tmp_path / "cache"


@pytest.mark.promise("What several benches fetch at once is fetched once")
@pytest.mark.parametrize("kind", ["model", "dataset"])
def test_processes_that_need_the_same_files_fetch_them_once(cache, monkeypatch, kind):
    files = {"rows.jsonl": b'{"problem": "1+1?"}\n' * 5000, "about.json": b"{}"}
    with small_hub(files, f"{kind}s") as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        hub.meet = 3
        command = [sys.executable, "-c", FETCH, kind, COMMIT]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        started = [processes.start(command, **pipes) for _ in range(hub.meet)]
        ended = [process.communicate(timeout=120) for process in started]
    assert [process.returncode for process in started] == [0] * 3, ended
    assert hub.sent == dict.fromkeys(files, 1)
    (folder,) = {Path(out.splitlines()[-1]) for out, _ in ended}
    assert contents(folder) == files


@pytest.mark.slow
@pytest.mark.bench
@pytest.mark.promise("What several benches fetch at once is fetched once")
def test_two_benches_fetch_a_model_once_and_their_stages_nothing(
    patient_board, with_plugins, cache, tmp_path, monkeypatch
):
    with_plugins("elsewhere")
    files = contents(tmp_path / "start")
    text = patient_board.read_text()
    patient_board.write_text(text.replace('"start"', f'"me/small@{COMMIT}"', 1))
    command = ("bench", "small.toml", "--seeds", "0", "--runs")
    with small_hub(files) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        hub.meet = 2  # both benches, and none of their stages: a file is sent to the first
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        started = [
            processes.start(
                [*processes.HARNESS, *command, name, "--executor", name], cwd=tmp_path, **pipes
            )
            for name in ("local", "elsewhere")
        ]
        ended = [process.communicate(timeout=600) for process in started]
    assert [process.returncode for process in started] == [0, 0], ended
    assert set(hub.sent.values()) == {1}
    assert "model.safetensors" in hub.sent
    assert hub.asked == dict.fromkeys(hub.sent, 2)
    assert results(tmp_path / "local") == results(tmp_path / "elsewhere")
