"""Write the pilot that holds the board's choice of a benchmark against problems it never scores.

`pilot/` gets a board that trains on GSM8K's short training problems but 200, and is scored on those
200, on 300 problems of ASDiv behind the 800 of the board, and on 300 of MAWPS:

    python boards/smollm2-135m/pilot.py [--data-dir DIR]
    harness bench boards/smollm2-135m/pilot/pilot.toml --device cpu
"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path

from harness.boards.board import load_board
from harness.plugin.host import Host

HERE = Path(__file__).parent
BOARD = """\
schema = 1
name = "smollm2-135m-pilot"
title = "Where the board smollm2-135m has room: problems that it does not score"
start_model = "../model"
trainers = ["sft"]
seeds = [100]

[tasks.short_gsm8k]
train = "train.jsonl"
test = "gsm8k.jsonl"

[tasks.more_asdiv]
test = "asdiv.jsonl"

[tasks.some_mawps]
test = "mawps.jsonl"

[data]
train = ["short_gsm8k"]

[budget]
flops = 5.0e13
fill = true

[compute]
threads = 1
dtype = "bfloat16"
batch_size = 256
micro_batch_size = 4
save_every = 10

[[scores]]
task = "more_asdiv"
max_new_tokens = 160
ranking = true

[[scores]]
task = "some_mawps"
max_new_tokens = 160

[[scores]]
task = "short_gsm8k"
max_new_tokens = 160

[options.sft]
learning_rate = 1e-4
batch_size = 8
warmup_ratio = 0.1
"""


def main() -> None:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, help="folder of published benchmarks")
    host = Host(data_dir=parser.parse_args().data_dir)
    board = load_board(str(HERE / "smollm2-135m.toml"), host)
    (ranked,) = (score for score in board.scores if score.table.ranking)
    short = board.rows("gsm8k", "train")
    mawps = {
        row["problem"].casefold(): row for row in host.task("mawps").split("test")
    }  # once each
    parts = {
        "train": short[:-200],
        "gsm8k": short[-200:],
        "asdiv": board.rows(ranked.task.name, "test")[ranked.table.limit :][:300],
        "mawps": list(mawps.values())[:300],
    }
    out = HERE / "pilot"
    out.mkdir(exist_ok=True)
    for name, rows in parts.items():
        lines = (
            json.dumps({key: row[key] for key in ("problem", "answer", "solution") if row.get(key)})
            for row in rows
        )
        (out / f"{name}.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    (out / "pilot.toml").write_text(BOARD, "utf-8")


if __name__ == "__main__":
    main()
