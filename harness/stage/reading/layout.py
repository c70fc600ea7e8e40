"""The layout of a batch that is read without padding, its common beginnings read once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

TOGETHER = 8  # rows that attend in one call, where none goes on from another


@dataclass(frozen=True)
class Part:
    """Sequences that attend together, padded to the longest on the right.

    Attributes:
        places: Of each token in the line, 0 where there is none, shape (sequences, columns).
        begins: Of each sequence, the number of that in the first part which it goes on; None for
            the first part, whose sequences begin by themselves.
        seen: What each token attends to, the columns of its beginning and then its own, shape
            (sequences, 1, columns, columns of the first part and own); None where that is all
            columns up to its own.
    """

    places: torch.Tensor
    begins: torch.Tensor | None = None
    seen: torch.Tensor | None = None


@dataclass(frozen=True)
class Layout:
    """Rows of a batch as one line of tokens.

    Attributes:
        line: The place of each token in the batch, all rows one after the other, shape (tokens,).
        positions: Of each in its row, shape (1, tokens).
        parts: The sequences that attend together: rows and common beginnings, and then what goes on
            from those, if anything does.
        back: Where each token of the line is in the parts, one after the other, shape (tokens,).
        wanted: The places in the line that were asked for, in the order of the batch.
    """

    line: torch.Tensor
    positions: torch.Tensor
    parts: tuple[Part, ...]
    back: torch.Tensor
    wanted: torch.Tensor


def laid_out(
    ids: torch.Tensor, mask: torch.Tensor, wanted: torch.Tensor, *, share: bool
) -> Layout | None:
    """Return the layout of a batch, or None where nothing of it is wanted.

    Left out is what no wanted hidden state depends on: what follows the last one of a row.

    Args:
        ids: Shape (rows, columns).
        mask: 0 where there is padding, on whichever side, of the same shape.
        wanted: Which tokens' hidden states are, of the same shape.
        share: Whether rows that are equal up to their first wanted token have that read once.
    """
    width = ids.shape[1]
    tokens, asked = ids.tolist(), wanted.tolist()
    rows: dict[int, list[int]] = {}  # the columns that are read of each row
    groups: dict[tuple[int, ...], list[int]] = {}  # the rows that begin alike
    for row, kept in enumerate(mask.tolist()):
        columns = [column for column in range(width) if kept[column]]
        found = [at for at, column in enumerate(columns) if asked[row][column]]
        if found:
            rows[row] = columns[: found[-1] + 1]
            begin = tuple(tokens[row][column] for column in columns[: found[0] + 1])
            groups.setdefault(begin if share else (row,), []).append(row)
    line: list[int] = []  # places in the batch
    where: dict[int, int] = {}  # place in the batch -> place in the line
    positions: list[int] = []
    first: list[range] = []  # places in the line
    second: list[tuple[int, range]] = []  # with the beginning that they go on

    def put(places: Sequence[int], start: int) -> range:
        before = len(line)
        where.update(zip(places, range(before, before + len(places)), strict=True))
        line.extend(places)
        positions.extend(range(start, start + len(places)))
        return range(before, len(line))

    for begin, group in groups.items():
        places = [[row * width + column for column in rows[row]] for row in group]
        shared = len(begin) if len(group) > 1 else len(places[0])
        read = put(places[0][:shared], 0)
        for one in places:
            where.update(zip(one[:shared], read, strict=True))
            if len(one) > shared:
                second.append((len(first), put(one[shared:], shared)))
        first.append(read)
    if not line:
        return None
    found = [row * width + column for row in rows for column in rows[row] if asked[row][column]]
    return _assembled(line, positions, first, second, [where[place] for place in found])


def _assembled(
    line: list[int],
    positions: list[int],
    first: list[range],
    second: list[tuple[int, range]],
    wanted: list[int],
) -> Layout:
    import torch

    def padded(sequences: Sequence[range]) -> torch.Tensor:
        width = max(map(len, sequences))
        return torch.tensor([[*one, *[0] * (width - len(one))] for one in sequences])

    sequences = [first, [one for _, one in second]] if second else _alike(first)
    parts = [Part(padded(one)) for one in (sequences[:1] if second else sequences)]
    columns = parts[0].places.shape[1]
    if second:
        begins = torch.tensor([number for number, _ in second])
        places = padded(sequences[1])
        own = places.shape[1]
        lengths = torch.tensor([len(first[number]) for number, _ in second])
        before = (torch.arange(columns) < lengths[:, None])[:, None].expand(-1, own, -1)
        causal = torch.ones(own, own, dtype=torch.bool).tril().expand(len(second), -1, -1)
        seen = torch.cat((before, causal), dim=-1)[:, None]
        parts.append(Part(places, begins, seen))
    back = [0] * len(line)
    start = 0
    for part, group in zip(parts, sequences, strict=True):
        for number, one in enumerate(group):
            at = start + number * part.places.shape[1]
            back[one.start : one.stop] = range(at, at + len(one))
        start += part.places.numel()
    return Layout(
        line=torch.tensor(line),
        positions=torch.tensor([positions]),
        parts=tuple(parts),
        back=torch.tensor(back),
        wanted=torch.tensor(wanted),
    )


def _alike(sequences: list[range]) -> list[list[range]]:
    """Return sequences in groups of about one length, which have little padding."""
    order = sorted(sequences, key=len)
    return [order[start : start + TOGETHER] for start in range(0, len(order), TOGETHER)]
