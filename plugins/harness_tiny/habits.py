"""What makes the start model a mixture of behaviours, as real start models are.

The start model knows the steps, but on some kinds of problems it has a bad habit: it answers at
once and mostly wrongly, or it stops before the boxed answer. A habit is the likeliest behaviour on
its kinds, so that greedy decoding shows it, and never the only one, so that sampling finds better.
"""

from __future__ import annotations

import random

BEHAVIOURS = ("full", "direct", "unfinished")

# Chances of (full solution, direct answer, no boxed answer) under each habit.
CHANCES = {
    "full": (0.66, 0.18, 0.16),
    "direct": (0.32, 0.52, 0.16),
    "unfinished": (0.32, 0.16, 0.52),
}

HABITS = {
    "direct": {"have", "more", "times", "two", "sum", "expand", "value"},
    "unfinished": {"single", "fewer", "derivative", "collect"},
}
WRONG = 0.8  # share of direct answers that are wrong


def habit(kind: str) -> str:
    """The habit of the start model on problems of this kind."""
    return next((name for name, kinds in HABITS.items() if kind in kinds), "full")


def completion(kind: str, solution: str, answer: str, rng: random.Random) -> str:
    """One completion as the start model might write it."""
    behaviour = rng.choices(BEHAVIOURS, CHANCES[habit(kind)])[0]
    if behaviour == "full":
        return f"{solution} \\boxed{{{answer}}}"
    if behaviour == "direct":
        return f"\\boxed{{{spoil(answer, rng) if rng.random() < WRONG else answer}}}"
    steps = solution.split(". ")
    if len(steps) > 1 and rng.random() < 0.4:
        steps = steps[: rng.randint(1, len(steps) - 1)]
    return ". ".join(steps).rstrip(".") + "."


def spoil(answer: str, rng: random.Random) -> str:
    """The answer with one of its digits replaced by another from 1 to 9."""
    where = rng.choice([i for i, sign in enumerate(answer) if sign.isdigit()])
    digit = rng.choice([d for d in "123456789" if d != answer[where]])
    return answer[:where] + digit + answer[where + 1 :]
