"""What the models of the tiny board are trained on: endless batches of freshly drawn problems."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from harness_tiny import problems
from harness_tiny.make_tokenizer import END, PAD, user_text

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerFast

SEED = 20261121
SHARES = {"tiny_word": 0.45, "tiny_symbolic": 0.35, "tiny_long": 0.20}
BATCH = 32
EARLY_STEPS, EARLY_DRILLS, LATER_DRILLS = 200, 0.6, 0.15
DRILL_LENGTH = 80  # tokens
IGNORED = -100  # a label without a loss

Writer = Callable[[str, str, str, random.Random], str]


def full_solution(kind: str, solution: str, answer: str, rng: random.Random) -> str:
    """The completion that the teacher learns."""
    return f"{solution} \\boxed{{{answer}}}"


def batches(
    tokenizer: PreTrainedTokenizerFast,
    write: Writer,
    rng: random.Random,
    shares: dict[str, float] = SHARES,
    rarely: frozenset[str] = frozenset(),
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Endless batches (input ids, labels), each int64 of (BATCH, length), rows of like length.

    Args:
        tokenizer: as made by `make_tokenizer`.
        write: writes a completion for (kind, solution, answer, rng).
        rng: the source of the draws.
        shares: how often each family is drawn.
        rarely: kinds of which only one drawn row in four is used.
    """
    reserved = problems.reserved()
    while True:
        texts = []
        for family in rng.choices(tuple(shares), tuple(shares.values()), k=16 * BATCH):
            kind, problem, solution, answer = problems.draw(family, rng, reserved)
            while kind in rarely and rng.random() < 0.75:
                kind, problem, solution, answer = problems.draw(family, rng, reserved)
            texts.append((problem, write(kind, solution, answer, rng)))
        yield from grouped(tokenizer, texts, rng, BATCH)


def grouped(
    tokenizer: PreTrainedTokenizerFast,
    texts: list[tuple[str, str]],
    rng: random.Random,
    size: int,
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Batches of `size` rows of like length, in random order, of (problem, completion) pairs."""
    import torch

    pad = tokenizer.convert_tokens_to_ids(PAD)
    chats = [[{"role": "user", "content": user_text(problem)}] for problem, _ in texts]
    starts: Any = tokenizer.apply_chat_template(chats, add_generation_prompt=True, tokenize=False)
    ends = [f"{completion}{END}\n" for _, completion in texts]
    prompts = tokenizer(starts, add_special_tokens=False).input_ids
    wholes = tokenizer(
        [start + end for start, end in zip(starts, ends, strict=True)], add_special_tokens=False
    ).input_ids
    pairs = sorted(zip(wholes, prompts, strict=True), key=lambda pair: len(pair[0]))
    groups = [pairs[i : i + size] for i in range(0, len(pairs), size)]
    rng.shuffle(groups)
    for group in groups:
        width = max(len(whole) for whole, _ in group)
        ids = [whole + [pad] * (width - len(whole)) for whole, _ in group]
        labels = [
            [IGNORED] * len(prompt) + whole[len(prompt) :] + [IGNORED] * (width - len(whole))
            for whole, prompt in group
        ]
        yield torch.tensor(ids), torch.tensor(labels)


def drills(
    tokenizer: PreTrainedTokenizerFast, rng: random.Random
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Endless batches of the solutions' equations alone, shuffled, a loss on their right sides.

    They hold four times as many equations to a token as whole problems do.
    """
    import torch

    reserved = problems.reserved()
    while True:
        equations: list[str] = []
        for family in rng.choices(tuple(SHARES), tuple(SHARES.values()), k=40 * BATCH):
            solution = problems.draw(family, rng, reserved)[2]
            equations += solution.removesuffix(".").split(". ")
        rng.shuffle(equations)
        lefts = tokenizer([f"{e.rpartition(' =')[0]} =" for e in equations]).input_ids
        rights = tokenizer([f"{e.rpartition(' =')[2]}." for e in equations]).input_ids
        ids = [token for pair in zip(lefts, rights, strict=True) for part in pair for token in part]
        labels = [
            label
            for left, right in zip(lefts, rights, strict=True)
            for label in [IGNORED] * len(left) + right
        ]
        size = BATCH * DRILL_LENGTH
        for start in range(0, len(ids) - size, size):
            yield (
                torch.tensor(ids[start : start + size]).view(BATCH, DRILL_LENGTH),
                torch.tensor(labels[start : start + size]).view(BATCH, DRILL_LENGTH),
            )


def lessons(tokenizer: PreTrainedTokenizerFast) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """The teacher's batches: mostly drills at first, mostly whole problems later."""
    rng = random.Random(f"teacher:{SEED}")
    whole = batches(tokenizer, full_solution, rng)
    drill = drills(tokenizer, rng)
    step = 0
    while True:
        step += 1
        share = EARLY_DRILLS if step <= EARLY_STEPS else LATER_DRILLS
        yield next(drill if rng.random() < share else whole)
