"""The losses of distillation, and what it needs of two models whose embeddings differ in size."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from harness_rl.heads import in_chunks, logits

from harness import hidden_states

if TYPE_CHECKING:
    import torch

CHUNK = 2048  # tokens whose logits are held at once


class Weights(Protocol):
    """How the two terms of the loss are put together."""

    temperature: float
    alpha: float


class Mixture(Protocol):
    """Which divergence it is, and of what."""

    @property
    def beta(self) -> float: ...
    @property
    def temperature(self) -> float: ...


def common_vocabulary(student: Any, teacher: Any) -> int:
    """Return how many token ids both models have."""
    sizes: list[int] = [student.config.vocab_size, teacher.config.vocab_size]
    return min(sizes)


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

    `inputs` holds `input_ids`, `attention_mask` and `labels` of shape (rows, length). Packed rows
    are one of shape (1, tokens) and come with `position_ids` instead of a mask, from nought in
    each, and with what else TRL says of their borders: both models see the same ones, and the label
    of a row's first token, which the row before would have to predict, is -100. Logits are made
    for completion tokens only, `CHUNK` at a time, and made again in the backward pass.
    """
    import torch
    from torch.utils.checkpoint import checkpoint

    targets = inputs["labels"][:, 1:]
    kept = targets != -100
    body = {name: value for name, value in inputs.items() if name != "labels"}
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

    whole = logits(student, hidden)
    nll = cross_entropy(whole, targets, reduction="sum")
    common = common_vocabulary(student, teacher)
    softened = log_softmax(whole[:, :common] / options.temperature, dim=-1)
    with torch.no_grad():
        aim = log_softmax(logits(teacher, guide)[:, :common] / options.temperature, dim=-1)
    kl = kl_div(softened, aim, reduction="sum", log_target=True)
    return options.alpha * options.temperature**2 * kl + (1 - options.alpha) * nll


def divergence(
    student: Any, teacher: Any, inputs: dict[str, torch.Tensor], options: Mixture
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the loss of `kd-on-policy` and the student's entropy, summed over completion tokens.

    The generalised Jensen-Shannon divergence of Agarwal et al. 2024 (arXiv 2306.13649), as TRL has
    it: of both distributions from their mixture `(1 - beta) student + beta teacher`, weighted by
    `1 - beta` and `beta`; at 0 and 1 its limits, the forward and the reverse KL. On a CPU TRL makes
    logits behind padding too, and all of them once more in the backward pass.

    Args:
        student: Without an adapter's wrapper; a gradient flows to it.
        teacher: Of the same vocabulary.
        inputs: TRL's `prompt_ids` and `completion_ids` with their masks, shape (rows, columns).
        options: Of the trainer.
    """
    import torch
    from torch.nn.functional import pad

    ids = torch.cat((inputs["prompt_ids"], inputs["completion_ids"]), dim=1)
    mask = torch.cat((inputs["prompt_mask"], inputs["completion_mask"]), dim=1)
    before = inputs["prompt_ids"].shape[1] - 1
    wanted = pad(inputs["completion_mask"] != 0, (before, 1))

    def sums(hidden: torch.Tensor, guide: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        ours = torch.log_softmax(logits(student, hidden) / options.temperature, dim=-1)
        with torch.no_grad():
            aim = torch.log_softmax(logits(teacher, guide) / options.temperature, dim=-1)
            entropy = -(ours.exp() * ours).sum()
        return _apart(ours, aim, options.beta).sum(), entropy

    hidden = hidden_states(student, ids, mask, wanted)
    with torch.no_grad():
        guide = hidden_states(teacher, ids, mask, wanted)
    parts = in_chunks(sums, hidden, guide)
    total, entropy = (torch.stack(part).sum() for part in zip(*parts, strict=True))
    return total, entropy


def _apart(ours: torch.Tensor, aim: torch.Tensor, beta: float) -> torch.Tensor:
    """Return what each logarithm of a probability adds to the divergence."""
    import torch

    if beta == 0:
        return aim.exp() * (aim - ours)
    if beta == 1:
        return ours.exp() * (ours - aim)
    middle = torch.logaddexp(ours + math.log(1 - beta), aim + math.log(beta))
    return beta * aim.exp() * (aim - middle) + (1 - beta) * ours.exp() * (ours - middle)
