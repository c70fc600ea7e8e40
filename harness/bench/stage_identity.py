"""Identities: all that can change what a stage computes. A stage's name is their digest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from harness.bench.stage_sources import source_digest
from harness.boards.board import Board
from harness.boards.score import BoardScore
from harness.errors import UsageError
from harness.files import file_sha256
from harness.plugin.executor import Facts
from harness.plugin.host import Offer
from harness.plugin.options import LENGTH
from harness.stage import spec
from harness.stage.probe import PROBLEMS
from harness.tasks.lm_eval import columns
from harness.tasks.protocols import LmEvalProtocol
from harness.verify import VERIFIER_VERSION


def common(board: Board, machine: Facts) -> spec.Common:
    device, packages = machine.device, dict(machine.packages)
    if device == "cuda" and (found := machine.on_gpus.get("flash_attn")):
        packages["flash_attn"] = found
    engine = choose_engine(board.file.compute.engine, machine)
    if engine == "vllm":
        packages["vllm"] = machine.on_gpus["vllm"]
    return spec.Common(
        device=device,
        threads=board.file.compute.threads if device == "cpu" else None,
        dtype=choose_dtype(board.file.compute.dtype, device),
        packages=packages,
        harness=machine.harness,
        engine=engine,
    )


def share(
    board: Board, position: int, length: int, given: Iterable[str] = (), part: float = 1.0
) -> spec.Share:
    """Return the caps of the stage at a position, from 0, of a chain that has a part of the budget.

    `given` are the options that board and command line set for its trainer.
    """
    budget = board.file.budget
    caps, rest = budget.stage_caps(position, length, part)
    return spec.Share(caps=caps, rest=rest, fill=budget.fill and LENGTH.isdisjoint(given))


def training(
    board: Board,
    offer: Offer,
    options: dict[str, Any],
    seed: int,
    common: spec.Common,
    base: spec.Base,
    budget: spec.Share,
) -> spec.TrainIdentity:
    trainer = offer.trainer
    traces = board.file.data.traces if trainer.needs_traces else ()
    config = board.accelerate_file()
    return spec.TrainIdentity(
        **dict(common),
        base=base,
        trainer=trainer.name,
        plugin=spec.Source.model_validate(offer.plugin, from_attributes=True),
        options=options,
        teacher=board.identity("teacher") if trainer.needs_teacher else None,
        data={name: board.tasks[name].digest for name in board.file.data.train},
        traces={name: board.tasks[name].digest for name in traces},
        longest=board.file.data.longest,
        limit=board.file.data.limit,
        held_out=board.held_out,
        gpus=board.file.compute.gpus,
        accelerate=file_sha256(config) if config else None,
        protocol=board.protocol.id,
        max_new_tokens=board.ranking.max_new_tokens,
        verifier=VERIFIER_VERSION,
        seed=seed,
        budget=budget,
    )


def generation(board: Board, common: spec.Common, base: spec.Base) -> spec.GenerateIdentity:
    scores = tuple(
        spec.GeneratedScore(
            **_scored(one),
            temperature=one.table.temperature,
            top_p=one.table.top_p,
            columns=columns(one.task) if isinstance(one.protocol, LmEvalProtocol) else None,
        )
        for one in board.scores
    )
    return spec.GenerateIdentity(
        **dict(common), base=base, scores=scores, batch_size=board.file.compute.batch_size
    )


def judging(board: Board, answers: str) -> spec.JudgeIdentity:
    scores = tuple(map(judged_score, board.scores))
    return spec.JudgeIdentity(
        answers=answers, scores=scores, verifier=VERIFIER_VERSION, harness=source_digest()
    )


def probing(board: Board, common: spec.Common, base: spec.Base) -> spec.ProbeIdentity:
    """Return the identity of the probe: every task that is scored, once."""
    tasks = {one.task.name: one.task for one in board.scores}
    return spec.ProbeIdentity(
        **dict(common),
        base=base,
        tasks=tuple(
            spec.ProbedTask(task=name, digest=task.digest, limit=PROBLEMS)
            for name, task in tasks.items()
        ),
        batch_size=board.file.compute.batch_size,
    )


def judged_score(one: BoardScore) -> spec.JudgedScore:
    return spec.JudgedScore(
        **_scored(one),
        version=one.task.version,
        ranking=one.table.ranking,
        form=one.protocol.form,
        conventions=one.task.conventions,
    )


def _scored(one: BoardScore) -> dict[str, Any]:
    table = one.table.model_dump(include={"max_new_tokens", "limit", "samples"})
    return {"task": one.task.name, "digest": one.digest, "protocol": one.protocol.id, **table}


def choose_dtype(wanted: str, device: str) -> spec.Dtype:
    """Return what matrix products are computed in; `auto` is bfloat16 on a GPU, float32 else."""
    if wanted == "auto":
        return "float32" if device == "cpu" else "bfloat16"
    return "bfloat16" if wanted == "bfloat16" else "float32"


def choose_engine(wanted: str, machine: Facts) -> spec.Engine:
    """Return what generates scored answers, rollouts and a teacher's solutions: `hf` or `vllm`.

    `auto` is vLLM on a GPU where it is installed.

    Raises:
        UsageError: If the board wants vLLM and it is not installed, or there is no GPU for it.
    """
    installed, gpu = "vllm" in machine.on_gpus, machine.device == "cuda"
    if wanted == "auto":
        return "vllm" if installed and gpu else "hf"
    if wanted == "vllm" and not gpu:
        raise UsageError('engine = "vllm" needs a GPU: add --device cuda, or say engine = "auto"')
    if wanted == "vllm" and not installed:
        raise UsageError(
            'engine = "vllm" needs vLLM, in an environment of its own:'
            ' pip install -c constraints-vllm.txt "srlm-harness[vllm]"'
        )
    return "vllm" if wanted == "vllm" else "hf"
