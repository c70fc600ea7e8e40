"""Records: names of cells, refused keys, and the names that `harness` itself exports."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pydantic
import pytest
from generated import record

import harness
from harness.records import Caps, cell_name


def test_a_cell_has_one_name_for_people_for_commands_and_for_files():
    trained, start = record("sft+rl", 3, {"words": "CW"}), record("start", None, {"words": "CW"})
    assert (trained.name, trained.cell) == ("sft+rl seed 3", "sft+rl/3")
    assert (start.name, start.cell) == ("start", "start")
    assert cell_name("kd", 0, "-s") == "kd-s0"


def test_what_files_hold_has_no_other_keys_and_never_changes():
    with pytest.raises(pydantic.ValidationError, match="Extra inputs are not permitted"):
        Caps(steps=1, step=1)
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        Caps(steps=1).steps = 2
    with pytest.raises(pydantic.ValidationError, match="finite number"):
        Caps(flops=float("inf"))


def test_type_checkers_see_the_names_that_can_be_imported():
    tree = ast.parse(Path(harness.__file__).read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {
        alias.asname: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == harness._HOMES
    for name in harness.__all__:
        assert vars(importlib.import_module(seen[name]))[name] is getattr(harness, name)
    with pytest.raises(AttributeError, match="no attribute 'trainer'"):
        _ = harness.trainer
