"""Every Eval Ever, schema 0.3.0: results with their uncertainty, and every answer.

See https://github.com/evaleval/every_eval_ever. The files are written by hand, without its package,
and checked against its JSON Schema in the tests.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any

from harness.export.request import Request, interval, model_name
from harness.files import jsonl, slug, write_atomically
from harness.leaderboard.diff import read_answers
from harness.records import Record, Score


def export(request: Request) -> list[Path]:
    """Write `data/<board>/<developer>/<model>/<uuid>.json` and its samples for every cell."""
    written = []
    for record in request.records:
        place = Path("data", slug(record.board.name), slug(request.developer), model_name(record))
        # The schema wants a UUID of version 4; this one is the record's own, the same every time.
        name = uuid.UUID(bytes=hashlib.sha256(record.digest.encode()).digest()[:16], version=4)
        samples = jsonl(
            line for score in record.scores for line in _samples(request, record, score)
        )
        path = place / f"{name}_samples.jsonl"
        aggregate = _aggregate(request, record) | {
            "detailed_evaluation_results": {
                "format": "jsonl",
                "file_path": path.as_posix(),
                "hash_algorithm": "sha256",
                "checksum": _hash(samples),
                "total_rows": sum(len(score.verdicts) for score in record.scores),
            }
        }
        written += [request.out / path, request.out / place / f"{name}.json"]
        write_atomically(written[-2], samples)
        write_atomically(written[-1], json.dumps(aggregate, indent=2, sort_keys=True) + "\n")
    return written


def _model_id(request: Request, record: Record) -> str:
    return f"{slug(request.developer)}/{model_name(record)}"


def _epoch(record: Record) -> int:
    return int(datetime.fromisoformat(record.created).timestamp())


def _ids(request: Request, record: Record) -> dict[str, str]:
    evaluation = f"{record.board.name}/{_model_id(request, record)}/{_epoch(record)}"
    return {"schema_version": "0.3.0", "evaluation_id": evaluation}


def _result_id(score: Score) -> str:
    return f"{score.task}/{score.protocol}/accuracy"


def _aggregate(request: Request, record: Record) -> dict[str, Any]:
    environment = record.environment
    model = {
        "deployment_type": "self_deployed",
        "model_availability": "unknown",
        "trainer": record.trainer,
        "start_model": request.conditions.start_model,
        "board_digest": record.board.digest,
        "record": record.id,
    }
    if record.seed is not None:
        model["training_seed"] = str(record.seed)
    if record.share < 1:  # a point of a curve
        model["budget_share"] = f"{record.share:g}"
    if arm := sorted({stage.control_of for stage in record.stages if stage.control_of}):
        model["control_of"] = ", ".join(arm)
    if record.checkpoint is not None:
        model["checkpoint_sha256"] = record.checkpoint.digest
        model["parameters"] = str(record.checkpoint.parameters)
    return {
        **_ids(request, record),
        "evaluation_timestamp": record.created,
        "retrieved_timestamp": str(_epoch(record)),
        "source_metadata": {
            "source_name": f"srlm-harness board {record.board.name}",
            "source_type": "evaluation_run",
            "source_organization_name": request.organization,
            "evaluator_relationship": request.relationship,
        },
        "eval_library": {
            "name": "srlm-harness",
            "version": environment.packages.get("srlm-harness", "unknown"),
            "additional_details": {
                "verifier_version": record.verifier_version,
                "generation": f"lm_eval {environment.packages.get('lm_eval', 'unknown')}",
            },
        },
        "model_info": {
            "name": model_name(record),
            "id": _model_id(request, record),
            "developer": request.developer,
            "inference_engine": {
                "name": environment.engine,
                "version": environment.packages.get("transformers", "unknown"),
            },
            "additional_details": model,
        },
        "evaluation_results": [_result(request, record, score) for score in record.scores],
    }


def _source(request: Request, score: Score) -> dict[str, Any]:
    found = {
        "dataset_name": score.task,
        "source_type": "other",
        "additional_details": {"version": str(score.task_version), "sha256": score.task_digest},
    }
    benchmark = request.benchmark(score.task)
    if benchmark is None or benchmark.problem(score.n):  # only a whole benchmark is the Hub's
        return found
    return found | {
        "source_type": "hf_dataset",
        "hf_repo": benchmark.dataset,
        "hf_split": "test",
        "samples_number": score.n,
    }


def _result(request: Request, record: Record, score: Score) -> dict[str, Any]:
    low, high, method = interval(score)
    p = score.accuracy
    deviation = (p * (1 - p)) ** 0.5
    counts = score.counts | {
        "strict_match": score.strict,
        "flexible_match": score.flexible,
        "limit_reached": score.limit_reached,
    }
    one = request.conditions_of(score)
    decoding = {"temperature": one.temperature, "top_p": one.top_p} if one else {}
    uncertainty: dict[str, Any] = {
        "confidence_interval": {
            "lower": round(low, 9),
            "upper": round(high, 9),
            "confidence_level": 0.95,
            "method": method,
        },
        "standard_deviation": round(deviation, 9),
        "num_samples": len(score.verdicts),
    }
    if method == "wilson":
        error = round(deviation / score.n**0.5, 9)
        uncertainty["standard_error"] = {"value": error, "method": "analytic"}
    return {
        "evaluation_result_id": _result_id(score),
        "evaluation_name": score.task,
        "source_data": _source(request, score),
        "evaluation_timestamp": record.created,
        "metric_config": {
            "metric_id": "accuracy",
            "metric_name": "verified accuracy",
            "metric_kind": "accuracy",
            "metric_unit": "proportion",
            "evaluation_description": "Share of answers that the verifier found right.",
            "metric_parameters": {"k": 1},
            "lower_is_better": False,
            "score_type": "continuous",
            "min_score": 0.0,
            "max_score": 1.0,
        },
        "score_details": {
            "score": round(p, 9),
            "details": {name: str(number) for name, number in counts.items()},
            "uncertainty": uncertainty,
        },
        "generation_config": {
            "generation_args": {
                **decoding,
                "max_tokens": score.max_new_tokens,
                "execution_command": record.command,
            },
            "additional_details": {
                "protocol": score.protocol,
                "dtype": record.environment.dtype,
                "batch_size": str(record.environment.batch_size),
            },
        },
    }


def _samples(request: Request, record: Record, score: Score) -> list[dict[str, Any]]:
    _, asked = request.asked(score)
    return [
        {
            **_ids(request, record),
            "model_id": _model_id(request, record),
            "evaluation_name": score.task,
            "evaluation_result_id": _result_id(score),
            "sample_id": str(line["id"])
            + (f"/{place % score.samples}" if score.samples > 1 else ""),
            "sample_hash": _hash(asked[line["id"]]["problem"] + asked[line["id"]]["answer"]),
            "interaction_type": "single_turn",
            "input": {
                "raw": asked[line["id"]]["problem"],
                "reference": [asked[line["id"]]["answer"]],
            },
            "output": {"raw": [line["text"]]},
            "messages": None,
            "answer_attribution": [
                {
                    "turn_idx": 0,
                    "source": "output.raw",
                    "extracted_value": line["extracted"] or "",
                    "extraction_method": f"srlm-harness verifier {record.verifier_version}",
                    "is_terminal": True,
                }
            ],
            "evaluation": {
                "score": float(line["verdict"] == "correct"),
                "is_correct": line["verdict"] == "correct",
            },
            "metadata": {
                "verdict": line["verdict"],
                "read": line["read"] or "",
                "why": line["why"],
                "finish": line["finish"],
                "completion_tokens": str(line["tokens"]),
            },
        }
        for place, line in enumerate(read_answers(request.folder, record, score))
    ]


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
