"""What a stage of `sft` costs beside a bare TRL script: of a step, and once.

The script is TRL as its documentation has it: a model, rows with `prompt` and `completion`, an
`SFTConfig` and `SFTTrainer`, nothing of this project. It gets the model, the rows and the arguments
that the stage of the board `tiny` trains with. Both run in processes forked from one that has
imported the libraries, in turns. A step is the median time from the end of one to the end of the
next, the rest is what steps do not take: loading, tokenising, sealing, saving. Processor time is
read and one thread works; whether both ended at the same weights is said. Run with
`python benchmarks/overhead.py`.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

from measuring import apart, clock, machine, versions
from stages import Work, spec_of, step_ends

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TQDM_DISABLE", "1")

Timed = tuple[float, float, str]  # seconds of a step and of all, and the digest of the weights


def digest(folder: Path) -> str:
    """Return what tells the weights in a folder from others."""
    import hashlib

    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def staged(seed: int, steps: int, out: Path | None = None) -> Timed:
    """Train the stage as a bench does; with `out`, write what it trains with there instead."""
    import harness_sft

    from harness.stage import main as stage_main

    def write(run: Any, **_: Any) -> None:
        assert out is not None
        options = run.options
        run.student().save_pretrained(out / "model")
        run.tokenizer().save_pretrained(out / "model")
        rows = run.train_data().select_columns(["prompt", "completion"])
        rows.to_json(out / "rows.jsonl")
        given = run.arguments(**options.arguments(steps, options.batch_size))
        (out / "arguments.json").write_text(json.dumps(given, default=str), encoding="utf-8")
        raise SystemExit

    with tempfile.TemporaryDirectory() as place:
        folder, spec = apart(spec_of, Work("tiny", "sft", seed, steps), Path(place))
        stage_main._seed(spec)
        if out is not None:
            with mock.patch.object(harness_sft, "fine_tune", write):
                try:
                    stage_main._train(folder, spec, {})
                except SystemExit:
                    return 0.0, 0.0, ""
        with step_ends("cpu") as ends:
            started = clock("cpu")
            stage_main._train(folder, spec, {})
            took = clock("cpu") - started
        return _of_step(ends), took, digest(folder / "checkpoint")


def _of_step(ends: list[float]) -> float:
    return statistics.median(late - early for early, late in itertools.pairwise(ends))


def scripted(given: Path) -> Timed:
    """Train with TRL alone on what a stage would train with."""
    from datasets import load_dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    arguments = json.loads((given / "arguments.json").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as place, step_ends("cpu") as ends:
        started = clock("cpu")
        model = AutoModelForCausalLM.from_pretrained(given / "model", dtype="float32")
        trainer = SFTTrainer(
            model=model,
            args=SFTConfig(**{**arguments, "output_dir": place, "max_length": None}),
            train_dataset=load_dataset(
                "json", data_files=str(given / "rows.jsonl"), cache_dir=place, split="train"
            ),
            processing_class=AutoTokenizer.from_pretrained(given / "model"),
        )
        trainer.train()
        trainer.save_model(f"{place}/out")
        took = clock("cpu") - started
        return _of_step(ends), took, digest(Path(place) / "out")


def main() -> None:
    """Print seconds of a step and of the rest, of both, with the machine and the versions."""
    import torch

    from harness.bench.executors import warm

    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    warm.preload()
    found: dict[str, list[Timed]] = {"TRL alone": [], "harness": []}
    for seed in range(chosen.rounds):
        with tempfile.TemporaryDirectory() as place:
            apart(staged, seed, chosen.steps, Path(place), method="fork")
            found["TRL alone"].append(apart(scripted, Path(place), method="fork"))
            found["harness"].append(apart(staged, seed, chosen.steps, method="fork"))
    for name, runs in found.items():
        row = {"way": name, "a step, ms": round(1e3 * statistics.median(r[0] for r in runs), 1)}
        row["the rest, s"] = round(statistics.median(r[1] - chosen.steps * r[0] for r in runs), 2)
        print(json.dumps(row))
    pairs = list(zip(found["TRL alone"], found["harness"], strict=True))
    over = sorted(100 * (ours[0] / theirs[0] - 1) for theirs, ours in pairs)
    print(json.dumps({"overhead of a step, %": [round(one, 1) for one in over]}))
    print(f"same weights: {sum(a[2] == b[2] for a, b in pairs)} of {len(pairs)}")
    packages = versions(("torch", "transformers", "trl"))
    print(f"{machine('cpu')}; {packages}; {vars(chosen)}")


if __name__ == "__main__":
    main()
