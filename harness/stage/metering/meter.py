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

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from importlib import import_module
from typing import TYPE_CHECKING, Any

from harness.errors import StageError
from harness.stage.computed.counting import counted, torchs_grad_enabled
from harness.stage.computed.products import TRIAL
from harness.stage.decoding.decoder import Decoder
from harness.stage.decoding.prompt import Prompt
from harness.stage.metering.engine import vllm_metered
from harness.stage.metering.kept import Kept
from harness.stage.metering.sizes import parameters, sizes
from harness.stage.metering.tokens import input_of, padded_tokens, read_tokens, written_tokens
from harness.stage.metering.work import Work, Works
from harness.stage.reading.reader import Reader

if TYPE_CHECKING:
    from harness.stage.metering.counter import Counter

COUNTING = (
    "harness.stage.computed.compiled",
    "harness.stage.computed.contractions",
    "harness.stage.computed.counting",
    "harness.stage.computed.products",
    "harness.stage.metering.counter",
    "harness.stage.metering.engine",
    "harness.stage.metering.sizes",
    "harness.stage.metering.tokens",
    "harness.stage.metering.work",
    __name__,
)  # whose functions are looked at


@contextmanager
def metered(counter: Counter, engine: str = "hf") -> Iterator[None]:
    """Count every transformers model and torch optimiser, and vLLM where it is the engine."""
    with vllm_metered(counter) if engine == "vllm" else nullcontext(), _torch_metered(counter):
        yield


@contextmanager
def _torch_metered(counter: Counter) -> Iterator[None]:
    from torch.optim import optimizer
    from transformers import GenerationMixin, PreTrainedModel
    from transformers.modeling_layers import GradientCheckpointingLayer

    meter = _Meter(counter)
    replaced: list[tuple[Any, str, Callable[[Any], Any]]] = [  # class, method, what counts it
        (PreTrainedModel, "__call__", meter.passes),
        (GradientCheckpointingLayer, "__call__", meter.layers),
        (GenerationMixin, "generate", meter.generations),
        (Decoder, "generate", meter.answers),
        (Reader, "against", meter.trials),
    ]
    plain = [getattr(owner, name) for owner, name, _ in replaced]
    counting = [made(method) for (_, _, made), method in zip(replaced, plain, strict=True)]

    places = [(owner, name, one) for (owner, name, _), one in zip(replaced, counting, strict=True)]
    found: list[bool] = []  # whoever catches what is raised here is refused at the end

    def watch() -> None:
        for owner, name, method in places:
            if getattr(owner, name) is not method:
                found.append(True)
        if found:
            raise StageError(
                "the trainer replaced the methods of transformers that its cost is counted by;"
                " change instances, not PreTrainedModel.__call__ or GenerationMixin.generate"
            )

    def check() -> None:
        if not KEPT.same():
            found.append(True)
        watch()
        if counter.caps.computed_flops is not None and not untouched():
            raise StageError(
                "the trainer replaced functions of torch whose products this board's budget is"
                " counted by, as torch.nn.functional.linear"
            )

    def before_step(*_: Any) -> None:
        check()
        counter.refuse_overrun()

    def after_step(*_: Any) -> None:
        check()
        counter.count_step()

    def put(methods: list[Any]) -> None:
        for (owner, name, _), method in zip(replaced, methods, strict=True):
            setattr(owner, name, method)

    hooks: list[Any] = [
        optimizer.register_optimizer_step_pre_hook(before_step),
        optimizer.register_optimizer_step_post_hook(after_step),
    ]
    put(counting)
    counter.start()
    try:
        with counted(meter.products) as untouched:
            meter.check, meter.products.watch = check, watch
            yield
            check()
    finally:
        meter.products.watch = int
        counter.tick()
        put(plain)
        for hook in hooks:
            hook.remove()


class _Meter:
    """Makes of a method one that counts what it does, for the counter of a stage.

    Attributes:
        check: Raises a `StageError` where a function that counts was replaced. It is called before
            whatever is counted: who puts one back in time is found where it is at work.
    """

    check: Callable[[], None]

    def __init__(self, counter: Counter) -> None:
        import torch

        self.counter, self.products = counter, counter.products
        self.works = Works(self.products)
        self._graded, self._compiling = torchs_grad_enabled(), torch.compiler.is_compiling

    def passes(self, plain: Any) -> Any:
        """Return what counts a model's call."""

        def call(model: Any, *args: Any, **kwargs: Any) -> Any:
            tokens = read_tokens(args, kwargs)
            if tokens is None:  # no text: what it calls is counted
                return plain(model, *args, **kwargs)
            last = self.works.last
            if last and last.holds(model, tokens, last.room(kwargs), self._graded()):
                if last.generates and model is last.model:
                    last.saw(tokens, *input_of(args, kwargs).shape[:2])
                return plain(model, *args, **kwargs)
            padded, before = padded_tokens(args, kwargs), self.products.total
            work = Work(model, tokens, padded)
            with self._counted(work), self.works.begun(work):
                output = plain(model, *args, **kwargs)
            if self.products.total == before:  # compiled, as it seems
                columns = input_of(args, kwargs).shape[1]
                times = 3 if self._graded() and parameters(model)[1] else 1
                self._guess(model, padded, padded, padded * columns, times)
            return output

        return call

    def layers(self, plain: Any) -> Any:
        """Return what counts a layer's call, if no model that is counted calls it."""

        def layer(module: Any, *args: Any, **kwargs: Any) -> Any:
            states: Any = kwargs.get("hidden_states", args[0] if args else None)
            last = self.works.last
            part = None
            if not self._compiling() and getattr(states, "ndim", 0) == 3:
                read = states.shape[0] * states.shape[1]
                if last and last.holds(module, read, last.padded, self._graded()):
                    part = last
                    part.look(args, kwargs)
                else:
                    self.check()
                    self._count(module, *sizes(module), read)
            self.products.layers += 1
            try:
                made = plain(module, *args, **kwargs)
            finally:
                self.products.layers -= 1
            if part and not part.gradient:
                one = made[0] if isinstance(made, tuple) else made
                part.gradient = getattr(one, "requires_grad", False)
            return made

        return layer

    def generations(self, plain: Any) -> Any:
        """Return what counts a model's own `generate`."""

        def generate(model: Any, *args: Any, **kwargs: Any) -> Any:
            self._allow()
            before, last = self.products.total, self.works.last
            work = Work(model)
            try:
                with self.works.begun(work):
                    output = plain(model, *args, **kwargs)
            except BaseException:  # what its passes wrote, a trainer may have
                self._count_generation(model, work.first, work.rows)
                raise
            if last and last.own and last.model is model:  # the host's decoder counts its answers
                return output
            prompt = kwargs.get("input_ids", kwargs.get("inputs", args[0] if args else None))
            # of embeddings only what is new comes back
            given = kwargs.get("inputs_embeds") if prompt is None else prompt
            if given is None:
                self._count_generation(model, work.first, work.rows)
                return output
            sequences = getattr(output, "sequences", output)
            new = sequences if prompt is None else sequences[:, prompt.shape[1] :]
            copies = max(1, sequences.shape[0] // given.shape[0])
            read = (read_tokens((given,), {**kwargs, "input_ids": given}) or 0) * copies
            config = kwargs.get("generation_config") or model.generation_config
            written = written_tokens(new, kwargs.get("eos_token_id", config.eos_token_id))
            if work.steps > new.shape[1]:  # it gave back less than it wrote
                written = work.rows
            self._count_generation(model, read, written)
            if self.products.total == before:
                rows, columns = sequences.shape[0], given.shape[1] + new.shape[1]
                self._guess(model, read + written, written, rows * columns**2 // 2)
            return output

        return generate

    def answers(self, plain: Any) -> Any:
        """Return what counts the answers of the host's own decoder, each as it comes."""

        def generate(decoder: Decoder, prompts: Sequence[Prompt]) -> Iterator[Any]:
            self._allow()
            model, decoder.products = decoder.model, self.products
            with self._trial(model):
                alone = decoder.way.kind == "alone"  # tries the model, as a resumed attempt does
            found, work = plain(decoder, prompts), Work(model, own=alone)
            read = written = 0
            try:
                while True:
                    with self.works.begun(work):  # and not while whoever asked looks at an answer
                        answer = next(found, None)
                    if answer is None:
                        return
                    place, tokens, _ = answer
                    now = len(prompts[place].tokens), len(tokens)
                    read, written = read + now[0], written + now[1]
                    self._count_generation(model, *now)
                    yield answer
            except BaseException:  # answers that were begun, of which hooks may have seen all
                left = work.wide - read, work.single - written
                self._count_generation(model, max(0, left[0]), max(0, left[1]))
                raise

        return generate

    def trials(self, plain: Any) -> Any:
        """Return what counts the host's trial of how a model reads a batch without padding."""

        def against(reader: Reader) -> Any:
            with self._trial(reader.model):
                return plain(reader)

        return against

    @contextmanager
    def _trial(self, model: Any) -> Iterator[None]:
        """Count what the host tries of a model as one amount, whatever it computes for it."""
        with self.works.begun(Work(model)), self.products.aside(TRIAL * parameters(model)[0]):
            yield

    @contextmanager
    def _counted(self, work: Work) -> Iterator[None]:
        """Count a pass of a model when it begins, and as what it was if that was more."""
        self.check()
        model = work.model
        size, trained = parameters(model)
        tokens, taken = work.tokens, self._count(model, size, trained, work.tokens)
        try:
            yield
        finally:
            # hooks may have thawed weights or put others there, and masks may be others inside
            size_now, trained_now = parameters(model)
            now = taken
            if work.gradient or taken is not None:
                now = max(taken or 0, trained_now)
            was, found = (size, tokens, taken), (max(size, size_now), work.tokens, now)
            self.check()
            if was != found:
                self.counter.recount_forward(_name(model), was, found)

    def _count(self, module: Any, size: int, trained: int, tokens: int) -> int | None:
        """Count a pass, and return how many parameters are trained in it, or None.

        The autograd engine decides whether a gradient is taken, not `train()`.
        """
        self.counter.refuse_overrun(step=False)
        taken = trained if trained and self._graded() else None
        self.counter.count_forward(_name(module), size, tokens, trained=taken)
        return taken

    def _allow(self) -> None:
        """Raise where a pass is one too many, or what would count it was replaced."""
        self.check()
        self.counter.refuse_overrun(step=False)

    def _count_generation(self, model: Any, read: int, written: int) -> None:
        self.check()
        self.counter.count_generation(_name(model), parameters(model)[0], read, written)

    def _guess(self, model: Any, tokens: int, logits: int, pairs: int, times: int = 1) -> None:
        """Estimate what was computed where nothing of it was seen."""
        size, config = parameters(model)[0], model.config.to_dict()
        self.products.estimate(config, size, tokens, logits, pairs, times)


def _name(module: Any) -> str:
    return getattr(module, "name_or_path", "")


KEPT = Kept(*map(import_module, COUNTING))
