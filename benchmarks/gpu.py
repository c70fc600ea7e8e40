"""Speed on a GPU beside what others would use there, and what bfloat16 changes.

Models are made on the spot, random weights in the shape of Qwen2.5-0.5B, whose answers never end:
every row writes to its limit, which is the dearest case. (For answers of all lengths see
`generation.py --device cuda`.)

- `decode`: tokens a second by rows: the engine with recorded steps and without, transformers'
  `generate`, lm-eval's hf model, in turns, and vLLM where it is installed (`peers.py`).
- `answers`: the same of many questions of at most 512 tokens, as a score needs them.
- `train`: seconds of a step of `sft` on rows of about 1,024 tokens and of `rl` with 64 prompts of 8
  rollouts: TRL alone with the very same arguments, and with the harness around it, in turns
  (`stages.py`). Of `sft` also the share of the peak (MFU, Chowdhery et al. 2022, arXiv 2204.02311,
  by the usual estimate of FLOPs).
- `compile`: benches of `sft` without and with `[compute] compile = true`, in turns: the step in the
  middle, the share of the peak in it, and what starting takes, with compiling.
- `flips`: greedy answers that differ between float32 and bfloat16 (`flips.py`), of random weights
  or of a checkpoint (`--model FOLDER`) on problems of a task (`--task`).

Run with `python benchmarks/gpu.py --out FILE`: each measurement is a line of JSON, and FILE has a
table of all so far. What fails is a line of the table too, and the exit code is then 1. `--shape
small --device cpu` tries the script out anywhere. No figure of a GPU has been published yet; those
of `compile` on a CPU are in `training.md`.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import flips
import peers
import stages
from gpu_inputs import SHAPES, make_model, prompts, write_board, write_rows
from measuring import Row, apart, machine, one_line, spread, table, versions

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TQDM_DISABLE", "1")

PEAKS = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L40S": 362e12, "4090": 165e12}  # bfloat16
PACKAGES = ("torch", "transformers", "trl", "accelerate", "lm_eval", "vllm")
SMALL = {  # sizes of a trial on a CPU
    "rows": [4, 8],
    "tokens": 16,
    "rounds": 1,
    "questions": 16,
    "longest": 32,
    "steps": 4,
    "rl_steps": 4,
    "batch": 4,
    "length": 128,
    "prompts": 2,
    "completion": 16,
    "flips": 32,
}
WAYS = {"alone": "TRL alone", "before": "the harness, rollouts by TRL", "harness": "the harness"}


class Sheet:
    """Prints figures as they come, and keeps them in a table that is whole after each of them."""

    def __init__(self, chosen: argparse.Namespace, name: str) -> None:
        self.rows: list[Row] = []
        self._chosen, self._name = chosen, name

    def show(self, row: Row) -> None:
        print(json.dumps(row), flush=True)
        self.rows.append(row)
        if self._chosen.out:  # whoever ends this run early has what came before
            from harness.files import write_atomically

            write_atomically(self._chosen.out, self.page)

    @property
    def page(self) -> str:
        return page(self.rows, self._chosen, self._name)


def decoding(sheet: Sheet, chosen: argparse.Namespace, folder: Path) -> None:
    """Show tokens a second by rows."""
    cases, dtype = [], peers.DTYPES[chosen.device]
    for rows in chosen.rows:
        named = {"part": "decode", "case": f"{rows} rows, {chosen.tokens} tokens each, {dtype}"}
        given = prompts(rows, chosen.shape)
        cases.append((named, given, chosen.tokens, rows, chosen.rounds))
    peers.compare(folder / "model", chosen.device, cases, sheet.show)


def answering(sheet: Sheet, chosen: argparse.Namespace, folder: Path) -> None:
    """Show seconds of many answers."""
    dtype = peers.DTYPES[chosen.device]
    case = f"{chosen.questions} questions, {chosen.longest} tokens each, {dtype}"
    given = prompts(chosen.questions, chosen.shape)
    cases = [({"part": "answers", "case": case}, given, chosen.longest, max(chosen.rows), 1)]
    peers.compare(folder / "model", chosen.device, cases, sheet.show)


def training(sheet: Sheet, chosen: argparse.Namespace, folder: Path) -> None:
    """Show seconds of a step of `sft` and `rl`, with the harness and by TRL alone."""
    board = str(write_board(folder, "train", '"sft", "rl"', chosen))
    cases = {
        "sft": f"sft, {chosen.batch} rows of about {chosen.length} tokens",
        "rl": f"rl, {chosen.prompts} prompts, 8 rollouts of {chosen.completion} tokens",
    }
    for trainer, case in cases.items():
        steps = chosen.steps if trainer == "sft" else chosen.rl_steps
        ways = tuple(WAYS) if trainer == "rl" else ("alone", "harness")
        work = stages.Work(board, trainer, steps=steps, device=chosen.device)
        runs, failed = stages.in_turns(work, ways, chosen.rounds)
        middle = {
            how: [statistics.median(one.gaps[1:]) for one in run] for how, run in runs.items()
        }
        for how, found in runs.items():
            row: Row = {"part": "train", "case": case, "way": WAYS[how]}
            row["s a step"] = round(statistics.median(middle[how]), 4)
            if len(found) > 1:
                row["s a step, lowest and highest"] = spread(middle[how], 4)
            row |= {"steps": steps, "rows of a forward pass": found[0].micro}
            row["peak memory, GiB"] = round(found[0].cost.peak_memory_bytes / 2**30, 1)
            if how != "alone" and "alone" in runs:
                longer = [b / a for a, b in zip(middle["alone"], middle[how], strict=True)]
                if trainer == "rl" and how == "harness":
                    row["times as fast as TRL alone"] = sorted(round(1 / one, 2) for one in longer)
                else:
                    row["overhead, %"] = sorted(round(100 * (one - 1), 1) for one in longer)
                if trainer == "sft":
                    same = [a.digest == b.digest for a, b in zip(runs["alone"], found, strict=True)]
                    row["the same weights as TRL alone"] = f"{sum(same)} of {len(same)}"
            if how == "harness":
                cost = found[0].cost
                each = cost.flops / cost.steps / row["s a step"]
                row |= {"trained tokens": cost.trained_tokens, "FLOPs a second": f"{each:.3g}"}
                row["written tokens"] = cost.generated_tokens
                if chosen.peak and trainer == "sft":
                    row["share of the peak"] = round(each / chosen.peak, 3)
            sheet.show(row)
        for how, why in failed.items():
            sheet.show({"part": "train", "case": case, "way": WAYS[how], "failed": why})


def bench(folder: Path, board: Path, device: str) -> Any:
    """Run a bench of `sft` and return its record."""
    from harness.records import read_records

    command = ("bench", board.name, "--jobs", "1", "--device", device)
    subprocess.run(
        [sys.executable, "-m", "harness", *command], cwd=folder, check=True, stdout=sys.stderr
    )
    found = read_records(folder / "runs" / board.stem / "records")
    (record,) = (one for one in found if one.trainer == "sft" and one.status == "ok")
    return record


def compiling(sheet: Sheet, chosen: argparse.Namespace, folder: Path) -> None:
    """Bench `sft` without and with compiled layers, in turns; show seconds of steps and starts."""
    for turn in range(chosen.rounds):
        for dtype in chosen.dtypes:
            for compiled in (False, True):
                name = f"{dtype}-{compiled}-{turn}".lower()
                compute = f'dtype = "{dtype}"\ncompile = {str(compiled).lower()}'
                board = write_board(folder, name, '"sft"', chosen, compute)
                started = time.perf_counter()
                record = bench(folder, board, chosen.device)
                whole = time.perf_counter() - started
                (log,) = (folder / "runs" / name).glob("stages/*/events.jsonl")
                lines = map(json.loads, log.read_text(encoding="utf-8").splitlines())
                times = [line["time"] for line in lines if "loss" in line]
                gaps = [late - early for early, late in itertools.pairwise(times)]
                step = statistics.median(gaps[1:])  # some lengths are compiled for in the second
                row = {
                    "part": "compile",
                    "case": f"sft in {dtype}, turn {turn + 1}",
                    "way": "compiled layers" if compiled else "plain layers",
                    "s a step": round(step, 3),
                    "s of the bench without its steps": round(whole - step * len(times), 1),
                    "trained tokens": record.cost.trained_tokens,
                    "computed FLOPs": f"{record.cost.computed_flops:.6g}",
                }
                notes = [stage.notes.get("not_compiled") for stage in record.stages]
                if any(notes):
                    row["not compiled"] = [note for note in notes if note]
                if chosen.peak:
                    each = record.cost.flops / record.cost.steps
                    row["share of the peak in a step"] = round(each / step / chosen.peak, 3)
                sheet.show(row)


def flipping(sheet: Sheet, chosen: argparse.Namespace, folder: Path) -> None:
    """Show how many answers differ between float32 and bfloat16."""
    for row in apart(flips.measure, chosen.model or folder / "model", chosen):
        sheet.show(row)


PARTS = {  # what takes longest is last
    "decode": decoding,
    "train": training,
    "compile": compiling,
    "flips": flipping,
    "answers": answering,
}


def arguments() -> argparse.Namespace:
    """Return what was asked for; `--shape small` has sizes of its own."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument("--shape", choices=SHAPES, default="0.5B")
    parser.add_argument(
        "--parts", nargs="+", choices=PARTS, default=list(PARTS), help="by default all"
    )
    parser.add_argument("--out", type=Path, help="a file that the table is written to")
    parser.add_argument("--rows", type=int, nargs="+", default=[64, 256, 1024])
    parser.add_argument("--tokens", type=int, default=256, help="that each row writes")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--questions", type=int, default=10_000)
    parser.add_argument("--longest", type=int, default=512, help="tokens of such an answer")
    parser.add_argument("--steps", type=int, default=20, help="of sft, 3 at least")
    parser.add_argument("--rl-steps", type=int, default=6, help="of rl, 3 at least")
    parser.add_argument("--batch", type=int, default=32, help="rows of a step of sft")
    parser.add_argument("--length", type=int, default=1024, help="tokens of such a row, about")
    parser.add_argument("--prompts", type=int, default=64, help="of a step of rl, 8 rollouts each")
    parser.add_argument("--completion", type=int, default=512, help="tokens of a rollout")
    parser.add_argument(
        "--dtypes", nargs="+", default=["bfloat16"], help="of the part compile, such as float32"
    )
    parser.add_argument("--peak", type=float, help="FLOPs a second of the GPU in bfloat16")
    parser.add_argument("--flips", type=int, default=1000, help="prompts of the part flips")
    parser.add_argument("--model", type=Path, help="a checkpoint for the part flips")
    parser.add_argument("--task", default="tiny_word", help="whose problems it is given")
    if parser.parse_known_args()[0].shape == "small":
        parser.set_defaults(**SMALL)
    chosen = parser.parse_args()
    if min(chosen.steps, chosen.rl_steps) < 3:
        parser.error("a step in the middle needs 3 steps at least")
    return chosen


def page(rows: list[Row], chosen: argparse.Namespace, name: str) -> str:
    """Return the table of all figures, with the machine, the versions, the date, the arguments."""
    given = {key: value for key, value in vars(chosen).items() if key != "out"}
    if chosen.model:
        given["model"] = chosen.model.name
    said = " ".join(f"{key}={value}" for key, value in given.items())
    random = {"decode", "answers", *([] if chosen.model else ["flips"])} & {*chosen.parts}
    notes = [f"{', '.join(sorted(random))}: {flips.RANDOM}"] if random else []
    return "\n\n".join(
        [
            f"# `benchmarks/gpu.py` on {name}",
            f"{time.strftime('%d %B %Y')}; {versions(PACKAGES)}.",
            f"Arguments: `{said}`",
            *notes,
            table(rows),
            "",
        ]
    )


def main() -> None:
    chosen = arguments()
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")  # with more a trainer would use them all
    name = apart(machine, chosen.device)  # this process leaves a GPU's memory to the others
    known = (flops for gpu, flops in PEAKS.items() if gpu in name)
    chosen.peak = chosen.peak or next(known, None)
    sheet = Sheet(chosen, name)
    try:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            make_model(folder / "model", chosen.shape)
            write_rows(folder, chosen.length)
            for part in dict.fromkeys(chosen.parts):
                try:
                    PARTS[part](sheet, chosen, folder)
                except Exception as error:
                    sheet.show({"part": part, "failed": one_line(error)})
    finally:
        print(sheet.page)
    sys.exit(any("failed" in row for row in sheet.rows))


if __name__ == "__main__":
    main()
