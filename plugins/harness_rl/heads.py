"""What losses of a language model need of its head: logits of few tokens, a part of them at a time.

`only_scored` is for TRL's trainers that learn from rollouts, GRPO and RLOO.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

from harness import hidden_states

if TYPE_CHECKING:
    import torch

CHUNK = 2048  # tokens whose logits are held at once
SCALES = ("logit_scale", "output_multiplier", "lm_head_multiplier", "logits_scaling")
FUSED = {"input_ids", "attention_mask", "labels", "fused_lm_head"}  # what TRL asks for the text of


def whole_model(model: Any) -> Any:
    """Return the model of transformers that has an adapter's layers; one without is that itself."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def has_plain_head(model: Any) -> bool:
    """Return whether `logits` knows all that a model does to its hidden states."""
    config = model.config
    return all(getattr(config, name, None) is None for name in SCALES)


def logits(model: Any, hidden: torch.Tensor) -> torch.Tensor:
    """Return logits in float32, shape (tokens, vocabulary), of hidden states (tokens, width)."""
    found: torch.Tensor = model.get_output_embeddings()(hidden).float()
    cap: float | None = getattr(model.config, "final_logit_softcapping", None)
    return found if cap is None else (found / cap).tanh() * cap


def in_chunks(work: Callable[..., Any], *given: torch.Tensor, size: int = CHUNK) -> list[Any]:
    """Return what `work` makes of each chunk of tensors that are split alike.

    What several chunks hold for a gradient is computed again in the backward pass.
    """
    from torch.utils.checkpoint import checkpoint

    pieces = list(zip(*(whole.split(size) for whole in given), strict=True))
    if len(pieces) == 1:
        return [work(*pieces[0])]
    return [checkpoint(work, *piece, use_reentrant=False) for piece in pieces]


def only_scored(model: Any, temperature: float) -> None:
    """Let a model that TRL gave a fused head compute what is scored, and nothing else.

    TRL asks for log-probabilities of completions and their entropy (`trl.trainer.utils`,
    `add_fused_lm_head`). On a CPU its own head makes logits behind all tokens, prompts and padding
    included, twice: once more in the backward pass. What comes back is the same up to rounding.

    Args:
        model: Of a trainer that was made; it may have a PEFT adapter.
        temperature: By which logits are divided.
    """
    import torch
    from torch.nn.functional import pad
    from trl.trainer.utils import FusedCausalLMOutput

    whole = whole_model(model)
    if whole.device.type != "cpu" or not has_plain_head(whole):
        return
    fused = whole.forward

    def scores(hidden: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        likely = torch.log_softmax(logits(whole, hidden) / temperature, dim=-1)
        with torch.no_grad():
            entropy = -(likely.exp() * likely).sum(-1)
        return likely.gather(-1, targets[:, None])[:, 0], entropy

    @wraps(fused)
    def forward(*given: Any, **named: Any) -> Any:
        if given or named.keys() != FUSED or not (named["labels"][:, 1:] != -100).any():
            return fused(*given, **named)
        targets = named["labels"][:, 1:]
        kept = targets != -100
        ids, mask = named["input_ids"], named["attention_mask"]
        hidden = hidden_states(whole, ids, mask, pad(kept, (0, 1)))
        parts = in_chunks(scores, hidden, targets[kept])
        found = (torch.cat(part) for part in zip(*parts, strict=True))
        empty = hidden.new_zeros(kept.shape, dtype=torch.float32)
        chosen, entropy = (empty.masked_scatter(kept, one) for one in found)
        return FusedCausalLMOutput(log_probs=chosen, entropy=entropy)

    whole.forward = forward
