from __future__ import annotations

import csv
import io
import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import generated
import pytest
from markdown_it import MarkdownIt  # comes with rich
from rich.console import Console

from harness.boards.conditions import Baseline, Benchmark
from harness.leaderboard.build import build
from harness.render import escape, index, markdown, sentences, spreadsheet, terminal
from harness.report import forest

HOSTILE = {
    "html": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "attribute": '" onmouseover="alert(1)" \'',
    "markdown": "**bold** _x_ [a](javascript:alert(1)) ![i](http://evil.example/x.png) `c` ~~s~~",
    "table": "a | b \\| c\n| d | e |\n# heading\n- item",
    "link": "http://evil.example www.evil.example me@evil.example mailto:me",
    "address": "a.b-c+d_e@evil.example mailto:me@evil.example xmpp:me@evil.example/x @evil",
    "math and emoji": "$\\alpha$ :skull: &lt; &#60;",
    "fence": "```\n```python\n````\nx",
    "comment": "--> <!-- <!--",
    "ansi": "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x9b2J \x1b[2J\x08\x08",
    "rich": "[bold red]markup[/] [link=http://evil.example]x[/link] :boom:",
    "right to left": "abc\u202egnp.exe\u2066x\u2069 \u200f\u061c",
    "invisible": "a\u200bb\u00ad\ufeffc\u2060\U000e0041",
    "nul": "a\x00b\x7f\x85\u2028\u2029",
    "surrogate": "a\ud800b\udfff",
    "marks": "Z" + "\u0334\u0335\u0336" * 300,
    "formula": '=HYPERLINK("http://evil.example","x")',
    "formula plus": "+1+cmd|' /C calc'!A0",
    "formula at": "@SUM(1)",
    "formula minus": "-2+3",
    "formula tab": "\t=1+1",
    "formula wide": "\uff1d1+1",
    "quotes": '"a","b"\r\n=1',
    "huge": "x" * 10_000_000,
    "huge of escapes": "\x1b" * 1_000_000,
    "empty": "",
    "spaces": "   ",
}
CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2028\u2029\u2060-\u2069\ufeff\u061c\u00ad]"
)
# what GitHub makes a link of in a text, its entities resolved: an address, or a person's name
ADDRESS = re.compile(r"[A-Za-z0-9.+_-]@[A-Za-z0-9_-]+\.|(?<!\w)@[A-Za-z]")

everything = pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)


def assert_plain(text: str) -> None:
    assert not CONTROL.search(text)
    text.encode("utf-8")  # no lone surrogate


@everything
def test_visible_text_is_one_short_line(text):
    shown = escape.visible(text)
    assert_plain(shown)
    assert "\n" not in shown
    assert len(shown) < 1000
    assert_plain(escape.visible(text[:1000], None, lines=True).replace("\n", "").replace("\t", ""))


@pytest.mark.promise(
    "No text moves a terminal, breaks a page or becomes a formula of a spreadsheet"
)
@everything
def test_markdown_has_no_active_character_left(text):
    escaped = escape.markdown(text)
    assert_plain(escaped)
    bare = re.sub(r"\\.|&#64;<!-- -->|&(?:amp|lt|gt|#\d+);", "", escaped)
    assert not re.search(r"[<>&|`*_\[\]!~$#{}()\\\n]", bare)
    assert "://" not in bare
    assert "@" not in bare
    assert "www." not in bare.lower()


@everything
def test_code_spans_cannot_be_left(text):
    span = escape.code(text)
    assert_plain(span)
    fence = re.match("`+", span)[0]
    inner = span[len(fence) : -len(fence)]
    assert span.endswith(fence)
    assert inner
    assert fence not in re.findall("`+", inner)
    assert "\n" not in span
    assert not re.search(r"(?<!\\)\|", span)


@pytest.mark.promise(
    "No text moves a terminal, breaks a page or becomes a formula of a spreadsheet"
)
@everything
def test_no_cell_is_a_formula_and_the_file_reads_back(text):
    cell = escape.cell(text)
    assert_plain(cell)
    assert not re.match(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]", cell)
    out = io.StringIO()
    csv.writer(out).writerow([cell, "next"])
    assert next(csv.reader(io.StringIO(out.getvalue()))) == [cell, "next"]


@everything
def test_html_has_no_tag(text):
    tags = []

    class Parser(HTMLParser):
        def handle_starttag(self, tag, attributes):
            tags.append((tag, attributes))

    escaped = escape.html(text)
    assert_plain(escaped)
    Parser().feed(f'<p title="{escaped}">{escaped}</p>')
    assert [tag for tag, _ in tags] == ["p"]
    assert len(tags[0][1]) == 1


@pytest.mark.parametrize("address", ["https://example.org/a?b=c#d", "http://example.org"])
def test_plain_addresses_become_links(address):
    assert escape.link(address) == f"<{address}>"


@pytest.mark.parametrize(
    "text",
    ["javascript:alert(1)", "https://e.org/><script>", "https://e.org/a b", "data:text/html,x", ""],
)
def test_anything_else_does_not(text):
    assert escape.link(text) == escape.markdown(text, 200)


@pytest.mark.parametrize(
    "name", ["sft+rl", "kd-logits", "tiny 2.0", "sft, 3 seeds: good", "Größe 数学"]
)
def test_ordinary_names_stay_as_they_are(name):
    for function in (escape.visible, escape.markdown, escape.terminal, escape.cell, escape.html):
        assert function(name) == name


def rendered(text: str) -> dict[str, str]:
    """Return every rendering of a board in which the text stands wherever a text can stand."""
    good = text.encode("utf-8", "ignore").decode()[:20_000]  # what a record can hold at all
    own = generated.score(
        good,
        "CW" * 60,
        samples=2,
        protocol=good,
        own={good: 0.5, f"{good} ": 0.1},
        overlap_13=(1, 2),
        overlap_8=(1, 2, 3),
    )
    records = [
        record.model_copy(update={"scores": (*record.scores, own)})
        for record in generated.board({"start": 0.4, "rl": 0.6}, n=60, tasks=["words"])
    ]
    scores = [generated.score("words", "CW" * 30), own]
    for seed in range(3):
        made = generated.record(
            "sft", seed, scores, id=f"hostile-{seed}", command=good or "x", verifier_version=good
        )
        environment = made.environment.model_copy(
            update={"gpu": good, "packages": {"torch": good, good: good}}
        )
        stage = made.stages[0].model_copy(
            update={
                "distribution": good,
                "version": good,
                "source_sha256": good,
                "trainer": good,
                "notes": {good: good},
            }
        )
        records.append(
            made.model_copy(
                update={"trainer": good, "environment": environment, "stages": (stage,)}
            )
        )
    records.append(generated.record("kd", 0, {}, status="failed", error=good, log=good))
    conditions = generated.conditions(
        ["words"],
        title=good,
        start_model=good,
        teacher=good,
        data=good,
        budget=good,
        protocols={good: good},
        notes=(good,),
        warnings=(good,),
        trainers=(good,),
        quoted=[{"name": good, "task": good, "accuracy": 0.5, "source": good, "note": good}],
        benchmarks=(
            Benchmark(
                task="words",
                protocol="chat_zeroshot.v1",
                max_new_tokens=128,
                ranking=True,
                summary=good,
                note=good,
                baseline=Baseline(accuracy=0.9, tolerance=0.1, source=good or "-", note=good),
            ),
            Benchmark(
                task=good,
                protocol=good,
                max_new_tokens=128,
                ranking=False,
                samples=2,
                temperature=0.6,
                summary=good,
                note=good,
                baseline=Baseline(accuracy=0.9, tolerance=0.1, source=good or "-", metric=good),
            ),
        ),
    )
    board = build(records, conditions)
    console = Console(width=80, force_terminal=True, color_system=None, legacy_windows=False)
    with console.capture() as capture:
        console.print(terminal.render(board))
    return {
        "markdown": markdown.render(board),
        "index": index.render([board]),
        "csv": spreadsheet.render(board),
        "json": board.to_json(),
        "svg": forest.published(board),
        "terminal": capture.get(),
        "contamination": contamination_of(good, console),
    }


def contamination_of(text: str, console: Console) -> str:
    """Return what `harness contamination` shows where every text is this one."""
    from harness.contamination.overlap import Overlap, Shared
    from harness.render.contamination import render

    shared = Shared(
        kind="13 words", place=0, id=text, problem=text, source=text, text=text, words=text
    )
    with console.capture() as capture:
        console.print(render(text, [Overlap(task=text, n=1, examples=(shared,))]))
    return capture.get()


@pytest.mark.promise(
    "No text moves a terminal, breaks a page or becomes a formula of a spreadsheet"
)
@everything
def test_hostile_text_is_harmless_in_every_rendering(text):
    shown = rendered(text)
    for name, rendering in shown.items():
        rendering.encode("utf-8")
        if name in ("terminal", "contamination"):
            rendering = re.sub(r"\x1b\[[0-9;]*m", "", rendering)
        assert not CONTROL.search(rendering), name
    json.loads(shown["json"])
    assert shown["json"].isascii()
    for row in csv.reader(io.StringIO(shown["csv"])):
        for cell in row:
            assert re.fullmatch(r"-?[0-9.e+-]*", cell) or cell.lstrip()[:1] not in set("=+-@")
    for page in (shown["markdown"], shown["index"]):
        assert_tame(page)
    assert_drawn(shown["svg"])


def assert_drawn(svg: str) -> None:
    """Assert that a plot is one that an XML parser reads, with nothing in it but what we drew."""
    found = [*ElementTree.fromstring(svg).iter()]
    tags = {one.tag.removeprefix("{http://www.w3.org/2000/svg}") for one in found}
    assert tags <= {"svg", "style", "rect", "g", "path", "circle", "text"}
    names = {name for one in found for name in one.attrib}
    assert not {name for name in names if name.startswith("on") or "href" in name}
    assert svg.count("<style>") == 1
    assert len(svg) < 20_000


def assert_tame(page: str) -> None:
    """Assert that a renderer of GitHub's markdown finds nothing in a page but what we wrote."""
    found: list[tuple[str, dict[str, str | None]]] = []

    class Parser(HTMLParser):
        def handle_starttag(self, tag, attributes):
            found.append((tag, dict(attributes)))
            self.in_code = tag == "code"

        def handle_endtag(self, tag):
            self.in_code = False

        def handle_data(self, data):  # between two tags or comments, entities resolved
            assert self.in_code or not ADDRESS.search(data)

    html = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(page)
    Parser().feed(html)
    tags = {tag for tag, _ in found}
    ours = "h1 h2 h3 p a img ul li code em strong blockquote table thead tbody tr th td"
    assert tags <= set(ours.split())
    assert [tag for tag, _ in found].count("h1") == 1
    for tag, attributes in found:
        if tag == "img":
            assert attributes == {"src": "made-up.svg", "alt": sentences.PLOT}
        elif tag == "a":
            assert re.match(
                r"records/made-up/|made-up\.md$|leaderboard\.schema", attributes["href"]
            )
        else:
            assert attributes.keys() <= {"style"}
    if "Ranking" in html:
        ranking = html.split("<h2>Ranking</h2>")[1].split("</table>")[0]
        rows = ranking.split("<tr>")[1:]
        assert len(rows) == 1 + 3
        assert all(len(re.findall("<t[hd]", row)) == 8 for row in rows)


@pytest.mark.parametrize("limit", [6, 12, 24, 40])
def test_short_names_fit_and_no_two_are_alike(limit):
    options = "kd(kd.temperature={}, kd.learning_rate=0.001, kd.note='a, b=c (d)')"
    names = ["kd", "sft" * 20, "sft" * 21, "a\x1b[31m", *map(options.format, (1, 1.5, 2))]
    found = escape.short_names(names, limit)
    assert list(found) == names
    assert len({*found.values()}) == len(names)
    assert all(len(one) <= limit + 1 for one in found.values())
    assert "\x1b" not in "".join(found.values())
    assert found["kd"] == "kd"
    if limit == 40:
        assert found[names[-1]] == "kd(…, kd.temperature=2)"
