"""The meter: counts what transformers models and torch optimisers do, below the trainer.

It replaces the classes' own methods while a trainer runs, so that it counts whatever calls them:
TRL's trainers, and a loop that a trainer writes itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import StageError

if TYPE_CHECKING:
    from harness.stage.budget import Budget


@contextmanager
def metered(budget: Budget, engine: str = "hf") -> Iterator[None]:
    """Count every transformers model and torch optimiser, and vLLM where it is the engine."""
    with _vllm_metered(budget) if engine == "vllm" else nullcontext(), _torch_metered(budget):
        yield


@contextmanager
def _vllm_metered(budget: Budget) -> Iterator[None]:
    import vllm

    from harness import checkpoints

    plain, parameter_count = vllm.LLM.generate, cache(checkpoints.parameter_count)

    def generate(llm: Any, *args: Any, **kwargs: Any) -> Any:
        budget.refuse_overrun(step=False)
        outputs = plain(llm, *args, **kwargs)
        name = str(llm.llm_engine.model_config.model)
        for output in outputs:
            read = len(output.prompt_token_ids) * len(output.outputs)
            new = sum(len(completion.token_ids) for completion in output.outputs)
            budget.count_generation(name, parameter_count(Path(name)), read, new)
        return outputs

    vllm.LLM.generate = generate
    try:
        yield
    finally:
        vllm.LLM.generate = plain


@contextmanager
def _torch_metered(budget: Budget) -> Iterator[None]:
    import torch
    from torch.optim import optimizer
    from transformers import GenerationMixin, PreTrainedModel

    Model: Any = PreTrainedModel  # of which methods are replaced here
    Mixin: Any = GenerationMixin
    plain_call, plain_generate = Model.__call__, Mixin.generate

    def call(model: Any, *args: Any, **kwargs: Any) -> Any:
        tokens = None if budget.apart else _tokens(args, kwargs)
        if not budget.apart and tokens is None:
            return plain_call(model, *args, **kwargs)  # no text: what it calls is counted
        if tokens is not None:
            budget.refuse_overrun(step=False)
            # The autograd engine decides whether a gradient is taken, not train() or eval().
            gradient = torch.is_grad_enabled() and any(
                parameter.requires_grad for parameter in model.parameters()
            )
            size, trained = parameters(model)
            name = getattr(model, "name_or_path", "")
            budget.count_forward(name, size, tokens, trained=trained if gradient else None)
        with budget.counted_apart():  # calls inside a counted call are part of it
            return plain_call(model, *args, **kwargs)

    def generate(model: Any, *args: Any, **kwargs: Any) -> Any:
        if budget.apart:
            return plain_generate(model, *args, **kwargs)
        budget.refuse_overrun(step=False)
        with budget.counted_apart():
            output = plain_generate(model, *args, **kwargs)
        prompt = kwargs.get("input_ids", kwargs.get("inputs", args[0] if args else None))
        embeds = kwargs.get("inputs_embeds")  # with these alone, only new tokens come back
        given = embeds if prompt is None else prompt
        if given is not None:
            sequences = getattr(output, "sequences", output)
            new = sequences if prompt is None else sequences[:, prompt.shape[1] :]
            copies = max(1, sequences.shape[0] // given.shape[0])
            read = (_tokens((given,), {**kwargs, "input_ids": given}) or 0) * copies
            config = kwargs.get("generation_config") or model.generation_config
            ends = kwargs.get("eos_token_id", config.eos_token_id)
            name = getattr(model, "name_or_path", "")
            budget.count_generation(name, parameters(model)[0], read, _generated(new, ends))
        return output

    hooks = [
        optimizer.register_optimizer_step_pre_hook(lambda *_: budget.refuse_overrun()),
        optimizer.register_optimizer_step_post_hook(lambda *_: budget.count_step()),
    ]
    Model.__call__ = call
    Mixin.generate = generate
    budget.start()
    try:
        yield
        if Model.__call__ is not call or Mixin.generate is not generate:
            raise StageError(
                "the trainer replaced the methods of transformers that its cost is counted by;"
                " change instances, not PreTrainedModel.__call__ or GenerationMixin.generate"
            )
    finally:
        budget.tick()
        Model.__call__ = plain_call
        Mixin.generate = plain_generate
        for hook in hooks:
            hook.remove()


def parameters(model: Any) -> tuple[int, int]:
    """Return the number of a model's parameters, and of those that are trained.

    TRL calls the backbone of a model and multiplies by the output embedding itself; where that is
    not tied to the input embedding, its size is added to the backbone's.
    """
    size = trained = 0
    for parameter in model.parameters():
        # under ZeRO-3 a process holds a shard, and `ds_numel` is the size of the whole
        count = getattr(parameter, "ds_numel", parameter.numel())
        size += count
        trained += count * parameter.requires_grad
    config = model.config
    if model.base_model is model and not getattr(config, "tie_word_embeddings", True):
        head = getattr(config, "vocab_size", 0) * getattr(config, "hidden_size", 0)
        size += head
        trained += head * (trained > 0)
    return size, trained


def _tokens(args: tuple[Any, ...], kwargs: dict[str, Any]) -> int | None:
    """Return the non-padding tokens of a forward call, or None where it is given no tokens."""
    ids: Any = kwargs.get("input_ids", args[0] if args else None)
    if ids is None:
        ids = kwargs.get("inputs_embeds")
    if not hasattr(ids, "shape") or len(ids.shape) < 2:
        return None
    mask = kwargs.get("attention_mask")
    if mask is not None and getattr(mask, "ndim", 0) == 2 and mask.shape[0] == ids.shape[0]:
        return int(mask[:, -ids.shape[1] :].sum())
    return int(ids.shape[0] * ids.shape[1])


def _generated(new: Any, ends: Any) -> int:
    """Return the tokens that were generated, each row up to and including its end of turn."""
    import torch

    if ends is None or new.numel() == 0:
        return int(new.numel())
    ends = torch.as_tensor(ends, device=new.device).reshape(-1)
    ended = torch.isin(new, ends).int().cumsum(dim=1)
    return int((ended == 0).sum()) + int((ended[:, -1] > 0).sum())
