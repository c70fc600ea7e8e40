"""Files for a model's repository on the Hugging Face Hub: a model card and `.eval_results`.

See https://huggingface.co/docs/hub/eval-results and the `model-index` of model cards. Nothing is
sent here; `harness.hub` does that. `.eval_results` has no field for uncertainty or settings, so
they stand in its notes. A task is written there only where its benchmark and the scale of its
values are known (`harness.export.benchmarks`) or were given.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from harness.errors import UsageError, did_you_mean
from harness.export.benchmarks import SCALES, Benchmark
from harness.export.request import Request, interval, model_name
from harness.files import write_atomically
from harness.records import Record, Score
from harness.render import numbers
from harness.render.escape import code, markdown
from harness.render.markdown import table

CARD = "README.md"


def export(request: Request) -> list[Path]:
    """Write `<model>/README.md` and `<model>/.eval_results/<task>.yaml` for every cell.

    Raises:
        UsageError: If a benchmark's scale is unknown, or one is given for a task that the board
            does not have.
    """
    check_benchmarks(request)
    written = []
    for record in request.records:
        for name, text in files(request, record).items():
            path = request.out / model_name(record) / name
            write_atomically(path, text)
            written.append(path)
    return written


def check_benchmarks(request: Request) -> None:
    """Refuse a benchmark that was given for no task of the board or with no known scale."""
    tasks = {benchmark.task for benchmark in request.conditions.benchmarks}
    for task, benchmark in request.benchmarks.items():
        if benchmark.scale not in SCALES:
            raise UsageError(f"the scale of {task!r} is share or percent, not {benchmark.scale!r}")
        if task not in tasks:
            board = request.conditions.board
            raise UsageError(f"board {board!r} has no task {task!r}; {did_you_mean(task, tasks)}")


def files(request: Request, record: Record) -> dict[str, str]:
    """Return the files of one cell for a model repository: path in the repository -> text."""
    made = {CARD: model_card(request, record)}
    for score in record.scores:
        benchmark = request.benchmark(score.task)
        if benchmark is not None and benchmark.problem(score.n) is None:
            name = re.sub(r"[^a-z0-9._-]+", "_", f"{score.task}__{score.protocol}".lower())
            made[f".eval_results/{name}.yaml"] = _eval_result(request, record, score, benchmark)
    return made


def left_out(request: Request, record: Record) -> list[str]:
    """Return a line for each score that stands in the card and not in `.eval_results`."""
    lines = []
    for score in record.scores:
        benchmark = request.benchmark(score.task)
        if benchmark is None:
            lines.append(
                f"{score.task}: no benchmark of the Hub is known for it; name one with"
                f" --hub {score.task}=DATASET:TASK_ID:SCALE, where SCALE is share or percent"
            )
        elif problem := benchmark.problem(score.n):
            lines.append(f"{score.task}: {problem}")
    return lines


def _yaml(value: Any) -> str:
    import yaml

    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=10_000)


def _setting(request: Request, score: Score) -> str:
    """Return how answers were made, in words: protocol, decoding, token limit."""
    way = "greedy"
    for one in request.conditions.benchmarks:
        if (one.task, one.protocol) == (score.task, score.protocol) and one.temperature:
            way = f"{score.samples} samples at temperature {one.temperature:g}, top-p {one.top_p:g}"
    return f"protocol {score.protocol}, {way}, at most {score.max_new_tokens} new tokens"


def _eval_result(request: Request, record: Record, score: Score, benchmark: Benchmark) -> str:
    low, high, method = interval(score)
    notes = (
        f"{score.counts['correct']} of {len(score.verdicts)} answers verified; 95 % interval"
        f" {100 * low:.1f} to {100 * high:.1f} % over questions ({method});"
        f" {_setting(request, score)}; one training seed;"
        f" srlm-harness verifier {record.verifier_version}"
    )
    result = {
        "dataset": {"id": benchmark.dataset, "task_id": benchmark.task_id},
        "value": benchmark.value(score.accuracy),
        "date": record.created[:10],
        "notes": notes,
    }
    return _yaml([result])


def _index_entry(request: Request, score: Score) -> dict[str, Any]:
    benchmark = request.benchmark(score.task)
    return {
        "task": {"type": "text-generation"},
        "dataset": {
            "name": score.task,
            "type": benchmark.dataset if benchmark else score.task,
            "split": "test",
            "args": {"questions": score.n, "rows_sha256": score.task_digest},
        },
        "metrics": [
            {
                "type": "accuracy",
                "name": f"verified accuracy, a share of 1 ({_setting(request, score)})",
                "value": round(score.accuracy, 6),
            }
        ],
    }


def model_card(request: Request, record: Record) -> str:
    """Return the README of one checkpoint: `model-index` for machines and a table for people."""
    conditions = request.conditions
    name = model_name(record)
    results = [_index_entry(request, score) for score in record.scores]
    front: dict[str, Any] = {
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["srlm-harness"],
        "model-index": [{"name": name, "results": results}],
    }
    start, at, _ = conditions.start_model.partition("@")
    if at and start.count("/") == 1:  # a model of the Hub, at a commit
        front = {"base_model": start, **front}
    rows = []
    for score in record.scores:
        low, high, _ = interval(score)
        rows.append(
            (
                markdown(score.task),
                markdown(score.protocol),
                str(score.n),
                f"{numbers.percent(score.accuracy)} [{numbers.percent(low)},"
                f" {numbers.percent(high)}]",
                numbers.percent(score.counts["no_answer"] / len(score.verdicts)),
                numbers.percent(score.limit_reached / len(score.verdicts)),
            )
        )
    chain = " then ".join(markdown(stage.trainer) for stage in record.stages) or "nothing"
    parts = [
        f"---\n{_yaml(front)}---",
        f"# {markdown(name)}",
        f"Made from {markdown(conditions.start_model, 200)} by {chain} on the board"
        f" *{markdown(conditions.title, 200)}*"
        + (f", training seed {record.seed}." if record.seed is not None else "."),
        table(
            ("Benchmark", "Protocol", "Questions", "Accuracy %", "No answer %", "At the limit %"),
            rows,
            left=2,
        ),
        "Accuracies are shares of answers that the verifier found right, with a 95 % interval"
        " (Wilson) over questions. One training seed says nothing of the training method: see the"
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
