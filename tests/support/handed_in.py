"""Runs of the board tiny without training: answers made up, then judged by the harness itself."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from unittest import mock

import generated

from harness.bench.stage_identity import judged_score
from harness.boards.board import Board, load_board
from harness.plugin.host import Host
from harness.publish import anew
from harness.records import BoardRef, Checkpoint, Record, total_cost, write_record
from harness.stage.judge import judge
from harness.verify import VERIFIER_VERSION, VerifierPool

SFT = (0.7, 0.72, 0.71, 0.7, 0.72)  # of the board's five seeds
CELLS: dict[tuple[str, int | None], float] = {
    ("start", None): 0.4,
    **{("sft", seed): accuracy for seed, accuracy in enumerate(SFT)},
    ("kd", 0): 0.6,
}


@cache
def tiny() -> Board:
    return load_board("tiny", Host(download=False))


@contextlib.contextmanager
def one_pool() -> Iterator[None]:
    """Let all publishing and checking use one pool of verifiers, which takes long to start."""
    with (
        VerifierPool(workers=1) as pool,
        mock.patch.object(anew, "verifier_pool", return_value=contextlib.nullcontext(pool)),
    ):
        yield


def answer(gold: str, number: int, accuracy: float, salt: str) -> str:
    """Return an answer to one question, right with a probability that its salt decides."""
    draw = int(hashlib.sha256(f"{salt} {number}".encode()).hexdigest()[:8], 16) / 16**8
    value = gold if draw < accuracy else "123456789"
    return f"Number {number} of {salt}: the answer is \\boxed{{{value}}}."


def leave(
    folder: Path,
    cells: Mapping[tuple[str, int | None], float] = CELLS,
    *,
    salt: str = "",
    day: int = 1,
) -> dict[str, Record]:
    """Leave records with judged answers in a runs folder of the board; return them by cell.

    Args:
        folder: The board's runs folder.
        cells: The accuracy of each trainer and seed.
        salt: Another one makes other answers and other weights.
        day: Of the month in which they were made.
    """
    board, written = tiny(), {}
    with VerifierPool(workers=2) as pool:
        for (trainer, seed), accuracy in cells.items():
            name = f"{trainer}-s{seed}-{salt}" if seed is not None else f"{trainer}-{salt}"
            identity = f"{name.strip('-').replace('+', '--')}-0123456789ab"
            given, scores = folder / "given" / identity, []
            given.mkdir(parents=True)
            for one in board.scores:
                rows = board.test_rows(one.table)
                with (given / f"{one.name}.jsonl").open("w") as file:
                    for number, row in enumerate(rows):
                        text = answer(row["answer"], number, accuracy, name)
                        line = {"id": row["id"], "sample": 0, "text": text, "tokens": 20}
                        file.write(json.dumps(line | {"finish": "stop"}) + "\n")
                out = folder / "answers" / identity
                scores.append(judge(judged_score(one), rows, given, out, pool))
            changes: dict[str, object] = {}
            if trainer == "start":
                digest = board.identity("start") or ""
                changes["checkpoint"] = Checkpoint(digest=digest, parameters=9, bytes=9)
            made = generated.record(
                trainer,
                seed,
                scores,
                id=identity,
                board=BoardRef(name=board.name, digest=board.digest),
                created=f"2026-01-{day:02d}T00:00:{seed or 0:02d}Z",
                verifier_version=VERIFIER_VERSION,
                **changes,
            )
            made = cheap(made)
            write_record(made, folder / "records")
            written[made.cell] = made
    return written


def cheap(made: Record) -> Record:
    """Return a record whose costs are within the board's budget."""
    cut = {"flops": 5e10, "trained_tokens": 1000}
    stages = tuple(
        one.model_copy(update={"cost": one.cost.model_copy(update=cut)}) for one in made.stages
    )
    cost = total_cost(one.cost for one in stages)
    return made.model_copy(update={"stages": stages, "cost": cost}).sealed()
