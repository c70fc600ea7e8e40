"""The parts of docs/gallery.md that are made: published leaderboards, and what commands print.

`python tests/support/gallery.py` writes them into the page.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from rich.console import Console

from harness.leaderboard.data import Leaderboard
from harness.publish.write import published_boards, rebuild
from harness.render import sentences, terminal
from harness.render.escape import markdown

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "gallery.md"
BOARDS = r"(<!-- boards -->\n)(.*?)(<!-- end of boards -->)"
OUTPUT = r"(<!-- output: (.*?) -->\n)(.*?)(<!-- end of output -->)"


def made(page: str) -> str:
    """Return the page with everything in it that is made."""
    boards = [rebuild(path) for path in published_boards(ROOT / "leaderboards")]
    shown = "".join(f"\n{section(one)}\n" for one in boards)
    page = re.sub(BOARDS, lambda part: f"{part[1]}{shown}\n{part[3]}", page, flags=re.DOTALL)
    return re.sub(
        OUTPUT,
        lambda part: f"{part[1]}\n```text\n{output(part[2], boards)}\n```\n\n{part[4]}",
        page,
        flags=re.DOTALL,
    )


def section(board: Leaderboard) -> str:
    """Return what the page has of a board: its picture, and where its page is."""
    conditions = board.conditions
    place = f"../leaderboards/{conditions.board}"
    rows = sum(not row.start for row in board.rows)
    return (
        f"### {markdown(conditions.title, 200)}\n\n"
        f"![{sentences.PLOT}]({place}.svg)\n\n"
        f"{rows} trainers with {len(conditions.seeds)} seeds each: [the page]({place}.md)."
    )


def output(what: str, boards: list[Leaderboard]) -> str:
    """Return what a command prints, or how a published board looks at the end of a bench."""
    if what.startswith("harness "):
        command = [sys.executable, "-P", "-m", "harness", *shlex.split(what)[1:]]
        given = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1"}
        done = subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        text = f"$ {what}\n{done.stdout}"
    else:
        name, width, _ = what.replace(",", "").split()
        board = next(one for one in boards if one.conditions.board == name)
        console = Console(width=int(width), color_system=None, force_terminal=False)
        with console.capture() as capture:
            console.print(terminal.render(board))
        text = capture.get()
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())


if __name__ == "__main__":
    PAGE.write_text(made(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
