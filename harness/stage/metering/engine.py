"""What vLLM writes, counted where it is the board's engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.stage.metering.counter import Counter


@contextmanager
def vllm_metered(counter: Counter) -> Iterator[None]:
    """Count what it reads and writes."""
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
