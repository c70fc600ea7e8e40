"""Speed on a GPU: tokens a second of decoding, training's share of the peak, a step of GRPO.

Models are made on the spot, random weights in the shape of Qwen2.5-0.5B, whose answers never end:
every row writes to its limit, which is the dearest case.

- `decode`: tokens a second by rows, with recorded steps, without, and by transformers' `generate`,
  in turns, on the same prompts.
- `answers`: seconds of answers to many questions of at most 512 tokens, as a score needs them.
- `train`: a bench of `sft` on rows of about 1,024 tokens and of `rl` with 64 prompts of 8 rollouts;
  from its records seconds of a step, and the share of the peak that `sft` reaches (MFU, Chowdhery
  et al. 2022, arXiv 2204.02311, by the usual estimate of FLOPs).
- `compile`: the same `sft` without and with `[compute] compile = true`, in turns: the step in the
  middle, the share of the peak in it, and what starting takes, with compiling.

Run with `python benchmarks/gpu.py`; `--shape small --device cpu` tries the script out anywhere. No
figure of a GPU has been published yet; those of `compile` on a CPU are in `training.md`.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import itertools
import json
import os
import platform
import random
import statistics
import string
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TQDM_DISABLE", "1")

SHAPES: dict[str, dict[str, Any]] = {
    "0.5B": {
        "vocab_size": 151_936,
        "hidden_size": 896,
        "intermediate_size": 4864,
        "num_hidden_layers": 24,
        "num_attention_heads": 14,
        "num_key_value_heads": 2,
        "max_position_embeddings": 4096,
    },
    "135M": {
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
PEAKS = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L40S": 362e12, "4090": 165e12}  # bfloat16
PARTS = ("decode", "train", "compile")
PROMPT = 128  # tokens
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
batch_size = {rows}
max_length = 1100

[options.rl]
prompts_per_step = {prompts}
num_generations = 8
max_completion_length = {longest}
"""


def make_model(folder: Path, shape: str) -> Path:
    """Write a model and a tokenizer of letters; its end of turn is a token that it never writes."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    words = ["<end>", "<pad>", *string.printable.split()[0], ".", "\\boxed{7}"]
    tokenizer = Tokenizer(models.WordLevel({w: n for n, w in enumerate(words)}, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<end>", pad_token="<pad>", chat_template=CHAT
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = Qwen2Config(
        **SHAPES[shape], tie_word_embeddings=True, bos_token_id=None, eos_token_id=0, pad_token_id=1
    )
    model = Qwen2ForCausalLM(config)
    with torch.no_grad():  # its logit is nought, and some other is larger
        model.get_input_embeddings().weight[0] = 0
    model.save_pretrained(folder)
    return folder


def clock(device: str) -> float:
    """Return the time, when the device has done all that it was asked."""
    import torch

    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def prompts(count: int, limit: int, vocabulary: int) -> list[Any]:
    """Return prompts of random tokens, none of which has its beginning in common with others."""
    from harness.stage.decoding.prompt import Prompt

    rng = random.Random(0)
    return [
        Prompt([rng.randrange(2, vocabulary) for _ in range(PROMPT)], limit) for _ in range(count)
    ]


def decoding(chosen: argparse.Namespace, folder: Path) -> None:
    """Print tokens a second by rows, and seconds of many answers."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from harness.stage.decoding import graphs
    from harness.stage.decoding.decoder import Decoder

    dtype = torch.bfloat16 if chosen.device == "cuda" else torch.float32
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).to(chosen.device).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    size = model.config.vocab_size

    def ours(given: list[Any], rows: int) -> float:
        started = clock(chosen.device)
        with torch.inference_mode():
            written = sum(len(t) for _, t, _ in Decoder(model, tokenizer, rows).generate(given))
        assert written == sum(one.limit for one in given), "an answer ended"
        return clock(chosen.device) - started

    def plain(given: list[Any], rows: int) -> float:
        with mock.patch.object(graphs, "recorder", return_value=None):
            return ours(given, rows)

    def theirs(given: list[Any], rows: int) -> float:
        ids = torch.tensor([one.tokens for one in given], device=chosen.device)
        started = clock(chosen.device)
        with torch.inference_mode():
            model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                min_new_tokens=given[0].limit,
                max_new_tokens=given[0].limit,
                do_sample=False,
            )
        return clock(chosen.device) - started

    ways = {"recorded steps": ours, "single steps": plain, "transformers' generate": theirs}
    for rows in chosen.rows:
        given = prompts(rows, chosen.tokens, size)
        row: dict[str, Any] = {"part": "decode", "rows": rows, "tokens": chosen.tokens}
        for way in ways.values():
            way(given[:rows], rows)  # memory, and the libraries' choice of kernels
        seconds = {
            name: [way(given, rows) for _ in range(chosen.rounds)] for name, way in ways.items()
        }
        for name, found in seconds.items():
            row[f"{name}, tokens/s"] = round(rows * chosen.tokens / min(found))
        print(json.dumps(row), flush=True)
    given = prompts(chosen.questions, chosen.longest, size)
    row = {"part": "answers", "questions": len(given), "rows": max(chosen.rows)}
    print(json.dumps({**row, "s": round(ours(given, max(chosen.rows)), 1)}), flush=True)


def write_rows(chosen: argparse.Namespace, folder: Path) -> None:
    """Write the rows that are trained on, and those that are scored."""
    rng, letters = random.Random(1), string.ascii_lowercase
    for name, count in (("train", 512), ("test", 2)):
        with (folder / f"{name}.jsonl").open("w", encoding="utf-8") as file:
            for number in range(count):
                question, solution = (
                    " ".join(rng.choice(letters) for _ in range(words))
                    for words in (60, chosen.length - 70)
                )
                row = {"problem": f"{name} {number} {question}", "solution": solution}
                file.write(json.dumps({**row, "answer": "7"}) + "\n")


def bench(
    chosen: argparse.Namespace, folder: Path, name: str, trainers: str, compute: str = ""
) -> list[Any]:
    """Run a bench of its own and return the records of its trainers, those that went well."""
    from harness.records import read_records

    board = BOARD.format(
        name=name,
        trainers=trainers,
        compute=compute,
        steps=chosen.steps,
        rows=chosen.batch,
        prompts=chosen.prompts,
        longest=chosen.completion,
    )
    (folder / f"{name}.toml").write_text(board, encoding="utf-8")
    command = ("bench", f"{name}.toml", "--jobs", "1", "--device", chosen.device)
    subprocess.run([sys.executable, "-m", "harness", *command], cwd=folder, check=True)
    found = read_records(folder / "runs" / name / "records")
    return [one for one in found if one.trainer != "start" and one.status == "ok"]


def training(chosen: argparse.Namespace, folder: Path, peak: float | None) -> None:
    """Bench `sft` and `rl`; print seconds of a step and what they come to."""
    for record in bench(chosen, folder, "gpu", '"sft", "rl"'):
        cost = record.cost
        row = {
            "part": "train",
            "trainer": record.trainer,
            "steps": cost.steps,
            "s a step": round(cost.seconds / cost.steps, 3),
            "trained tokens": cost.trained_tokens,
            "written tokens": cost.generated_tokens,
            "FLOPs a second": f"{cost.flops / cost.seconds:.3g}",
        }
        if peak and record.trainer == "sft":
            row["share of the peak"] = round(cost.flops / cost.seconds / peak, 3)
        print(json.dumps(row), flush=True)


def compiling(chosen: argparse.Namespace, folder: Path, peak: float | None) -> None:
    """Bench `sft` without and with compiled layers, in turns; print seconds of steps and starts."""
    for turn in range(chosen.rounds):
        for dtype in chosen.dtypes:
            for compiled in (False, True):
                name = f"{dtype}-{compiled}-{turn}".lower()
                compute = f'dtype = "{dtype}"\ncompile = {str(compiled).lower()}'
                started = time.perf_counter()
                (record,) = bench(chosen, folder, name, '"sft"', compute)
                whole = time.perf_counter() - started
                (log,) = (folder / "runs" / name).glob("stages/*/events.jsonl")
                lines = map(json.loads, log.read_text(encoding="utf-8").splitlines())
                times = [line["time"] for line in lines if "loss" in line]
                gaps = [late - early for early, late in itertools.pairwise(times)]
                step = statistics.median(gaps[1:])  # some lengths are compiled for in the second
                row = {
                    "part": "compile",
                    "dtype": dtype,
                    "compiled": compiled,
                    "notes": [stage.notes.get("not_compiled") for stage in record.stages],
                    "s a step": round(step, 3),
                    "s of the bench without its steps": round(whole - step * len(times), 1),
                    "trained tokens": record.cost.trained_tokens,
                    "computed FLOPs": f"{record.cost.computed_flops:.6g}",
                }
                if peak:
                    each = record.cost.flops / record.cost.steps
                    row["share of the peak in a step"] = round(each / step / peak, 3)
                print(json.dumps(row), flush=True)


def main() -> None:
    """Print a line for each measurement, with the machine and the versions."""
    import torch

    parser = argparse.ArgumentParser()
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument("--shape", choices=SHAPES, default="0.5B")
    parser.add_argument(
        "--parts", nargs="+", choices=PARTS, default=list(PARTS), help="by default all"
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[64, 256, 1024])
    parser.add_argument("--tokens", type=int, default=256, help="that each row writes")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--questions", type=int, default=10_000)
    parser.add_argument("--longest", type=int, default=512, help="tokens of such an answer")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--batch", type=int, default=32, help="rows of a step of sft")
    parser.add_argument("--length", type=int, default=1024, help="tokens of such a row, about")
    parser.add_argument("--prompts", type=int, default=64, help="of a step of rl, 8 rollouts each")
    parser.add_argument("--completion", type=int, default=512, help="tokens of a rollout")
    parser.add_argument(
        "--dtypes", nargs="+", default=["bfloat16"], help="of the part compile, such as float32"
    )
    parser.add_argument("--peak", type=float, help="FLOPs a second of the GPU in bfloat16")
    chosen = parser.parse_args()
    name = torch.cuda.get_device_name(0) if chosen.device == "cuda" else platform.machine()
    peak = chosen.peak or next((flops for known, flops in PEAKS.items() if known in name), None)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        make_model(folder / "model", chosen.shape)
        if "decode" in chosen.parts:
            decoding(chosen, folder / "model")
        write_rows(chosen, folder)
        if "train" in chosen.parts:
            training(chosen, folder, peak)
        if "compile" in chosen.parts:
            compiling(chosen, folder, peak)
    names = ("torch", "transformers", "trl")
    versions = {one: importlib.metadata.version(one) for one in names}
    print(f"{name}; Python {platform.python_version()}; {versions}; {vars(chosen)}")


if __name__ == "__main__":
    main()
