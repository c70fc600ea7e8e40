"""Trains with every built-in trainer in this process and prints the digests. A test's own process.

python train_all.py STUDENT TEACHER OUT SEED NAME...
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path

os.environ |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}

SMALL = {"max_steps": 3, "learning_rate": 1e-3}
BATCH = {"batch_size": 8}
ROLLOUTS = {"prompts_per_step": 4, "num_generations": 4}
CASES = {
    "sft": SMALL | BATCH,
    "sft-lora": SMALL | BATCH,
    "kd": SMALL | BATCH,
    "kd-sequence": SMALL | BATCH | {"temperature": 0.7, "samples": 2},
    "kd-on-policy": SMALL | BATCH,
    "kd-traces": SMALL | BATCH,
    "rl": SMALL | ROLLOUTS | {"format_weight": 0.1},
    "hybrid-joint": SMALL | ROLLOUTS | {"expert_batch_size": 8},
}
OTHERS = {  # which have tests of their own
    "sft-shuffled": SMALL | BATCH,
    "rft": SMALL | BATCH | {"samples": 2, "problems_at_once": 8, "max_steps": 4},
    "rloo": SMALL | ROLLOUTS,
    "rl-random": SMALL | ROLLOUTS,
    "rl-format": SMALL | ROLLOUTS,
}


def offers() -> dict:
    """Return the built-in trainers by name."""
    import harness_hybrid
    import harness_kd
    import harness_rft
    import harness_rl
    import harness_rloo
    import harness_sft

    plugins = (harness_sft, harness_kd, harness_rl, harness_hybrid, harness_rft, harness_rloo)
    return {offer.name: offer for plugin in plugins for offer in plugin.harness_trainers()}


def train(name: str, folder: Path, base: Path, teacher: Path | None, seed: int = 0, **more):
    """Train as a stage does and return the run; options, caps and settings are in `more`."""
    import models
    import torch

    from harness.stage.metering.meter import metered

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    offer = offers()[name]
    options = offer.options.model_validate((CASES | OTHERS)[name] | more.pop("options", {}))
    if offer.needs_traces:
        more.setdefault("traces", models.traces(24))
    run = models.make_run(
        folder, base, options, teacher=teacher if offer.needs_teacher else None, seed=seed, **more
    )
    try:
        with metered(run.counter):
            offer.train(run)
    finally:
        run.close()
    return run


def digest(folder: Path) -> str:
    """Return the sha256 of a checkpoint's weights."""
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


if __name__ == "__main__":
    student, teacher, out, seed, *names = sys.argv[1:]
    digests = {}
    for name in names:
        run = train(name, Path(out) / name, Path(student), Path(teacher), int(seed))
        digests[name] = digest(run.out)
    Path(out, "digests.json").write_text(json.dumps(digests))
