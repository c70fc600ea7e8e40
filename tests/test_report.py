from __future__ import annotations

import functools
import http.server
import json
import re
import shutil
import subprocess
import threading
from html.parser import HTMLParser
from pathlib import Path

import generated
import numpy as np
import pytest
from pages import curves
from test_escape import CONTROL, HOSTILE

pytest.importorskip("jinja2", reason="the extra report is not installed")
pytest.importorskip("matplotlib", reason="the extra report is not installed")

from harness.report import evidence, figures
from harness.report.looks import looks
from harness.report.page import render, write_report

ACCURACIES = {"start": 0.4, "sft": 0.6, "kd": 0.61, "sft+rl": 0.75}
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


class Page(HTMLParser):
    """Collects what a browser would act on."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("runs")
    records = generated.leave(runs, generated.board(ACCURACIES, n=80))
    records.append(generated.record("rl", 0, {}, status="oom", error="CUDA out of memory"))
    out = tmp_path_factory.mktemp("report") / "made-up.html"
    return write_report(records, generated.conditions(), out, runs, generated.questions())


def test_everything_is_on_the_page(report):
    page = Page(report.read_text())
    for said in (
        "Trainers compared",
        "Gains over the start model",
        "Chains against the same compute without their last stage",
        "What holds for every row",
        "Budget",
        "Accuracy against cost",
        "training FLOPs of a seed",
        "Learning curves",
        "training loss",
        "reward",
        "completion length, tokens",
        "Questions that trainers fix or break",
        "fixed by most trainers",
        "The answer of sft+rl is",
        "CUDA out of memory",
        "harness bench made-up --plugins sft+rl",
        "What this board finds",
    ):
        assert said in page.text, said
    drawn = [tag for tag, a in page.tags if tag == "svg" and a.get("role") == "img"]
    assert len(drawn) == 1 + 5 + 5 + 3  # forest, costs, curves, heat maps
    text = report.read_text()
    places = [text.index(f'id="{one}"') for one in ("ranking", "gains", "conditions", "cost")]
    assert places == sorted(places)


def test_a_trainer_has_one_colour_and_a_loss_an_axis_of_its_own(tmp_path):
    records = generated.leave(tmp_path, generated.board(ACCURACIES, n=40))
    found = evidence.learning_curves(records, tmp_path)
    losses = {title: [*rows] for title, rows in found.items() if "loss" in title}
    assert losses == {
        "training loss of sft": ["sft"],
        "training loss of kd": ["kd"],
        "training loss of rl": ["sft+rl"],
    }
    assert all(len(seeds) == 3 for rows in found.values() for seeds in rows.values())
    text = render(records, generated.conditions(), tmp_path)
    parts = re.findall(r'(<svg[^>]*aria-label="([^"]*)"[^>]*>.*?</svg>)', text, re.DOTALL)
    drawn = {label: svg for svg, label in parts}
    look = looks(["start", "sft+rl", "kd", "sft"], "start")
    for title, rows in losses.items():
        svg = next(svg for label, svg in drawn.items() if label.startswith(title))
        colors = {one.color for one in look.values() if one.color in svg}
        assert colors == {look[name].color for name in rows}, title
    gains = next(svg for label, svg in drawn.items() if label.startswith("Gains"))
    assert all(look[name].color in gains for name in ACCURACIES if name != "start")
    assert len({one.key() for one in looks(map(str, range(60)), "start").values()}) == 61


def test_two_settings_of_a_trainer_can_be_told_apart_wherever_they_are_named():
    setting = "sft(sft.batch_size=8, sft.epochs=3, sft.learning_rate={}, sft.warmup_ratio=0.1)"
    names = [setting.format(rate) for rate in (0.001, 0.002)]
    accuracies = {"start": 0.3} | dict(zip(names, (0.5, 0.6), strict=True))
    page = render(generated.board(accuracies, n=60), generated.conditions())
    rows = set(re.findall(r'<td class="name[^>]*>(.*?)</td>', page))
    shown = {re.sub("<svg.*?</svg>|<wbr>|&nbsp;", "", row).strip(" ⚠") for row in rows}
    assert {"sft(…, sft.learning_rate=0.001)", "sft(…, sft.learning_rate=0.002)"} <= shown
    assert all(f"<strong>{name}</strong> (sft(…" in page for name in names)  # the legend
    drawn = "".join(re.findall(r"<svg xmlns.*?</svg>", page, flags=re.DOTALL))
    assert "=0.001)" in drawn
    assert "=0.002)" in drawn


def test_what_an_axis_shows_is_written_in_full():
    import matplotlib as mpl

    axis = f"training loss of sft({', '.join(f'sft.option_{n}={n}' for n in range(5))})"
    curve = (np.array([0.0, 1.0]), np.array([2.0, 1.0]))
    with mpl.rc_context(figures.STYLE):
        drawn = figures.curves({"sft": [curve]}, looks(["sft"], "start"), axis, "a loss", "one")
    texts = re.findall(r">([^<]+)<", drawn)
    for n in range(5):
        assert any(f"sft.option_{n}={n}" in text for text in texts)
    assert "more)" not in "".join(texts)


@pytest.mark.parametrize("most", [9.3, 18.0, 1.8e6, 2.5e13])
def test_the_labels_of_an_axis_are_where_they_say(most):
    import matplotlib as mpl

    points = {"start": (0.0, (0.3, 0.2, 0.4)), "sft": (most, (0.5, 0.4, 0.6))}
    look = looks(points, "start")
    with mpl.rc_context(figures.STYLE):
        drawn = figures.pareto(points, {"sft"}, look, "a cost", "a cost", "one")
    axis = drawn[
        drawn.index('id="one-matplotlib.axis_1"') : drawn.index('id="one-matplotlib.axis_2"')
    ]
    places = [float(x) for x in re.findall(r'<use [^>]*x="([\d.]+)"', axis)]
    texts = [text for text in re.findall(r">([^<]+)</text>", axis) if text != "a cost"]
    sizes = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
    values = [float(one.split()[0]) * sizes["".join(one.split()[1:])] for one in texts]
    assert len(values) == len(places) > 3
    steps = {round((x - places[0]) / (value - values[0]) * most, 2)
             for x, value in zip(places[1:], values[1:], strict=True)}  # fmt: skip
    assert max(steps) - min(steps) < 0.1


def test_how_to_read_a_report_has_no_raw_markdown_and_points_to_what_is_there():
    records = [
        generated.record(name, seed, [generated.score("words", "CW" * 40, **hits)])
        for name, seeds in {"start": [None], "sft": range(3)}.items()
        for seed in seeds
        for hits in [{} if seed is None else {"overlap_13": range(20), "overlap_8": range(20)}]
    ]
    page = render(records, generated.conditions(["words"]))
    reading = page.partition('id="reading"')[2]
    assert "<em>Without them</em>" in reading
    assert "<code>harness contamination</code>" in reading
    assert not {"*", "`"} & set(re.sub(r"<[^>]*>", "", reading))
    foot = page.partition("What holds for every row")[2]
    assert "a table of its own has the accuracy without them" in foot
    assert "Problems shared with training data</h2>" in page


@pytest.mark.parametrize("more", [0.0, 0.004, 0.05])
def test_rows_of_nearly_one_cost_are_drawn_apart(more):
    import matplotlib as mpl

    points = {"start": (0.0, (0.3, 0.2, 0.4))} | {
        name: (2e12 * (1 + more * place / 3), (0.5, 0.4, 0.6))
        for place, name in enumerate(["sft", "kd", "rl", "rft"])
    }
    with mpl.rc_context(figures.STYLE):
        drawn = figures.pareto(points, points, looks(points, "start"), "a cost", "a cost", "one")
    axis = drawn.index('id="one-matplotlib.axis_1"')
    marks = sorted(float(x) for x in re.findall(r'<use [^>]*x="([\d.]+)"', drawn[axis:])[-5:])
    apart = np.diff(marks)
    assert len(marks) == 5
    assert min(apart) > 20
    assert max(apart) < 150


def test_curves_over_the_budget_are_drawn():
    finals, quarter = {"sft": 0.6, "rl": 0.7}, {"sft": 0.5, "rl": 0.3}
    records = curves({"sft": 9.0, "rl": 9.0}, finals, quarter)
    told = generated.conditions(caps={"flops": 10.0}, curve=[0.25])
    page = Page(render(records, told))
    assert "Accuracy against compute" in page.text
    assert "First with 25 % sft (told apart from it: rl)" in page.text
    labels = [attributes.get("aria-label") for tag, attributes in page.tags if tag == "svg"]
    assert "Accuracy against training FLOPs of a seed" in labels
    assert labels.count("Accuracy against seconds of training of a seed") == 2  # and over rows


def test_the_page_needs_no_other_file_and_no_script(report):
    page = Page(report.read_text())
    assert not {"script", "iframe", "object", "embed", "form", "img"} & {t for t, _ in page.tags}
    policy = [a for t, a in page.tags if t == "meta" and "http-equiv" in a]
    assert "default-src 'none'" in policy[0]["content"]
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(set(ids)) == len(ids)
    for tag, attributes in page.tags:
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ("src", "href", "xlink:href", "action", "data"):
                assert re.match(r"#|data:image/png;base64,|data:,$", value), (tag, name)
                assert not value.startswith("#") or value[1:] in ids
    assert "@import" not in report.read_text()
    assert not re.search(r"url\((?!#)", report.read_text())


def test_the_same_records_give_the_same_page(tmp_path):
    records = generated.leave(tmp_path, generated.board({"start": 0.4, "sft": 0.6}, n=40))
    first = render(records, generated.conditions(), tmp_path)
    assert render(records, generated.conditions(), tmp_path) == first


def test_published_records_alone_give_a_report():
    text = render(generated.board(ACCURACIES, n=40), generated.conditions())
    page = Page(text)
    assert "Accuracy against cost" in page.text
    assert "Learning curves" not in page.text
    assert "Answers to" not in page.text


@pytest.mark.parametrize(
    "records",
    [
        [generated.record("rl", 0, {}, status="failed", error="no such file")],
        [generated.record("start", None, {"words": "CW"})],
        generated.board({"sft": 0.5, "kd": 0.6}, n=30),
        generated.board({"start": 0.5, "sft": 0.6}, n=30, seeds=[0]),
    ],
    ids=["failures alone", "start alone", "no start", "one seed"],
)
def test_boards_with_gaps_have_a_report_too(records):
    assert "How to read this" in Page(render(records, generated.conditions())).text


@pytest.mark.promise("No text that a trainer, a plug-in or a record brings runs in a browser")
def test_hostile_text_is_harmless(tmp_path):
    texts = [text[:20_000].encode("utf-8", "ignore").decode() or "-" for text in HOSTILE.values()]
    records = [generated.record("start", None, {"words": "CWCWWWWWCC"})]
    for seed, text in enumerate(texts):
        records.append(
            generated.record("sft", seed, {"words": "CCWWCCNTCC"}, command=text).model_copy(
                update={"trainer": text, "verifier_version": text}
            )
        )
        generated.leave(tmp_path, records[-1:], text=text)
        records.append(
            generated.record("kd", seed, {}, status="failed", error=text, id=f"kd-{seed}")
        )
    generated.leave(tmp_path, records[:1], text="".join(text[:100] for text in texts))
    together = " ".join(text[:100] for text in texts)
    conditions = generated.conditions(
        ["words"],
        seeds=range(len(texts)),
        title=together,
        data=together,
        notes=tuple(texts),
        warnings=tuple(texts),
        protocols={text: text for text in texts},
        quoted=[
            {"name": text, "task": text, "accuracy": 0.5, "source": text, "note": text}
            for text in texts
        ],
    )
    html = render(records, conditions, tmp_path, generated.questions(text=together))
    assert not CONTROL.search(html.replace("\n", ""))
    html.encode("utf-8")
    page = Page(html)
    tags = [tag for tag, _ in page.tags]
    assert not {"script", "img", "iframe", "b"} & {*tags}
    assert tags.count("link") == tags.count("h1") == tags.count("title") == 1
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert len(html) < 3_000_000


def test_a_cut_line_of_events_is_left_out(tmp_path):
    (record,) = generated.leave(tmp_path, [generated.record("sft", 0, {"words": "CW"})])
    events = tmp_path / "stages" / "sft-0" / "events.jsonl"
    whole = evidence.learning_curves([record], tmp_path)["training loss of sft"]["sft"][0]
    events.write_text(events.read_text() + '{"step": 61, "lo')
    cut = evidence.learning_curves([record], tmp_path)["training loss of sft"]["sft"][0]
    assert (whole[1] == cut[1]).all()


def test_questions_worth_reading(tmp_path):
    records = [
        generated.record("start", None, {"words": "CCWWW"}),
        generated.record("sft", 0, {"words": "CWCWW"}),
        generated.record("rl", 0, {"words": "CWCCW"}),
    ]
    records = generated.leave(tmp_path, records)
    key = ("words", "chat_zeroshot.v1")
    assert {one.problem for one in evidence.exhibits(records, tmp_path, key)} == {""}
    shown = evidence.exhibits(records, tmp_path, key, generated.questions())
    assert shown[0].problem.endswith("A baker bakes 2 rolls. How many rolls are there?")
    assert shown[0].gold == "2"
    assert [(one.why, one.id) for one in shown] == [
        ("fixed by most trainers", "words-2"),
        ("fixed by most trainers", "words-3"),
        ("broken by most trainers", "words-1"),
        ("never right", "words-4"),
    ]
    assert [name for name, _ in shown[0].answers] == ["start", "sft", "rl"]


@pytest.mark.slow
def test_a_large_board_has_a_readable_report():
    tasks = [f"task-{i}" for i in range(6)]
    accuracies = {"start": 0.3} | {f"trainer-{i}": 0.4 + 0.01 * i for i in range(30)}
    records = generated.board(accuracies, tasks=tasks, seeds=range(5), n=1319)
    conditions = generated.conditions(tasks=tasks, seeds=range(5), ranking=tasks[:1])
    page = Page(render(records, conditions))
    assert page.text.count("trainer-29") > 20


OUTER = """<!DOCTYPE html><title>outer</title><link rel="icon" href="data:,"><pre id="found"></pre>
<iframe src="made-up.html" style="width:400px;height:800px;border:0"></iframe>
<iframe src="made-up.html" style="width:1400px;height:800px;border:0"></iframe>
<script>
addEventListener("load", () => {
  const found = [];
  for (const frame of document.querySelectorAll("iframe")) {
    const page = frame.contentDocument, root = page.documentElement;
    for (const one of page.querySelectorAll("details")) one.open = true;
    const wide = [...page.querySelectorAll("body *")].filter((one) => !one.closest(".scroll")
      && !one.closest("svg") && one.getBoundingClientRect().right > root.clientWidth + 1);
    const small = [...page.querySelectorAll("svg:not(.mark)")].filter((one) =>
      one.getBoundingClientRect().width < 200).length;
    found.push({width: root.clientWidth, scroll: root.scrollWidth, small,
      wide: wide.slice(0, 5).map((one) => one.outerHTML.slice(0, 200))});
  }
  document.getElementById("found").textContent = JSON.stringify(found);
});
</script>
"""


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt-get install chromium")
def test_a_browser_shows_it_without_complaint_at_400_and_1400_pixels(report, tmp_path):
    shutil.copy(report, tmp_path / "made-up.html")
    (tmp_path / "outer.html").write_text(OUTER)
    requests = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            requests.append(self.path)

    handler = functools.partial(Handler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        done = subprocess.run(
            [
                CHROMIUM,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--enable-logging=stderr",
                f"--user-data-dir={tmp_path / 'profile'}",
                "--virtual-time-budget=10000",
                "--dump-dom",
                f"http://127.0.0.1:{server.server_address[1]}/outer.html",
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        server.shutdown()
    assert "CONSOLE" not in done.stderr, done.stderr
    assert set(requests) == {"/outer.html", "/made-up.html"}
    found = json.loads(re.search(r'<pre id="found">(.*?)</pre>', done.stdout)[1])
    assert [one["width"] for one in found] == [400, 1400] or all(
        one["width"] in (385, 400, 1385, 1400) for one in found
    )
    for one in found:
        assert one["scroll"] <= one["width"], one["wide"]
        assert one["small"] == 0


def test_a_board_of_many_benchmarks_has_everything_on_its_page():
    records, conditions = generated.wide(seeds=[0])
    page = Page(render(records, conditions))
    for said in (
        "Several answers to each question",
        "pass@2",
        "maj@4",
        "lm-eval's own metrics",
        "exact_match,flexible-extract",
        "Problems shared with training data",
        "Gain without, points",
        "Qwen2.5-0.5B-Instruct, technical report (quoted)",
        "greedy, 4 shots, its authors' own verifier",
        "What each benchmark is",
        "no ranking should rest on it: 30 questions are too few",
        "13 of 16 scores",
    ):
        assert said in page.text, said
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(set(ids)) == len(ids)
