"""Protocols: how a problem becomes a prompt and how an answer ends. Named and versioned.

The same protocol makes the prompts of training data and of every score, for the start model and
for every trained checkpoint, so that no recipe can pick the prompt that suits it. A protocol
`lm_eval:<task>` is a task of lm-eval as it is: it scores, so that a number can be compared with a
published one, and it trains nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.errors import UsageError, did_you_mean
from harness.tasks import lm_eval
from harness.tasks.lm_eval import definition, version
from harness.verify.extraction.extract import Form

if TYPE_CHECKING:
    from harness.tasks.task import Task

LM_EVAL = "lm_eval:"

CHAT_INSTRUCTION = "Think step by step and put the final answer in \\boxed{}."

FEW_SHOTS = (
    (
        "A baker fills 3 trays with 12 rolls each and sells 9 rolls. How many rolls are left?",
        "The baker makes 3 * 12 = 36 rolls. 36 - 9 = 27 rolls are left.",
        "27",
    ),
    (
        "What is \\frac{1}{2} + \\frac{1}{3}?",
        "With the common denominator 6 this is \\frac{3}{6} + \\frac{2}{6} = \\frac{5}{6}.",
        "\\frac{5}{6}",
    ),
    (
        "Tom is 4 years older than Ann. Together they are 30 years old. How old is Ann?",
        "If Ann is a years old, then a + a + 4 = 30, so 2a = 26 and a = 13.",
        "13",
    ),
    ("Expand (x + 2)(x - 5).", "x * x - 5x + 2x - 10 = x^2 - 3x - 10.", "x^2 - 3x - 10"),
)
"""Problem, solution and answer of the four shots of `base_fewshot`, written for this project."""


@dataclass(frozen=True)
class Protocol:
    """How a problem is put to a model and how its answer is read."""

    name: str
    version: int  # raised whenever a prompt, a stop rule or the answer form changes
    chat: bool  # whether the prompt goes through the tokenizer's chat template
    form: Form  # in which the final answer is asked for (see `harness.verify`)
    stop: tuple[str, ...]  # strings that end an answer, besides the end-of-turn token
    summary: str  # for `harness boards` and the leaderboard

    @property
    def id(self) -> str:
        """The name with its version, as written in records."""
        return f"{self.name}.v{self.version}"

    def prompt(self, problem: str) -> str:
        """Return the text put to the model: the user's message, or the whole few-shot prompt."""
        if self.chat:
            return f"{problem}\n{CHAT_INSTRUCTION}"
        shots = "".join(
            f"Problem: {shot}\nSolution: {solution} The answer is \\boxed{{{answer}}}.\n\n"
            for shot, solution, answer in FEW_SHOTS
        )
        return f"{shots}Problem: {problem}\nSolution:"

    def completion(self, solution: str, answer: str) -> str:
        """Return the completion that a training row teaches: the steps, then the boxed answer."""
        solution, box = solution.strip(), f"\\boxed{{{answer}}}"
        return solution if box in solution else f"{solution} {box}".lstrip()

    def training_row(self, row: Mapping[str, str]) -> dict[str, object]:
        """Return `prompt` and `completion` in the form TRL trains on: messages or strings."""
        prompt = self.prompt(row["problem"])
        completion = self.completion(row.get("solution") or "", row["answer"])
        if not self.chat:
            return {"prompt": prompt, "completion": f" {completion}\n\n"}
        return {
            "prompt": [{"role": "user", "content": prompt}],
            "completion": [{"role": "assistant", "content": completion}],
        }


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            name="chat_zeroshot",
            version=1,
            chat=True,
            form="boxed",
            stop=(),
            summary="chat template, no shots, step by step, answer in a box",
        ),
        Protocol(
            name="base_fewshot",
            version=1,
            chat=False,
            form="boxed",
            stop=("\n\nProblem:", "Problem:"),
            summary="four shots without a chat template, answer in a box",
        ),
    )
}


@dataclass(frozen=True)
class LmEvalProtocol:
    """A task of lm-eval with its own prompt, shots, stop rule and filters."""

    task: str  # lm-eval's name of it
    version: str  # of lm-eval
    form: Form  # in which the verifier looks for the final answer first
    summary: str  # for `harness boards` and the leaderboard
    chat = False

    @property
    def name(self) -> str:
        return f"{LM_EVAL}{self.task}"

    @property
    def id(self) -> str:
        """The name with the version of lm-eval, as written in records."""
        return f"{self.name}@{self.version}"


def get_protocol(name: str) -> Protocol | LmEvalProtocol:
    """Return the protocol of that name.

    Raises:
        UsageError: If there is none, or it is a task of lm-eval that cannot be scored here.
    """
    if not name.startswith(LM_EVAL):
        return training_protocol(name)
    task = name.removeprefix(LM_EVAL)
    found = definition(task)
    shots = f"{found.shots} shots" if found.shots else "no shots"
    summary = f"lm-eval's own task {task}: its prompt, {shots}, its stop rule and filters"
    return LmEvalProtocol(task, version(), found.form, summary)


def training_protocol(name: str) -> Protocol:
    """Return the protocol of that name that can make training prompts."""
    if name.startswith(LM_EVAL):
        raise UsageError(
            f"a board cannot rank by protocol {name!r}: training prompts come from the ranking"
            f" score, and lm-eval's tasks make none; rank by {' or '.join(PROTOCOLS)}"
        )
    if name not in PROTOCOLS:
        raise UsageError(
            f"no protocol {name!r}; {did_you_mean(name, PROTOCOLS)}, or {LM_EVAL}<task of lm-eval>"
        )
    return PROTOCOLS[name]


def protocol_of(identity: str) -> Protocol | LmEvalProtocol:
    """Return the protocol with that id; it is an error if this harness has another version."""
    mark = "@" if identity.startswith(LM_EVAL) else ".v"
    protocol = get_protocol(identity.rsplit(mark, 1)[0])
    if protocol.id != identity:
        raise UsageError(f"protocol {identity!r} is wanted; this harness has {protocol.id}")
    return protocol


def documents(protocol: Protocol | LmEvalProtocol, task: Task) -> list[dict[str, Any]]:
    """Return lm-eval's documents under `lm_eval:<task>`; none under our own protocols."""
    if not isinstance(protocol, LmEvalProtocol):
        return []
    return lm_eval.documents(definition(protocol.task), task)


def score_name(task: str, protocol: str) -> str:
    """Return the name of a score's files: the task and the protocol's id, safe on any disk."""
    return f"{task}__{protocol.replace(':', '-').replace('@', '-')}"
