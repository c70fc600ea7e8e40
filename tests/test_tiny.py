"""The tiny board's problems, tokenizer and models."""

from __future__ import annotations

import hashlib
import json
import random
import re
from fractions import Fraction
from pathlib import Path

import harness_tiny
import pytest
from harness_tiny import habits, problems
from harness_tiny.answers import boxed, correct
from harness_tiny.make_tokenizer import user_text
from harness_tiny.problems import FAMILIES, SIZES, rows
from hypothesis import given, settings
from hypothesis import strategies as st

MODELS = Path(harness_tiny.__file__).parent / "models"
SPLITS = [(family, split) for family, sizes in SIZES.items() for split in sizes]

# Change these only together with the models and the board: every published score hangs on them.
DIGESTS = {
    "tiny_word/test": "8987b2d562d3af08",
    "tiny_word/holdout": "af1823e4ac77e352",
    "tiny_word/train": "432ff6d1f7b94a1c",
    "tiny_long/test": "420a41846be07398",
    "tiny_symbolic/test": "a7d7caf5f7a32a22",
    "tiny_symbolic/holdout": "e79864e75f8dd2d9",
    "tiny_symbolic/train": "059d18842611753a",
}


def digest(family: str, split: str) -> str:
    text = json.dumps(rows(family, split), ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@pytest.mark.parametrize(("family", "split"), SPLITS)
def test_rows_never_change(family: str, split: str) -> None:
    assert digest(family, split) == DIGESTS[f"{family}/{split}"]


@pytest.mark.parametrize(("family", "split"), SPLITS)
def test_rows_have_the_agreed_columns_and_sizes(family: str, split: str) -> None:
    made = rows(family, split)
    assert len(made) == SIZES[family][split]
    assert len({row["id"] for row in made}) == len(made)
    for row in made:
        assert list(row) == ["id", "problem", "solution", "answer"]
        assert all(isinstance(value, str) and value for value in row.values())
        assert "boxed" not in row["solution"]


def test_no_problem_is_in_two_splits_or_twice_in_one() -> None:
    texts = [row["problem"] for family, split in SPLITS for row in rows(family, split)]
    assert len(texts) == len(set(texts))


def test_drawing_for_training_avoids_what_is_reserved() -> None:
    reserved = problems.reserved()
    assert len(reserved) == sum(
        size for sizes in SIZES.values() for split, size in sizes.items() if split != "train"
    )
    # The test rows are the first of their stream, so an unguarded draw would hit one at once.
    stream = f"tiny_word:{problems.SEED}"
    assert problems.draw("tiny_word", random.Random(stream))[1] in reserved
    assert problems.draw("tiny_word", random.Random(stream), reserved)[1] not in reserved


@pytest.mark.parametrize(
    ("family", "split", "named"),
    [("tiny_words", "test", "tiny_word"), ("tiny_long", "train", "test")],
)
def test_an_unknown_family_or_split_is_named_with_what_there_is(
    family: str, split: str, named: str
) -> None:
    with pytest.raises(ValueError, match=named):
        rows(family, split)


def read_story(problem: str) -> list[int]:
    """Read a story sentence by sentence and return every quantity computed on the way."""
    value, computed, prices = 0, [], []
    for sentence in re.split(r"(?<=[.?]) ", problem):
        numbers = [int(n) for n in re.findall(r"\d+", sentence)]
        if m := re.search(r"costs (\d+) dollars and a \w+ costs (\d+)\.", sentence):
            prices = [int(m[1]), int(m[2])]
            continue
        if re.search(r"costs \d+ dollars\.", sentence):
            prices = numbers
            continue
        if prices and re.search(r" buys \d+", sentence):
            parts = [price * count for price, count in zip(prices, numbers, strict=True)]
            computed += parts
            value, prices = sum(parts), []
            if len(parts) > 1:
                computed.append(value)
            continue
        if re.search(r" buys \d+ packs of", sentence):
            computed.append(numbers[0] * numbers[1])
            value += computed[-1]
        elif re.search(r"with \d+ \w+ each|a day for", sentence):
            value = numbers[0] * numbers[1]
        elif " red and " in sentence:
            value = numbers[0] + numbers[1]
        elif "times as many" in sentence:
            value *= numbers[0]
        elif re.search(r"has \d+ fewer|loses|gives \d+ to", sentence):
            value -= numbers[0]
        elif re.search(r"\d+ more\.|a bag for", sentence):
            value += numbers[0]
        elif "pays with" in sentence:
            value = numbers[0] - value
        elif "half" in sentence:
            value = divided(value, 2)
        elif "doubles" in sentence:
            value *= 2
        elif "friends share" in sentence or "boxes of" in sentence:
            value = divided(value, numbers[0])
        elif "sells them" in sentence:
            value *= numbers[0]
        elif m := re.search(r"has (\d+) \w+\.$", sentence):
            value = int(m[1])
            continue
        else:
            assert sentence.startswith("How many"), sentence
            continue
        computed.append(value)
    return computed


def divided(value: int, parts: int) -> int:
    assert value % parts == 0
    return value // parts


@pytest.mark.parametrize(
    ("family", "split"), [pair for pair in SPLITS if pair[0] != "tiny_symbolic"]
)
def test_every_story_is_solved_rightly_and_in_the_promised_number_of_steps(
    family: str, split: str
) -> None:
    fewest, most = problems.STEPS[family]
    for row in rows(family, split):
        results = []
        for a, sign, b, c in re.findall(r"(\d+) ([-+*/]) (\d+) = (\d+)\.", row["solution"]):
            left, right = Fraction(a), Fraction(b)
            result = {"+": left + right, "-": left - right, "*": left * right, "/": left / right}
            assert result[sign] == int(c), row
            results.append(int(c))
        assert results == read_story(row["problem"]), row
        assert str(results[-1]) == row["answer"], row
        assert fewest <= len(results) <= most, row


def solve_symbolic(problem: str) -> object:
    """Solve one symbolic problem with sympy."""
    import sympy
    from sympy.parsing.sympy_parser import (
        convert_xor,
        implicit_multiplication_application,
        parse_expr,
        rationalize,
        standard_transformations,
    )

    rules = (*standard_transformations, implicit_multiplication_application, convert_xor,
             rationalize)  # fmt: skip

    def read(text: str) -> sympy.Expr:
        return parse_expr(text, transformations=rules)

    x = sympy.Symbol("x")
    if m := re.fullmatch(r"(?:Expand|Simplify) (.+)\.", problem):
        return sympy.expand(read(m[1]))
    if m := re.fullmatch(r"Differentiate (.+)\.", problem):
        return sympy.diff(read(m[1]), x)
    if m := re.fullmatch(r"Solve (.+) = (.+)\.", problem):
        return sympy.solve(read(m[1]) - read(m[2]), x)[0]
    if m := re.fullmatch(r"If x = (.+), what is (.+)\?", problem):
        return read(m[2]).subs(x, read(m[1]))
    if m := re.fullmatch(r"(\d+) of (\d+) .+", problem):
        return sympy.Rational(int(m[1]), int(m[2]))
    return read(re.fullmatch(r"What is (.+)\?", problem)[1])


@pytest.mark.parametrize("split", SIZES["tiny_symbolic"])
def test_every_symbolic_answer_is_what_sympy_finds(split: str) -> None:
    import sympy

    for row in rows("tiny_symbolic", split):
        gold = re.sub(r"\\frac\{(\d+)\}\{(\d+)\}", r"(\1/\2)", row["answer"])
        gold = re.sub(r"(\d)(x)", r"\1*\2", gold).replace("^", "**")
        found = solve_symbolic(row["problem"])
        assert sympy.expand(sympy.nsimplify(sympy.sympify(gold), rational=True) - found) == 0, row


@pytest.mark.parametrize("split", SIZES["tiny_symbolic"])
def test_every_numeric_step_of_a_symbolic_solution_holds(split: str) -> None:
    checked = 0
    for row in rows("tiny_symbolic", split):
        for sentence in re.split(r"\.(?: |$)", row["solution"]):
            sides = [s for s in sentence.split(" = ") if "x" not in s]
            values = [eval_fraction(side) for side in sides if side]
            assert len(set(values)) <= 1, row
            checked += len(values) > 1
    assert checked > len(rows("tiny_symbolic", split)) / 2


def eval_fraction(text: str) -> Fraction:
    """Evaluate an expression of numbers, + - * / and brackets exactly."""
    return eval(re.sub(r"\d+(?:\.\d+)?", r"Fraction('\g<0>')", text), {"Fraction": Fraction})


def test_gold_answers_come_in_every_form() -> None:
    answers = [row["answer"] for row in rows("tiny_symbolic", "test")]
    latex = r"-?\\frac\{\d+\}\{\d+\}"
    for form in (r"-?\d+/\d+", latex, r"-?\d+\.\d+", r".*x\^2.*", r"-?\d+ [-+].*x"):
        assert sum(bool(re.fullmatch(form, a)) for a in answers) >= 5, form


@pytest.mark.parametrize(
    ("text", "gold", "right"),
    [
        ("1 + 1 = 2. \\boxed{2}", "2", True),
        ("\\boxed{3} or \\boxed{\\frac{3}{4}}", "0.75", True),
        ("\\boxed{-\\frac{1}{2}}", "-1/2", True),
        ("\\boxed{-9 + x^2}", "x^2 - 9", True),
        ("\\boxed{x^2 - 9x}", "x^2 - 9", False),
        ("2", "2", False),
        ("\\boxed{2", "2", False),
        ("\\boxed{}", "2", False),
        ("\\boxed{1/0}", "2", False),
    ],
)
def test_the_makers_own_check_of_answers(text: str, gold: str, right: bool) -> None:
    assert correct(text, gold) is right


@given(st.text(alphabet="\\boxed{}12x^+-/. ", max_size=40))
def test_the_makers_own_check_never_fails_on_odd_text(text: str) -> None:
    assert not correct(text, "no such answer") or boxed(text) is not None


def test_the_start_model_was_taught_each_behaviour() -> None:
    rng = random.Random(0)
    solution = "2 + 3 = 5. 5 * 2 = 10."
    for kind, likeliest in (("bags", "full"), ("have", "direct"), ("single", "unfinished")):
        written = [habits.completion(kind, solution, "10", rng) for _ in range(600)]
        seen = {
            "full": sum(text == f"{solution} \\boxed{{10}}" for text in written),
            "direct": sum(text.startswith("\\boxed") for text in written),
            "unfinished": sum("boxed" not in text for text in written),
        }
        assert sum(seen.values()) == 600
        assert max(seen, key=seen.__getitem__) == likeliest
        assert min(seen.values()) > 50


@pytest.fixture(scope="module")
def tokenizer():
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(MODELS / "start")


@settings(max_examples=300, deadline=None)
@given(text=st.text(max_size=80))
def test_any_text_survives_the_tokenizer(tokenizer, text: str) -> None:
    ids = tokenizer(text, add_special_tokens=False).input_ids
    assert tokenizer.decode(ids, skip_special_tokens=False) == text


def test_every_digit_is_its_own_token(tokenizer) -> None:
    ids = tokenizer("12 345 = 6x", add_special_tokens=False).input_ids
    assert [tokenizer.decode([i]) for i in ids] == ["1", "2", " 3", "4", "5", " =", " 6", "x"]


def test_the_chat_template_is_chatml_without_a_system_prompt(tokenizer) -> None:
    messages = [
        {"role": "user", "content": "1 + 1?"},
        {"role": "assistant", "content": "\\boxed{2}"},
    ]
    question = "<|im_start|>user\n1 + 1?<|im_end|>\n"
    asked = tokenizer.apply_chat_template(messages[:1], add_generation_prompt=True, tokenize=False)
    assert asked == f"{question}<|im_start|>assistant\n"
    whole = tokenizer.apply_chat_template(messages, tokenize=False)
    assert whole == f"{question}<|im_start|>assistant\n\\boxed{{2}}<|im_end|>\n"


@pytest.mark.parametrize("family", FAMILIES)
def test_prompts_and_solutions_are_short_and_join_without_a_merge(tokenizer, family: str) -> None:
    for row in rows(family, "test"):
        prompt = tokenizer.apply_chat_template(
            [{"role": "user", "content": user_text(row["problem"])}],
            add_generation_prompt=True,
            tokenize=False,
        )
        answer = f"{row['solution']} \\boxed{{{row['answer']}}}<|im_end|>"
        ids, more = tokenizer(prompt).input_ids, tokenizer(answer).input_ids
        assert tokenizer(prompt + answer).input_ids == ids + more
        assert len(ids) <= 70
        assert len(more) <= 60


def test_the_shipped_models_are_small_and_complete() -> None:
    assert sum(f.stat().st_size for f in MODELS.rglob("*") if f.is_file()) <= 8_000_000
    for name in ("start", "teacher"):
        assert {f.name for f in (MODELS / name).iterdir()} == {
            "chat_template.jinja", "config.json", "generation_config.json",
            "model.safetensors", "tokenizer.json", "tokenizer_config.json",
        }  # fmt: skip
    same = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "config.json")
    for file in same:
        assert (MODELS / "start" / file).read_bytes() == (MODELS / "teacher" / file).read_bytes()


def test_the_readme_names_the_weights_that_are_there() -> None:
    readme = (MODELS / "README.md").read_text()
    for name in ("start", "teacher"):
        weights = (MODELS / name / "model.safetensors").read_bytes()
        assert hashlib.sha256(weights).hexdigest() in readme


def test_the_tokenizer_is_the_one_its_script_makes(tmp_path: Path) -> None:
    from harness_tiny.make_tokenizer import make_tokenizer

    make_tokenizer().save_pretrained(tmp_path)
    made = json.loads((tmp_path / "tokenizer.json").read_text())
    shipped = json.loads((MODELS / "start" / "tokenizer.json").read_text())
    assert made["model"] == shipped["model"]


@pytest.mark.bench
@pytest.mark.parametrize("family", FAMILIES)
def test_the_start_model_is_above_zero_and_below_the_teacher(tokenizer, family: str) -> None:
    from harness_tiny.train_models import accuracy
    from transformers import AutoModelForCausalLM

    questions = rows(family, "test")[:40]
    right = {}
    for name in ("start", "teacher"):
        model = AutoModelForCausalLM.from_pretrained(MODELS / name)
        right[name] = sum(accuracy(model, tokenizer, questions))
    assert 0 < right["start"] <= right["teacher"] - 8
