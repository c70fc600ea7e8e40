"""The key-value cache of rows that are generated together: a slot each, from column 0 on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

Prefix = dict[int, tuple["torch.Tensor", ...]]
"""By layer the keys and values of one row, each of shape (1, heads, columns, size)."""
ROUND = 64  # columns are added in multiples of it
GROWTH = 1.25  # and at least so many times as many, so that a cache is seldom copied


class SlotCache:
    """Keys and values by layer, shape (slots, heads, columns, size), grown as rows grow.

    It is what transformers' attention layers take as `past_key_values`. Columns that a row has not
    written hold zeros or what the row itself wrote there as padding: masked columns are multiplied
    by zero, and a NaN that another row had left there would not vanish.

    Attributes:
        slots: Rows that it holds at most.
        columns: Columns that it has.
    """

    is_compileable = False
    is_sliding: tuple[bool, ...] = ()

    def __init__(self, slots: int) -> None:
        self.slots, self.columns = slots, 0
        self._keys: dict[int, torch.Tensor] = {}
        self._values: dict[int, torch.Tensor] = {}
        self._both = (self._keys, self._values)
        self._first = self._start = self._width = 0
        self._at: torch.Tensor | None = None
        self._rows: torch.Tensor | None = None

    # -- what a model asks -----------------------------------------------------------------------

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Return 0: positions and masks are handed to the model and not derived from here."""
        return 0

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *_: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write a layer's new keys and values; return those that the rows attend to."""
        self._have(layer_idx, (key_states, value_states))
        keys, values = self._keys[layer_idx], self._values[layer_idx]
        count, width = len(key_states), self._width
        if self._at is not None:
            keys[self._rows, :, self._at] = key_states[:, :, 0].to(keys.dtype)
            values[self._rows, :, self._at] = value_states[:, :, 0].to(values.dtype)
            return keys[:count, :, :width], values[:count, :, :width]
        rows, columns = slice(self._start, self._start + count), slice(self._first, width)
        keys[rows, :, columns], values[rows, :, columns] = key_states, value_states
        return keys[rows, :, :width], values[rows, :, :width]

    # -- what the engine does --------------------------------------------------------------------

    def read(self, start: int, first: int, width: int) -> None:
        """Get ready for rows from slot `start` on, whose columns `first` to `width` are given."""
        self.grow(width)
        self._start, self._first, self._width, self._at = start, first, width, None

    def write(self, rows: torch.Tensor, at: torch.Tensor, width: int) -> None:
        """Get ready for one token of each of `rows`, in column `at`; all lie below `width`."""
        self.grow(width)
        self._rows, self._at, self._width = rows, at, width

    def clear(self, start: int, stop: int) -> None:
        """Zero what earlier rows left in slots."""
        for tensor in self._tensors():
            tensor[start:stop].zero_()

    def copy(self, sources: torch.Tensor, targets: torch.Tensor) -> None:
        """Copy whole rows to other slots; no slot may be both a source and a target."""
        for tensor in self._tensors():
            tensor[targets] = tensor[sources]

    def prefix(self, slot: int, width: int) -> Prefix:
        """Return copies of a row's first columns, to be given to `share`."""
        return {
            layer: tuple(kept[layer][slot : slot + 1, :, :width].clone() for kept in self._both)
            for layer in self._keys
        }

    def share(self, prefix: Prefix, start: int, stop: int) -> None:
        """Write a prefix into slots."""
        for layer, columns in prefix.items():
            self._have(layer, columns)
            for kept, given in zip(self._both, columns, strict=True):
                kept[layer][start:stop, :, : given.shape[2]] = given

    def _have(self, layer: int, like: tuple[torch.Tensor, ...]) -> None:
        """Make the tensors of a layer, as wide as its first keys and values."""
        if layer not in self._keys:
            for kept, given in zip(self._both, like, strict=True):
                heads, size = given.shape[1], given.shape[3]
                kept[layer] = given.new_zeros((self.slots, heads, self.columns, size))

    def _tensors(self) -> list[torch.Tensor]:
        return [*self._keys.values(), *self._values.values()]

    @property
    def bytes(self) -> int:
        return sum(tensor.nbytes for tensor in self._tensors())

    def grow(self, columns: int) -> None:
        """Have as many columns at least; the tensors are others where there were fewer."""
        if columns <= self.columns:
            return
        wanted = max(columns, int(self.columns * GROWTH))
        self.columns = -(-wanted // ROUND) * ROUND
        for kept in self._both:
            for layer, old in kept.items():
                slots, heads, had, size = old.shape
                new = old.new_zeros((slots, heads, self.columns, size))
                new[:, :, :had] = old
                kept[layer] = new
