"""lm-eval's own task definitions: found, checked and fed without importing lm-eval.

`TaskManager()` reads all of lm-eval's 14,000 YAML files, which takes seconds, and imports what it
finds. A board is checked in the controlling process before anything is trained, so here the one
file of a task is looked up by its text and read as data; functions in it stay names.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from harness.tasks.task import Task
    from harness.verify.extraction.extract import Form

_NAMED = re.compile(rb"^(task|group):[ \t]*['\"]?([\w.+-]+)['\"]?[ \t]*(?:#.*)?\r?$", re.M)


@dataclass(frozen=True)
class Definition:
    """One task of lm-eval, from its YAML file."""

    name: str
    path: Path
    content: Mapping[str, Any]  # the file with what it includes; a function is its name's text

    @property
    def shots(self) -> int:
        """Examples in a prompt."""
        return int(self.content.get("num_fewshot") or 0)

    @property
    def form(self) -> Form:
        """Return the form in which the task asks for the answer, for the verifier.

        It is read off the task's first filter: `hash` where that looks for `####`, `answer_is`
        where it looks for "answer is", and `boxed` for every other task.
        """
        first: Mapping[str, Any] = next(iter(self.content.get("filter_list") or ()), {})
        patterns = " ".join(str(step.get("regex_pattern", "")) for step in first.get("filter", ()))
        if "####" in patterns:
            return "hash"
        return "answer_is" if "answer is" in patterns.lower() else "boxed"

    @property
    def splits(self) -> tuple[str, tuple[str, ...]]:
        """Return the split that is scored, and those that examples may be drawn from."""
        named = [self.content.get(f"{kind}_split") for kind in ("test", "validation", "training")]
        shots = self.content.get("fewshot_split")
        shots = shots or (self.content.get("fewshot_config") or {}).get("split")
        scored = next((name for name in named if name), "")
        others = dict.fromkeys(name for name in (*named, shots) if name and name != scored)
        return scored, tuple(others)

    def check_decoding(self, samples: int, temperature: float) -> None:
        """Refuse another number of samples than a task votes over."""
        repeats = int(self.content.get("repeats") or 1)
        if repeats > 1 and repeats != samples:
            wanted = (self.content.get("generation_kwargs") or {}).get("temperature", 0)
            raise UsageError(
                f"lm-eval's task {self.name!r} votes over {repeats} samples: set samples ="
                f" {repeats} and temperature = {wanted} (the board has {samples} and"
                f" {temperature:g})"
            )


def version() -> str:
    return importlib.metadata.version("lm_eval")


@cache
def definition(name: str) -> Definition:
    """Return the definition of one of lm-eval's tasks.

    Raises:
        UsageError: If there is no such task, or one that cannot be scored here: not generative,
            made of Python code, of images or sound, or with a grader that runs what a model wrote.
    """
    path = _find(name)
    content = _read(path)
    refuse = f"lm-eval's task {name!r} cannot be scored here: "
    if "class" in content:
        raise UsageError(refuse + "it is a Python class, not a definition")
    kind = content.get("output_type", "generate_until")
    if kind != "generate_until":
        raise UsageError(refuse + f"it is a {kind} task; only generate_until is scored")
    if "doc_to_image" in content or "doc_to_audio" in content:
        raise UsageError(refuse + "its problems are not text alone")
    modules = sorted(set(re.findall(r"!function ([\w.]+)\.\w+", str(content))))
    files = [path, *(path.parent / f"{name.replace('.', '/')}.py" for name in modules)]
    code = [file.read_text(encoding="utf-8") for file in files if file.is_file()]
    unsafe = ("unsafe_code", "code_eval", "HF_ALLOW_CODE_EVAL", "parse_expr")
    if "score" in path.relative_to(_root()).parts or any(w in t for w in unsafe for t in code):
        raise UsageError(refuse + "its grader runs what a model wrote as code")
    if any("antlr4-python3-runtime" in text for text in code):
        _check_latex(refuse)
    return Definition(name, path, content)


def documents(found: Definition, task: Task) -> list[dict[str, Any]]:
    """Return a benchmark's rows as lm-eval's task wants its documents.

    Returns:
        `split` (lm-eval's name), `doc` and `id` of each document: those that are scored, and then
        those that examples are drawn from. Both are in the order of their source and not in
        ours, because lm-eval draws examples by place: the same ones as where it reads the source.
    """
    scored, others = found.splits
    tested = sorted(task.split("test"), key=_place_in_source)
    docs = [task.lm_eval_doc(row) for row in tested]
    train = [task.lm_eval_doc(row) for row in sorted(task.split("train"), key=_place_in_source)]
    written = "samples" in (found.content.get("fewshot_config") or {})
    drawn = found.shots and others and not written
    if drawn and not train:
        raise UsageError(
            f"lm-eval's task {found.name!r} draws {found.shots} examples from training rows;"
            f" task {task.name!r} has none"
        )
    if "process_docs" not in found.content:  # else the columns are made where its stage starts
        for doc in (*docs[:1], *(train[:1] if drawn else ())):
            _check_columns(found, task.name, doc)
    # a split that nothing is drawn from must be there all the same
    examples = [(name, doc) for name in others for doc in train or docs[:1]]
    ids = [row["id"] for row in tested]
    return [
        *({"split": scored, "doc": doc, "id": id_} for doc, id_ in zip(docs, ids, strict=True)),
        *({"split": name, "doc": doc, "id": None} for name, doc in examples),
    ]


def _place_in_source(row: Mapping[str, str]) -> list[tuple[int, str]]:
    """Return a key that sorts rows as their source does: numbers in its ids count as numbers.

    Rows of a task without a source stay in their order.
    """
    parts = re.findall(r"\d+|\D+", row.get("source_id", ""))
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def columns(task: Task) -> dict[str, Any]:
    """Return where a task's documents get their columns from, without reading its rows."""
    return task.lm_eval_doc({key: key for key in ("id", "problem", "answer", "solution")})


def _check_columns(found: Definition, task: str, doc: Mapping[str, Any]) -> None:
    """Render the prompt and the target of one document as lm-eval would."""
    import jinja2

    templates = jinja2.Environment(undefined=jinja2.StrictUndefined)
    templates.filters["regex_replace"] = lambda text, *_: text
    for key in ("doc_to_text", "doc_to_target"):
        template = found.content.get(key)
        # the functions of a definition are run where its stage starts
        if not isinstance(template, str) or template.startswith("!function"):
            continue
        if template.isidentifier():  # it is a column
            template = f"{{{{ {template} }}}}"
        try:
            templates.from_string(template).render(**doc)
            continue
        except jinja2.UndefinedError as error:
            missing = str(error).split("'")[1] if "'" in str(error) else str(error)
        except (jinja2.TemplateError, TypeError, ValueError, AttributeError) as error:
            missing = f"{key} ({error})"
        raise UsageError(
            f"lm-eval's task {found.name!r} needs a column {missing!r};"
            f" task {task!r} has {', '.join(sorted(doc))}"
        )


def _check_latex(refuse: str) -> None:
    """Refuse a task whose grader cannot be imported, before anything is trained."""
    for package, wanted in (("antlr4-python3-runtime", "4.11"), ("math_verify", "")):
        try:
            there = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            there = "missing"
        if there == "missing" or not there.startswith(wanted):
            needed = f"{package} {wanted}".rstrip()
            raise UsageError(
                f"{refuse}its grader needs {needed} ({there}): pip install 'lm-eval[math]'"
            )


@cache
def _root() -> Path:
    """Return the folder of lm-eval's tasks; nothing is imported."""
    found = importlib.util.find_spec("lm_eval")
    if found is None or not found.submodule_search_locations:
        raise UsageError("lm-eval is not installed: pip install lm-eval")
    return Path(found.submodule_search_locations[0]) / "tasks"


def _find(name: str) -> Path:
    """Return the YAML file that defines a task: in a folder named like it, or anywhere."""
    folders = [path for path in _root().iterdir() if path.is_dir() and name.startswith(path.name)]
    for folder in sorted(folders, key=lambda path: -len(path.name)):
        if found := _defined(folder)[0].get(name):
            return found
    tasks, groups = _defined(_root())  # reads every file: about a second, once
    if name in tasks:
        return tasks[name]
    if name in groups:
        raise UsageError(f"{name!r} is a group of lm-eval's tasks: name one of its tasks")
    raise UsageError(f"lm-eval {version()} has no task {name!r}; {did_you_mean(name, tasks)}")


@cache
def _defined(folder: Path) -> tuple[dict[str, Path], set[str]]:
    """Return the files of the tasks that are defined below a folder, and the names of groups."""
    tasks: dict[str, Path] = {}
    groups: set[str] = set()
    for path in sorted(folder.rglob("*.yaml")):
        for kind, name in _NAMED.findall(path.read_bytes()):
            if kind == b"task":
                tasks.setdefault(name.decode(), path)
            else:
                groups.add(name.decode())
    return tasks, groups


def _read(path: Path) -> dict[str, Any]:
    """Return a YAML file over those that it includes; `!function` becomes text."""
    import yaml

    class Loader(yaml.SafeLoader):
        pass

    def named(loader: yaml.SafeLoader, node: Any) -> str:
        return f"!function {loader.construct_scalar(node)}"

    Loader.add_constructor("!function", named)
    content: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), Loader=Loader)
    included = content.pop("include", None) or ()
    for name in reversed([included] if isinstance(included, str) else included):
        content = _read(path.parent / name) | content
    return content
