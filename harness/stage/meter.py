"""The meter: counts what transformers models and torch optimisers do, below the trainer.

It replaces the classes' own methods while a trainer runs, so that it counts whatever calls them:
TRL's trainers, and a loop that a trainer writes itself. Counted are calls of models, their
`generate`, answers of the host's own decoder, and layers that are called without their model.

What a model does inside a call that is counted is a part of it, as far as it can be: its own parts,
once each over as many tokens, without a gradient where it generates. More than that, or another
model, is counted for itself.

That is for the estimate. What is really computed is counted product by product, by `computed`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import StageError
from harness.stage.computed.counting import counted
from harness.stage.computed.products import TRIAL, Products
from harness.stage.decoding.decoder import Decoder
from harness.stage.decoding.prompt import Prompt
from harness.stage.reading.reader import Reader

if TYPE_CHECKING:
    from harness.stage.counter import Counter


@contextmanager
def metered(counter: Counter, engine: str = "hf") -> Iterator[None]:
    """Count every transformers model and torch optimiser, and vLLM where it is the engine."""
    with _vllm_metered(counter) if engine == "vllm" else nullcontext(), _torch_metered(counter):
        yield


@contextmanager
def _vllm_metered(counter: Counter) -> Iterator[None]:
    import vllm

    from harness import checkpoints

    plain, parameter_count = vllm.LLM.generate, cache(checkpoints.parameter_count)

    def generate(llm: Any, *args: Any, **kwargs: Any) -> Any:
        counter.refuse_overrun(step=False)
        seen = counter.products
        with seen.aside():  # its engine may be in this process, and is compiled
            outputs = plain(llm, *args, **kwargs)
        name = str(llm.llm_engine.model_config.model)
        config, size = checkpoints.configuration(Path(name)), parameter_count(Path(name))
        for output in outputs:
            start, each = len(output.prompt_token_ids), [len(c.token_ids) for c in output.outputs]
            # a prompt is read once for all of its samples, and the last token by nobody
            pairs = start**2 + sum((2 * start + length) * length // 2 for length in each)
            seen.estimate(config, size, start + sum(each) - len(each), sum(each), pairs, 1)
            read = len(output.prompt_token_ids) * len(output.outputs)
            new = sum(len(completion.token_ids) for completion in output.outputs)
            counter.count_generation(name, size, read, new)
        return outputs

    vllm.LLM.generate = generate
    try:
        yield
    finally:
        vllm.LLM.generate = plain


class _Work:
    """What is counted and goes on: a pass of a model over tokens, or a generation."""

    def __init__(self, model: Any, tokens: int = 0, padded: int = 0, own: bool = False) -> None:
        """Begin it; without tokens it is a generation, which may be made of others of its `own`."""
        self.model, self.tokens, self.padded, self.own = model, tokens, padded, own
        self.generates = not padded
        self._parts = {id(model)}  # the rest is looked up where something else is called
        self._read: dict[int, int] = {}  # tokens by part

    def room(self, given: dict[str, Any]) -> int:
        """Return the tokens that a part of it may read, which is given such arguments.

        Where the model made another mask of its own, padding can no longer be told.
        """
        mask = given.get("attention_mask")
        return self.tokens if mask is None or getattr(mask, "ndim", 0) == 2 else self.padded

    def holds(self, module: Any, tokens: int, room: int, gradient: bool) -> bool:
        """Return whether a call inside it is a part of it, and take it for one if so."""
        if id(module) not in self._parts:
            self._parts.update(map(id, _modules(self.model)))
        if id(module) not in self._parts:
            return False
        if self.generates:
            return not gradient
        read = self._read.get(id(module), 0) + tokens
        if module is self.model or read > room:
            return False
        self._read[id(module)] = read
        return True


class _Works(threading.local):
    """What is counted and goes on in this thread, the innermost last."""

    def __init__(self, products: Products) -> None:
        self.on: list[_Work] = []
        self._products = products

    @property
    def last(self) -> _Work | None:
        return self.on[-1] if self.on else None

    @contextmanager
    def begun(self, work: _Work) -> Iterator[None]:
        self.on.append(work)
        self._products.calls += 1
        try:
            self._products.meet(work.model)
            yield
        finally:
            self._products.calls -= 1
            self.on.pop()


@contextmanager
def _torch_metered(counter: Counter) -> Iterator[None]:
    import torch
    from torch.optim import optimizer
    from transformers import GenerationMixin, PreTrainedModel
    from transformers.modeling_layers import GradientCheckpointingLayer

    Model: Any = PreTrainedModel  # of which methods are replaced here
    Mixin: Any = GenerationMixin
    Layer: Any = GradientCheckpointingLayer
    Host: Any = Decoder
    Read: Any = Reader
    plain_call, plain_generate = Model.__call__, Mixin.generate
    plain_layer, plain_answers, plain_trial = Layer.__call__, Host.generate, Read.against
    products = counter.products
    works = _Works(products)

    def check() -> None:
        if not (
            Model.__call__ is call
            and Mixin.generate is generate
            and Layer.__call__ is layer
            and Host.generate is answers
        ):
            raise StageError(
                "the trainer replaced the methods of transformers that its cost is counted by;"
                " change instances, not PreTrainedModel.__call__ or GenerationMixin.generate"
            )
        if counter.caps.computed_flops is not None and not untouched():
            raise StageError(
                "the trainer replaced functions of torch whose products this board's budget is"
                " counted by, as torch.nn.functional.linear"
            )

    def before_step(*_: Any) -> None:
        check()
        counter.refuse_overrun()

    def count(module: Any, size: int, trained: int, tokens: int) -> None:
        """Count a pass; the autograd engine decides whether a gradient is taken, not `train()`."""
        counter.refuse_overrun(step=False)
        taken = trained if trained and torch.is_grad_enabled() else None
        name = getattr(module, "name_or_path", "")
        counter.count_forward(name, size, tokens, trained=taken)

    def guess(model: Any, tokens: int, logits: int, pairs: int, times: int = 1) -> None:
        size = parameters(model)[0]
        products.estimate(model.config.to_dict(), size, tokens, logits, pairs, times)

    def call(model: Any, *args: Any, **kwargs: Any) -> Any:
        tokens, last = _tokens(args, kwargs), works.last
        if tokens is None:  # no text: what it calls is counted
            return plain_call(model, *args, **kwargs)
        if last and last.holds(model, tokens, last.room(kwargs), torch.is_grad_enabled()):
            return plain_call(model, *args, **kwargs)
        count(model, *parameters(model), tokens)
        padded, before = _padded(args, kwargs), products.total
        with works.begun(_Work(model, tokens, padded)):
            output = plain_call(model, *args, **kwargs)
        if products.total == before:  # compiled, as it seems
            columns = _ids(args, kwargs).shape[1]
            times = 3 if torch.is_grad_enabled() and parameters(model)[1] else 1
            guess(model, padded, padded, padded * columns, times)
        return output

    def layer(module: Any, *args: Any, **kwargs: Any) -> Any:
        states: Any = kwargs.get("hidden_states", args[0] if args else None)
        last = works.last
        if not torch.compiler.is_compiling() and getattr(states, "ndim", 0) == 3:
            read = states.shape[0] * states.shape[1]
            if not (last and last.holds(module, read, last.padded, torch.is_grad_enabled())):
                count(module, *_sizes(module), read)
        products.layers += 1
        try:
            return plain_layer(module, *args, **kwargs)
        finally:
            products.layers -= 1

    def generate(model: Any, *args: Any, **kwargs: Any) -> Any:
        counter.refuse_overrun(step=False)
        before, last = products.total, works.last
        with works.begun(_Work(model)):
            output = plain_generate(model, *args, **kwargs)
        if last and last.own and last.model is model:  # the host's decoder counts its answers
            return output
        prompt = kwargs.get("input_ids", kwargs.get("inputs", args[0] if args else None))
        given = kwargs.get("inputs_embeds") if prompt is None else prompt  # then only new come back
        if given is not None:
            sequences = getattr(output, "sequences", output)
            new = sequences if prompt is None else sequences[:, prompt.shape[1] :]
            copies = max(1, sequences.shape[0] // given.shape[0])
            read = (_tokens((given,), {**kwargs, "input_ids": given}) or 0) * copies
            config = kwargs.get("generation_config") or model.generation_config
            size, name = parameters(model)[0], getattr(model, "name_or_path", "")
            written = _generated(new, kwargs.get("eos_token_id", config.eos_token_id))
            counter.count_generation(name, size, read, written)
            if products.total == before:
                rows, columns = sequences.shape[0], given.shape[1] + new.shape[1]
                guess(model, read + written, written, rows * columns**2 // 2)
        return output

    def answers(decoder: Decoder, prompts: Sequence[Prompt]) -> Iterator[Any]:
        counter.refuse_overrun(step=False)
        model, decoder.products = decoder.model, products
        name, size = getattr(model, "name_or_path", ""), parameters(model)[0]
        with works.begun(_Work(model)), products.aside(TRIAL * size):
            alone = decoder.way.kind == "alone"  # tries the model, as a resumed attempt does anew
        found, work = plain_answers(decoder, prompts), _Work(model, own=alone)
        while True:
            with works.begun(work):  # and not while whoever asked looks at an answer
                answer = next(found, None)
            if answer is None:
                return
            place, tokens, _ = answer
            counter.count_generation(name, size, len(prompts[place].tokens), len(tokens))
            yield answer

    def trial(reader: Reader) -> Any:
        with works.begun(_Work(reader.model)), products.aside(TRIAL * parameters(reader.model)[0]):
            return plain_trial(reader)

    hooks: list[Any] = [
        optimizer.register_optimizer_step_pre_hook(before_step),
        optimizer.register_optimizer_step_post_hook(lambda *_: counter.count_step()),
    ]
    Model.__call__, Mixin.generate, Layer.__call__, Host.generate = call, generate, layer, answers
    Read.against = trial
    counter.start()
    try:
        with counted(products) as untouched:
            yield
            check()
    finally:
        counter.tick()
        Model.__call__, Mixin.generate = plain_call, plain_generate
        Layer.__call__, Host.generate, Read.against = plain_layer, plain_answers, plain_trial
        for hook in hooks:
            hook.remove()


def parameters(model: Any) -> tuple[int, int]:
    """Return the number of a model's parameters, and of those that are trained.

    TRL calls the backbone of a model and multiplies by the output embedding itself; where that is
    not tied to the input embedding, its size is added to the backbone's.
    """
    size, trained = _sizes(model)
    config = model.config
    if model.base_model is model and not getattr(config, "tie_word_embeddings", True):
        head = getattr(config, "vocab_size", 0) * getattr(config, "hidden_size", 0)
        size += head
        trained += head * (trained > 0)
    return size, trained


def _sizes(module: Any) -> tuple[int, int]:
    """Return how many parameters a module holds, and how many of them are trained."""
    size, trained, seen = 0, 0, set()
    for part in _modules(module):
        for parameter in part.__dict__.get("_parameters", {}).values():
            if parameter is not None and id(parameter) not in seen:
                seen.add(id(parameter))
                # under ZeRO-3 a process holds a shard, and `ds_numel` is the size of the whole
                count = getattr(parameter, "ds_numel", parameter.numel())
                size += count
                trained += count * parameter.requires_grad
    return size, trained


def _modules(module: Any) -> Iterable[Any]:
    """Return a module with all that it is made of, whatever its own methods say of that."""
    found, left = {id(module): module}, [module]
    while left:
        for part in left.pop().__dict__.get("_modules", {}).values():
            if part is not None and id(part) not in found:
                found[id(part)] = part
                left.append(part)
    return found.values()


def _ids(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return what a forward call reads, ids (rows, columns) or embeddings of them, or None."""
    ids: Any = kwargs.get("input_ids", args[0] if args else None)
    if ids is None:
        ids = kwargs.get("inputs_embeds")
    whole = not getattr(getattr(ids, "dtype", None), "is_floating_point", False)
    return ids if len(getattr(ids, "shape", ())) == (2 if whole else 3) else None


def _padded(args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    """Return the tokens of a forward call, padding included."""
    rows, columns = _ids(args, kwargs).shape[:2]
    return int(rows * columns)


def _tokens(args: tuple[Any, ...], kwargs: dict[str, Any]) -> int | None:
    """Return the tokens of a forward call that are not padding, or None where it is given none.

    A token is padding if its mask is 0 and no loss is taken on it.
    """
    ids = _ids(args, kwargs)
    if ids is None:
        return None
    mask: Any = kwargs.get("attention_mask")
    labels: Any = kwargs.get("labels")
    if getattr(mask, "ndim", 0) != 2 or mask.shape[0] != ids.shape[0]:
        return _padded(args, kwargs)
    read: Any = mask[:, -ids.shape[1] :] != 0
    if getattr(labels, "shape", None) == read.shape:
        read = read | (labels != -100)
    return int(read.sum())


def _generated(new: Any, ends: Any) -> int:
    """Return the tokens that were generated, each row up to and including its end of turn."""
    import torch

    if ends is None or new.numel() == 0:
        return int(new.numel())
    ends = torch.as_tensor(ends, device=new.device).reshape(-1)
    ended = torch.isin(new, ends).int().cumsum(dim=1)
    return int((ended == 0).sum()) + int((ended[:, -1] > 0).sum())
