"""Answers to the same requests by this project's engine and by what else would write them.

- `engine`: the harness's, on a GPU with recorded steps; `engine, single steps`: without;
- `transformers' generate`: plain batches, padded on the left;
- `lm-eval's hf model`: as lm-eval runs it;
- `vLLM`: `vllm.LLM`, in a process of its own, for it takes a GPU's memory at its start. It reads
  every prompt anew (no prefix caching): here the same prompts come again in each turn.

All are greedy, take strings and return strings. Where memory does not hold all rows at once, half
as many are tried, and so on.
"""

from __future__ import annotations

import importlib.util
import logging
import statistics
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

from generation import request, timed
from measuring import Row, apart, one_line, spread

Way = Callable[[Sequence[Any], int], list[str]]  # requests, rows at once -> texts
DTYPES = {"cuda": "bfloat16", "cpu": "float32"}
ENGINE, VLLM = "engine", "vLLM"
Found = tuple[list[float], list[str], int]  # seconds by turn, texts, rows at once


def requests(texts: Sequence[str], limit: int) -> list[Any]:
    """Return lm-eval's requests for greedy answers that nothing but their own end stops."""
    return [request(number, text, limit) for number, text in enumerate(texts)]


def engine(folder: Path, device: str, dtype: str) -> Way:
    from harness.stage.generate import load_engine

    lm = load_engine(folder, "hf", 1, device, dtype)

    def answer(asked: Sequence[Any], rows: int) -> list[str]:
        lm.wanted_batch = rows
        found: list[str] = lm.generate_until(asked, disable_tqdm=True)
        if "smallest_batch" in lm.notes:
            line = "memory held %d rows at once"
            logging.getLogger("harness").warning(line, lm.notes["smallest_batch"])
        return found

    return answer


def single_steps(way: Way) -> Way:
    """Return the engine without recorded steps."""
    from harness.stage.decoding import graphs

    def answer(asked: Sequence[Any], rows: int) -> list[str]:
        with mock.patch.object(graphs, "recorder", return_value=None):
            return way(asked, rows)

    return answer


def greedy(
    model: Any, prompts: Sequence[list[int]], limit: int, rows: int, ends: Collection[int]
) -> list[list[int]]:
    """Return greedy answers by transformers' `generate`, batch by batch, each up to its end."""
    import torch

    how = {"max_new_tokens": limit, "do_sample": False, "eos_token_id": sorted(ends)}
    found = []
    for first in range(0, len(prompts), rows):
        batch = prompts[first : first + rows]
        width = max(map(len, batch))
        ids = torch.tensor([[0] * (width - len(one)) + one for one in batch], device=model.device)
        gaps = [[0] * (width - len(one)) + [1] * len(one) for one in batch]
        mask = torch.tensor(gaps, device=model.device)
        written = model.generate(ids, attention_mask=mask, **how)
        for answer in written[:, width:].tolist():
            over = next((place for place, one in enumerate(answer) if one in ends), limit)
            found.append(answer[: over + 1])
    return found


def generate(folder: Path, device: str, dtype: str) -> Way:
    """Return transformers' `generate`, with what is around it in a plain script."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype))
    model, tokenizer = model.to(device).eval(), AutoTokenizer.from_pretrained(folder)

    def answer(asked: Sequence[Any], rows: int) -> list[str]:
        texts = [one.args[0] for one in asked]
        given = tokenizer(texts, add_special_tokens=False)["input_ids"]
        limit = asked[0].args[1]["max_gen_toks"]
        written = greedy(model, given, limit, rows, {tokenizer.eos_token_id})
        found: list[str] = tokenizer.batch_decode(written, skip_special_tokens=True)
        return found

    return answer


def lm_eval(folder: Path, device: str, dtype: str) -> Way:
    from lm_eval.models.huggingface import HFLM

    lm = HFLM(pretrained=str(folder), device=device, dtype=dtype, batch_size=1)

    def answer(asked: Sequence[Any], rows: int) -> list[str]:
        lm.batch_size_per_gpu = rows
        found: list[str] = lm.generate_until(list(asked), disable_tqdm=True)
        return found

    return answer


def vllm(folder: Path, most: int) -> Way:
    """Return vLLM, which schedules by itself at most so many rows at once."""
    import vllm as library

    llm = library.LLM(
        model=str(folder),
        dtype="bfloat16",
        max_num_seqs=most,
        enable_prefix_caching=False,
        generation_config="vllm",  # not the checkpoint's own
    )

    def answer(asked: Sequence[Any], rows: int) -> list[str]:
        sampling = library.SamplingParams(
            temperature=0.0, max_tokens=asked[0].args[1]["max_gen_toks"]
        )
        outputs = llm.generate([one.args[0] for one in asked], sampling, use_tqdm=False)
        return [output.outputs[0].text for output in outputs]

    return answer


def fitting(way: Way, asked: Sequence[Any], rows: int) -> int:
    """Answer once, for memory and the choice of kernels; return how many rows fit at once."""
    import torch

    from harness.stage.memory import is_out_of_memory

    while True:
        try:
            with torch.inference_mode():
                way(asked, rows)
            return rows
        except Exception as error:
            if rows == 1 or not is_out_of_memory(error):
                raise
        rows = (rows + 1) // 2
        torch.cuda.empty_cache()


@contextmanager
def warnings() -> Iterator[list[str]]:
    """Yield what the harness warns of meanwhile, such as why steps are not recorded."""
    said: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if (line := record.getMessage()) not in said:
                said.append(line)

    ear, logger = Ear(logging.WARNING), logging.getLogger("harness")
    logger.addHandler(ear)
    try:
        yield said
    finally:
        logger.removeHandler(ear)


def in_turns(
    ways: Mapping[str, Way], asked: Sequence[Any], rows: int, rounds: int, device: str
) -> tuple[dict[str, Found], dict[str, str]]:
    """Return what was found of each way, and why a way failed."""
    fits: dict[str, int] = {}
    found: dict[str, Found] = {}
    failed: dict[str, str] = {}
    for turn in range(rounds + 1):
        for name, way in ways.items():
            if name in failed:
                continue
            try:
                if turn == 0:
                    fits[name] = fitting(way, asked[:rows], rows)
                    continue
                seconds, texts = timed(partial(way, rows=fits[name]), asked, device)
                took = f"turn {turn} of {rounds}: {name} took {seconds:.1f} s"
                print(took, file=sys.stderr, flush=True)
                before = found[name][0] if name in found else []
                found[name] = ([*before, seconds], texts, fits[name])
            except Exception as error:
                failed[name] = one_line(error)
    return {name: one for name, one in found.items() if name not in failed}, failed


def here(
    folder: Path, device: str, texts: Sequence[str], limit: int, rows: int, rounds: int
) -> tuple[dict[str, Found], dict[str, str], list[str]]:
    """Return what `in_turns` does of all ways that share a process, and what the harness said."""
    ways: dict[str, Way] = {}
    broken: dict[str, str] = {}
    makers = {ENGINE: engine, "transformers' generate": generate, "lm-eval's hf model": lm_eval}
    for name, make in makers.items():
        try:
            ways[name] = make(folder, device, DTYPES[device])
        except Exception as error:
            broken[name] = one_line(error)
        if name == ENGINE and device == "cuda" and ENGINE in ways:
            ways["engine, single steps"] = single_steps(ways[ENGINE])
    with warnings() as said:
        found, failed = in_turns(ways, requests(texts, limit), rows, rounds, device)
    return found, broken | failed, said


def by_vllm(
    folder: Path, cases: Sequence[tuple[Sequence[str], int, int, int]]
) -> list[tuple[dict[str, Found], dict[str, str]]]:
    """Return what `in_turns` does of vLLM alone, for each case: texts, limit, rows, rounds."""
    way = vllm(folder, max(rows for _, _, rows, _ in cases))
    return [
        in_turns({VLLM: way}, requests(texts, limit), rows, rounds, "cuda")
        for texts, limit, rows, rounds in cases
    ]


def without_vllm(device: str) -> str | None:
    """Return why vLLM is not measured, or None if it is."""
    if importlib.util.find_spec("vllm") is None:
        return "not installed"
    return None if device == "cuda" else "not measured without a GPU"


def measured(
    found: Mapping[str, Found], failed: Mapping[str, str], named: Row, said: Sequence[str] = ()
) -> list[Row]:
    """Return a row of figures for each way, beside those of the engine."""
    made = []
    base = found.get(ENGINE)
    for name, (seconds, texts, rows) in found.items():
        written = sum(len(text.split()) for text in texts)
        middle = statistics.median(seconds)
        row: Row = {
            **named,
            "way": name,
            "s": round(middle, 3),
            "tokens/s": round(written / middle),
        }
        if len(seconds) > 1:
            row["s, lowest and highest"] = spread(seconds, 3)
        row |= {"rows at once": rows, "tokens": written}
        if base is not None and name != ENGINE:
            row["the engine is times as fast"] = round(middle / statistics.median(base[0]), 2)
            same = sum(map(str.__eq__, texts, base[1]))
            row["texts as the engine's"] = f"{same} of {len(texts)}"
        if name == ENGINE and said:
            row["said"] = list(said)
        made.append(row)
    return made + [{**named, "way": name, "failed": why} for name, why in failed.items()]


def compare(
    folder: Path,
    device: str,
    cases: Sequence[tuple[Row, Sequence[str], int, int, int]],
    show: Callable[[Row], None],
) -> None:
    """Show the figures of every way.

    Each case is what its rows are called, its prompts, their limit, rows at once and rounds.
    """
    engines = {}
    for number, (named, *case) in enumerate(cases):
        try:
            found, failed, said = apart(here, folder, device, *case)
        except Exception as error:  # its process was killed, as without memory
            show({**named, "failed": one_line(error)})
            engines[number] = None
            continue
        engines[number] = found.get(ENGINE)
        for row in measured(found, failed, named, said):
            show(row)
    if why := without_vllm(device):
        show({"part": cases[0][0]["part"], "way": VLLM, "not measured": why})
        return
    try:
        others = apart(by_vllm, folder, [tuple(case) for _, *case in cases])
    except Exception as error:
        show({"part": cases[0][0]["part"], "way": VLLM, "failed": one_line(error)})
        return
    for number, ((named, *_), (found, failed)) in enumerate(zip(cases, others, strict=True)):
        beside = {ENGINE: engines[number]} if engines[number] else {}
        for row in measured({**beside, **found}, failed, named)[len(beside) :]:
            show(row)
