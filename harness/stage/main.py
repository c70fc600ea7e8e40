"""What runs inside a stage's process: train a checkpoint, or generate answers with one.

A stage reads `stage.json` in its folder and leaves its outputs there, `manifest.json` last: the
stage is done only if that file is there and what it lists is what is on disk.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import random
import shutil
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from harness import checkpoints
from harness.errors import BudgetExceeded, HarnessError, StageError
from harness.files import write_atomically
from harness.stage import memory, processes
from harness.stage.environment import energy_joules, environment, peak_memory
from harness.stage.manifest import OUTPUTS, write_manifest

if TYPE_CHECKING:
    from harness.stage.run import Run

AGAIN = 75  # exit code of an attempt that ran out of memory and left what to try next


def main(folder: Path) -> int:
    """Do the stage's work; return the exit code. Errors are left in `error.json` and the log.

    `AGAIN` asks for a fresh process that calls `main` once more.
    """
    spec = json.loads((folder / "stage.json").read_text(encoding="utf-8"))
    if processes.COUNT in os.environ:
        return _attempt(folder, spec)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a process of an earlier attempt may be dying
        if spec.get("processes", 1) == 1:
            return _attempt(folder, spec)
        while True:
            before = memory.failures(folder)
            device = spec["identity"]["device"]
            config = spec["paths"]["accelerate"]
            code = processes.launch(folder, spec["processes"], device, config)
            if code == 0 or memory.failures(folder) == before:
                return code


def again(folder: Path) -> None:
    """Replace this process by a fresh one that does the stage once more."""
    sys.stderr.flush()
    command = ["-m", "harness.stage.main", str(folder), str(os.getppid())]
    os.execv(sys.executable, [sys.executable, *command])


def _attempt(folder: Path, spec: dict[str, Any]) -> int:
    try:
        _prepare(folder, spec)
        work = {"train": _train, "generate": _generate}[spec["kind"]]
        outcome = work(folder, spec)
        if outcome is None:
            return 0  # the first process of the stage writes what came of it
        outcome["environment"] = {**environment(spec), **outcome.get("environment", {})}
        write_atomically(folder / "result.json", json.dumps(outcome, indent=1, sort_keys=True))
        write_manifest(folder)
    except memory.TryAgain:
        return AGAIN
    except BaseException as error:  # whatever a plug-in raises, SystemExit included
        _report(folder, error)
        return 1
    return 0


def _prepare(folder: Path, spec: dict[str, Any]) -> None:
    """Clear what an earlier attempt left and make the process's randomness that of the seed."""
    if processes.rank() == 0:
        for name in OUTPUTS:
            path = folder / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        if not spec["save_every"]:
            clear_scratch(folder)
    import torch

    if spec["identity"]["threads"]:
        torch.set_num_threads(spec["identity"]["threads"])
    torch.use_deterministic_algorithms(spec["identity"]["device"] == "cpu")
    seed = spec["identity"].get("seed", 0)
    random.seed(seed)
    torch.manual_seed(seed)
    import numpy

    numpy.random.seed(seed % 2**32)


def clear_scratch(folder: Path) -> None:
    """Remove what a later attempt would continue from."""
    shutil.rmtree(folder / "scratch", ignore_errors=True)
    (folder / "events.jsonl").unlink(missing_ok=True)


def _train(folder: Path, spec: dict[str, Any]) -> dict[str, Any] | None:
    from harness.plugin.host import Host
    from harness.records import Caps
    from harness.stage.budget import Budget
    from harness.stage.meter import metered
    from harness.stage.run import Run
    from harness.stage.settings import Outcome, Settings
    from harness.tasks.protocols import protocol_of
    from harness.verify import Conventions, VerifierPool

    identity, paths = spec["identity"], spec["paths"]
    trainer = Host().trainer(identity["trainer"]).trainer
    assert trainer.train is not None  # a chain is never a stage
    group = processes.join(identity["device"], spec.get("stage_seconds", 86_400))
    out, scratch = folder / "checkpoint", folder / "scratch"
    if group.rank == 0:
        out.mkdir()
        scratch.mkdir(exist_ok=True)
    group.wait()
    failed = memory.failures(folder)
    # only the board's teacher is handed on, and only to a trainer that declared it
    teacher = Path(paths["teacher"]) if identity["teacher"] else None
    settings = Settings(
        base_model=Path(paths["base_model"]),
        teacher=teacher,
        options=trainer.options.model_validate(identity["options"]),
        rows=_read_jsonl(Path(paths["train"])),
        holdout=_read_jsonl(Path(paths["holdout"])),
        conventions={k: Conventions.model_validate(v) for k, v in spec["conventions"].items()},
        protocol=protocol_of(identity["protocol"]),
        budget=Budget(Caps(**spec["caps"]), teacher=str(teacher) if teacher else None, group=group),
        verifier=VerifierPool(workers=1),
        seed=identity["seed"],
        out=out,
        scratch=scratch,
        events=folder / "events.jsonl",
        device=identity["device"],
        max_new_tokens=identity["max_new_tokens"],
        save_every=spec["save_every"],
        traces=_read_jsonl(Path(paths["traces"])) if paths.get("traces") else (),
        group=group,
        micro_batch_size=memory.next_size(failed) or spec.get("micro_batch_size"),
        gradient_checkpointing=spec.get("gradient_checkpointing", False),
        engine=identity.get("engine", "hf"),
        name=spec.get("name", ""),
        report_to=spec.get("report_to", ()),
    )
    outcome = Outcome()
    run = Run(settings, outcome)
    if settings.report_to:
        os.environ.setdefault("TENSORBOARD_LOGGING_DIR", str(folder / "tracking"))
    energy = energy_joules()
    try:
        with metered(run.budget, run.engine):
            trainer.train(run)
    except BaseException as error:
        if memory.is_out_of_memory(error):
            _out_of_memory(folder, run, outcome.forward_rows, failed, error)
        raise
    finally:
        settings.verifier.close()
    run.budget.sync()
    cost = run.budget.cost
    cost.peak_memory_bytes = int(group.largest(peak_memory(identity["device"])))
    if identity["device"] != "cpu":
        cost.gpu_seconds = cost.seconds * group.size
        ended = energy_joules()
        cost.energy_joules = None if energy is None or ended is None else ended - energy
    if group.rank:
        return None
    if failed:
        run.note(out_of_memory_at=failed)
    if spec.get("shared_gpu") and cost.energy_joules is not None:
        run.note(energy="of the whole GPU, which other stages used at the same time")
    try:
        checkpoints.check_model_folder(out, "checkpoint")
    except HarnessError as error:
        raise StageError(f"trainer {trainer.name!r} left no usable checkpoint: {error}") from None
    if not spec["save_every"]:
        shutil.rmtree(scratch, ignore_errors=True)
    return {
        "cost": cost.model_dump(mode="json"),
        "notes": outcome.notes,
        "environment": {"gpus": group.size},
        "checkpoint": {
            "digest": checkpoints.digest(out),
            "parameters": checkpoints.parameter_count(out),
            "bytes": checkpoints.size_bytes(out),
        },
    }


def _out_of_memory(
    folder: Path,
    run: Run,
    forward_rows: tuple[int, int] | None,
    failed: list[dict[str, Any]],
    error: BaseException,
) -> NoReturn:
    """Leave what to try next, or say what to do where nothing is left to try.

    Raises:
        TryAgain: With fewer rows in a forward pass it may fit.
        StageError: One row does not fit, or the trainer does not let the host divide its batch.
    """
    traceback.print_exception(error, file=sys.stderr)
    if forward_rows is None:
        raise StageError(
            f"{type(error).__name__}: {error} (out of memory; {memory.ALONE})"
        ) from error
    micro, rows = forward_rows
    if micro == 1:
        raise StageError(memory.ADVICE) from error
    failure = {
        "micro_batch_size": micro,
        "rows": rows,
        "step": run.budget.cost.steps,
        "seconds": round(run.budget.cost.seconds, 1),
    }
    memory.add_failure(folder, failed, failure)
    clear_scratch(folder)
    raise memory.TryAgain from error


def _generate(folder: Path, spec: dict[str, Any]) -> dict[str, Any]:
    from harness.stage.generate import generate_answers

    started = time.monotonic()
    identity, paths = spec["identity"], spec["paths"]
    given = zip(identity["scores"], paths["tests"], paths["documents"], strict=True)
    generated = generate_answers(
        model=Path(paths["base_model"]),
        scores=[
            {
                **score,
                "rows": _read_jsonl(Path(rows)),
                "documents": _read_jsonl(Path(documents)) if documents else [],
            }
            for score, rows, documents in given
        ],
        batch_size=identity["batch_size"],
        device=identity["device"],
        out=folder,
        engine=identity["engine"],
    )
    return {
        "answers": generated.answers,
        "own": generated.own,
        "notes": generated.notes,
        "seconds": time.monotonic() - started,
        # vLLM chooses its own implementation
        "environment": {"attention": "vllm"} if identity["engine"] == "vllm" else {},
    }


def _read_jsonl(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _report(folder: Path, error: BaseException) -> None:
    """Leave one line for the leaderboard and the traceback in the log."""
    traceback.print_exception(error, file=sys.stderr)
    sys.stderr.flush()
    lines = str(error).strip().splitlines()
    text = lines[0] if lines else ""
    status = "failed"
    if memory.is_out_of_memory(error):
        status = "oom"
    if isinstance(error, HarnessError):
        line = text
    elif isinstance(error, SystemExit):
        line = f"the trainer ended its process by sys.exit({error.code!r})"
    elif isinstance(error, OSError) and error.errno == errno.ENOSPC:
        line = f"the disk is full: {text}"
    else:
        line = f"{type(error).__name__}: {text}"
    if isinstance(error, BudgetExceeded):
        line = f"stopped: {line}"
    line = line.replace(f"{folder}/", "")  # a record says nothing of where it was made
    if processes.COUNT in os.environ and (folder / "error.json").exists():
        return  # another process of this stage failed first
    try:
        write_atomically(folder / "error.json", json.dumps({"status": status, "error": line[:500]}))
    except OSError:
        print(f"harness: {line}", file=sys.stderr)  # noqa: T201 (stderr is the stage's log)


if __name__ == "__main__":
    # the processes of a stage are told no parent: they die with the launcher that started them
    processes.die_with_parent(int(sys.argv[2]) if len(sys.argv) > 2 else os.getppid())
    code = main(Path(sys.argv[1]))
    if code == AGAIN and processes.COUNT not in os.environ:
        again(Path(sys.argv[1]))
    sys.exit(code)
