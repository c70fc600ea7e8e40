"""Where a row's weights come from: training that was counted, or a model that was there before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import median_low
from typing import NamedTuple

from harness.records import START, Cost, Record, StageRef

IDLE_SECONDS = 120.0  # that a stage may take, with its imports, and count no FLOPs
# times that a row may work for its FLOPs, compared with the middle of others like it, and of others
ALIKE, LONGER = 4, 10
# times its estimate that a stage may compute; trainers do 0.47 to 1.38 times (docs/boards.md)
FEWEST, MOST = 0.25, 2.5
# share of a trainer's CPU seconds that may pass in processes in which nothing is counted; how many
# of them over its seeds are no evidence; and how many of a stage a compiler may take
BESIDE, BESIDE_SECONDS, COMPILER_SECONDS = 0.25, 10.0, 60.0
NEAR = 0.5  # share of tensors from which on a checkpoint is named as close to the teacher
# cosines between what training changed and the way to the teacher: from the first on a checkpoint
# is named, from the second on it is the teacher with noise, or a mean of it and the start model
LEANS, COPIES = 0.5, 0.9


class Origins:
    """The weights of a board's cells, by their digests; a record without one says nothing."""

    def __init__(self, cells: Sequence[Record]) -> None:
        self._cells: Mapping[str, list[Record]] = defaultdict(list)
        for cell in cells:
            if weights := _weights(cell):
                self._cells[weights].append(cell)
        self._start = {_weights(cell) for cell in cells if cell.trainer == START} - {""}

    def unchanged(self, cell: Record) -> bool:
        """Return whether a trained cell has the start model's weights."""
        return bool(cell.stages) and _weights(cell) in self._start

    def uncounted(self, cell: Record) -> bool:
        """Return whether a cell's weights changed while no training of them was counted.

        Training of zeroth order takes no gradient, so it has steps and FLOPs, and no trained token.
        """
        spent = cell.cost.steps and cell.cost.flops
        known = bool(cell.stages and _weights(cell))
        return known and not spent and not self.unchanged(cell)

    def others(self, cell: Record) -> list[Record]:
        """Return the other trained cells with the same weights; none for the start model's."""
        if not cell.stages or self.unchanged(cell):
            return []
        same = self._cells.get(_weights(cell), [])
        return [other for other in same if other.stages and other is not cell]

    def barred(self, cells: Sequence[Record]) -> bool:
        """Return whether a row is not ranked for where the weights of one of its cells are from."""
        return any(is_teacher(cell) or self.uncounted(cell) for cell in cells)


def _weights(cell: Record) -> str:
    return cell.checkpoint.weights if cell.checkpoint else ""


def from_teacher(cell: Record) -> float:
    """Return the share of a cell's tensors that are the teacher's to the bit."""
    return cell.checkpoint.from_teacher if cell.checkpoint and cell.stages else 0.0


def toward_teacher(cell: Record) -> float:
    """Return how far a cell's weights moved on the way to the teacher's, as a cosine."""
    return cell.checkpoint.toward_teacher if cell.checkpoint and cell.stages else 0.0


def is_teacher(cell: Record) -> bool:
    """Return whether a cell's weights are the teacher's, to the bit or all but."""
    return from_teacher(cell) == 1 or toward_teacher(cell) >= COPIES


def computed_times(cost: Cost) -> float | None:
    """Return how many times its counted FLOPs a stage computed, where trainers do not do so.

    Attention is left out where it is much: the estimate has none, and it grows with the context.
    """
    if not (cost.flops and cost.computed_flops):
        return None
    most = (cost.computed_flops - (cost.attention_flops or 0.0)) / cost.flops
    if most > MOST:
        return most
    least = cost.computed_flops / cost.flops
    return least if least < FEWEST else None


def beside(stages: Sequence[StageRef]) -> float | None:
    """Return the share of CPU time that a trainer spent in other processes, where it is much.

    In these nothing is counted. Those of the verifier, and of the compiler where the board has
    layers compiled, are none of them. A stage of which nobody measured them says nothing. A
    trainer's seeds are taken together; of a chain the trainer with the largest share is meant.
    """
    whole: dict[str, float] = defaultdict(float)
    aside: dict[str, float] = defaultdict(float)
    for stage in stages:
        if stage.outside is None or stage.outside.child_cpu_seconds is None:
            continue
        known = stage.cost.verifier_cpu_seconds or 0.0
        known += COMPILER_SECONDS if "compiler" in stage.notes else 0.0
        whole[stage.trainer] += stage.outside.cpu_seconds
        aside[stage.trainer] += max(0.0, stage.outside.child_cpu_seconds - known)
    # a record that others wrote may say that a part took longer than the whole
    much = [one / max(one, whole[name]) for name, one in aside.items() if one > BESIDE_SECONDS]
    return max((share for share in much if share > BESIDE), default=None)


class Spent(NamedTuple):
    """What training a row's cells took."""

    flops: float  # as counted
    seconds: float  # of processors or GPUs, as measured from outside
    samples: bool  # whether it generates while it trains, which takes longer for as many FLOPs

    @classmethod
    def by(cls, stages: Sequence[StageRef]) -> Spent:
        """Return what stages took, those that were measured."""
        flops = seconds = read = made = 0.0
        for stage in stages:
            if stage.outside is not None:
                seconds += max(stage.outside.cpu_seconds, stage.outside.gpu_seconds)
                flops += stage.cost.flops
                read += stage.cost.trained_tokens
                made += stage.cost.generated_tokens
        return cls(flops, seconds, made > read / 10)


def unaccounted(rows: Mapping[str, Spent]) -> dict[str, float]:
    """Return the seconds of work that a row's counted FLOPs do not account for, where many are.

    The row in the middle of the others, trained on the same hardware, says how long so many FLOPs
    take. Where two or more others sample, or do not, as this row does, these alone are compared,
    and a row is named that works four times longer: it trains in a way that nobody counts, or is
    very slow. Elsewhere it is ten times, or a hundred for a row that samples. Less than half a
    minute, or than twice the work of the row in the middle, is no evidence.

    Args:
        rows: What each row took.
    """
    counted = {name: spent for name, spent in rows.items() if spent.flops}
    found = {}
    for trainer, (flops, seconds, samples) in counted.items():
        others = [one for name, one in counted.items() if name != trainer]
        alike = [one for one in others if one.samples == samples]
        longer = ALIKE if len(alike) > 1 else LONGER * (LONGER if samples else 1)
        compared = alike if len(alike) > 1 else others
        if not compared:
            continue
        least = max(IDLE_SECONDS / 4, 2 * median_low([one.seconds for one in compared]))
        usual = flops * median_low([one.seconds / one.flops for one in compared])
        if seconds > longer * usual and seconds - usual > least:
            found[trainer] = seconds - usual
    return found
