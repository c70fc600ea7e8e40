"""Files for a model's repository on the Hugging Face Hub: a model card and `.eval_results`.

Nothing is uploaded here. See https://huggingface.co/docs/hub/eval-results and the `model-index` of
model cards. `.eval_results` has no field for uncertainty or settings, so they stand in its notes.
It does not fix whether an accuracy is a share or per cent, which differs by benchmark: a task is
written only where its scale was given.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.escape import code, markdown
from harness.export import Request, model_name
from harness.records import Record, Score, write_atomically
from harness.render import numbers
from harness.render.markdown import table
from harness.stats import wilson

SCALES = {"share": 1, "percent": 100}


def export(request: Request) -> list[Path]:
    """Write `<model>/README.md` and `<model>/.eval_results/<task>.yaml` for every cell.

    Raises:
        UsageError: If a scale is unknown, or is given for a task that the board does not have.
    """
    tasks = {benchmark.task for benchmark in request.conditions.benchmarks}
    for task, _, _, scale in request.scales:
        if scale not in SCALES:
            raise UsageError(f"the scale of {task!r} is share or percent, not {scale!r}")
        if task not in tasks:
            raise UsageError(f"board {request.conditions.board!r} has no task {task!r}")
    written = []
    for record in request.records:
        place = request.out / model_name(record)
        card = place / "README.md"
        write_atomically(card, model_card(request, record))
        written.append(card)
        for task, dataset, name, scale in request.scales:
            for score in record.scores:
                if score.task == task:
                    path = place / ".eval_results" / f"{task}__{score.protocol}.yaml"
                    write_atomically(path, _eval_result(record, score, dataset, name, scale))
                    written.append(path)
    return written


def _yaml(value: Any) -> str:
    """Return JSON, every value of which is YAML too, one key a line."""
    return json.dumps(value, indent=2)


def _eval_result(record: Record, score: Score, dataset: str, name: str, scale: str) -> str:
    low, high = wilson(score.counts["correct"], score.n)
    notes = (
        f"{score.counts['correct']} of {score.n} answers verified; 95 % Wilson interval"
        f" {100 * low:.1f} to {100 * high:.1f} %; protocol {score.protocol}, greedy, at most"
        f" {score.max_new_tokens} new tokens; srlm-harness verifier {record.verifier_version}"
    )
    result = {
        "dataset": {"id": dataset, "task_id": name},
        "value": round(SCALES[scale] * score.accuracy, 6),
        "date": record.created[:10],
        "notes": notes,
    }
    return _yaml([result]) + "\n"


def model_card(request: Request, record: Record) -> str:
    """Return the README of one checkpoint: `model-index` for machines and a table for people."""
    conditions = request.conditions
    name = model_name(record)
    index = {
        "model-index": [
            {
                "name": name,
                "results": [
                    {
                        "task": {"type": "text-generation"},
                        "dataset": {
                            "name": score.task,
                            "type": score.task,
                            "revision": score.task_digest[:40],
                        },
                        "metrics": [
                            {
                                "type": "accuracy",
                                "name": "verified accuracy (share)",
                                "value": round(score.accuracy, 6),
                            }
                        ],
                    }
                    for score in record.scores
                ],
            }
        ],
        "tags": ["srlm-harness"],
    }
    rows = []
    for score in record.scores:
        low, high = wilson(score.counts["correct"], score.n)
        rows.append(
            (
                markdown(score.task),
                markdown(score.protocol),
                str(score.n),
                f"{numbers.percent(score.accuracy)} [{numbers.percent(low)},"
                f" {numbers.percent(high)}]",
                numbers.percent(score.counts["no_answer"] / score.n),
                numbers.percent(score.limit_reached / score.n),
            )
        )
    chain = " then ".join(markdown(stage.trainer) for stage in record.stages) or "nothing"
    parts = [
        f"---\n{_yaml(index)}\n---",
        f"# {markdown(name)}",
        f"Made from {markdown(conditions.start_model, 200)} by {chain} on the board"
        f" *{markdown(conditions.title, 200)}*"
        + (f", training seed {record.seed}." if record.seed is not None else "."),
        table(
            ("Benchmark", "Protocol", "Questions", "Accuracy %", "No answer %", "At the limit %"),
            rows,
            left=2,
        ),
        "Accuracies are shares of answers that the verifier found right, with Wilson's 95 %"
        " interval over questions. One training seed says nothing of the training method: see the"
        " board for what all seeds show.",
        f"- Training data: {markdown(conditions.data, 400)}",
        f"- Budget: {markdown(conditions.budget, 400)}",
        f"- Verifier: version {markdown(record.verifier_version)}",
        f"- Reproduce: {code(record.command)}",
        f"- Board digest: {code(record.board.digest)}",
    ]
    if record.checkpoint is not None:
        parts.append(f"- Checkpoint sha256: {code(record.checkpoint.digest)}")
    head, listed = parts[:5], parts[5:]
    return "\n\n".join([*head, "\n".join(listed)]) + "\n"
