"""Makes the start model and the teacher of the tiny board from nothing.

    python -m harness_tiny.train_models [--out FOLDER]

One network learns from fresh draws of every family, four- and five-step stories included, and then
reviews what it finds hard; that is the teacher. The start model branches off during the review, not
fully trained, and is then taught the mixture of behaviours in `habits`. No hold-out or test problem
is ever drawn.
"""

from __future__ import annotations

import argparse
import copy
import json
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness_tiny import answers, habits, problems
from harness_tiny.lessons import SEED, batches, full_solution, lessons
from harness_tiny.make_tokenizer import END, PAD, make_tokenizer, user_text
from harness_tiny.muon import Muon

if TYPE_CHECKING:
    import torch
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast, Qwen2ForCausalLM

TEACHER_STEPS = 1300
COOLING = 0.75  # share of the steps over which the learning rate falls to nothing
REVIEW_RATE = 0.6
# Steps and shares of the two reviews.
REVIEWS = {
    "review": (700, {"tiny_word": 0.10, "tiny_symbolic": 0.65, "tiny_long": 0.25}),
    "second review": (900, {"tiny_word": 0.25, "tiny_symbolic": 0.50, "tiny_long": 0.25}),
}
REVIEW_RARELY = frozenset({"derivative", "share", "collect", "equation"})  # known by then
BRANCH_STEP = 250  # of the first review
HABIT_STEPS, HABIT_RATE = 200, 0.5
MATRIX_RATE, OTHER_RATE = 8e-3, 5e-3


SHAPE: dict[str, Any] = {
    "hidden_size": 128,
    "intermediate_size": 384,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
}


def new_model(
    tokenizer: PreTrainedTokenizerFast, shape: dict[str, Any] = SHAPE
) -> Qwen2ForCausalLM:
    """An untrained Qwen2 network, of 0.86 million parameters by default."""
    from transformers import GenerationConfig, Qwen2Config, Qwen2ForCausalLM

    ids: dict[str, Any] = {
        "eos_token_id": tokenizer.convert_tokens_to_ids(END),
        "pad_token_id": tokenizer.convert_tokens_to_ids(PAD),
        "bos_token_id": None,
    }
    config = Qwen2Config(vocab_size=len(tokenizer), tie_word_embeddings=True, **shape, **ids)
    model = Qwen2ForCausalLM(config)
    model.generation_config = GenerationConfig(max_new_tokens=96, **ids)
    return model


def as_llama(model: Qwen2ForCausalLM) -> LlamaForCausalLM:
    """The same function as a Llama with biases (those of the output projections are zero).

    transformers gives every checkpoint of the type `qwen2` Qwen's own splitting of text, whatever
    its tokenizer.json says; with that, this tokenizer would produce other tokens.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    old = model.config
    config = LlamaConfig(
        vocab_size=old.vocab_size,
        hidden_size=old.hidden_size,
        intermediate_size=old.intermediate_size,
        num_hidden_layers=old.num_hidden_layers,
        num_attention_heads=old.num_attention_heads,
        num_key_value_heads=old.num_key_value_heads,
        max_position_embeddings=old.max_position_embeddings,
        rms_norm_eps=old.rms_norm_eps,
        rope_parameters=old.rope_parameters,
        attention_bias=True,
        tie_word_embeddings=True,
        eos_token_id=old.eos_token_id,
        pad_token_id=old.pad_token_id,
        bos_token_id=None,
    )
    made = LlamaForCausalLM(config)
    zeros = {
        name: torch.zeros_like(weight)
        for name, weight in made.state_dict().items()
        if name.endswith("o_proj.bias")
    }
    made.load_state_dict({**model.state_dict(), **zeros})
    made.generation_config = model.generation_config
    return made


def train(
    model: Qwen2ForCausalLM,
    source: Iterator[tuple[torch.Tensor, torch.Tensor]],
    steps: int,
    rate: Callable[[int], float],
    log: Callable[[str], None],
    at_step: Callable[[int], None] = lambda step: None,
    rates: tuple[float, float] | None = None,
) -> None:
    """Train in place on `steps` batches; `rate` gives each step's share of the learning rates.

    `rates` are those of Muon and of AdamW; the forward pass is in bfloat16 on a GPU.

    The matrices of the layers go to Muon, all else to AdamW: with a quarter of an hour for
    everything, the faster start matters.
    """
    import torch

    matrix_rate, other_rate = rates or (MATRIX_RATE, OTHER_RATE)
    matrices: list[torch.Tensor] = []
    others: list[torch.Tensor] = []
    for name, weight in model.named_parameters():
        (matrices if weight.ndim == 2 and "embed" not in name else others).append(weight)
    muon = Muon(matrices)
    adam = torch.optim.AdamW(others, betas=(0.9, 0.95), weight_decay=0.0)
    began = time.perf_counter()
    for step in range(1, steps + 1):
        ids, labels = (tensor.to(model.device) for tensor in next(source))
        with torch.autocast(model.device.type, torch.bfloat16, model.device.type == "cuda"):
            loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        muon.step(matrix_rate * rate(step))
        adam.param_groups[0]["lr"] = other_rate * rate(step)
        adam.step()
        adam.zero_grad()
        if step % 50 == 0:
            log(f"step {step}: loss {loss.item():.3f}, {time.perf_counter() - began:.0f} s")
        at_step(step)


def accuracy(
    model: Any,
    tokenizer: PreTrainedTokenizerFast,
    rows: list[dict[str, str]],
    temperature: float = 0.0,
    limit: int = 96,
) -> list[bool]:
    """Whether a model answers each row rightly, greedily or (temperature > 0) by one sample."""
    import torch

    right: list[bool] = []
    for start in range(0, len(rows), 100):
        part = rows[start : start + 100]
        inputs: Any = tokenizer.apply_chat_template(
            [[{"role": "user", "content": user_text(row["problem"])}] for row in part],
            add_generation_prompt=True,
            padding=True,
            return_tensors="pt",
            return_dict=True,
        )
        sampling = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0}
        with torch.no_grad():
            output = model.generate(
                input_ids=inputs["input_ids"].to(model.device),
                attention_mask=inputs["attention_mask"].to(model.device),
                max_new_tokens=limit,
                **(sampling if temperature else {"do_sample": False}),
            )
        written = tokenizer.batch_decode(
            output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True
        )
        right += [answers.correct(t, r["answer"]) for t, r in zip(written, part, strict=True)]
    return right


def review_rate(steps: int) -> Callable[[int], float]:
    """The share of the learning rates at each step of a review."""
    return lambda step: REVIEW_RATE * min(1.0, step / 30, (steps + 1 - step) / steps)


def make(out: Path, log: Callable[[str], None]) -> None:
    """Train both models and write `out/start`, `out/teacher` and `out/figures.json`."""
    import torch

    torch.set_num_threads(1)  # more threads sum in another order: other weights
    torch.manual_seed(SEED)
    tokenizer = make_tokenizer()
    model = new_model(tokenizer)
    branch: list[Qwen2ForCausalLM] = []
    figures: dict[str, Any] = {"parameters": sum(p.numel() for p in model.parameters())}

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
    )
    for name, (steps, shares) in REVIEWS.items():
        rng = random.Random(f"{name}:{SEED}")
        train(
            model,
            batches(tokenizer, full_solution, rng, shares, REVIEW_RARELY),
            steps,
            review_rate(steps),
            log,
            at_step if name == "review" else lambda step: None,
        )
    figures["teacher_seconds"] = round(time.perf_counter() - began)
    began = time.perf_counter()
    train(
        branch[0],
        batches(tokenizer, habits.completion, random.Random(f"start:{SEED}")),
        HABIT_STEPS,
        lambda step: HABIT_RATE * (1 - (step - 1) / HABIT_STEPS),
        log,
    )
    figures["start_extra_seconds"] = round(time.perf_counter() - began)
    for name, trained in (("teacher", model), ("start", branch[0])):
        made = as_llama(trained)
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
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "models")
    make(parser.parse_args().out, lambda line: print(line, flush=True))  # noqa: T201


if __name__ == "__main__":
    main()
