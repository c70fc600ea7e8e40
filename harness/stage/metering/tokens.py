"""How many tokens a call of a model reads or writes, told from its arguments."""

from __future__ import annotations

from typing import Any


def input_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return what a forward call reads, ids (rows, columns) or embeddings of them, or None."""
    read: Any = kwargs.get("input_ids", args[0] if args else None)
    if read is None:
        read = kwargs.get("inputs_embeds")
    whole = not getattr(getattr(read, "dtype", None), "is_floating_point", False)
    return read if len(getattr(read, "shape", ())) == (2 if whole else 3) else None


def padded_tokens(args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    """Return the tokens of a forward call, padding included."""
    rows, columns = input_of(args, kwargs).shape[:2]
    return int(rows * columns)


def read_tokens(args: tuple[Any, ...], kwargs: dict[str, Any]) -> int | None:
    """Return the tokens of a forward call that are not padding, or None where it is given none.

    A token is padding if its mask is 0 and no loss is taken on it.
    """
    given = input_of(args, kwargs)
    if given is None:
        return None
    mask: Any = kwargs.get("attention_mask")
    labels: Any = kwargs.get("labels")
    if getattr(mask, "ndim", 0) != 2 or mask.shape[0] != given.shape[0]:
        return padded_tokens(args, kwargs)
    read: Any = mask[:, -given.shape[1] :] != 0
    if getattr(labels, "shape", None) == read.shape:
        read = read | (labels != -100)
    return int(read.sum())


def seen_tokens(args: tuple[Any, ...], kwargs: dict[str, Any]) -> int | None:
    """Return the tokens that a layer reads as its mask has it, or None where that is not told.

    A mask of queries and keys tells a token that no query sees. A layer that is given none reads
    all.
    """
    states: Any = kwargs.get("hidden_states", args[0] if args else None)
    if "attention_mask" not in kwargs:
        return None
    mask: Any = kwargs["attention_mask"]
    rows, columns = states.shape[:2]
    if mask is None:
        return int(rows * columns)
    shape: Any = getattr(mask, "shape", ())
    if len(shape) not in (2, 4) or shape[0] not in (1, rows) or shape[-1] < columns:
        return None
    seen: Any = mask[..., -columns:]
    if seen.is_floating_point() and len(shape) == 4:  # what is added to the scores
        seen = seen > -1e4
    if len(shape) == 4:
        seen = (seen != 0).any(dim=2).any(dim=1)
    return int((seen != 0).sum()) * int(rows // shape[0])


def written_tokens(new: Any, ends: Any) -> int:
    """Return the tokens that were generated, each row up to and including its end of turn."""
    import torch

    if ends is None or new.numel() == 0:
        return int(new.numel())
    ends = torch.as_tensor(ends, device=new.device).reshape(-1)
    ended = torch.isin(new, ends).int().cumsum(dim=1)
    return int((ended == 0).sum()) + int((ended[:, -1] > 0).sum())
