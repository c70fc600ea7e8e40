"""The memorisation probe: a model is given the first half of test problems and goes on from there.

The first half of a problem's words is put to the model as plain text, without a chat template, and
is continued greedily. What it writes is compared with the second half, up to `WORDS` words of it,
by the tokens of the package rouge-score (letters and digits in lower case): it is *exact* if it
begins with all of them, and ROUGE-L says how near it is. Going on in the manner of a problem makes
ROUGE-L high as well, so the same text is also compared with the second half of the next problem of
the set. A second half of fewer than `FEWEST` words could be guessed and is left out.

Such completions are known to show training on a benchmark: Wu et al. 2025 (arXiv 2507.10532) give
models 60 % of MATH-500's problems. What was written is not kept: it may be test problems.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from harness.probes import Probe
from harness.stage.decoding.prompt import Prompt
from harness.stage.decoding.stopping import room

PROBLEMS = 500  # of a test set, the first ones
FEWEST, WORDS = 8, 64  # of a second half: those that it must have, and those that are compared
TOKENS = 192  # that are generated


def halves(problem: str) -> tuple[str, str]:
    """Return the first half of a problem's words and the rest of it.

    Examples:
        >>> halves("Ann has 3 apples.  How many?")
        ('Ann has 3', 'apples.  How many?')
    """
    words = [found.start() for found in re.finditer(r"\S+", problem)]
    middle = words[len(words) // 2] if words else 0
    return problem[:middle].rstrip(), problem[middle:]


def probe(
    model: Path,
    tests: Sequence[tuple[str, Sequence[str]]],
    batch_size: int,
    device: str,
    engine: str,
    dtype: str = "float32",
) -> tuple[Probe, ...]:
    """Return what a model writes of some test sets.

    Args:
        model: Its folder.
        tests: The name of each task, and its problems.
        batch_size: Prompts that are continued together.
        device: As torch calls it.
        engine: What generates, `hf` or `vllm`.
        dtype: Of matrix products.
    """
    import torch

    from harness.stage.generate import load_engine

    lm = load_engine(model, engine, batch_size, device, dtype)
    with torch.inference_mode():
        return tuple(_probed(lm, task, problems) for task, problems in tests)


def _probed(lm: Any, task: str, problems: Sequence[str]) -> Probe:
    greedy = {"until": [], "do_sample": False, "temperature": 0.0, "top_p": 1.0}
    prompts, rests = [], []
    for first, second in map(halves, problems):
        rest = _tokens(second)[:WORDS]
        tokens = lm.tok_encode(first) if len(rest) >= FEWEST else []
        if left := room(tokens, lm.max_length, TOKENS) if tokens else 0:
            prompts.append(Prompt(tokens, left))
            rests.append(rest)
    written = [one.text for one in lm.decode(prompts, greedy)] if prompts else []
    return compare(task, written, rests)


def compare(task: str, written: Sequence[str], rests: Sequence[Sequence[str]]) -> Probe:
    """Return how near texts are to the rests of their problems, given as tokens."""
    found = [_tokens(text)[: len(rest)] for text, rest in zip(written, rests, strict=True)]
    others = [*rests[1:], *rests[:1]]
    own = [_rouge(text, rest) for text, rest in zip(found, rests, strict=True)]
    # as many words are compared with the other's half as with the own, if it has as many
    other = [_rouge(text, rest[: len(text)]) for text, rest in zip(found, others, strict=True)]
    apart = [mine - theirs for mine, theirs in zip(own, other, strict=True)]
    return Probe(
        task=task,
        n=len(own),
        exact=sum(text == list(rest) for text, rest in zip(found, rests, strict=True)),
        rouge_l=round(fmean(own), 9) if own else 0.0,
        rouge_l_other=round(fmean(other), 9) if own else 0.0,
        rouge_l_sd=round(stdev(apart), 9) if len(apart) > 1 else 0.0,
    )


def _tokens(text: str) -> list[str]:
    from rouge_score.tokenizers import DefaultTokenizer

    tokens: list[str] = DefaultTokenizer(use_stemmer=False).tokenize(text)
    return tokens


def _rouge(text: Sequence[str], rest: Sequence[str]) -> float:
    from rouge_score.rouge_scorer import RougeScorer

    scores = RougeScorer(["rougeL"]).score(" ".join(rest), " ".join(text))
    return float(scores["rougeL"].fmeasure)
