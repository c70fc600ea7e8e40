"""Tokens: prompt and completion as the ids that a model is trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import datasets
    import transformers

IGNORED = -100
"""The label of a position without a loss, as torch's cross entropy takes it."""


def supervised(
    data: datasets.Dataset,
    tokenizer: transformers.PreTrainedTokenizerBase,
    max_length: int,
) -> tuple[datasets.Dataset, int]:
    """Return rows of `input_ids` and `labels`, and how many were too long and left out.

    The prompt is cut into ids as it will be when the model answers it, with the generation prompt
    of the chat template, and its labels are `IGNORED`. The completion ends with the end-of-turn
    token: the template's, or `eos_token` behind a plain string.
    """
    import datasets

    pairs = [
        written(prompt, completion, tokenizer)
        for prompt, completion in zip(data["prompt"], data["completion"], strict=True)
    ]
    # Cut apart at the prompt's end, so that the model sees in training the ids it is prompted with.
    starts, ends = (
        tokenizer(list(texts), add_special_tokens=False)["input_ids"] if texts else []
        for texts in (tuple(zip(*pairs, strict=True)) or ((), ()))
    )
    whole = [
        {"input_ids": start + end, "labels": [IGNORED] * len(start) + end}
        for start, end in zip(starts, ends, strict=True)
    ]
    rows = [row for row in whole if len(row["input_ids"]) <= max_length]
    columns = {key: [row[key] for row in rows] for key in ("input_ids", "labels")}
    return datasets.Dataset.from_dict(columns), len(whole) - len(rows)


def written(
    prompt: Any, completion: Any, tokenizer: transformers.PreTrainedTokenizerBase
) -> tuple[str, str]:
    """Return prompt and completion as the text that is cut into ids.

    Both are lists of messages, or both are strings.
    """
    if isinstance(prompt, str):
        return prompt, completion + (tokenizer.eos_token or "")
    before = tokenizer.apply_chat_template(prompt, add_generation_prompt=True, tokenize=False)
    whole = tokenizer.apply_chat_template([*prompt, *completion], tokenize=False)
    if not whole.startswith(before):
        raise ValueError("the chat template writes the prompt differently before an answer")
    return before, whole[len(before) :]
