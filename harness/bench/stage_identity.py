"""Identities: all that can change what a stage computes. A stage's name is their digest."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
from collections.abc import Mapping
from functools import cache
from typing import Any

from harness.bench.stage_sources import source_digest
from harness.boards.board import Board
from harness.errors import UsageError
from harness.files import file_sha256
from harness.plugin.host import Offer
from harness.tasks.lm_eval import columns
from harness.tasks.protocols import LmEvalProtocol
from harness.verify import VERIFIER_VERSION

PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets", "lm_eval", "numpy")


def common(board: Board, device: str) -> dict[str, Any]:
    """Return what every stage depends on: device, threads, versions, the harness's own code."""
    packages = package_versions()
    if device == "cuda":  # attention depends on it (`harness.attention`)
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            packages = {**packages, "flash_attn": importlib.metadata.version("flash_attn")}
    return {
        "device": device,
        "threads": board.file.compute.threads if device == "cpu" else None,
        "packages": packages,
        "harness": source_digest(),
    }


def budget(board: Board, position: int, length: int) -> dict[str, Any]:
    """Return the caps of one stage of a chain, and whether it gets what the earlier ones left."""
    caps = board.file.budget.caps()
    if board.file.budget.chain == "even":
        caps = caps.share(length)
    return {"caps": caps.set_caps(), "rest": board.file.budget.chain == "rest" and position > 0}


def training(
    board: Board, offer: Offer, options: dict[str, Any], seed: int, common: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what a training stage depends on, beside where it starts and its budget."""
    trainer, plugin = offer.trainer, offer.plugin
    traces = board.file.data.traces if trainer.needs_traces else ()
    config = board.accelerate_file()
    return {
        **with_engine(board, common),
        "trainer": trainer.name,
        "plugin": [plugin.name, plugin.distribution, plugin.version, plugin.source_sha256],
        "options": options,
        "teacher": board.identity("teacher") if trainer.needs_teacher else None,
        "data": {name: board.tasks[name].digest for name in board.file.data.train},
        "traces": {name: board.tasks[name].digest for name in traces},
        "gpus": board.file.compute.gpus,
        "accelerate": file_sha256(config) if config else None,
        "limit": board.file.data.limit,
        "protocol": board.protocol.id,
        "max_new_tokens": board.ranking.max_new_tokens,
        "verifier": VERIFIER_VERSION,
        "seed": seed,
    }


def generation(board: Board, common: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the answers of one checkpoint depend on."""
    scores = []
    for score in board.scores:
        table = score.table
        entry = {
            "task": table.task,
            "digest": score.task.digest,
            "protocol": score.protocol.id,
            "max_new_tokens": table.max_new_tokens,
            "limit": table.limit,
        }
        for key, usual in (("samples", 1), ("temperature", 0.0), ("top_p", 1.0)):
            if getattr(table, key) != usual:
                entry[key] = getattr(table, key)
        if isinstance(score.protocol, LmEvalProtocol):
            entry["columns"] = columns(score.task)
        scores.append(entry)
    return {
        **with_engine(board, common),
        "base": base,
        "scores": scores,
        "batch_size": board.file.compute.batch_size,
    }


def with_engine(board: Board, common: Mapping[str, Any]) -> dict[str, Any]:
    """Return what every stage depends on, with what generates in it."""
    engine = choose_engine(board.file.compute.engine, common["device"])
    extra = {"vllm": importlib.metadata.version("vllm")} if engine == "vllm" else {}
    return {**common, "packages": {**common["packages"], **extra}, "engine": engine}


def choose_engine(wanted: str, device: str) -> str:
    """Return what generates scored answers, rollouts and a teacher's solutions: `hf` or `vllm`.

    Args:
        wanted: What the board says; `auto` is vLLM on a GPU where it is installed.
        device: `cpu` or `cuda`.

    Raises:
        UsageError: If the board wants vLLM and it is not there, or there is no GPU for it.
    """
    there = importlib.util.find_spec("vllm") is not None
    if wanted == "auto":
        return "vllm" if there and device == "cuda" else "hf"
    if wanted == "vllm" and device != "cuda":
        raise UsageError('engine = "vllm" needs a GPU: add --device cuda, or say engine = "auto"')
    if wanted == "vllm" and not there:
        raise UsageError('engine = "vllm" needs vLLM: pip install "srlm-harness[vllm]"')
    return wanted


@cache
def package_versions() -> dict[str, str]:
    """Return the versions of the packages that can change a result."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "missing"
    return found
