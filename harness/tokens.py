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

    rows, dropped = [], 0
    for prompt, completion in zip(data["prompt"], data["completion"], strict=True):
        ids, start = encode(prompt, completion, tokenizer)
        if len(ids) > max_length:
            dropped += 1
        else:
            rows.append({"input_ids": ids, "labels": [IGNORED] * start + ids[start:]})
    columns = {key: [row[key] for row in rows] for key in ("input_ids", "labels")}
    return datasets.Dataset.from_dict(columns), dropped


def encode(
    prompt: Any, completion: Any, tokenizer: transformers.PreTrainedTokenizerBase
) -> tuple[list[int], int]:
    """Return the ids of prompt and completion together, and where the completion starts.

    Both are lists of messages, or both are strings.
    """
    if isinstance(prompt, str):
        start_ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        rest = completion + (tokenizer.eos_token or "")
        return start_ids + tokenizer(rest, add_special_tokens=False)["input_ids"], len(start_ids)
    before = tokenizer.apply_chat_template(prompt, add_generation_prompt=True, tokenize=False)
    whole = tokenizer.apply_chat_template([*prompt, *completion], tokenize=False)
    if not whole.startswith(before):
        raise ValueError("the chat template writes the prompt differently before an answer")
    # Cut apart at the prompt's end, so that the model sees in training the ids it is prompted with.
    start_ids = tokenizer(before, add_special_tokens=False)["input_ids"]
    rest = tokenizer(whole[len(before) :], add_special_tokens=False)["input_ids"]
    return start_ids + rest, len(start_ids)
