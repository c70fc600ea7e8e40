"""How many greedy answers bfloat16 changes: by the engine, and by transformers' `generate`.

The engine's answers in float32 are what others are held against: its own in bfloat16, whose last
product is summed and returned in float32, and those of `generate` in both types. That of `generate`
in float32 shows what other kernels and batches change by themselves.

An answer is compared up to the first token that differs, for what comes behind it has another
context. `half_precision.py` asks a trained model and judges its answers, on a CPU.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gpu_inputs import prompts
from measuring import Row, one_line
from peers import greedy, warnings

ENGINE = "engine in {}"
GENERATE = "transformers' generate in {}"
SHORTEST, LONGEST = 16, 256  # tokens of a random prompt
RANDOM = (
    "The weights are random, so the logits of a step are nearly equal: rounding decides more often"
    " than in a trained model, and more texts differ. `--model` gives `flips` a checkpoint."
)


def compared(expected: Sequence[list[int]], found: Sequence[list[int]]) -> Row:
    """Return how many answers differ, and how many tokens that were chosen in the same context."""
    first, positions = [], 0
    for one, other in zip(expected, found, strict=True):
        both = zip(one, other, strict=False)
        alike = next((at for at, (a, b) in enumerate(both) if a != b), min(len(one), len(other)))
        positions += alike
        if one != other:
            first.append(alike)
            positions += 1
    row: Row = {
        "other answers": f"{len(first)} of {len(expected)}",
        "other answers, %": round(100 * len(first) / len(expected), 1),
        "first differing tokens": f"{len(first)} of {positions} in the same context",
        "of 1,000 such tokens": round(1000 * len(first) / positions, 2),
    }
    if first:
        row["place of the first, median"] = statistics.median(first)
    return row


def asked(folder: Path, chosen: Any) -> list[list[int]]:
    """Return prompts as tokens: random words, or problems of a task where the model is a real one.

    Those are put as a bench puts them: in the chat template where the tokenizer has one, else
    behind worked examples.
    """
    from harness.stage.models import load_tokenizer

    tokenizer: Any = load_tokenizer(folder)
    chat = bool(tokenizer.chat_template)
    if chosen.model is None:
        texts = prompts(chosen.flips, chosen.shape, SHORTEST, LONGEST)
    else:
        from harness.plugin.host import Host
        from harness.tasks.protocols import get_protocol

        host = Host()
        host.load_all()
        protocol = get_protocol("chat_zeroshot" if chat else "base_fewshot")
        rows = host.task(chosen.task).graded("test")[: chosen.flips]
        texts = [protocol.prompt(row["problem"]) for row in rows]
        if chat:
            messages = [[{"role": "user", "content": text}] for text in texts]
            made = {"add_generation_prompt": True, "tokenize": False}
            texts = tokenizer.apply_chat_template(messages, **made)
    found: list[list[int]] = tokenizer(texts, add_special_tokens=not chat)["input_ids"]
    return found


def answers(folder: Path, chosen: Any, given: list[list[int]]) -> dict[str, Any]:
    """Return each way's answers as tokens, or why it failed; and what the harness said of it."""
    import torch

    from harness.stage.decoding.decoder import Decoder
    from harness.stage.decoding.prompt import Prompt
    from harness.stage.models import load_model, load_tokenizer

    tokenizer = load_tokenizer(folder)

    rows, limit = min(chosen.rows), chosen.tokens

    def ours(decoder: Decoder) -> list[list[int]]:
        written = decoder.generate([Prompt(one, limit) for one in given])
        return [tokens for _, tokens, _ in sorted(written)]

    def theirs(decoder: Decoder) -> list[list[int]]:
        return greedy(decoder.model, given, limit, rows, decoder.stops.ends)

    found: dict[str, Any] = {}
    for dtype in ("float32", "bfloat16"):
        model: Any = load_model(folder, dtype, chosen.device)
        decoder = Decoder(model.to(chosen.device).eval(), tokenizer, rows)
        for name, way in ((ENGINE, ours), (GENERATE, theirs)):
            with warnings() as said, torch.inference_mode():
                try:
                    found[name.format(dtype)] = way(decoder), said
                except Exception as error:
                    found[name.format(dtype)] = one_line(error), said
    return found


def measure(folder: Path, chosen: Any) -> list[Row]:
    """Return a row for each way; its answers are held against the engine's in float32."""
    given = asked(folder, chosen)
    whose = f"{chosen.model.name} on {chosen.task}" if chosen.model else "random weights"
    lengths = f"{min(map(len, given))} to {max(map(len, given))} tokens"
    case = f"{whose}: {len(given)} prompts of {lengths}, answers of at most {chosen.tokens}"
    named = {"part": "flips", "case": case}
    found = answers(folder, chosen, given)
    base, _ = found[ENGINE.format("float32")]
    rows = []
    for name, (one, said) in found.items():
        row: Row = {**named, "way": name}
        if isinstance(one, str):
            row["failed"] = one
        elif one is base:
            row |= {"beside": "what others are held against", "tokens": sum(map(len, base))}
        elif isinstance(base, str):
            row["failed"] = f"nothing to hold it against: {base}"
        else:
            row |= compared(base, one)
        rows.append(row | ({"said": said} if said else {}))
    return rows
