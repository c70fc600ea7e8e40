"""What pydantic finds wrong with a board or with options, in plain words with an example."""

from __future__ import annotations

import re
import types
from collections.abc import Mapping, Sequence
from typing import Any

import pydantic

from harness.errors import did_you_mean

ORDINALS = ("first", "second", "third", "fourth", "fifth")
LONGEST = 60  # characters that are shown of a wrong value
NOT_READ = {  # pydantic's types of errors, for a value that is of another kind
    "float_parsing": "a number",
    "float_type": "a number",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "string_type": "a text, which stands in quotes",
}
BOUNDS = {  # type of error -> words, and where pydantic has the bound
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("at most", "le"),
}
TABLES = ("model_type", "model_attributes_type", "dict_type", "mapping_type")
EXAMPLES = {  # of the keys of a board
    "schema": "schema = 1",
    "name": 'name = "my-board"',
    "title": 'title = "What is compared"',
    "start_model": 'start_model = "my-model", a folder beside the file',
    "plugins": 'plugins = ["math"]',
    "trainers": 'trainers = ["sft", "rl"]',
    "seeds": "seeds = [0, 1, 2]",
    "data": '[data] and below it train = ["my_task"]',
    "data.train": 'train = ["my_task"]',
    "budget": "[budget] and below it flops = 1e15",
    "scores": '[[scores]] and below it task = "my_task", max_new_tokens = 512, ranking = true',
    "task": 'task = "my_task"',
    "max_new_tokens": "max_new_tokens = 512",
    "curve.shares": "shares = [0.25, 0.5]",
    "until_decided.looks": "looks = [3, 5]",
    "notes": 'notes = ["what a reader must know"]',
}


def explain(
    error: pydantic.ValidationError,
    model: type[pydantic.BaseModel],
    examples: Mapping[str, str] = types.MappingProxyType({}),
) -> str:
    """Return the first problem of a validation in one line, with the nearest valid key.

    `examples` say of some keys how they are written.
    """
    # an unknown key explains a missing one, so it comes first
    problem: Mapping[str, Any] = min(
        error.errors(), key=lambda each: each["type"] != "extra_forbidden"
    )
    where, table = _place(model, problem["loc"])
    if problem["type"] == "extra_forbidden":
        *parents, key = problem["loc"]
        fields = _fields(model, parents)
        return f"unknown key {where!r}{table}; {did_you_mean(str(key), fields)}"
    text = _words(problem, where, examples.get(re.sub(r"\.\d+$", "", where), ""))
    return f"{where}{table}: {text}" if where else text


def _words(problem: Mapping[str, Any], where: str, example: str) -> str:
    """Return what one of pydantic's errors says, and what would be right."""
    kind, context = problem["type"], problem.get("ctx", {})
    given = repr(problem["input"])
    given = given if len(given) <= LONGEST else f"{given[: LONGEST - 1]}…"
    example = example and f"write {example}"
    if wanted := NOT_READ.get(kind):
        return f"{given} is not {wanted}"
    if kind in BOUNDS:
        words, bound = BOUNDS[kind]
        return f"must be {words} {context[bound]:g}, not {given}"
    if kind == "missing":
        return f"it is missing; {example or 'add it'}"
    if kind in ("tuple_type", "list_type"):
        return f"{given} is not a list; {example or 'write it in square brackets'}"
    if kind == "too_short":
        return f"it needs {context['min_length']} or more; {example or 'add to it'}"
    if kind in TABLES:
        return f"{given} is not a table; {example or f'write [{where}] and its keys below it'}"
    if kind == "literal_error":
        return f"must be {context['expected']}, not {given}"
    if kind == "finite_number":
        return f"must be a finite number, not {given}"
    if kind == "string_pattern_mismatch" and context["pattern"].startswith("^[a-z0-9]"):
        return f"{given} is no name: lower-case letters, digits, _ and - make one, such as my-1"
    message: str = problem["msg"]
    return message.removeprefix("Value error, ")


def _place(model: type[pydantic.BaseModel], parts: Sequence[int | str]) -> tuple[str, str]:
    """Return a key as it is written, and in which of several tables it stands, if in one of them.

    Examples:
        >>> from harness.boards.file import BoardFile
        >>> _place(BoardFile, ("scores", 0, "task"))
        ('task', ' in the first [[scores]]')
        >>> _place(BoardFile, ("budget", "steps"))
        ('budget.steps', '')
    """
    match parts:
        case [str(name), int(place), *rest] if rest and _fields(model, parts[:-1]):
            number = f"the {ORDINALS[place]}" if place < len(ORDINALS) else f"number {place + 1},"
            return ".".join(map(str, rest)), f" in {number} [[{name}]]"
    return ".".join(str(part) for part in parts if part != "[key]"), ""


def _fields(model: type[pydantic.BaseModel], parents: Sequence[int | str]) -> list[str]:
    """Return the keys that are valid at a place in a model."""
    for parent in parents:
        if isinstance(parent, int) or parent not in model.model_fields:  # of a list, of a dict
            continue
        annotation = model.model_fields[parent].annotation
        candidates = [annotation, *getattr(annotation, "__args__", ())]
        found = [c for c in candidates if isinstance(c, type) and issubclass(c, pydantic.BaseModel)]
        if not found:
            return []
        model = found[0]
    return [field.alias or name for name, field in model.model_fields.items()]
