"""The documentation is true: its commands run, its hooks exist, its example trains."""

from __future__ import annotations

import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import gallery
import gguf_files
import pytest
import yaml

import harness as harness_package
from harness import testing
from harness.bench.executors.local import LocalExecutor
from harness.bench.folder import Folder
from harness.bench.plan import plan
from harness.bench.scheduler import run
from harness.boards.board import load_board
from harness.cli.main import MODULES
from harness.plugin import hookspecs
from harness.plugin.host import Host

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
COMMANDS = README + (ROOT / "docs" / "commands.md").read_text()
HOOKS = [name for name in vars(hookspecs) if name.startswith("harness_")]


def commands(text: str) -> list[str]:
    """Return the command lines of the text's `sh` blocks, without comments."""
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [line for line in (line.split(" #")[0].strip() for line in lines) if line]


def harness_commands() -> list:
    """Return the `harness` lines; `diff` needs a bench's answers (see test_tiny_bench)."""
    found = [c for c in dict.fromkeys(commands(COMMANDS)) if c.startswith("harness ")]
    # `tox` runs the check itself, and what the doctor does has tests of its own
    marks = {"harness score ": "bench", "harness doctor": "slow", "harness check": "slow"}
    return [
        pytest.param(
            command,
            marks=[getattr(pytest.mark, m) for c, m in marks.items() if command.startswith(c)],
        )
        for command in found
        if not command.startswith("harness diff ")
    ]


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_documented(hook):
    arguments = ", ".join(getattr(hookspecs, hook).__code__.co_varnames)
    assert f"### `{hook}({arguments})`" in (ROOT / "docs" / "plugins.md").read_text()
    assert getattr(hookspecs, hook).__doc__


# hook -> a command, and a line of its output that only a plug-in's answer to the hook brings
SHOWN = {
    "harness_trainers": ("plugins", "unruly-slow"),
    "harness_tasks": ("tasks", "unruly_sums"),
    "harness_boards": ("boards", "observed: A board that a plug-in ships"),
    "harness_commands": ("observe", "observed"),
    "harness_executors": ("plugins", "executor elsewhere: processes that know nothing"),
}
NOTED = {"harness_cell_started": "started start", "harness_cell_finished": "finished start killed"}


@pytest.mark.parametrize("hook", [hook for hook in HOOKS if hook not in NOTED])
def test_the_host_uses_what_a_hook_returns(hook, harness, with_plugins):
    command, shown = SHOWN[hook]
    assert shown not in harness(command, check=None).stdout
    with_plugins("unruly", "observer", "elsewhere")
    assert shown in harness(command).stdout


def test_the_example_of_an_executor_is_the_one_that_is_tested():
    """By `test_remote_executors.py`."""
    page = (ROOT / "docs" / "plugins.md").read_text()
    (block,) = re.findall(r"```python\n([^`]*?class Processes.*?)@hookimpl", page, re.DOTALL)
    fixture = ROOT / "tests/support/plugins/elsewhere/harness_elsewhere.py"
    assert block.strip() in fixture.read_text()


def test_the_host_tells_of_cells(small_board, with_plugins, monkeypatch, tmp_path):
    """The stages of this bench fail at once: its warm process is a module that only ends."""
    with_plugins("observer")
    monkeypatch.setenv("OBSERVER_NOTES", str(tmp_path / "notes"))
    text = small_board.read_text()
    small_board.write_text(text.replace('plugins = ["unruly"]', 'plugins = ["unruly", "observer"]'))
    host = Host()
    made = plan(load_board(str(small_board), host), host, (), [0])
    executor = LocalExecutor(1, "cpu", 1, tmp_path / "log", program="keyword")
    run(made, host, Folder(tmp_path / "runs"), executor, lambda event, facts: None)
    noted = (tmp_path / "notes").read_text().splitlines()
    for line in NOTED.values():
        assert noted.count(line) == 1


def test_the_readme_gives_the_command_that_ci_runs():
    script = (ROOT / ".ci" / "run").read_text().splitlines()
    assert script[-1] in commands(README)


def test_the_readme_names_every_built_in_trainer_and_the_index_every_document():
    host = Host()
    for plugin in ("sft", "kd", "rl", "hybrid", "rft", "rloo"):
        host.load(plugin)
    for name in host.trainers():
        assert f"`{name}`" in README, name
    index = (ROOT / "docs" / "README.md").read_text()
    for path in (ROOT / "docs").glob("*.md"):
        assert f"({path.name})" in index or path.name == "README.md", path.name


def test_the_files_that_pages_name_exist():
    """Those below a folder of this repository, or of `harness/` as CONTRIBUTING.md names them."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "benchmarks").glob("*.md")]
    places = "tests|harness|plugins|benchmarks|boards|examples|docs"
    named = re.compile(rf"(?<![\w./@-])((?:{places})/[\w./-]+\.(?:py|md|toml|json|jsonl))\b")
    found = {(path.name, name) for path in pages for name in named.findall(path.read_text())}
    assert ("boards.md", "tests/test_disk_space.py") in found
    made_up = {("CONTRIBUTING.md", "tests/test_x.py")}
    there = (ROOT, ROOT / "harness")
    lost = {one for one in found if not any((place / one[1]).is_file() for place in there)}
    assert lost == made_up


def test_every_command_is_on_the_page_of_commands():
    page = (ROOT / "docs" / "commands.md").read_text()
    for name in MODULES:
        assert f"harness {name}" in page, name


def test_the_reference_has_all_that_plugin_authors_import():
    page = (ROOT / "docs" / "reference.md").read_text()
    named = re.findall(r"^::: ([\w.]+)\.(\w+)$", page, re.MULTILINE)
    for module, name in named:
        assert getattr(importlib.import_module(module), name).__doc__, name
    offered = {*harness_package.__all__, *testing.__all__} - {"hookimpl"}
    assert offered <= {name for _, name in named}


def test_the_site_has_every_page():
    text = (ROOT / "mkdocs.yml").read_text()
    for path in (ROOT / "docs").glob("*.md"):
        assert f": {path.name}\n" in text, path.name


def test_the_gallery_shows_what_is_published_and_printed():
    page = gallery.PAGE.read_text()
    assert gallery.made(page) == page, "python tests/support/gallery.py writes it anew"
    for path in (ROOT / "leaderboards" / "records").glob("*/conditions.json"):
        assert f"(../leaderboards/{path.parent.name}.svg)" in page


@pytest.mark.parametrize(
    ("path", "board"),
    [
        ("README.md", "smollm2-135m"),
        ("docs/findings/1-equal-compute.md", "tiny"),
        ("docs/findings/3-tuning-takes-the-order-away.md", "tiny-tuned"),
        ("docs/findings/2-form-before-skill.md", "smollm2-135m"),
        ("boards/smollm2-135m/README.md", "smollm2-135m"),
    ],
)
def test_what_is_quoted_of_a_leaderboard_is_on_it(path, board):
    text, page = (ROOT / path).read_text(), (ROOT / "leaderboards" / f"{board}.md").read_text()
    if path == "README.md":
        text = text[text.index("## A real model") : text.index("## Start")]
    text = re.sub(r"^- A pilot .*?(?=^- )", "", text, flags=re.M | re.S)  # a board of its own
    # of the start model with examples in its prompt there is no row
    text = text.replace("4.0 % [2.8, 5.6]", "").replace("4.0 [2.8, 5.6]", "")
    text, page = " ".join(text.split()), " ".join(page.split())
    quoted = re.findall(r"\[[\u2212+]?[\d.]+, [\u2212+]?[\d.]+\]", text)
    assert quoted
    assert [one for one in quoted if one not in page] == []


def test_the_citation_is_of_this_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert (cited["version"], cited["license"]) == (project["version"], project["license"])
    assert cited["title"].startswith(project["name"])


@pytest.mark.parametrize("path", [*(ROOT / ".github").glob("**/*.yml")], ids=lambda path: path.name)
def test_the_forms_and_workflows_of_github_are_read(path):
    content = yaml.safe_load(path.read_text())
    if path.parent.name == "ISSUE_TEMPLATE":
        ids = [part["id"] for part in content["body"]]
        assert {"name", "description"} <= content.keys()
        assert len(set(ids)) == len(ids)


def test_links_lead_somewhere():
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
    for path in [*pages, ROOT / ".github" / "pull_request_template.md"]:
        for target in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
            if "://" not in target:
                assert (path.parent / target).exists(), f"{path.name}: {target}"


@pytest.mark.parametrize("command", harness_commands())
def test_the_commands_of_the_pages_run(command, harness, tmp_path):
    """Each `harness` line runs as it is written; what trains is only planned here.

    Training is covered by `test_bench.py`, and for the README's main job by a slow test.
    """
    if not (ROOT / "leaderboards" / "records" / "tiny").is_dir():
        pytest.skip("no published records to run the command on")
    arguments = shlex.split(command)[1:]
    if arguments[0] == "bench" and "--dry-run" not in arguments:
        arguments.append("--dry-run")
    shutil.copytree(ROOT / "leaderboards", tmp_path / "leaderboards")
    shutil.copytree(
        ROOT / "leaderboards" / "records" / "tiny", tmp_path / "runs" / "tiny" / "records"
    )
    (tmp_path / "runs/tiny/records/conditions.json").unlink()
    (tmp_path / "examples").mkdir()
    shutil.copy(ROOT / "examples" / "answers.jsonl", tmp_path / "examples")
    models = ROOT / "plugins" / "harness_tiny" / "models"
    shutil.copytree(models, tmp_path / "plugins" / "harness_tiny" / "models")
    if arguments[0] == "import":
        gguf_files.write(tmp_path / arguments[1], models / "start")
    harness(*arguments)


@pytest.mark.slow
def test_the_third_party_example_is_installed_and_trains(harness_apart, monkeypatch, tmp_path):
    """pip installs the package of the documentation; it is listed and trains on the tiny board."""
    source = shutil.copytree(ROOT / "examples" / "harness-concise", tmp_path / "source")
    site = tmp_path / "site"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation",
         "--no-index", "--target", str(site), str(source)],
        check=True,
    )  # fmt: skip
    monkeypatch.setenv("PYTHONPATH", str(site), prepend=os.pathsep)
    assert "concise (harness-concise 0.1.0)" in harness_apart("plugins").stdout
    shown = harness_apart(
        "bench", "--plugins", "concise", "--seeds", "0", "--set", "concise.max_steps=3"
    )  # a few steps show that it trains; that it learns is not its point
    assert "concise" in shown.stdout
    assert list((tmp_path / "runs" / "tiny" / "records").glob("concise*.json"))


def test_the_example_is_as_short_as_it_is_said_to_be():
    folder = ROOT / "examples" / "harness-concise"
    project = [x for x in (folder / "pyproject.toml").read_text().splitlines() if x.strip()]
    assert len(project) <= 10
    module = [x for x in (folder / "harness_concise.py").read_text().splitlines() if x.strip()]
    assert len(module) <= 20
