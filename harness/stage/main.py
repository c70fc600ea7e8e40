"""What runs inside a stage's process: train a checkpoint, generate answers with one, judge answers.

A stage reads `stage.json` in its folder and leaves its outputs there, `manifest.json` last: the
stage is done only if that file is there and what it lists is what is on disk.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import random
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from harness import errors, scratch
from harness.errors import BudgetExceeded, HarnessError, StageError, TamperedError
from harness.files import read_verified, remove_folder
from harness.plugin import scored_rows
from harness.records import Cost, Status
from harness.redact import redact
from harness.stage import memory, processes, remarks
from harness.stage import spec as specs
from harness.stage.environment import energy_joules, environment, peak_memory
from harness.stage.manifest import check_sealed, say_over, write_manifest
from harness.stage.spec import GenerateSpec, JudgeSpec, ProbeSpec, StageSpec, TrainSpec

if TYPE_CHECKING:
    from harness.stage.train_stage import TrainStage

AGAIN = 75  # exit code of an attempt that ran out of memory and left what to try next
KEEP_SCRATCH = False  # the conformance kit interrupts stages after the fact


def main(folder: Path) -> int:
    """Do the stage's work; return the exit code. Errors are left in `error.json` and the log.

    `AGAIN` asks for a fresh process that calls `main` once more.
    """
    try:
        spec = specs.read_spec(folder)
    except HarnessError as error:
        _report(folder, error)
        return 1
    if processes.COUNT in os.environ:
        return _attempt(folder, spec)
    with (folder / "lock").open("w") as lock:
        with contextlib.suppress(OSError):  # some shared disks have no locks
            fcntl.flock(lock, fcntl.LOCK_EX)  # a process of an earlier attempt may be dying
        if not isinstance(spec, TrainSpec) or spec.identity.gpus == 1:
            return _attempt(folder, spec)
        while True:
            before = memory.failures(folder)
            code = processes.launch(folder, spec)
            if code == 0 or memory.failures(folder) == before:
                return code


def _run(folder: Path) -> int:
    """Do the stage in a process of its own, and as often as it takes."""
    if processes.COUNT in os.environ:
        return main(folder)
    token, environment = processes.given_token(), dict(os.environ)
    code = main(folder)
    if code == AGAIN:
        processes.again(folder, environment, token)
    if code == 0:
        say_over(folder, token)
    return code


def _attempt(folder: Path, spec: StageSpec) -> int:
    try:
        if processes.rank() == 0:
            _clear(folder, spec)
        known: dict[str, str] = {}  # sha256 of outputs that have been read
        result = _work(folder, spec, known)
        if result is not None:  # the first process of a stage writes what came of it
            result.write(folder / "result.json")
            write_manifest(folder, known)
            if not KEEP_SCRATCH:  # several times the checkpoint, and nothing continues from it now
                remove_folder(folder / scratch.SHARED)
    except memory.TryAgain:
        return AGAIN
    except BaseException as error:  # whatever a plug-in raises, SystemExit included
        _report(folder, error)
        return 1
    return 0


def _work(folder: Path, spec: StageSpec, known: dict[str, str]) -> specs.Result | None:
    if isinstance(spec, JudgeSpec):
        return _judge(folder, spec)
    _seed(spec)
    if isinstance(spec, GenerateSpec):
        return _generate(folder, spec)
    if isinstance(spec, ProbeSpec):
        return _probe(spec)
    return _train(folder, spec, known)


def _clear(folder: Path, spec: StageSpec) -> None:
    """Remove what an earlier attempt left, but for what this one may go on from."""
    compute = spec.compute if isinstance(spec, TrainSpec) else None
    continues = compute is not None and bool(compute.save_every or compute.save_minutes)
    scratch.empty(folder, continues=continues)


def _seed(spec: TrainSpec | GenerateSpec | ProbeSpec) -> None:
    import numpy
    import torch

    if spec.identity.threads:
        torch.set_num_threads(spec.identity.threads)
    torch.use_deterministic_algorithms(spec.identity.device == "cpu")
    seed = spec.identity.seed if isinstance(spec, TrainSpec) else 0
    random.seed(seed)
    torch.manual_seed(seed)
    numpy.random.seed(seed % 2**32)


def _train(folder: Path, spec: TrainSpec, known: dict[str, str]) -> specs.TrainResult | None:
    from harness.plugin.host import Host
    from harness.stage.budget import Budget
    from harness.stage.environment import keep_data_sets_at_home
    from harness.stage.metering.counter import Counter, impossible
    from harness.stage.metering.meter import metered
    from harness.stage.models import check_given, seal_checkpoint
    from harness.stage.run import Run
    from harness.stage.train_stage import TrainStage
    from harness.tasks import guard
    from harness.tasks.protocols import Protocol, protocol_of
    from harness.verify import VerifierPool

    identity, paths, compute = spec.identity, spec.paths, spec.compute
    keep_data_sets_at_home()
    if processes.rank() == 0:
        check_given(spec)
    refused: list[str] = []
    guard.tellers.append(refused.append)
    guard.close(spec.closed)
    trainer = Host().trainer(identity.trainer).trainer
    assert trainer.train is not None  # a chain is never a stage
    protocol = protocol_of(identity.protocol)
    assert isinstance(protocol, Protocol)  # lm-eval's make no training prompts
    group = processes.join(identity.device, compute.stage_seconds)
    if group.rank == 0:
        (folder / "checkpoint").mkdir()
        scratch.begin(folder)
    group.wait()
    failed = memory.failures(folder)
    teacher = str(paths.teacher) if paths.teacher else None
    gpus = group.size if identity.device != "cpu" else 0
    counter = Counter(spec.caps, teacher, group, fill=identity.budget.fill, gpus=gpus)
    if (earlier := memory.spent(failed, spec.caps)) is not None:
        counter.resume(earlier, earlier)
    stage = TrainStage(
        spec=spec,
        folder=folder,
        options=trainer.options.model_validate(identity.options),
        protocol=protocol,
        budget=Budget(counter),
        verifier=VerifierPool(workers=1),
        rows=_rows(paths.train, spec.sha256["train"]),
        holdout=_rows(paths.holdout, spec.sha256["holdout"]),
        traces=_rows(paths.traces, spec.sha256["traces"]) if paths.traces else (),
        group=group,
        micro_batch_size=memory.next_size(failed) or compute.micro_batch_size,
    )
    counter.judged = lambda: stage.verifier.cpu_seconds
    run = Run(stage)
    if spec.report_to:
        os.environ.setdefault("TENSORBOARD_LOGGING_DIR", str(folder / "tracking"))
    energy = energy_joules()
    try:
        with metered(counter, identity.engine):
            trainer.train(run)
    except BaseException as error:
        if memory.is_out_of_memory(error) and not isinstance(error, memory.NoRoom):
            _out_of_memory(stage, failed, counter.cost, error)
        raise
    finally:
        stage.verifier.close()
    counter.settle()
    cost = counter.cost
    cost.peak_memory_bytes = int(group.largest(peak_memory(identity.device)))
    if identity.device != "cpu":
        ended = energy_joules()
        cost.energy_joules = None if energy is None or ended is None else ended - energy
    if group.rank:
        return None
    contents, changed = seal_checkpoint(folder / "checkpoint", paths.base_model, trainer.name)
    size = sum(math.prod(shape) for shape in contents.shapes.values())
    if why := impossible(cost, spec.caps, size):
        raise StageError(f"the cost of trainer {trainer.name!r} cannot be: {why}")
    known |= {f"checkpoint/{name}": sha256 for name, sha256 in contents.files.items()}
    packed = bool(identity.options.get("packing"))
    ran = environment(identity, packed=packed).model_copy(update={"gpus": group.size})
    return specs.TrainResult(
        cost=cost,
        notes=stage.notes,
        remarks=remarks.of(spec, cost, refused, failed, changed),
        environment=ran,
        step_flops=counter.step_flops,
    )


def _out_of_memory(
    stage: TrainStage, failed: tuple[memory.Attempt, ...], cost: Cost, error: BaseException
) -> NoReturn:
    """Leave on disk what to try next, or say what to do where nothing is left to try."""
    traceback.print_exception(error, file=sys.stderr)
    if stage.forward_rows is None:
        raise StageError(
            f"{type(error).__name__}: {error} (out of memory; the trainer says nothing of its batch"
            " to run.arguments, so the host cannot divide it)"
        ) from error
    micro, rows = stage.forward_rows
    if micro == 1:
        raise StageError(
            "out of memory with one row in a forward pass; set gradient_checkpointing = true in the"
            " board's [compute], or a smaller max_length or completion length"
        ) from error
    failure = memory.Attempt(
        micro_batch_size=micro,
        rows=rows,
        step=cost.steps,
        seconds=round(cost.seconds, 1),
        cost=cost,
    )
    memory.add_failure(stage.folder, failed, failure)
    scratch.empty(stage.folder, continues=False)
    raise memory.TryAgain from error


def _generate(folder: Path, spec: GenerateSpec) -> specs.GenerateResult:
    from harness.stage.generate import Questions, generate_answers
    from harness.stage.models import check_scored
    from harness.tasks.protocols import documents, protocol_of

    started = time.monotonic()
    weights, from_teacher, toward_teacher = check_scored(spec)
    identity = spec.identity
    loaded = scored_rows.load(spec.rows)
    generated = generate_answers(
        model=spec.paths.base_model,
        scores=[
            Questions(score, rows, documents(protocol_of(score.protocol), task))
            for score, (task, rows) in zip(identity.scores, loaded, strict=True)
        ],
        batch_size=identity.batch_size,
        device=identity.device,
        out=folder,
        engine=identity.engine,
        dtype=identity.dtype,
        processes=spec.processes,
    )
    ran = environment(identity).model_copy(update={"gpus": spec.processes})
    if identity.engine == "vllm":  # it chooses its own implementation
        ran = ran.model_copy(update={"attention": "vllm"})
    seconds = time.monotonic() - started
    return specs.GenerateResult(
        own=generated.own,
        notes=generated.notes,
        seconds=seconds,
        environment=ran,
        weights=weights,
        from_teacher=from_teacher,
        toward_teacher=toward_teacher,
    )


def _probe(spec: ProbeSpec) -> specs.ProbeResult:
    from harness.stage.models import check_scored
    from harness.stage.probe import probe

    check_scored(spec)
    identity, loaded = spec.identity, scored_rows.load(spec.rows)
    tests = [(task.name, [row["problem"] for row in rows]) for task, rows in loaded]
    model, device, engine = spec.paths.base_model, identity.device, identity.engine
    probes = probe(model, tests, identity.batch_size, device, engine, identity.dtype)
    return specs.ProbeResult(probes=probes, environment=environment(identity))


def _judge(folder: Path, spec: JudgeSpec) -> specs.JudgeResult:
    from harness.stage.judge import judge
    from harness.verify import VerifierPool

    check_sealed(spec.answers.parent, spec.answers.name, spec.sealed)
    with VerifierPool(workers=spec.workers, fork=True) as pool:
        scores = []
        loaded = scored_rows.load(spec.rows)
        for score, (_, rows) in zip(spec.identity.scores, loaded, strict=True):
            scores.append(judge(score, rows, spec.answers, folder / "answers", pool))
    return specs.JudgeResult(scores=tuple(scores), cpu_seconds=round(pool.cpu_seconds, 2))


def _rows(path: Path, sha256: str) -> list[dict[str, Any]]:
    """Return the rows of a file that the bench wrote, if it is still what the bench wrote."""
    try:
        content = read_verified(path, sha256)
    except TamperedError as error:
        raise TamperedError(f"{error}; the next bench writes it anew") from None
    return [json.loads(line) for line in content.splitlines()]


def _report(folder: Path, error: BaseException) -> None:
    """Leave one line for the leaderboard and the traceback in the log."""
    traceback.print_exception(error, file=sys.stderr)
    sys.stderr.flush()
    text = errors.one_line(error)
    elsewhere = scratch.is_full(folder, error)
    if elsewhere:
        line = f"the scratch folder of {os.uname().nodename} is full: {text}; free some space there"
    elif isinstance(error, HarnessError):
        line = text
    elif isinstance(error, SystemExit):
        line = f"the trainer ended its process by sys.exit({error.code!r})"
    elif errors.is_disk_full(error):
        line = f"the disk is full: {text}; free some space and give the same command again"
    else:
        line = f"{type(error).__name__}: {text}"
    if isinstance(error, BudgetExceeded):
        line = f"stopped: {line}"
    line = redact(line)
    for place in (folder, scratch.place(folder).parent):
        line = line.replace(f"{place}/", "")  # a record says nothing of where it was made
    if processes.COUNT in os.environ and (folder / "error.json").exists():
        return  # another process of this stage failed first
    status: Status = "oom" if memory.is_out_of_memory(error) else "failed"
    failure = specs.Failure(status=status, error=line[:500], elsewhere=elsewhere)
    try:
        failure.write(folder / "error.json")
    except OSError:
        print(f"harness: {line}", file=sys.stderr)  # noqa: T201 (stderr is the stage's log)


if __name__ == "__main__":
    # the processes of a stage are given no parent: they die with the launcher that started them
    processes.die_with_parent(int(sys.argv[2]) if len(sys.argv) > 2 else os.getppid())
    processes.private = Path(sys.argv[3]) if len(sys.argv) > 3 else None
    sys.exit(_run(Path(sys.argv[1])))
