"""Time of generating answers: lm-eval's own `hf` model against this project's engine on top of it.

The models are made on the spot: Llamas of three shapes with random weights whose attention and MLP
are computed as in any model, while embedding and head are set so that each token has one successor.
An answer's length is therefore known: it counts down from the number at the end of its prompt and
then ends its turn, or runs on into the next problem as a base model does. Where answers are sampled
that successor has all the probability but for a millionth, so that the texts can be compared.

Both engines answer the same requests in turns, A B A B, in one process; the texts must be equal.
On a CPU one thread works and its processor time is read, which other processes do not stretch.
Run with `python benchmarks/generation.py`; `--device cuda` for a GPU.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from measuring import clock, machine, versions

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TQDM_DISABLE", "1")

LONGEST = 128  # tokens of an answer before it ends or runs on
STOP = "Problem :"  # two tokens
PREFIX = 300  # tokens that few-shot prompts have in common
SHAPES = {  # layers, width, of the MLP, heads, of these for keys and values, vocabulary
    "0.9M": (4, 128, 512, 4, 4, 512),  # as the models of the board `tiny`
    "3.6M": (4, 256, 1024, 8, 2, 260),
    "135M": (30, 576, 1536, 9, 3, 49_152),  # as SmolLM2-135M
    "0.5B": (24, 896, 4864, 14, 2, 151_936),  # as Qwen2.5-0.5B
}
CASES = {  # half of the answers run on, tokens in common, sampled
    "half run on": (True, 0, False),
    "all end by themselves": (False, 0, False),
    "few-shot, half run on": (True, PREFIX, False),
    "sampled, half run on": (True, 0, True),
}


def write_tokenizer(folder: Path, words: Sequence[str], **more: Any) -> None:
    """Write a tokenizer of words that spaces separate, `<end>` and `<pad>` among them."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    ids = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<end>", pad_token="<pad>", **more
    ).save_pretrained(folder)


def make_model(folder: Path, shape: str) -> Path:
    """Write the model and its tokenizer.

    Tokens `e3 e2 e1 e0` are followed by the end of the turn, `r3 r2 r1 r0` by the next problem.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    words = ["<end>", "<pad>", "Problem", ":", *(f"{c}{n}" for c in "er" for n in range(LONGEST))]
    ids = {word: number for number, word in enumerate(words)}
    write_tokenizer(folder, words)
    successor = {"<end>": "<end>", "<pad>": "<end>", "Problem": ":", ":": f"r{LONGEST - 1}"}
    successor |= {"e0": "<end>", "r0": "Problem"}
    for letter in "er":
        successor |= {f"{letter}{n}": f"{letter}{n - 1}" for n in range(1, LONGEST)}
    torch.manual_seed(0)
    layers, width, inner, heads, key_heads, vocabulary = SHAPES[shape]
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=key_heads,
        max_position_embeddings=1024,
        tie_word_embeddings=False,
        eos_token_id=ids["<end>"],
        pad_token_id=ids["<pad>"],
        bos_token_id=None,
    )
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        known = torch.nn.functional.normalize(torch.randn(len(words), width), dim=-1)
        model.model.embed_tokens.weight[: len(words)] = known
        model.lm_head.weight.zero_()
        # what the head sees has length sqrt(width); the successor's logit is about 60
        strength = 60 / width**0.5
        for word, following in successor.items():
            model.lm_head.weight[ids[following]] += strength * known[ids[word]]
    model.generation_config.eos_token_id = ids["<end>"]
    model.save_pretrained(folder)
    return folder


def request(
    number: int, prompt: str, limit: int, until: Sequence[str] = (), *, sampled: bool = False
) -> Any:
    """Return one of lm-eval's requests for an answer."""
    from lm_eval.api.instance import Instance

    settings = {
        "until": list(until),
        "max_gen_toks": limit,
        "do_sample": sampled,
        "temperature": 1.0 if sampled else 0.0,
        "top_p": 0.95 if sampled else 1.0,
    }
    return Instance("generate_until", {}, (prompt, settings), 0, ("bench", number, 1))


def requests(count: int, limit: int, case: str) -> list[Any]:
    """Return requests whose answers end by themselves, or half of them by the stop string."""
    mixed, shared, sampled = CASES[case]
    rng = random.Random(1)

    def words(number: int) -> str:
        return "".join(f"e{rng.randrange(LONGEST)} " for _ in range(number))

    start, made = words(shared), []
    for number in range(count):
        letter = "r" if mixed and number % 2 else "e"
        filler = words(rng.randint(20, 80))
        prompt = f"{start}{filler}{letter}{rng.randint(15, LONGEST - 1)}"
        made.append(request(number, prompt, limit, [STOP], sampled=sampled))
    return made


def timed(
    answer: Callable[[Sequence[Any]], list[str]], asked: Sequence[Any], device: str
) -> tuple[float, list[str]]:
    """Return the seconds of answering all requests, and the answers."""
    import torch

    started = clock(device)
    with torch.inference_mode():
        texts = answer(asked)
    return clock(device) - started, texts


def compare(theirs: Any, ours: Any, asked: list[Any], rounds: int, device: str) -> dict[str, Any]:
    """Return the seconds of both and their ratio; the texts must be the same."""
    first, second = (partial(lm.generate_until, disable_tqdm=True) for lm in (theirs, ours))
    timed(first, asked[:2], device)
    timed(second, asked[:2], device)
    pairs = []
    for _ in range(rounds):
        one, expected = timed(first, asked, device)
        other, texts = timed(second, asked, device)
        pairs.append((one, other))
        if texts != expected:
            raise SystemExit(f"{sum(map(str.__ne__, texts, expected))} texts differ")
    ratios = [one / other for one, other in pairs]
    return {
        "lm-eval, s": round(statistics.median(one for one, _ in pairs), 2),
        "harness, s": round(statistics.median(other for _, other in pairs), 2),
        "ratio, median": round(statistics.median(ratios), 2),
        "ratio, lowest and highest": [round(min(ratios), 2), round(max(ratios), 2)],
        "equal texts": len(asked),
    }


def main() -> None:
    """Print the median ratio and the spread of each case, with the machine and the versions."""
    import torch
    from lm_eval.models.huggingface import HFLM

    from harness.stage.generate import load_engine

    parser = argparse.ArgumentParser()
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=["0.9M", "3.6M"])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--requests", type=int, nargs="+", default=[128, 384])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--limit", type=int, default=256)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    dtype = "float32" if chosen.device == "cpu" else "bfloat16"
    for shape in chosen.shapes:
        with tempfile.TemporaryDirectory() as folder:
            model = make_model(Path(folder), shape)
            theirs = HFLM(
                pretrained=str(model), device=chosen.device, dtype=dtype, batch_size=chosen.batch
            )
            ours = load_engine(model, "hf", chosen.batch, chosen.device, dtype)
            for case in chosen.cases:
                for count in chosen.requests:
                    asked = requests(count, chosen.limit, case)
                    found = compare(theirs, ours, asked, chosen.rounds, chosen.device)
                    row = {"shape": shape, "case": case, "requests": count, **found}
                    print(json.dumps(row), flush=True)
    packages = versions(("torch", "transformers", "lm_eval"))
    print(f"{machine(chosen.device)}; {packages}; {vars(chosen)}")


if __name__ == "__main__":
    main()
