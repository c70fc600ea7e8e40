"""Tokens: training rows as prompt and completion, and as the ids that a model is trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.errors import StageError
from harness.tasks.protocols import Protocol

if TYPE_CHECKING:
    import datasets
    import transformers

IGNORED = -100  # the label of a position without a loss, as torch's cross entropy takes it


def training_rows(rows: Sequence[Mapping[str, str]], protocol: Protocol) -> datasets.Dataset:
    """Return rows with `prompt` and `completion` as a protocol puts them."""
    import datasets

    return datasets.Dataset.from_list(
        [
            {
                **{key: row[key] for key in ("id", "task", "problem", "answer")},
                "solution": row.get("solution") or "",
                **protocol.training_row(row),
            }
            for row in rows
        ]
    )


def supervised(
    data: datasets.Dataset,
    tokenizer: transformers.PreTrainedTokenizerBase,
    max_length: int,
) -> tuple[datasets.Dataset, int]:
    """Return rows of `input_ids` and `labels`, and how many were too long and left out.

    The prompt is cut into ids as it will be when the model answers it, with the generation prompt
    of the chat template, and its labels are `IGNORED`. The completion ends with the end-of-turn
    token: the template's, or `eos_token` behind a plain string.

    Raises:
        StageError: If a row has no solution, so that its completion is the bare answer.
    """
    import datasets

    if bare := sum(map(_is_bare, data)):
        raise StageError(
            f"{bare:,} of the {len(data):,} rows have no solution and would teach the bare answer;"
            " add solutions to the board's rows, or give tokenized rows with completions of your"
            " own (a trainer that says needs_solutions=True is refused before anything runs)"
        )
    pairs = [
        written(prompt, completion, tokenizer)
        for prompt, completion in zip(data["prompt"], data["completion"], strict=True)
    ]
    # Cut apart at the prompt's end, so that the model sees in training the ids it is prompted with.
    starts, ends = (
        tokenizer(list(texts), add_special_tokens=False, return_attention_mask=False)["input_ids"]
        if texts
        else []
        for texts in (tuple(zip(*pairs, strict=True)) or ((), ()))
    )
    whole = [
        {"input_ids": start + end, "labels": [IGNORED] * len(start) + end}
        for start, end in zip(starts, ends, strict=True)
    ]
    rows = [row for row in whole if len(row["input_ids"]) <= max_length]
    columns = {key: [row[key] for row in rows] for key in ("input_ids", "labels")}
    return datasets.Dataset.from_dict(columns), len(whole) - len(rows)


def _is_bare(row: Mapping[str, Any]) -> bool:
    """Return whether a training row has no solution, and its completion is the answer in a box."""
    if row.get("solution", True):
        return False
    last = row["completion"]
    text: str = last if isinstance(last, str) else last[-1]["content"]
    return text.strip() == f"\\boxed{{{row['answer']}}}"


def written(
    prompt: Any, completion: Any, tokenizer: transformers.PreTrainedTokenizerBase
) -> tuple[str, str]:
    """Return prompt and completion, both strings or lists of messages, as they are cut into ids.

    Raises:
        StageError: If one is a string and the other is not, or no prompt can be cut off.
    """
    if isinstance(prompt, str) is not isinstance(completion, str):
        given, wanted = "a text", '[{"role": "assistant", "content": TEXT}]'
        if isinstance(prompt, str):
            given, wanted = "messages", "a text too"
        raise StageError(
            f"a row's completion is {given} and its prompt is not; give the completion as {wanted}"
        )
    if isinstance(prompt, str):
        return prompt, completion + (tokenizer.eos_token or "")
    template: Any = tokenizer.apply_chat_template  # which returns strings, or ids, or a dict
    before: str = template(prompt, add_generation_prompt=True, tokenize=False)
    whole: str = template([*prompt, *completion], tokenize=False)
    if not whole.startswith(before):
        raise StageError(
            "the tokenizer's chat template writes the prompt differently when an answer follows, so"
            " the loss cannot be laid on the answer alone; give the start model another template"
        )
    return before, whole[len(before) :]
