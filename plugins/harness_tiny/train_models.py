"""Makes the start model and the teacher of the tiny board from nothing.

    python -m harness_tiny.train_models [--out FOLDER]

One network is trained on fresh draws of every family, four- and five-step stories included; when it
has cooled down it is the teacher. The start model branches off before that, not fully trained, and
is then taught the mixture of behaviours in `habits`. No hold-out or test problem is ever drawn.
"""

from __future__ import annotations

import argparse
import copy
import json
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from harness_tiny import answers, habits, problems
from harness_tiny.make_tokenizer import END, PAD, make_tokenizer, user_text
from harness_tiny.muon import Muon

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerFast, Qwen2ForCausalLM

SEED = 20261121
SHARES = {"tiny_word": 0.45, "tiny_symbolic": 0.35, "tiny_long": 0.20}
BATCH = 32
TEACHER_STEPS = 1300
EARLY_STEPS, EARLY_DRILLS, LATER_DRILLS = 200, 0.6, 0.15
DRILL_LENGTH = 80  # tokens
COOLING = 0.75  # share of the steps over which the learning rate falls to nothing
BRANCH_STEP = 700
HABIT_STEPS = 200
MATRIX_RATE, OTHER_RATE = 8e-3, 5e-3
IGNORED = -100  # a label without a loss

Writer = Callable[[str, str, str, random.Random], str]


def full_solution(kind: str, solution: str, answer: str, rng: random.Random) -> str:
    """The completion that the teacher learns."""
    return f"{solution} \\boxed{{{answer}}}"


def batches(
    tokenizer: PreTrainedTokenizerFast, write: Writer, rng: random.Random
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Endless batches (input ids, labels), each int64 of (BATCH, length), rows of like length."""
    import torch

    reserved = problems.reserved()
    pad = tokenizer.convert_tokens_to_ids(PAD)
    while True:
        texts = []
        for family in rng.choices(tuple(SHARES), tuple(SHARES.values()), k=16 * BATCH):
            kind, problem, solution, answer = problems.draw(family, rng, reserved)
            prompt = tokenizer.apply_chat_template(
                [{"role": "user", "content": user_text(problem)}],
                add_generation_prompt=True,
                tokenize=False,
            )
            texts.append((prompt, f"{write(kind, solution, answer, rng)}{END}\n"))
        prompts = tokenizer([p for p, _ in texts], add_special_tokens=False).input_ids
        wholes = tokenizer([p + c for p, c in texts], add_special_tokens=False).input_ids
        pairs = sorted(zip(wholes, prompts, strict=True), key=lambda pair: len(pair[0]))
        groups = [pairs[i : i + BATCH] for i in range(0, len(pairs), BATCH)]
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


def new_model(tokenizer: PreTrainedTokenizerFast) -> Qwen2ForCausalLM:
    """An untrained Qwen2 network of 0.86 million parameters."""
    from transformers import GenerationConfig, Qwen2Config, Qwen2ForCausalLM

    ids = {
        "eos_token_id": tokenizer.convert_tokens_to_ids(END),
        "pad_token_id": tokenizer.convert_tokens_to_ids(PAD),
        "bos_token_id": None,
    }
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        **ids,
    )
    model = Qwen2ForCausalLM(config)
    model.generation_config = GenerationConfig(max_new_tokens=96, **ids)
    return model


def train(
    model: Qwen2ForCausalLM,
    source: Iterator[tuple[torch.Tensor, torch.Tensor]],
    steps: int,
    rate: Callable[[int], float],
    log: Callable[[str], None],
    at_step: Callable[[int], None] = lambda step: None,
) -> None:
    """Train in place on `steps` batches; `rate` gives each step's share of the learning rates.

    The matrices of the layers go to Muon, all else to AdamW: with a quarter of an hour for
    everything, the faster start matters.
    """
    import torch

    matrices, others = [], []
    for name, weight in model.named_parameters():
        (matrices if weight.ndim == 2 and "embed" not in name else others).append(weight)
    muon = Muon(matrices)
    adam = torch.optim.AdamW(others, betas=(0.9, 0.95), weight_decay=0.0)
    began = time.perf_counter()
    for step in range(1, steps + 1):
        ids, labels = next(source)
        loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        muon.step(MATRIX_RATE * rate(step))
        adam.param_groups[0]["lr"] = OTHER_RATE * rate(step)
        adam.step()
        adam.zero_grad()
        if step % 50 == 0:
            log(f"step {step}: loss {loss.item():.3f}, {time.perf_counter() - began:.0f} s")
        at_step(step)


def accuracy(
    model: Qwen2ForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    rows: list[dict[str, str]],
    temperature: float = 0.0,
) -> list[bool]:
    """Whether each row is answered rightly, greedily or (temperature > 0) by one sample."""
    import torch

    right = []
    for start in range(0, len(rows), 100):
        part = rows[start : start + 100]
        inputs = tokenizer.apply_chat_template(
            [[{"role": "user", "content": user_text(row["problem"])}] for row in part],
            add_generation_prompt=True,
            padding=True,
            return_tensors="pt",
            return_dict=True,
        )
        sampling = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0}
        with torch.no_grad():
            output = model.generate(
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                max_new_tokens=96,
                **(sampling if temperature else {"do_sample": False}),
            )
        written = tokenizer.batch_decode(
            output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True
        )
        right += [answers.correct(t, r["answer"]) for t, r in zip(written, part, strict=True)]
    return right


def make(out: Path, log: Callable[[str], None]) -> None:
    """Train both models and write `out/start`, `out/teacher` and `out/figures.json`."""
    import torch

    torch.set_num_threads(1)  # more threads sum in another order: other weights
    torch.manual_seed(SEED)
    tokenizer = make_tokenizer()
    model = new_model(tokenizer)
    branch: list[Qwen2ForCausalLM] = []
    figures: dict[str, object] = {"parameters": sum(p.numel() for p in model.parameters())}

    def at_step(step: int) -> None:
        if step == BRANCH_STEP:
            branch.append(copy.deepcopy(model))

    began = time.perf_counter()
    cooling = COOLING * TEACHER_STEPS
    train(
        model,
        lessons(tokenizer),
        TEACHER_STEPS,
        lambda step: min(1.0, step / 30, (TEACHER_STEPS + 1 - step) / cooling),
        log,
        at_step,
    )
    figures["teacher_seconds"] = round(time.perf_counter() - began)
    began = time.perf_counter()
    source = batches(tokenizer, habits.completion, random.Random(f"start:{SEED}"))
    train(branch[0], source, HABIT_STEPS, lambda step: 0.5 * (1 - (step - 1) / HABIT_STEPS), log)
    figures["start_extra_seconds"] = round(time.perf_counter() - began)
    for name, made in (("teacher", model), ("start", branch[0])):
        made.save_pretrained(out / name)
        tokenizer.save_pretrained(out / name)
        made.eval()
        figures[name] = {}
        for family in problems.FAMILIES:
            right = accuracy(made, tokenizer, problems.rows(family, "test"))
            figures[name][family] = round(100 * sum(right) / len(right), 1)
        log(f"{name}: {figures[name]}")
    (out / "figures.json").write_text(json.dumps(figures, indent=2) + "\n")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "models")
    make(parser.parse_args().out, lambda line: print(line, flush=True))


if __name__ == "__main__":
    main()
