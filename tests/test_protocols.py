"""The few-shot prompt for base models: no trap at its end, and shots that are right."""

from __future__ import annotations

import pytest
from models import byte_tokenizer

from harness.errors import StageError
from harness.stage.tokens import written
from harness.tasks.protocols import FEW_SHOTS, PROTOCOLS, get_protocol
from harness.verify import verify

ROW = {"problem": "What is 2 + 3?", "solution": "2 + 3 = 5.", "answer": "5"}


@pytest.mark.parametrize("name", sorted(PROTOCOLS))
def test_a_prompt_ends_without_a_space(name):
    """A space at its end would part the first word of the answer from its token."""
    prompt = get_protocol(name).prompt(ROW["problem"])
    assert prompt == prompt.strip()


def test_the_few_shot_prompt_ends_where_the_next_problem_starts():
    protocol = get_protocol("base_fewshot")
    prompt = protocol.prompt(ROW["problem"])
    assert prompt.count("Problem:") == len(FEW_SHOTS) + 1
    assert prompt.endswith(f"Problem: {ROW['problem']}\nSolution:")
    for run_on in ("\n\nProblem: next", "\nProblem: next", " Problem: next"):
        assert any(stop in run_on for stop in protocol.stop)


@pytest.mark.parametrize(("problem", "solution", "answer"), FEW_SHOTS)
def test_every_shot_ends_in_its_answer(problem, solution, answer):
    prompt = get_protocol("base_fewshot").prompt("x")
    shot = prompt[prompt.index(problem) :].split("\n\n")[0]
    assert solution in shot
    assert verify(shot, answer).verdict == "correct"


def test_training_continues_the_prompt_that_scoring_puts():
    protocol = get_protocol("base_fewshot")
    row = protocol.training_row(ROW)
    assert row["prompt"] == protocol.prompt(ROW["problem"])
    assert row["completion"].startswith(" 2 + 3")
    tokenizer = byte_tokenizer()
    whole = tokenizer(row["prompt"] + row["completion"])["input_ids"]
    start = tokenizer(row["prompt"])["input_ids"]
    assert whole[: len(start)] == start


@pytest.mark.parametrize(
    ("prompt", "completion", "says"),
    [
        (
            [{"role": "user", "content": "2 + 2?"}],
            "4",
            "completion is a text and its prompt is not",
        ),
        ("2 + 2?", [{"role": "assistant", "content": "4"}], "give the completion as a text too"),
    ],
)
def test_a_completion_of_another_form_than_its_prompt_is_one_line(prompt, completion, says):
    with pytest.raises(StageError, match=says):
        written(prompt, completion, byte_tokenizer())
