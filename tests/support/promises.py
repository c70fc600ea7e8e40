"""The promises of docs/reliability.md, collected from the tests that hold them.

A test holds a promise by `@pytest.mark.promise("...")`; several may hold the same. The sources are
read and nothing is imported. `python tests/support/promises.py` writes the table into the page.
"""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reliability.md"
FIRST, LAST = "<!-- promises -->\n", "<!-- end of promises -->\n"


def promises() -> dict[str, list[str]]:
    """Return the tests that hold each promise, as `file::test`, in the order of the files."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                for mark in node.decorator_list:
                    if ast.unparse(mark).startswith("pytest.mark.promise("):
                        assert isinstance(mark, ast.Call)
                        text = ast.literal_eval(mark.args[0])
                        name = f"{path.relative_to(ROOT / 'tests')}::{node.name}"
                        found.setdefault(text, []).append(name)
    return found


def table() -> str:
    """Return the table of the page, in markdown."""
    lines = ["| promise | held by |", "|---|---|"]
    for text, tests in sorted(promises().items()):
        lines.append(f"| {text} | {'<br>'.join(f'`{test}`' for test in tests)} |")
    return "\n".join(lines) + "\n"


def of_page() -> tuple[str, str, str]:
    """Return the page in three parts: what precedes the table, the table, and what follows it."""
    before, rest = PAGE.read_text(encoding="utf-8").split(FIRST)
    inside, after = rest.split(LAST)
    return before + FIRST, inside, LAST + after


if __name__ == "__main__":
    before, _, after = of_page()
    PAGE.write_text(f"{before}\n{table()}\n{after}", encoding="utf-8")
