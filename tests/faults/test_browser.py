"""Hostile text in a real browser: nothing runs, nothing is fetched, on pages of both kinds."""

from __future__ import annotations

import functools
import http.server
import shutil
import subprocess
import threading
from pathlib import Path

import generated
import pytest
from markdown_it import MarkdownIt  # comes with rich

from harness.leaderboard.build import build
from harness.render import markdown
from harness.report import forest

pytest.importorskip("jinja2", reason="the extra report is not installed")
pytest.importorskip("matplotlib", reason="the extra report is not installed")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
RUN = "document.documentElement.dataset.ran=1;fetch('/stolen')"
ACTIVE = (
    f"<script>{RUN}</script>",
    f'<img src=x onerror="{RUN}">',
    f'" onmouseover="{RUN}" autofocus onfocus="{RUN}" x="',
    f"<svg onload=\"{RUN}\"><style>@import '/stolen'</style>",
    f"</title></style></textarea></script><script>{RUN}</script>",
    '<iframe src="/stolen"></iframe><link rel=stylesheet href=/stolen>',
    f"![x](/stolen) [x](javascript:{RUN}) <javascript:{RUN}>",
    f"{{{{ 7*7 }}}} ${{7*7}} <!--><script>{RUN}</script>-->",
)


def written(folder: Path) -> None:
    """Write a report and a leaderboard in which every text is one that wants to run."""
    from harness.report.page import render

    records = generated.leave(folder, [generated.record("start", None, {"words": "CWCWWWWWCC"})])
    for seed, text in enumerate(ACTIVE):
        one = generated.record("sft", seed, {"words": "CCWWCCNTCC"}, command=text)
        one = one.model_copy(update={"trainer": text, "verifier_version": text})
        records += generated.leave(folder, [one], text=text)
        records.append(generated.record("kd", seed, {}, status="failed", error=text, id=f"k{seed}"))
    together = " ".join(ACTIVE)
    conditions = generated.conditions(
        ["words"],
        seeds=range(len(ACTIVE)),
        title=together,
        data=together,
        notes=ACTIVE,
        warnings=ACTIVE,
        protocols={text: text for text in ACTIVE},
    )
    html = render(records, conditions, folder, generated.questions(text=together))
    (folder / "report.html").write_text(html)
    page = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    board = build(records, conditions)
    made = page.render(markdown.render(board))
    (folder / "board.html").write_text(f"<!DOCTYPE html><title>b</title>{made}")
    (folder / "made-up.svg").write_text(forest.published(board))


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt-get install chromium")
@pytest.mark.promise("No text that a trainer, a plug-in or a record brings runs in a browser")
def test_nothing_runs_in_a_browser_and_nothing_is_fetched(tmp_path):
    written(tmp_path)
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            asked.append(self.path)

    handler = functools.partial(Handler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        shown = {}
        for name in ("report.html", "board.html", "made-up.svg"):
            address = f"http://127.0.0.1:{server.server_address[1]}/{name}"
            options = ("--headless", "--no-sandbox", "--disable-gpu", "--dump-dom")
            options += (f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=5000")
            done = subprocess.run(
                [CHROMIUM, *options, address], capture_output=True, text=True, timeout=300
            )
            assert done.returncode == 0, done.stderr
            shown[name] = done.stdout
        server.shutdown()
    assert {*asked} - {"/favicon.ico"} == {
        *("/report.html", "/board.html", "/made-up.svg"),  # the page of a board shows its plot
    }
    for name, text in shown.items():
        assert "onerror" in text, name  # it is there, as text
        assert "data-ran" not in text, name
