"""The probe: how a model's answers can be generated, found by trying it on a few tokens."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakKeyDictionary

from harness.errors import first_line
from harness.stage.computed.compiled import uncompiled
from harness.stage.decoding.batches import Padded
from harness.stage.decoding.masks import uneven, unknown, windows
from harness.stage.decoding.passes import Reader
from harness.stage.memory import is_out_of_memory

if TYPE_CHECKING:
    import torch

# relative difference of logits that is rounding, by the bytes of a number in products
ROUNDING = {2: 5e-2, 4: 1e-3, 8: 1e-5}
LONG = 80  # tokens of the longer row, so that a window which no configuration names is seen
BEYOND = 16  # and at least so many more than a window that one names has,
WIDEST = 256  # if that is not wider
SHARED, WRITTEN = 3, 2  # tokens at the beginning, and at the end, of both rows


@dataclass(frozen=True)
class Way:
    """How a model's answers are generated.

    Attributes:
        kind: In slots; in batches that are padded on the left; or one by one.
        why: Why it is not a way that comes before it.
    """

    kind: Literal["slots", "batches", "alone"] = "slots"
    why: str | None = None

    @property
    def note(self) -> dict[str, str | None]:
        """Return what a record has of it, if it is not the usual way."""
        names = {"batches": "batch_by_batch", "alone": "one_by_one"}
        return {names[self.kind]: self.why} if self.kind in names else {}


_found: WeakKeyDictionary[Any, Way] = WeakKeyDictionary()


def way(model: Any) -> Way:
    """Return how answers of a model can be generated.

    A model whose attention and cache are known by its configuration reads two prompts that begin
    alike, of very different lengths, and writes two tokens to each, in slots. Its logits must be
    those of plain passes over the same tokens. Where they are not, or the configuration has what
    slots do not know, it does so in a batch. What it says is kept as long as the model.
    """
    import torch

    if model not in _found:
        with torch.no_grad(), uncompiled():
            _found[model] = _way(model)
    return _found[model]


def _way(model: Any) -> Way:
    why = unknown(model) or _tried(model, "slots", _in_slots)
    if why is None:
        return Way()
    more = _unpaddable(model) or _tried(model, "a batch", _in_batch)
    if more is None:
        return Way("batches", why)
    return Way("alone", why if more in why else f"{why}, and {more}")


def _unpaddable(model: Any) -> str | None:
    """Return why rows cannot be padded as far as a model and its configuration say."""
    if "past_key_values" not in inspect.signature(model.forward).parameters:
        return "it takes no past_key_values"
    if (reason := uneven(model.config)) is not None:
        return reason
    sizes = windows(model.config)
    wide = [name for name, size in sizes.items() if not isinstance(size, int) or size > WIDEST]
    return f"its configuration has {', '.join(sorted(wide))}" if wide else None


def _tried(
    model: Any, where: str, write: Callable[[Any, list[list[int]]], Sequence[torch.Tensor]]
) -> str | None:
    """Return what is wrong with the logits of the tokens that `write` writes, or None."""
    import torch

    size = model.get_input_embeddings().num_embeddings
    tokens = [(place * 7919 + 31) % size for place in range(_long(model))]
    rows = [tokens, [*tokens[:SHARED], *tokens[SHARED + 3 : SHARED + 8]]]
    try:
        expected = [
            model(input_ids=torch.tensor([row], device=model.device), use_cache=False).logits[0]
            for row in rows
        ]
        found = write(model, rows)
    except Exception as error:
        if is_out_of_memory(error):
            raise
        why = f"{type(error).__name__}: {first_line(error)}"
        return f"it does not run in {where} ({why})"[:200]
    for row, (one, logits) in enumerate(zip(rows, expected, strict=True)):
        plain = logits[len(one) - WRITTEN - 1 :].float()
        ours = torch.stack([step[row] for step in found]).float()
        if not bool(torch.isfinite(plain).all()):
            continue  # a model that computes nonsense shows nothing
        far = (plain - ours).norm() / (plain - plain.mean()).norm().clamp(min=1e-9)
        if not bool(far <= ROUNDING[_precision(model)]):
            return f"its logits in {where} differ from its own by {float(far):.1%}"
    return None


def _precision(model: Any) -> int:
    """Return the bytes of a number that a model's products are rounded to."""
    import torch

    kind: str = model.device.type
    own: int = model.dtype.itemsize
    autocast = torch.is_autocast_enabled(kind)
    return min(own, torch.get_autocast_dtype(kind).itemsize) if autocast else own


def _in_slots(model: Any, rows: list[list[int]]) -> list[torch.Tensor]:
    import torch

    reader = Reader(model, 2)
    prefix = reader.read_prefix(rows[0][:SHARED])
    found = [reader.read([row[SHARED:-WRITTEN] for row in rows], 0, SHARED, prefix)]
    at = torch.tensor([len(row) - WRITTEN for row in rows], device=model.device)
    for number in range(WRITTEN):
        width = max(map(len, rows)) - WRITTEN + number + 1
        found.append(reader.write(_next(model, rows, number), at + number, width))
    return found


def _in_batch(model: Any, rows: list[list[int]]) -> list[torch.Tensor]:
    padded = Padded(model, [row[:-WRITTEN] for row in rows], [WRITTEN + 1] * len(rows))
    found = [padded.logits()]
    for number in range(WRITTEN):
        padded.write(_next(model, rows, number))
        found.append(padded.logits())
    return found


def _next(model: Any, rows: list[list[int]], number: int) -> torch.Tensor:
    import torch

    return torch.tensor([row[number - WRITTEN] for row in rows], device=model.device)


def _long(model: Any) -> int:
    """Return the tokens of the longer row: more than a window has, as far as the context holds."""
    config = model.config.get_text_config()
    sizes = [getattr(config, "sliding_window", None), *windows(config).values()]
    narrow = [size + BEYOND for size in sizes if isinstance(size, int) and size <= WIDEST]
    context = getattr(config, "max_position_embeddings", None) or LONG + WIDEST
    return max(10, min(context, max(LONG, *narrow, 0)))
