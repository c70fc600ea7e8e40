"""The probe: whether slots give a model's own logits, found by trying it on a few tokens."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from harness.errors import first_line
from harness.stage.computed.compiled import uncompiled
from harness.stage.decoding.masks import unknown
from harness.stage.decoding.slots import Reader
from harness.stage.memory import is_out_of_memory

# relative difference of logits that is rounding, by the bytes of a number
ROUNDING = {2: 5e-2, 4: 1e-3, 8: 1e-6}
_found: WeakKeyDictionary[Any, str | None] = WeakKeyDictionary()


def against_slots(model: Any) -> str | None:
    """Return why answers of a model cannot be generated in slots, or None if they can.

    A model whose attention and cache are known by its configuration reads two short prompts that
    begin alike, of different lengths, and writes two tokens to each. Its logits must be those of
    plain passes over the same tokens. What it says is kept as long as the model.
    """
    import torch

    if model not in _found:
        with torch.no_grad(), uncompiled():
            _found[model] = unknown(model) or _difference(model)
    return _found[model]


def _difference(model: Any) -> str | None:
    import torch

    size = model.get_input_embeddings().num_embeddings
    tokens = [(place * 7919 + 31) % size for place in range(13)]
    rows = [tokens[:10], [*tokens[:3], *tokens[10:13], *tokens[6:8]]]
    shared, written = 3, 2  # tokens at the beginning, and at the end, of both
    try:
        expected = [model(input_ids=_row(row, model), use_cache=False).logits[0] for row in rows]
        reader = Reader(model, 2)
        prefix = reader.read_prefix(rows[0][:shared])
        read = reader.read([row[shared:-written] for row in rows], 0, shared, prefix)
        found = [read]
        at = torch.tensor([len(row) - written for row in rows], device=model.device)
        for number in range(written):
            ids = torch.tensor([row[number - written] for row in rows], device=model.device)
            width = max(map(len, rows)) - written + number + 1
            found.append(reader.write(ids, at + number, width))
    except Exception as error:
        if is_out_of_memory(error):
            raise
        why = f"{type(error).__name__}: {first_line(error)}"
        return f"it does not run in slots ({why})"[:200]
    for row, (tokens, logits) in enumerate(zip(rows, expected, strict=True)):
        plain = logits[len(tokens) - written - 1 :].float()
        ours = torch.stack([step[row] for step in found]).float()
        if not bool(torch.isfinite(plain).all()):
            continue  # a model that computes nonsense shows nothing
        far = (plain - ours).norm() / (plain - plain.mean()).norm().clamp(min=1e-9)
        if not bool(far <= ROUNDING[model.dtype.itemsize]):
            return f"its logits in slots differ from its own by {float(far):.1%}"
    return None


def _row(tokens: list[int], model: Any) -> Any:
    import torch

    return torch.tensor([tokens], device=model.device)
