"""The scores of one model, and example problems with their exact prompts, for people to read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from harness.errors import UsageError
from harness.leaderboard.cells import correct_answers
from harness.leaderboard.stats import accuracy_interval
from harness.records import Score
from harness.render import numbers
from harness.render.escape import visible
from harness.stage.models import load_tokenizer
from harness.tasks.protocols import LmEvalProtocol, Protocol


def score_json(score: Score) -> dict[str, Any]:
    """Return a score as JSON: accuracy with its interval, verdicts, format and tokens."""
    low, high, method = accuracy_interval(correct_answers(score), score.groups)
    counts, answers = score.counts, len(score.verdicts)
    read = answers - counts["no_answer"] - counts["truncated"] - score.unreadable
    return {
        "task": score.task,
        "protocol": score.protocol,
        "problems": score.n,
        "samples": score.samples,
        "max_new_tokens": score.max_new_tokens,
        "accuracy": score.accuracy,
        "interval": [low, high],
        "interval_method": method,
        "verdicts": counts,
        "readable": read / answers,
        "strict": score.strict / answers,
        "flexible": score.flexible / answers,
        "tokens": score.completion_tokens / answers,
        "limit_reached": score.limit_reached,
        "own": score.own,
    }


def score_lines(score: Score) -> Iterator[str]:
    """Yield the lines of one score."""
    one = score_json(score)
    low, high = (numbers.percent(share) for share in one["interval"])
    verdicts = ", ".join(f"{count:,} {name}" for name, count in one["verdicts"].items() if count)
    yield (
        f"{score.task} under {score.protocol}: {score.n:,} problems,"
        f" up to {score.max_new_tokens:,} tokens"
    )
    yield (
        f"  accuracy  {numbers.percent(one['accuracy'])} % [{low}, {high}],"
        f" {one['verdicts']['correct']:,} of {len(score.verdicts):,} right"
    )
    yield f"  verdicts  {verdicts}"
    yield (
        f"  format    {numbers.percent(one['readable'])} % could be read; strict match"
        f" {numbers.percent(one['strict'])} %, flexible {numbers.percent(one['flexible'])} %"
    )
    yield (
        f"  tokens    {one['tokens']:,.0f} an answer; {score.limit_reached:,} answers reached the"
        " limit"
    )
    for name, value in score.own.items():
        yield f"  lm-eval   {name}: {numbers.percent(value)} %"


def example_lines(
    number: int,
    row: Mapping[str, str],
    prompt: str | None,
    tokens: int | None,
    *,
    chat: bool = True,
    completion: str | None = None,
    answers: Sequence[Mapping[str, Any]] = (),
) -> Iterator[str]:
    """Yield one problem, the exact prompt it becomes, and what is taught or was answered.

    Without a number of `tokens` no model's tokenizer made the prompt; `chat` says that it would put
    a template around it.
    """
    yield f"-- {number}: {row['id']} {'-' * max(3, 60 - len(row['id']))}"
    yield from _block("problem", row["problem"])
    if prompt is None:
        yield "the prompt is made by lm-eval's own task"
    else:
        size = "" if tokens is None else f" ({tokens:,} tokens)"
        what = "prompt, before a model's chat template" if chat and not size else "exact prompt"
        yield from _block(what + size, prompt)
    yield from _block("gold answer", row["answer"])
    if completion is not None:
        yield from _block("taught completion", completion)
    for answer in answers:
        end = "" if answer["finish"] == "stop" else ", cut at the limit"
        yield from _block(f"answer ({answer['tokens']:,} tokens{end})", answer["text"])
        read = answer.get("read") or answer.get("extracted")
        taken = f", read as {visible(str(read), 200)}" if read is not None else ""
        yield f"judged: {answer['verdict']}{taken} ({visible(str(answer.get('why', '')), 300)})"


def _block(title: str, text: str) -> Iterator[str]:
    yield f"{title}:"
    yield from (f"  | {line}" for line in visible(text, 20_000, lines=True).split("\n"))


class Prompts:
    """Makes prompts as a score's generation does, with the tokenizer of a model's folder."""

    def __init__(self, model: Path) -> None:
        self.model, self.tokenizer = model, cast(Any, load_tokenizer(model))

    def text(self, protocol: Protocol | LmEvalProtocol, problem: str) -> str | None:
        """Return the whole prompt of a problem; None where a task of lm-eval makes it."""
        if isinstance(protocol, LmEvalProtocol):
            return None
        prompt = protocol.prompt(problem)
        if not protocol.chat:
            return prompt
        if not self.tokenizer.chat_template:
            raise UsageError(
                f"protocol {protocol.name} needs a chat template and {self.model} has none;"
                " take base_fewshot"
            )
        messages = [{"role": "user", "content": prompt}]
        return str(
            self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        )

    def tokens(self, prompt: str) -> int:
        """Return how many tokens a prompt has."""
        return len(self.tokenizer(prompt, add_special_tokens=False)["input_ids"])
