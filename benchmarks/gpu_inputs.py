"""What `gpu.py` measures with: a model of random weights, prompts, a board and its rows."""

from __future__ import annotations

import json
import random
import string
from pathlib import Path
from typing import Any

from generation import write_tokenizer

SHAPES: dict[str, dict[str, Any]] = {  # of Llamas
    "0.5B": {  # as Qwen2.5-0.5B
        "vocab_size": 151_936,
        "hidden_size": 896,
        "intermediate_size": 4864,
        "num_hidden_layers": 24,
        "num_attention_heads": 14,
        "num_key_value_heads": 2,
        "max_position_embeddings": 4096,
    },
    "135M": {  # as SmolLM2-135M
        "vocab_size": 49_152,
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "max_position_embeddings": 4096,
    },
    "small": {
        "vocab_size": 512,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 4096,
    },
}
LETTERS = string.ascii_lowercase
CHAT = "{% for m in messages %}{{ m['content'] + ' ' }}{% endfor %}"
BOARD = """
schema = 1
name = "{name}"
title = "Speed on a GPU"
start_model = "model"
trainers = [{trainers}]
seeds = [0]

[tasks.rows]
train = "train.jsonl"
test = "test.jsonl"

[data]
train = ["rows"]

[budget]
steps = {steps}

[compute]
{compute}

[[scores]]
task = "rows"
max_new_tokens = 4
limit = 2
ranking = true

[options.sft]
batch_size = {batch}
max_length = {longest_row}

[options.rl]
prompts_per_step = {prompts}
num_generations = 8
max_completion_length = {completion}
"""


def make_model(folder: Path, shape: str) -> Path:
    """Write a model that never ends an answer, and a tokenizer with a word for every token."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    words = ["<end>", "<pad>", *string.printable.split()[0], ".", "\\boxed{7}"]
    words += [f"w{number}" for number in range(len(words), SHAPES[shape]["vocab_size"])]
    write_tokenizer(folder, words, chat_template=CHAT, clean_up_tokenization_spaces=False)
    torch.manual_seed(0)
    config = LlamaConfig(
        **SHAPES[shape],
        initializer_range=0.1,  # with less it would repeat its last token for ever
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=0,
        pad_token_id=1,
    )
    model = LlamaForCausalLM(config)
    with torch.no_grad():  # logits of the first two tokens are nought, and some other is larger
        model.get_input_embeddings().weight[:2] = 0
    model.save_pretrained(folder)
    return folder


def prompts(count: int, shape: str, shortest: int = 128, longest: int = 128) -> list[str]:
    """Return prompts of random words, a token each; none begins as another does."""
    rng, size = random.Random(0), SHAPES[shape]["vocab_size"]
    lengths = [rng.randint(shortest, longest) for _ in range(count)]
    return [" ".join(f"w{rng.randrange(100, size)}" for _ in range(length)) for length in lengths]


def write_rows(folder: Path, length: int) -> None:
    """Write the rows that are trained on, of about `length` tokens, and those that are scored."""
    rng = random.Random(1)
    for name, count in (("train", 512), ("test", 2)):
        with (folder / f"{name}.jsonl").open("w", encoding="utf-8") as file:
            for number in range(count):
                question, solution = (
                    " ".join(rng.choice(LETTERS) for _ in range(words))
                    for words in (60, length - 70)
                )
                row = {"problem": f"{name} {number} {question}", "solution": solution}
                file.write(json.dumps({**row, "answer": "7"}) + "\n")


def write_board(folder: Path, name: str, trainers: str, chosen: Any, compute: str = "") -> Path:
    """Write a board of those rows; `chosen` are the script's arguments."""
    path = folder / f"{name}.toml"
    given = {**vars(chosen), "longest_row": chosen.length + 76}
    text = BOARD.format(**given, name=name, trainers=trainers, compute=compute)
    path.write_text(text, encoding="utf-8")
    return path
