"""`kd-traces`: ready-made solutions of a stronger model, as of DeepSeek-R1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from harness_sft import PackedOptions, completion, expected, fine_tune
from pydantic import Field

from harness import Expected, Run, StageError, Trainer, Workload

if TYPE_CHECKING:
    import datasets

END_OF_THOUGHT = "</think>"
ELSEWHERE = "the tokens of the model that wrote the traces were spent elsewhere and are not counted"


class TracesOptions(PackedOptions, frozen=True):
    """Options of `kd-traces`."""

    max_length: int = Field(4096, gt=0, description="tokens; longer rows are left out, never cut")
    thoughts: bool = Field(
        False, description="learn the whole trace, not only what follows its </think>"
    )
    verified: bool = Field(
        True, description="learn only traces whose final answer the verifier confirms"
    )


def train(run: Run) -> None:
    """Fine-tune on the board's traces: sequence-level distillation (Kim and Rush 2016).

    As in DeepSeek-AI et al. 2025 (arXiv 2501.12948, section 2.4), whose small models are
    fine-tuned on a large one's traces.
    """
    fine_tune(run, chosen_traces(run))


def chosen_traces(run: Run) -> datasets.Dataset:
    """Return prompts with completions made of the board's traces.

    Raises:
        StageError: If none is left.
    """
    import datasets

    options: TracesOptions = run.options
    data: Any = run.traces_data()
    texts = [shown(text, thoughts=options.thoughts) for text in data["solution"]]
    ends = [after_thought(text) for text in data["solution"]]
    right: list[bool | None] = [True] * len(texts)
    if options.verified:
        right = run.correct(
            [end or "" for end in ends], data["answer"], data["task"], data["problem"]
        )
    pairs = [
        {"prompt": row["prompt"], "completion": completion(run, answered(run, row, text))}
        for row, text, verdict in zip(data, texts, right, strict=True)
        if text and verdict
    ]
    run.note(
        traces=len(data),
        traces_unfinished=texts.count(None),
        traces_kept=len(pairs),
        traces_cost=ELSEWHERE,
    )
    if not pairs:
        raise StageError("none of the board's traces is finished and confirmed; nothing to learn")
    return datasets.Dataset.from_list(pairs)


def answered(run: Run, row: Mapping[str, str], text: str) -> str:
    """Return a trace with its answer in the protocol's form; one that has a box keeps it."""
    if "\\boxed{" in (after_thought(text) or ""):
        return text
    return run.protocol.completion(text, row["answer"])


def after_thought(text: str) -> str | None:
    """Return what follows a trace's thoughts; None where they do not end."""
    if "<think>" in text and END_OF_THOUGHT not in text:
        return None
    return text.rpartition(END_OF_THOUGHT)[2].strip()


def shown(text: str, *, thoughts: bool) -> str | None:
    """Return the part of a trace that is learnt; None where it has no answer after its thoughts."""
    end = after_thought(text)
    if not end:
        return None
    return text.strip() if thoughts else end


def expects(options: TracesOptions, work: Workload) -> Expected:
    """Return what a run would do: it reads the traces, or about a sixth of each."""
    length = work.prompt + (work.trace if options.thoughts else work.trace / 6)
    return expected(options, work, length, work.traces)


TRAINER = Trainer(
    name="kd-traces",
    train=train,
    options=TracesOptions,
    summary="ready-made solutions of a stronger model, from the board's traces",
    expects=expects,
    needs_traces=True,
)
