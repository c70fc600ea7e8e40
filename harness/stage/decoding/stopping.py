"""Where an answer is cut off: stop strings, the token limit, and what a prompt leaves of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def cut(text: str, stop: Sequence[str]) -> str:
    """Return a text up to its first stop string, as lm-eval cuts it."""
    for string in stop:
        text = text.split(string)[0] if string else text
    return text


def room(prompt: Sequence[int], context: int, limit: int) -> int:
    """Return how many tokens may be generated after a prompt; 0 if it does not fit at all.

    A prompt is never cut: an answer that the context ends counts as truncated by the limit.
    """
    return max(0, min(limit, context - len(prompt)))


def stop_at(model: Any, tokenizer: Any, stop: Sequence[str]) -> Any:
    """Make what a model's own `generate` writes end at a stop string too, and return the model.

    The end-of-turn token follows the stop string: whoever counts tokens or learns from a row then
    sees that it has ended and was not truncated.
    """
    if not stop:
        return model

    from harness.stage.decoding.stops import Stops

    stops = Stops(tokenizer, (), stop)

    def generate(*args: Any, **kwargs: Any) -> Any:
        import torch
        from transformers import StoppingCriteriaList

        prompt: list[int] = []  # its length, known when the first token is written

        def ended(ids: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
            prompt[:] = prompt or [ids.shape[1] - 1]
            rows = ids[:, prompt[0] :].tolist()
            return torch.tensor([stops.ended(row) for row in rows], device=ids.device)

        given = kwargs.pop("stopping_criteria", None) or []
        kwargs["stopping_criteria"] = StoppingCriteriaList([*given, ended])
        kwargs["pad_token_id"] = tokenizer.eos_token_id  # what a row that has ended is filled with
        return type(model).generate(model, *args, **kwargs)

    model.generate = generate
    return model
