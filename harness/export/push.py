"""Offer a cell's model card and scores to a model repository of the Hugging Face Hub.

`prepare` makes and validates the files without the network; `push` is the only function here that
sends anything. The token is read by `huggingface_hub` alone (HF_TOKEN, or `hf auth login`).
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.errors import HarnessError, UsageError
from harness.export.hub import CARD, check_benchmarks, files, left_out
from harness.export.request import Request
from harness.records import Record


class HubError(HarnessError):
    """The Hub could not be reached or refused what was sent; nothing local has changed."""


@dataclass(frozen=True)
class Offer:
    """What would be written to a repository.

    Attributes:
        repository: Id of the model repository, `name` or `organisation/name`.
        files: Path in the repository -> text.
        left_out: A line for each score that is not in `.eval_results`, with the reason.
        title: Of the commit or the pull request.
    """

    repository: str
    files: dict[str, str]
    left_out: tuple[str, ...]
    title: str


def prepare(request: Request, record: Record, repository: str) -> Offer:
    """Return the files of one cell, read back by `huggingface_hub` as the Hub would.

    Raises:
        UsageError: If the repository's name is not valid, a benchmark is refused, or the Hub's
            client does not read what was written.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    if "/" not in repository:
        raise UsageError(f"--repo {repository}: write ORG/NAME, as in me/{repository}")
    try:
        validate_repo_id(repository)
    except HFValidationError as error:
        raise UsageError(f"--repo {repository}: {_line(error)}") from None
    check_benchmarks(request)
    made = files(request, record)
    _check_card(made[CARD], record)
    for name, text in made.items():
        if name != CARD:
            _check_eval_result(name, text, request)
    title = f"Add srlm-harness scores of {record.trainer} on board {record.board.name}"
    return Offer(repository, made, tuple(left_out(request, record)), title)


def _check_card(text: str, record: Record) -> None:
    """Refuse a card whose `model-index` the Hub's client does not read as it was meant."""
    from huggingface_hub import ModelCard

    try:
        found = ModelCard(text, ignore_metadata_errors=False).data.eval_results or []
    except Exception as error:  # yaml and the card class have errors of their own
        raise UsageError(f"the model card of {record.id} is not valid: {_line(error)}") from None
    read = [(one.dataset_name, one.metric_value) for one in found]
    meant = [(score.task, round(score.accuracy, 6)) for score in record.scores]
    if sorted(read) != sorted(meant):
        raise UsageError(f"the model card of {record.id} reads as {read}, not as {meant}")


def _check_eval_result(name: str, text: str, request: Request) -> None:
    """Refuse an `.eval_results` file that the Hub's client does not read, or a value off scale."""
    import yaml
    from huggingface_hub import parse_eval_result_entries
    from huggingface_hub.utils import validate_repo_id

    try:
        (entry,) = parse_eval_result_entries(yaml.safe_load(text))
        validate_repo_id(entry.dataset_id)
    except Exception as error:
        raise UsageError(f"{name} is not valid: {_line(error)}") from None
    task = name.split("/")[-1].split("__")[0]
    known = {slug.lower(): slug for slug in (b.task for b in request.conditions.benchmarks)}
    benchmark = request.benchmark(known.get(task, task))
    if benchmark is not None and not benchmark.holds(entry.value):
        raise UsageError(f"{name}: {entry.value!r} is not a value in {benchmark.scale}")
    if not entry.task_id.strip():
        raise UsageError(f"{name} names no task of {entry.dataset_id}")


def push(offer: Offer, *, pull_request: bool = True) -> str:
    """Send an offer as one commit and return its address, that of the pull request by default.

    Args:
        offer: What `prepare` returned.
        pull_request: Open a pull request; otherwise commit to the main branch.

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
        for name, text in offer.files.items()
    ]
    try:
        commit = huggingface_hub.HfApi().create_commit(
            repo_id=offer.repository,
            operations=operations,
            commit_message=offer.title,
            commit_description="Written by `harness publish --repo`.",
            create_pr=pull_request,
        )
    except Exception as error:  # the client has many kinds of error; all mean the same here
        reason = _line(error).replace(token, "<token>")
        raise HubError(
            f"the Hub confirmed no commit to {offer.repository}: {reason}; nothing here has changed"
        ) from None
    return str(commit.pr_url or commit.commit_url)


def _line(error: Exception) -> str:
    """Return an error in one line of bounded length."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else text[:300] + "…"
