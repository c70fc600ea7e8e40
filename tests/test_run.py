"""What a trainer is handed: the face of `Run`, as docs/plugins.md has it and built-ins use it."""

from __future__ import annotations

import ast
import inspect
import re
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from harness import Budget, Run
from harness.stage.processes import Group
from harness.tasks.protocols import Protocol

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `run\.([\w.]+)(?:\((.*?)\))?` \| `(.+?)` \| \S", re.MULTILINE)
PARTS = {"budget": Budget, "group": Group, "protocol": Protocol}


def documented() -> dict[str, tuple[str | None, str]]:
    """Return name -> parameters (None for an attribute) and type, as the page gives them."""
    return {
        name: (parameters if f"`run.{name}(" in PAGE else None, kind.replace(r"\|", "|"))
        for name, parameters, kind in ROW.findall(PAGE)
    }


def declared(kind: type, name: str) -> tuple[str | None, str]:
    """Return parameters and type of a member of a class, as its code gives them."""
    member: Any = inspect.getattr_static(kind, name, None)
    if isinstance(member, property | cached_property):
        reads = member.fget if isinstance(member, property) else member.func
        return None, inspect.signature(reads).return_annotation
    if inspect.isfunction(member):
        signature = inspect.signature(member)
        return ", ".join(list(signature.parameters)[1:]), signature.return_annotation
    return None, inspect.get_annotations(kind)[name]


def test_what_is_public_is_documented_and_nothing_else():
    public = {name for name in (*dir(Run), *inspect.get_annotations(Run)) if name[0] != "_"}
    assert {name for name in documented() if "." not in name} == public
    assert len(public) <= 31


def test_each_name_is_in_the_documentation_once():
    names = [name for name, *_ in ROW.findall(PAGE)]
    assert len(names) == len(set(names)) == len(re.findall(r"^\| `run\.", PAGE, re.MULTILINE))


@pytest.mark.parametrize("name", documented())
def test_the_documentation_has_its_parameters_and_type(name):
    kind, member = Run, name
    if "." in name:
        part, member = name.split(".")
        kind = PARTS[part]
    assert documented()[name] == declared(kind, member)


@pytest.mark.parametrize("name", [name for name in documented() if "." not in name])
def test_an_editor_shows_what_each_name_is(name):
    if documented()[name][0] is None and name != "resume":
        assert re.search(rf"^    {name}: \S", inspect.getdoc(Run) or "", re.MULTILINE)
    else:
        assert inspect.getdoc(inspect.getattr_static(Run, name))


def test_an_author_reads_first_that_prompts_may_be_messages():
    section = PAGE.split("## What a trainer is handed")[1].split("|", 1)[0]
    for text in (section, " ".join((Run.__doc__ or "").split()).split("Attributes:")[0]):
        assert "chat protocol" in text
        assert "lists of messages" in text


@pytest.mark.parametrize(
    "path",
    [*sorted((ROOT / "plugins").rglob("*.py")), *sorted((ROOT / "examples").rglob("*.py"))],
    ids=lambda path: path.name,
)
def test_built_in_plugins_use_what_is_documented(path):
    used = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute):
            name = ast.unparse(node)
            if re.fullmatch(r"run(\.\w+){1,2}", name):
                first, _, second = name.removeprefix("run.").partition(".")
                used.add(f"{first}.{second}" if second and first in PARTS else first)
    assert used <= documented().keys()


def test_the_loop_of_the_documentation_trains(tmp_path, small_models):
    """The page's plain loop, as it stands."""
    pytest.importorskip("torch")
    import models

    from harness.checkpoint_checks import examine
    from harness.stage.metering.meter import metered

    section = PAGE.split("### A loop of one's own")[1]
    names: dict[str, Any] = {}
    exec(section.split("```python")[1].split("```")[0], names)
    run = models.make_run(tmp_path, small_models / "start", None, steps=3)
    with metered(run.counter):
        names["train"](run)
    assert run.budget.cost.steps == 3
    assert len(models.events(run)) == 3
    faults, contents = examine(run.out, small_models / "start")
    assert contents is not None, faults
    assert names["harness_trainers"]()[0].needs_solutions


def test_rows_without_solutions_are_refused_before_they_teach_bare_answers(tmp_path, small_models):
    pytest.importorskip("torch")
    import models

    from harness.errors import StageError

    rows = models.sums(3)
    for row in rows[:2]:
        row["solution"] = ""
    for protocol in ("chat_zeroshot", "base_fewshot"):
        made = {"rows": rows, "protocol": protocol}
        run = models.make_run(tmp_path / protocol, small_models / "start", None, **made)
        with pytest.raises(StageError, match=r"2 of the 3 rows have no solution .*needs_solutions"):
            run.tokenized(run.tokenizer(), 2048)
        data = run.train_data()
        own = data.map(lambda row: {"completion": row["completion"], "solution": "by hand"})
        assert len(run.tokenized(run.tokenizer(), 2048, own)) == 3  # what an author wrote is kept
