"""The loss of `kd`, and what distillation needs of two models whose embeddings differ in size."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch

CHUNK = 2048  # tokens whose logits are held at once


class Weights(Protocol):
    """How the two terms of the loss are put together."""

    temperature: float
    alpha: float


def common_vocabulary(student: Any, teacher: Any) -> int:
    """Return how many token ids both models have."""
    sizes: list[int] = [student.config.vocab_size, teacher.config.vocab_size]
    return min(sizes)


def whole_model(model: Any) -> Any:
    """Return the model of transformers that has an adapter's layers; one without is that itself."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def through_wrapper(wrapper: Any, model: Any, work: Callable[..., Any], *given: Any) -> Any:
    """Return `work(*given)`, called inside the forward pass of what wraps a model.

    Data parallelism and FSDP prepare gradients and weights in the wrapper's forward pass; work on
    parts of the model outside of it would miss that. Without a wrapper it is a plain call.
    """
    plain = model.forward

    def forward(*args: Any) -> Any:
        model.forward = plain
        return work(*args)

    model.forward = forward
    try:
        return wrapper(*given)
    finally:
        model.forward = plain


def distillation_loss(
    student: Any, teacher: Any, inputs: dict[str, torch.Tensor], options: Weights
) -> torch.Tensor:
    """Return the loss of `kd`, summed over the completion tokens of a batch.

    `inputs` holds `input_ids`, `attention_mask` and `labels` of shape (rows, length). Logits are
    made for completion tokens only, `CHUNK` at a time, and made again in the backward pass.
    """
    import torch
    from torch.utils.checkpoint import checkpoint

    targets = inputs["labels"][:, 1:]
    kept = targets != -100
    body = {name: inputs[name] for name in ("input_ids", "attention_mask")}
    hidden = student.base_model(**body, use_cache=False).last_hidden_state[:, :-1][kept]
    with torch.no_grad():
        guide = teacher.base_model(**body, use_cache=False).last_hidden_state[:, :-1][kept]
    total: torch.Tensor = hidden.new_zeros((), dtype=torch.float32)
    pieces = zip(*(whole.split(CHUNK) for whole in (hidden, guide, targets[kept])), strict=True)
    for piece in pieces:
        if len(hidden) <= CHUNK:
            total = total + _chunk_loss(student, teacher, options, *piece)
        else:
            total = total + checkpoint(
                _chunk_loss, student, teacher, options, *piece, use_reentrant=False
            )
    return total


def _chunk_loss(
    student: Any,
    teacher: Any,
    options: Weights,
    hidden: torch.Tensor,
    guide: torch.Tensor,
    targets: torch.Tensor,
) -> torch.Tensor:
    """Return the summed loss of `hidden` and `guide`, of shapes (tokens, width of the model)."""
    import torch
    from torch.nn.functional import cross_entropy, kl_div, log_softmax

    logits = _logits(student, hidden)
    nll = cross_entropy(logits, targets, reduction="sum")
    common = common_vocabulary(student, teacher)
    softened = log_softmax(logits[:, :common] / options.temperature, dim=-1)
    with torch.no_grad():
        aim = log_softmax(_logits(teacher, guide)[:, :common] / options.temperature, dim=-1)
    kl = kl_div(softened, aim, reduction="sum", log_target=True)
    return options.alpha * options.temperature**2 * kl + (1 - options.alpha) * nll


def _logits(model: Any, hidden: torch.Tensor) -> torch.Tensor:
    logits: torch.Tensor = model.get_output_embeddings()(hidden).float()
    cap: float | None = getattr(model.config, "final_logit_softcapping", None)
    return logits if cap is None else (logits / cap).tanh() * cap
