"""What bfloat16 changes on a CPU: answers of one model in both types, and the time of each.

The same model answers the same problems greedily twice, matrix products in float32 and in bfloat16,
through what a bench generates and judges with. Processor time is read, which other processes hardly
stretch. Run with `python benchmarks/half_precision.py MODEL TASK --limit 100`; a published task
needs `--data-dir` or the Hub.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TQDM_DISABLE", "1")


def answers(model: Path, task: Any, rows: list[Any], dtype: str, args: Any) -> tuple[Any, float]:
    """Return the answers of a model in the order of the rows, and the processor's seconds."""
    import torch

    from harness.files import read_jsonl
    from harness.stage.generate import Questions, generate_answers
    from harness.stage.spec import GeneratedScore
    from harness.tasks.protocols import get_protocol

    torch.set_num_threads(1)
    protocol = get_protocol(args.protocol)
    score = GeneratedScore(
        task=task.name, digest=task.digest, protocol=protocol.id, samples=1, limit=args.limit,
        max_new_tokens=args.max_new_tokens, temperature=0.0, top_p=1.0, columns=None,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        out, started = Path(folder), time.process_time()
        questions = [Questions(score, rows)]
        generate_answers(model, questions, args.batch_size, "cpu", out, dtype=dtype)
        seconds = time.process_time() - started
        return [row for _, row in read_jsonl(out / "answers" / f"{score.name}.jsonl")], seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("task")
    parser.add_argument("--limit", type=int, default=100)
    parser.add_argument("--protocol", default="chat_zeroshot")
    parser.add_argument("--max-new-tokens", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--data-dir", type=Path)
    args = parser.parse_args()

    from harness.plugin.host import Host
    from harness.stage.environment import processor_name
    from harness.tasks.protocols import get_protocol
    from harness.verify import verify

    host = Host(data_dir=args.data_dir)
    host.load_all()
    task, form = host.task(args.task), get_protocol(args.protocol).form
    rows = task.graded("test")[: args.limit]
    found = {
        dtype: answers(args.model, task, rows, dtype, args) for dtype in ("float32", "bfloat16")
    }

    def right(one: Any, row: Any) -> bool:
        judged = verify(one["text"], row["answer"], task.conventions, form=form)
        return str(judged.verdict) == "correct"

    pairs = list(zip(*(texts for texts, _ in found.values()), rows, strict=True))
    verdicts = [(right(full, row), right(half, row)) for full, half, row in pairs]
    print(
        json.dumps(
            {
                "processor": processor_name(),
                "torch": importlib.metadata.version("torch"),
                "model": args.model.name,
                "task": args.task,
                "problems": len(rows),
                "cpu_seconds": {dtype: round(seconds, 1) for dtype, (_, seconds) in found.items()},
                "other_text": sum(full["text"] != half["text"] for full, half, _ in pairs),
                "other_verdict": sum(full != half for full, half in verdicts),
                "correct": {
                    "float32": sum(full for full, _ in verdicts),
                    "bfloat16": sum(half for _, half in verdicts),
                },
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
