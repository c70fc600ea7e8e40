"""Time of generating answers: lm-eval's own `hf` model against this project's engine on top of it.

The model is made on the spot: a Llama of 4 layers, hidden size 256, with random weights whose
attention and MLP are computed as in any model, while its embedding and head are set so that each
token has one successor. An answer's length is therefore known: it counts down from the number at
the end of its prompt and then ends its turn, or runs on into the next problem as a base model does.

Both engines answer the same requests in turns, A B A B, in one process; the texts must be equal.
On a CPU one thread works and its processor time is read, which other processes do not stretch.
Run with `python benchmarks/generation.py`; `--device cuda` for a GPU.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TQDM_DISABLE", "1")

LONGEST = 128  # tokens of an answer before it ends or runs on
STOP = "Problem :"  # two tokens


def make_model(folder: Path) -> Path:
    """Write the model and its tokenizer.

    Tokens `e3 e2 e1 e0` are followed by the end of the turn, `r3 r2 r1 r0` by the next problem.
    """
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = ["<end>", "<pad>", "Problem", ":", *(f"{c}{n}" for c in "er" for n in range(LONGEST))]
    ids = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<end>", pad_token="<pad>"
    ).save_pretrained(folder)

    successor = {"<end>": "<end>", "<pad>": "<end>", "Problem": ":", ":": f"r{LONGEST - 1}"}
    successor |= {"e0": "<end>", "r0": "Problem"}
    for letter in "er":
        successor |= {f"{letter}{n}": f"{letter}{n - 1}" for n in range(1, LONGEST)}
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(words),
        hidden_size=256,
        intermediate_size=1024,
        num_hidden_layers=4,
        num_attention_heads=8,
        num_key_value_heads=2,
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
        known = torch.nn.functional.normalize(torch.randn(len(words), 256), dim=-1)
        model.model.embed_tokens.weight.copy_(known)
        model.lm_head.weight.zero_()
        for word, following in successor.items():
            model.lm_head.weight[ids[following]] += known[ids[word]]
    model.generation_config.eos_token_id = ids["<end>"]
    model.save_pretrained(folder)
    return folder


def requests(count: int, limit: int, mixed: bool) -> list[Any]:
    """Return requests whose answers end by themselves, or half of them by the stop string."""
    from lm_eval.api.instance import Instance

    rng = random.Random(1)
    made = []
    for number in range(count):
        letter = "r" if mixed and number % 2 else "e"
        filler = " ".join(f"e{rng.randrange(LONGEST)}" for _ in range(rng.randint(20, 80)))
        prompt = f"{filler} {letter}{rng.randint(15, LONGEST - 1)}"
        settings = {
            "until": [STOP],
            "max_gen_toks": limit,
            "do_sample": False,
            "temperature": 0.0,
            "top_p": 1.0,
        }
        made.append(Instance("generate_until", {}, (prompt, settings), 0, ("bench", number, 1)))
    return made


def timed(lm: Any, asked: list[Any], device: str) -> tuple[float, list[str]]:
    """Return the seconds of answering all requests, and the answers."""
    import torch

    if device == "cuda":
        torch.cuda.synchronize()
    clock = time.process_time if device == "cpu" else time.perf_counter
    started = clock()
    with torch.inference_mode():
        texts = lm.generate_until(asked, disable_tqdm=True)
    if device == "cuda":
        torch.cuda.synchronize()
    return clock() - started, texts


def main() -> None:
    """Print the median ratio and the spread of each case, with the machine and the versions."""
    import torch
    from lm_eval.models.huggingface import HFLM

    from harness.stage.environment import processor_name
    from harness.stage.generate import load_engine

    parser = argparse.ArgumentParser()
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=128)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--limit", type=int, default=256)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        model = make_model(Path(folder))
        dtype = "float32" if chosen.device == "cpu" else "bfloat16"
        theirs = HFLM(
            pretrained=str(model), device=chosen.device, dtype=dtype, batch_size=chosen.batch
        )
        ours = load_engine(model, "hf", chosen.batch, chosen.device)
        cases = {}
        for name, mixed in (("half run on", True), ("all end by themselves", False)):
            asked = requests(chosen.requests, chosen.limit, mixed)
            timed(theirs, asked[:2], chosen.device)
            timed(ours, asked[:2], chosen.device)
            pairs = []
            for _ in range(chosen.rounds):
                one, expected = timed(theirs, asked, chosen.device)
                other, texts = timed(ours, asked, chosen.device)
                pairs.append((one, other))
                if texts != expected:
                    raise SystemExit(
                        f"{name}: {sum(map(str.__ne__, texts, expected))} texts differ"
                    )
            ratios = [one / other for one, other in pairs]
            cases[name] = {
                "lm-eval, s": round(statistics.median(one for one, _ in pairs), 2),
                "harness, s": round(statistics.median(other for _, other in pairs), 2),
                "ratio, median": round(statistics.median(ratios), 2),
                "ratio, lowest and highest": [round(min(ratios), 2), round(max(ratios), 2)],
                "equal texts": chosen.requests,
            }
    versions = {
        name: importlib.metadata.version(name) for name in ("torch", "transformers", "lm_eval")
    }
    where = torch.cuda.get_device_name(0) if chosen.device == "cuda" else processor_name()
    print(json.dumps(cases, indent=1))
    print(f"{where}; Python {platform.python_version()}; {versions}; {vars(chosen)}")


if __name__ == "__main__":
    main()
