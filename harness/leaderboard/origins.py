"""Where a row's weights come from: training that was counted, or a model that was there before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from harness.records import START, Record

NEAR = 0.5  # share of tensors from which on a checkpoint is named as close to the teacher


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
        """Return whether a cell's weights changed while no training of them was counted."""
        spent = cell.cost.steps and cell.cost.trained_tokens and cell.cost.flops
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
        return any(from_teacher(cell) == 1 or self.uncounted(cell) for cell in cells)


def _weights(cell: Record) -> str:
    return cell.checkpoint.weights if cell.checkpoint else ""


def from_teacher(cell: Record) -> float:
    """Return the share of a cell's tensors that are the teacher's to the bit."""
    return cell.checkpoint.from_teacher if cell.checkpoint and cell.stages else 0.0
