"""The teacher's own solutions, generated with transformers or with vLLM."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from harness import Run

Solutions = list[list[str | None]]
"""For each problem the texts generated for it; one that was truncated at the limit is None."""
Generate = Callable[[list[Any]], Solutions]


def generate_solutions(run: Run, prompts: Sequence[Any]) -> Solutions:
    """Return `samples` texts for each prompt, in order, until the teacher's share is spent.

    Where the stage runs as several processes, they take the batches in turn.
    """
    options = run.options
    size, processes = options.teacher_batch_size, run.group.size
    alone = run.engine == "vllm" and processes == 1
    run.note(teacher_engine="vllm" if alone else "hf")
    generate = with_vllm(run) if alone else with_transformers(run)
    solutions: Solutions = []
    for start in range(0, len(prompts), size * processes):
        run.budget.sync()
        if run.budget.fraction >= options.teacher_share:
            break
        first = start + size * run.group.rank
        mine = list(prompts[first : first + size])
        for part in run.group.gather(generate(mine) if mine else []):
            solutions += part
    return solutions


def with_transformers(run: Run) -> Generate:
    """Return a function that generates with the teacher by transformers."""
    import torch

    options = run.options
    tokenizer: Any = run.tokenizer(run.teacher)
    teacher: Any = run.teacher_model()
    torch.manual_seed(run.seed(f"teacher {run.group.rank}" if run.group.rank else "teacher"))

    def generate(prompts: list[Any]) -> Solutions:
        answers = run.generate(
            teacher,
            tokenizer,
            prompts,
            samples=options.samples,
            temperature=options.temperature,
            top_p=options.top_p,
            limit=options.max_new_tokens,
            rows=options.teacher_batch_size * options.samples,
        )
        return [[one.text if one.stopped else None for one in samples] for samples in answers]

    return generate


def with_vllm(run: Run) -> Generate:
    """Return a function that generates with the teacher by vLLM, whose memory is freed with it."""
    from vllm import LLM, SamplingParams

    options = run.options
    llm = LLM(
        model=str(run.teacher),
        gpu_memory_utilization=options.vllm_memory,
        seed=run.seed("teacher") % 2**31,
        dtype="bfloat16",
        generation_config="vllm",  # not the checkpoint's own
    )
    tokenizer = llm.get_tokenizer()
    sampling = SamplingParams(
        n=options.samples,
        temperature=options.temperature,
        top_p=options.top_p,
        max_tokens=options.max_new_tokens or run.max_new_tokens,
        stop=list(run.protocol.stop) or None,
        # without these, vLLM ends a turn at the tokenizer's own end token alone
        stop_token_ids=end_tokens(run.teacher) if run.teacher else [],
    )

    def generate(prompts: list[Any]) -> Solutions:
        texts = as_text(run, tokenizer, prompts)
        ids = tokenizer(texts, add_special_tokens=False)["input_ids"]
        outputs = llm.generate([{"prompt_token_ids": one} for one in ids], sampling, use_tqdm=False)
        return [
            [run.cut(one.text) if one.finish_reason == "stop" else None for one in output.outputs]
            for output in outputs
        ]

    return generate


def end_tokens(model: Path) -> list[int]:
    """Return the tokens that end a turn by a model's `generation_config.json`, if it has one."""
    from transformers import GenerationConfig

    try:
        return as_list(GenerationConfig.from_pretrained(model).eos_token_id)
    except OSError:
        return []


def as_list(ends: int | list[int] | None) -> list[int]:
    """Return the end tokens of a generation configuration, which may be one, several or none."""
    return list(ends) if isinstance(ends, list) else [] if ends is None else [ends]


def as_text(run: Run, tokenizer: Any, prompts: list[Any]) -> list[str]:
    """Return prompts as the teacher reads them, in its own chat template where there is one."""
    if not run.protocol.chat:
        return prompts
    texts: list[str] = tokenizer.apply_chat_template(
        prompts, add_generation_prompt=True, tokenize=False
    )
    return texts
