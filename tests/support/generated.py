"""Records as a bench would leave them, generated: for tests, simulations and speed measurements."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from harness.boards.conditions import Benchmark, Conditions
from harness.boards.questions import Questions
from harness.records import (
    LETTERS,
    BoardRef,
    Checkpoint,
    Cost,
    Environment,
    Record,
    Score,
    StageRef,
    total_cost,
    write_record,
)
from harness.tasks.protocols import score_name
from harness.tasks.task import Task

DIGEST = "d" * 64


def conditions(
    tasks: Sequence[str] = ("words", "longer", "symbols"),
    seeds: Sequence[int] = (0, 1, 2),
    ranking: Sequence[str] = ("words",),
    **more: object,
) -> Conditions:
    """Return the conditions of a made-up board."""
    return Conditions(
        **{
            "board": "made-up",
            "digest": DIGEST,
            "title": "A made-up board",
            "start_model": "tiny/start (sha256 0123456789ab)",
            "teacher": "tiny/teacher",
            "data": "2,000 generated word problems",
            "budget": "200,000 trained tokens a cell, split evenly along a chain",
            "seeds": tuple(seeds),
            "benchmarks": tuple(
                Benchmark(
                    task=task,
                    protocol="chat_zeroshot.v1",
                    max_new_tokens=128,
                    ranking=task in ranking,
                )
                for task in tasks
            ),
            "protocols": {"chat_zeroshot.v1": "chat template, no shots, answer in a box"},
            **more,
        }
    )


def score(task: str, verdicts: str, **more: object) -> Score:
    """Return a score with the given verdict letters."""
    answers = len(verdicts)
    right = verdicts.count("C")
    return Score(
        **{
            "task": task,
            "task_version": 1,
            "task_digest": f"{task:x<64}",
            "protocol": "chat_zeroshot.v1",
            "ranking": task == "words",
            "max_new_tokens": 128,
            "n": answers // int(str(more.get("samples", 1))),
            "verdicts": verdicts,
            "strict": right,
            "flexible": right,
            "completion_tokens": 60 * answers,
            "limit_reached": verdicts.count("T"),
            "samples_sha256": "0" * 64,
            **more,
        }
    )


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def record(
    trainer: str, seed: int | None, scores: Mapping[str, str] | Sequence[Score], **more: object
) -> Record:
    """Return a sealed record of one cell; `scores` may be verdict letters by task."""
    if isinstance(scores, Mapping):
        scores = [score(task, verdicts) for task, verdicts in scores.items()]
    number = 0 if seed is None else seed
    cost = Cost(
        steps=60,
        trained_tokens=200_000 + number,
        generated_tokens=150_000 if "rl" in trainer else 0,
        teacher_tokens=90_000 if "kd" in trainer else 0,
        flops=1.2e12,
        seconds=31.5 + number,
        peak_memory_bytes=900_000_000,
    )
    stages = tuple(
        StageRef(
            trainer=name,
            plugin=name,
            distribution="srlm-harness",
            version="0.1.0",
            source_sha256="abcdef0123456789" * 4,
            options={},
            stage=f"{name}-{number}",
            status="ok",
            cost=cost,
        )
        for name in ([] if trainer == "start" else trainer.split("+"))
    )
    return Record(
        **{
            "id": f"made-up-{trainer}-s{number}",
            "board": BoardRef(name="made-up", digest=DIGEST),
            "trainer": trainer,
            "seed": seed,
            "status": "ok",
            "created": f"2026-01-02T03:04:{number:02d}Z",
            "command": f"harness bench made-up --plugins {trainer}",
            "stages": stages,
            "cost": total_cost(stage.cost for stage in stages),
            "scoring_seconds": 4.5,
            "checkpoint": Checkpoint(
                digest="0123456789ab" + "0" * 52 if trainer == "start" else _digest(trainer, seed),
                parameters=840_000,
                bytes=3_400_000,
            ),
            "verifier_version": "1",
            "scores": tuple(scores),
            "environment": Environment(
                python="3.11.2",
                platform="Linux",
                processor="x86_64, 2 cores",
                batch_size=64,
                packages={"torch": "2.13.0", "transformers": "5.23.0", "lm_eval": "0.4.13"},
            ),
            **more,
        }
    ).sealed()


def spending(records: Sequence[Record], flops: Mapping[str, float]) -> list[Record]:
    """Return records whose cells spent so much, by trainer, in equal parts a stage."""
    changed = []
    for one in records:
        spent = flops.get(one.trainer, one.cost.flops)
        part = spent / max(1, len(one.stages))
        cost = Cost(flops=part, seconds=part)
        stages = tuple(stage.model_copy(update={"cost": cost}) for stage in one.stages)
        update = {"stages": stages, "cost": total_cost(stage.cost for stage in stages)}
        changed.append(one.model_copy(update=update).sealed())
    return changed


def answers(
    rng: np.random.Generator,
    difficulty: np.ndarray,
    accuracy: float,
    *,
    unread: float = 0.04,
    correlation: float = 0.7,
) -> str:
    """Return verdict letters for one checkpoint: `difficulty` is shared by all, shape (n,)."""
    noise = rng.normal(size=difficulty.size)
    latent = np.sqrt(correlation) * difficulty + np.sqrt(1 - correlation) * noise
    right = latent < np.quantile(latent, min(max(accuracy, 0.0), 1.0))
    wrong = np.where(rng.random(difficulty.size) < unread / max(1e-9, 1 - accuracy), "N", "W")
    return "".join(np.where(right, "C", wrong))


def board(
    accuracies: Mapping[str, float],
    *,
    tasks: Sequence[str] = ("words", "longer", "symbols"),
    seeds: Sequence[int] = (0, 1, 2),
    n: int = 400,
    seed_sd: float = 0.01,
    rng_seed: int = 0,
) -> list[Record]:
    """Return the records of a board whose trainers have these accuracies on the first task."""
    rng = np.random.default_rng(rng_seed)
    difficulty = {task: rng.normal(size=n) for task in tasks}
    records = []
    for trainer, accuracy in accuracies.items():
        for seed in [None] if trainer == "start" else seeds:
            shift = 0.0 if seed is None else rng.normal(0, seed_sd)
            unread = 0.15 if seed is None else 0.02
            records.append(
                record(
                    trainer,
                    seed,
                    {
                        task: answers(
                            rng, difficulty[task], accuracy + shift - 0.1 * place, unread=unread
                        )
                        for place, task in enumerate(tasks)
                    },
                )
            )
    return records


def leave(
    folder: Path, records: Sequence[Record], *, text: str = "", events: bool = True
) -> list[Record]:
    """Write records with judged answers and training events, as a bench does.

    Args:
        folder: The board's runs folder.
        records: Cells; what is written has the digests of its answers filled in.
        text: Stands in every problem and answer.
        events: Write learning curves too.

    Returns:
        The records as written.
    """
    written = []
    for made in records:
        scores = []
        for one in made.scores:
            content = "".join(
                json.dumps(_judged(made, one, place, text), sort_keys=True) + "\n"
                for place in range(len(one.verdicts))
            )
            path = folder / "answers" / made.id / f"{score_name(one.task, one.protocol)}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
            digest = hashlib.sha256(content.encode()).hexdigest()
            scores.append(one.model_copy(update={"samples_sha256": digest}))
        sealed = made.model_copy(update={"scores": tuple(scores)}).sealed()
        write_record(sealed, folder / "records")
        written.append(sealed)
        for stage in sealed.stages if events else ():
            _events(folder / "stages" / stage.stage / "events.jsonl", sealed.seed or 0)
    return written


def _judged(made: Record, one: Score, answer: int, text: str) -> dict[str, object]:
    letter = one.verdicts[answer]
    place, number = divmod(answer, one.samples)
    verdict = next(name for name, known in LETTERS.items() if known == letter)
    read = None if letter in "NT" else str(place if letter == "C" else place + 1)
    return {
        "id": f"{one.task}-{place}",
        "sample": number,
        "text": f"{text}\nThe answer of {made.trainer} is \\boxed{{{read}}}.",
        "tokens": 40,
        "finish": "length" if letter == "T" else "stop",
        "verdict": verdict,
        "extracted": read,
        "read": read,
        "why": "equal as numbers" if letter == "C" else "not equal",
        "strict": letter == "C",
        "flexible": letter == "C",
    }


def questions(n: int = 400, text: str = "") -> Questions:
    """Return where the problems of `leave` are looked up: of any task, so many of them."""

    def find(name: str) -> Task:
        rows = [
            {
                "id": f"{name}-{place}",
                "problem": f"{text} A baker bakes {place} rolls. How many rolls are there?",
                "answer": str(place),
            }
            for place in range(n)
        ]
        task = Task(name, lambda split: rows if split == "test" else [])
        vars(task)["digest"] = f"{name:x<64}"  # as in `score`
        return task

    return Questions(find)


def _events(path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        for step in range(1, 61):
            event = {
                "step": step,
                "progress": step / 60,
                "loss": 2 * np.exp(-step / 20) + 0.1 * rng.random(),
                "reward": 1 - np.exp(-step / 30) + 0.05 * rng.random(),
                "completion_tokens": 60 - step / 4 + rng.random(),
            }
            file.write(json.dumps(event) + "\n")


WIDE_TASKS = {
    "gsm8k": 1319,
    "math500": 500,
    "minerva_math": 272,
    "olympiadbench_math_en": 675,
    "gaokao2023en": 385,
    "amc23": 40,
    "aime24": 30,
    "svamp": 1000,
}
WIDE_TRAINERS = (
    "sft",
    "sft-lora",
    "sft-traces",
    "kd",
    "kd-sequence",
    "kd-onpolicy",
    "kd-traces",
    "rl",
    "rl-dr-grpo",
    "sft+rl",
    "kd+rl",
    "hybrid-joint",
)


def wide(seeds: Sequence[int] = (0, 1, 2)) -> tuple[list[Record], Conditions]:
    """Return a board of 8 tasks under 2 protocols, 12 trainers and all there is to say of them."""
    rng = np.random.default_rng(7)
    protocols = ("chat_zeroshot.v1", "lm_eval:gsm8k_cot@0.4.13")
    benchmarks = tuple(
        Benchmark(
            task=task,
            protocol=protocol,
            max_new_tokens=1024,
            ranking=(task, protocol) == ("gsm8k", protocols[0]),
            samples=4 if task.startswith("a") else 1,
            temperature=0.6 if task.startswith("a") else 0.0,
            summary=f"{n} problems of {task}, answers as its authors give them",
            note="30 questions are too few" if task == "aime24" else "",
        )
        for protocol in protocols
        for task, n in WIDE_TASKS.items()
    )
    difficulty = {task: rng.normal(size=n) for task, n in WIDE_TASKS.items()}
    records = []
    for rank, trainer in enumerate(("start", *WIDE_TRAINERS)):
        for seed in [None] if trainer == "start" else seeds:
            scores = [
                _wide_score(rng, one, difficulty[one.task], rank + (seed or 0) / 3)
                for one in benchmarks
            ]
            records.append(record(trainer, seed, scores))
    out = "CUDA out of memory: 2.1 GiB wanted"
    records.append(record("sft+kd", seeds[-1], {}, status="oom", error=out))
    quoted = [
        {
            "name": name,
            "task": task,
            "accuracy": accuracy,
            "source": source,
            "note": "greedy, 4 shots, its authors' own verifier; protocol not published in full",
        }
        for name, task, accuracy, source in (
            ("Qwen2.5-0.5B-Instruct, technical report", "gsm8k", 0.496, "https://arxiv.org/abs/2412.15115"),
            ("Qwen2.5-0.5B-Instruct, technical report", "math500", 0.345, "https://arxiv.org/abs/2412.15115"),
            ("A study of small models, Table 3", "gsm8k", 0.54, "Proceedings, page 860"),
        )
    ]  # fmt: skip
    return records, conditions(
        tasks=["gsm8k"],
        seeds=seeds,
        ranking=["gsm8k"],
        benchmarks=benchmarks,
        quoted=quoted,
        protocols={
            protocols[0]: "chat template, no shots, answer in a box",
            protocols[1]: "lm-eval's own task gsm8k_cot: its prompt, 8 shots, its stop rule",
        },
        notes=("GSM8K's and MATH's training problems are used, their test problems are not.",),
    )


def _wide_score(
    rng: np.random.Generator, one: Benchmark, difficulty: np.ndarray, rank: float
) -> Score:
    n = difficulty.size
    base = 0.05 if one.task == "aime24" else 0.3
    chance = np.clip(base + 0.015 * rank + 0.15 * difficulty, 0, 1)
    right = rng.random((n, one.samples)) < chance[:, None]
    letters = np.where(right, "C", np.where(rng.random(right.shape) < 0.1, "T", "W"))
    own = {}
    if one.protocol.startswith("lm_eval"):
        own = {"exact_match,strict-match": 0.3, "exact_match,flexible-extract": 0.35}
    hits = tuple(range(0, n, 9)) if rank >= 1 and one.task in ("math500", "aime24") else ()
    return score(
        one.task,
        "".join(letters.ravel()),
        protocol=one.protocol,
        ranking=one.ranking,
        max_new_tokens=one.max_new_tokens,
        samples=one.samples,
        majority="".join(letters[:, 0]) if one.samples > 1 else "",
        overlap_13=hits,
        overlap_8=hits,
        own=own,
    )
