"""Files for a model's repository on the Hugging Face Hub: a model card and `.eval_results`.

See https://huggingface.co/docs/hub/eval-results and the `model-index` of model cards.
`.eval_results` has no field for uncertainty or settings, so its notes give them. A task is written
there only if its benchmark and the scale of its values are known or were given. `export` writes
the files, `prepare` makes and validates them without the network, and `send` is the only function
that sends anything. The token is read by `huggingface_hub` alone (HF_TOKEN, or `hf auth login`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, UsageError, did_you_mean
from harness.export.request import SCALES, HubBenchmark, Request, interval, model_name
from harness.files import write_atomically
from harness.records import Record, Score
from harness.render import numbers
from harness.render.escape import code, markdown
from harness.render.sections import table

CARD = "README.md"


def export(request: Request) -> list[Path]:
    """Write `<model>/README.md` and `<model>/.eval_results/<task>.yaml` for every cell."""
    _check_benchmarks(request)
    written = {
        request.out / model_name(record) / name: text
        for record in request.records
        for name, text in files(request, record).items()
    }
    for path, text in written.items():
        write_atomically(path, text)
    return list(written)


def _check_benchmarks(request: Request) -> None:
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
    for score, benchmark in _reported(request, record):
        made[_name(score)] = _eval_result(request, record, score, benchmark)
    return made


def _reported(request: Request, record: Record) -> Iterator[tuple[Score, HubBenchmark]]:
    """Yield each score that is a benchmark's of the Hub."""
    for score in record.scores:
        benchmark = request.benchmark(score.task)
        if benchmark is not None and benchmark.problem(score.n) is None:
            yield score, benchmark


def _name(score: Score) -> str:
    name = re.sub(r"[^a-z0-9._-]+", "_", f"{score.task}__{score.protocol}".lower())
    return f".eval_results/{name}.yaml"


def left_out(request: Request, record: Record) -> list[str]:
    """Return a line for each score that is in the card and not in `.eval_results`."""
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

    return str(yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=10_000))


def _setting(request: Request, score: Score) -> str:
    way, one = "greedy", request.conditions_of(score)
    if one and one.temperature:
        way = f"{score.samples} samples at temperature {one.temperature:g}, top-p {one.top_p:g}"
    return f"protocol {score.protocol}, {way}, at most {score.max_new_tokens} new tokens"


def _eval_result(request: Request, record: Record, score: Score, benchmark: HubBenchmark) -> str:
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
    conditions, name = request.conditions, model_name(record)
    start, at, _ = conditions.start_model.partition("@")
    on_hub = at and start.count("/") == 1  # a model of the Hub, at a commit
    front = ({"base_model": start} if on_hub else {}) | {
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["srlm-harness"],
        "model-index": [
            {"name": name, "results": [_index_entry(request, score) for score in record.scores]}
        ],
    }
    chain = " then ".join(markdown(stage.trainer) for stage in record.stages) or "nothing"
    listed = [
        f"- Training data: {markdown(conditions.data, 400)}",
        f"- Budget: {markdown(conditions.budget, 400)}",
        f"- Verifier: version {markdown(record.verifier_version)}",
        f"- Reproduce: {code(record.command)}",
        f"- Board digest: {code(record.board.digest)}",
    ]
    if record.checkpoint is not None:
        listed.append(f"- Checkpoint sha256: {code(record.checkpoint.digest)}")
    parts = [
        f"---\n{_yaml(front)}---",
        f"# {markdown(name)}",
        f"Made from {markdown(conditions.start_model, 200)} by {chain} on the board"
        f" *{markdown(conditions.title, 200)}*"
        + (f", training seed {record.seed}." if record.seed is not None else "."),
        table(
            ("Benchmark", "Protocol", "Questions", "Accuracy %", "No answer %", "At the limit %"),
            [_row(score) for score in record.scores],
            left=2,
        ),
        "Accuracies are shares of answers that the verifier found right, with a 95 % interval"
        " (Wilson) over questions. One training seed says nothing of the training method: see the"
        " board for what all seeds show.",
        "\n".join(listed),
    ]
    return "\n\n".join(parts) + "\n"


def _row(score: Score) -> tuple[str, ...]:
    low, high, _ = interval(score)
    percent, answers = numbers.percent, len(score.verdicts)
    return (
        markdown(score.task),
        markdown(score.protocol),
        str(score.n),
        f"{percent(score.accuracy)} [{percent(low)}, {percent(high)}]",
        percent(score.counts["no_answer"] / answers),
        percent(score.limit_reached / answers),
    )


class HubError(HarnessError):
    """The Hub could not be reached or refused what was sent; nothing local has changed."""


@dataclass(frozen=True)
class Commit:
    """What would be written to a model repository."""

    repository: str  # organisation/name
    files: dict[str, str]  # path in the repository -> text
    left_out: list[str]  # a line for each score that is not in `.eval_results`, with the reason
    title: str  # of the commit or the pull request


def prepare(request: Request, record: Record, repository: str) -> Commit:
    """Return the files of one cell, read back by `huggingface_hub` as the Hub would.

    Raises:
        UsageError: If the repository's name is not valid, a benchmark is refused, or the Hub's
            client does not read what was written.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    if "/" not in repository:
        raise UsageError(f"repository {repository}: write ORG/NAME, as in me/{repository}")
    try:
        validate_repo_id(repository)
    except HFValidationError as error:
        raise UsageError(f"repository {repository}: {_line(error)}") from None
    _check_benchmarks(request)
    made = files(request, record)
    _check_card(made[CARD], record)
    for score, benchmark in _reported(request, record):
        _check_eval_result(_name(score), made[_name(score)], benchmark.value(score.accuracy))
    title = f"Add srlm-harness scores of {record.trainer} on board {record.board.name}"
    return Commit(repository, made, left_out(request, record), title)


def _check_card(text: str, record: Record) -> None:
    """Refuse a card whose `model-index` the Hub's client does not read as it was meant."""
    from huggingface_hub import ModelCard

    try:
        data = ModelCard(text, ignore_metadata_errors=False).data
        found = getattr(data, "eval_results", None) or []
    except Exception as error:  # yaml and the card class have errors of their own
        raise UsageError(f"the model card of {record.id} is not valid: {_line(error)}") from None
    read = [(one.dataset_name, one.metric_value) for one in found]
    meant = [(score.task, round(score.accuracy, 6)) for score in record.scores]
    if sorted(read) != sorted(meant):
        raise UsageError(f"the model card of {record.id} reads as {read}, not as {meant}")


def _check_eval_result(name: str, text: str, meant: float) -> None:
    """Refuse an `.eval_results` file that the Hub's client does not read as it was meant."""
    import yaml
    from huggingface_hub import parse_eval_result_entries
    from huggingface_hub.utils import validate_repo_id

    try:
        (entry,) = parse_eval_result_entries(yaml.safe_load(text))
        validate_repo_id(entry.dataset_id)
    except Exception as error:
        raise UsageError(f"{name} is not valid: {_line(error)}") from None
    if entry.value != meant:
        raise UsageError(f"{name}: its value reads as {entry.value!r}, not as {meant!r}")
    if not entry.task_id.strip():
        raise UsageError(f"{name} names no task of {entry.dataset_id}")


def send(commit: Commit, *, pull_request: bool = True) -> str:
    """Send what `prepare` returned, and return the address of the pull request or the commit.

    Raises:
        UsageError: If there is no token.
        HubError: If the Hub cannot be reached or refuses; the text never holds the token.
    """
    import huggingface_hub

    token = huggingface_hub.get_token()
    if not token:
        raise UsageError("no Hub token: set HF_TOKEN, or log in with 'hf auth login'")
    operations = [
        huggingface_hub.CommitOperationAdd(path_in_repo=name, path_or_fileobj=text.encode())
        for name, text in commit.files.items()
    ]
    try:
        sent = huggingface_hub.HfApi().create_commit(
            repo_id=commit.repository,
            operations=operations,
            commit_message=commit.title,
            commit_description="Written by `harness push`.",
            create_pr=pull_request,
        )
    except Exception as error:  # the client has many kinds of error; all mean the same here
        reason = f"{commit.repository}: {_line(error).replace(token, '<token>')}"
        raise HubError(
            f"the Hub confirmed no commit to {reason}; nothing here has changed"
        ) from None
    return str(sent.pr_url or sent.commit_url)


def _line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else text[:300] + "…"
