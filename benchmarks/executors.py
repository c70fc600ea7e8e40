"""What the head costs a stage, and what a second worker brings, through `local` and `ray`.

A cell is trained and scored for real, once. Then a bench of many cells runs with everything real
but the work of a stage: it waits for some seconds and copies what the first cell's stage left. So
what is measured is the head and the executor: planning, starting, guards, messages, checks,
records.

    python benchmarks/executors.py head local --cells 667     # 2,001 stages and more
    python benchmarks/executors.py speed ray --cells 14 --work 4

`head` prints the time of each quarter of the stages and the head's memory; compare it with that of
fewer cells. `speed` compares one worker with two; the work of stages that train and
generate is waiting, which needs no core.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SUPPORT = Path(__file__).resolve().parents[1] / "tests" / "support"
os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
BOARD = """
schema = 1
name = "many"
title = "Many cells"
start_model = "start"
plugins = ["unruly"]
trainers = ["unruly"]
seeds = [{seeds}]

[data]
train = ["unruly_sums"]

[budget]
steps = 3

[compute]
batch_size = 8

[[scores]]
task = "unruly_sums"
max_new_tokens = 6
ranking = true
"""
OUTPUTS = ("checkpoint", "answers", "lm_eval", "result.json", "manifest.json")


def copy_stage(folder: Path) -> int:
    """Be a stage: wait, and leave what the stage of that kind left which ran for real."""
    kind, start = folder.name.partition("-")[0], folder.name.split("-")[1] == "start"
    if kind != "judge":  # which takes little, beside a real training or generating stage
        time.sleep(float(os.environ["HARNESS_WORK"]))
    source = Path(os.environ["HARNESS_DONE"]) / (f"{kind}-start" if start else kind)
    for name in OUTPUTS:
        path = source / name
        if path.is_dir():
            shutil.copytree(path, folder / name, dirs_exist_ok=True)
        elif path.exists():
            shutil.copy2(path, folder / name)
    return 0


def copy_task(task: Any, values: Any) -> Any:
    """Be a stage on a node of Ray."""
    from harness import Report

    os.environ |= task.variables
    copy_stage(task.folder)
    return Report(folder=task.folder, code=0, over=True, host=platform.node())


def executor(name: str, folder: Path, jobs: int) -> Any:
    from harness.bench.executors import ray_cluster
    from harness.bench.executors.local import LocalExecutor
    from harness.plugin.executor import ExecutorSettings

    if name == "local":
        log = folder / "warm.log"
        return LocalExecutor(jobs, "cpu", 1, log, program="executors")
    ray_cluster.run_stage = copy_task  # type: ignore[attr-defined]
    address = os.environ.get("HARNESS_RAY", "")
    return ray_cluster.RayExecutor(
        ExecutorSettings(folder, "cpu", jobs, options={"address": address})
    )


def bench(name: str, folder: Path, cells: int, jobs: int) -> dict[str, Any]:
    """Run a bench of many cells; return its times and the head's memory, by quarters."""
    import psutil

    from harness.bench.folder import Folder
    from harness.bench.plan import plan
    from harness.bench.scheduler import run
    from harness.boards.board import load_board
    from harness.plugin.host import Host

    path = folder / "many.toml"
    path.write_text(BOARD.format(seeds=", ".join(map(str, range(cells)))))
    host = Host()
    chosen = executor(name, folder, jobs)
    marks: list[tuple[float, float, int]] = []
    begun: list[float] = []
    own = psutil.Process()
    try:
        began = time.monotonic()
        made = plan(load_board(str(path), host), host, where=chosen.probe())
        planned = time.monotonic() - began
        chosen.warm_up()

        def watch(event: str, facts: Any) -> None:
            if event == "started" and not begun:
                begun.append(time.monotonic())
            elif event == "ended":
                assert facts["status"] == "ok", facts
                cpu = own.cpu_times()
                marks.append((time.monotonic(), cpu.user + cpu.system, own.memory_info().rss >> 20))

        outcome = run(made, host, Folder(folder / "runs"), chosen, watch)
    finally:
        chosen.stop()
    assert len(outcome.records) == cells + 1
    assert not outcome.failed, outcome.failed[0].error
    size = len(marks) // 4
    quarters = [marks[0], *(marks[size * n - 1] for n in (1, 2, 3, 4))]
    pairs = list(itertools.pairwise(quarters))
    return {
        "executor": name,
        "stages": len(marks),
        "jobs": jobs,
        "seconds to plan": round(planned, 2),
        "seconds": round(marks[-1][0] - begun[0], 1),
        "ms a stage, by quarters": [round((b[0] - a[0]) / size * 1e3, 1) for a, b in pairs],
        "ms of the head's processor a stage": [
            round((b[1] - a[1]) / size * 1e3, 1) for a, b in pairs
        ],
        "MiB of the head": [mark[2] for mark in quarters],
    }


def prepare(folder: Path) -> Path:
    """Run one cell for real; return a folder of what its stages left."""
    # in a process of its own: this one is the head, and imports no torch
    make = "import pathlib, models; models.save_model(pathlib.Path('start'), seed=1)"
    subprocess.run([sys.executable, "-c", make], cwd=folder, check=True)
    (folder / "many.toml").write_text(BOARD.format(seeds="0"))
    command = [sys.executable, "-m", "harness", "bench", "many.toml", "--jobs", "1"]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    done = folder / "hub" / "models--done"  # a confined stage reads the models of the Hub's cache
    for stage in (folder / "runs/many/stages").iterdir():
        kind, name = stage.name.split("-")[:2]
        shutil.copytree(stage, done / (f"{kind}-start" if name == "start" else kind))
    shutil.rmtree(folder / "runs")
    return done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["head", "speed"])
    parser.add_argument("executor", choices=["local", "ray"])
    parser.add_argument("--cells", type=int, default=667)
    parser.add_argument("--work", type=float, default=0.0, help="seconds that a stage takes")
    given = parser.parse_args()
    places = [str(SUPPORT), str(SUPPORT / "plugins" / "unruly"), str(Path(__file__).parent)]
    sys.path[:0] = places
    os.environ["PYTHONPATH"] = os.pathsep.join(places)
    with tempfile.TemporaryDirectory(prefix="harness-executors-") as scratch:
        folder = Path(scratch)
        done = prepare(folder)
        os.environ |= {"HARNESS_DONE": str(done), "HARNESS_WORK": str(given.work)}
        os.environ["HF_HUB_CACHE"] = str(done.parent)
        found = []
        for jobs in (2,) if given.what == "head" else (1, 2):
            place = folder / str(jobs)
            place.mkdir()
            (place / "start").symlink_to(folder / "start")
            found.append(bench(given.executor, place, given.cells, jobs))
            print(json.dumps(found[-1], indent=1), flush=True)
        if len(found) == 2:
            ratio = found[0]["seconds"] / found[1]["seconds"]
            print(f"two workers are {ratio:.2f} times as fast as one")


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1].isdigit():  # as the warm process of `local`
        from harness.bench.executors import warm

        warm.PRELOADED = ()
        warm.work = copy_stage
        warm.serve(int(sys.argv[1]))
    else:
        main()
