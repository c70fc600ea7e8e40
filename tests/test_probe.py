"""The memorisation probe: what it counts, a model that knows its problems, its page."""

from __future__ import annotations

import json
from pathlib import Path

import generated
import pytest

from harness.boards.board import load_board
from harness.leaderboard.build import build
from harness.leaderboard.stats import wilson
from harness.plugin.host import Host
from harness.probes import Probe
from harness.records import read_records
from harness.render import markdown
from harness.stage.probe import FEWEST, WORDS, compare, halves, probe

PROBED = "\n[contamination]\nprobe = true\n"


def test_a_problem_is_halved_between_words():
    text = "Ann  has 3 apples\n\nand eats one."
    first, rest = halves(text)
    assert (first, rest) == ("Ann  has 3", "apples\n\nand eats one.")
    assert halves("") == ("", "")
    assert halves("why") == ("", "why")


def test_what_is_written_is_exact_or_near_or_of_another_problem():
    rests = [f"the {name} costs two of every three coins".split() for name in ("cat", "dog")]
    texts = ["The cat costs: two of every three coins. And more!", "so the dog sleeps"]
    found = compare("task", texts, rests)
    assert (found.n, found.exact) == (2, 1)
    # by hand: of 8 words all are in order; of 4 words and 8 two are
    assert found.rouge_l == pytest.approx((1 + 2 * (2 / 4) * (2 / 8) / (2 / 4 + 2 / 8)) / 2)
    # with the other half of the same length: 7 of 8 words; "the" of 4 and 4
    assert found.rouge_l_other == pytest.approx((7 / 8 + 1 / 4) / 2)
    apart = [1 - 7 / 8, 1 / 3 - 1 / 4]
    assert found.rouge_l_sd == pytest.approx(abs(apart[0] - apart[1]) / 2**0.5, abs=1e-8)
    assert compare("task", [], []).n == 0


def memorised(folder: Path, problems: list[str]) -> Path:
    """Return the tiny board's start model after training on problems until it knows them."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    start = load_board("tiny", Host()).model("start")
    tokenizer = AutoTokenizer.from_pretrained(start)
    model = AutoModelForCausalLM.from_pretrained(start, dtype=torch.float32)
    torch.manual_seed(0)
    rows = tokenizer(problems, return_tensors="pt", padding=True, padding_side="right")
    labels = rows.input_ids.masked_fill(rows.attention_mask == 0, -100)
    optimiser = torch.optim.AdamW(model.parameters(), lr=4e-3)
    for _ in range(400):
        loss = model(**rows, labels=labels).loss
        if loss.item() < 0.1:
            break
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.bench
def test_a_model_that_learnt_problems_by_heart_writes_them_and_no_others(tmp_path):
    board = load_board("tiny", Host())
    rows = board.rows("tiny_word", "test")
    told = [row["problem"] for row in rows if len(halves(row["problem"])[1].split()) >= FEWEST]
    # no two of them may begin alike: then nobody can know how they go on
    apart = list({halves(text)[0]: text for text in told}.values())
    known, unknown = apart[:6], apart[6:12]
    model = memorised(tmp_path / "model", known)
    found, other = probe(model, [("known", known), ("unknown", unknown)], 8, "cpu", "hf", "float32")
    assert (found.n, found.exact) == (6, 6)
    assert found.rouge_l == 1
    assert other.exact == 0
    assert other.rouge_l < 0.8
    (before,) = probe(board.model("start"), [("known", known)], 8, "cpu", "hf", "float32")
    assert before.exact == 0


@pytest.mark.slow
@pytest.mark.bench
def test_a_board_asks_its_start_model_once_and_keeps_its_digest(
    tmp_path, small_models, with_plugins, harness
):
    from test_contamination import BOARD

    with_plugins("quoting")
    (tmp_path / "start").symlink_to(small_models / "start")
    path = tmp_path / "quoted.toml"
    path.write_text(BOARD)
    digest = load_board(str(path), Host()).digest
    harness("bench", "quoted.toml")
    path.write_text(BOARD + PROBED)
    assert load_board(str(path), Host()).digest == digest
    plan = json.loads(harness("bench", "quoted.toml", "--dry-run", "--json").stdout)
    assert [one["kind"] for one in plan["stages"] if one["state"] == "to do"] == ["probe"]
    done = harness("bench", "quoted.toml")
    assert "probe start" in done.stderr
    folder = tmp_path / "runs/quoted"
    found = {one.trainer: one for one in read_records(folder / "records")}
    (one,) = found["start"].probes  # the task is scored twice and asked once
    assert (one.task, one.n, one.exact) == ("quoting_walks", 12, 0)
    assert found["start"].supersedes
    assert found["quoting"].probes == ()
    (stage,) = (folder / "stages").glob("probe-start-*")
    kept = sorted(file.name for file in stage.iterdir())
    assert "answers" not in kept
    texts = [file.read_text(errors="replace") for file in stage.rglob("*") if file.is_file()]
    assert not any("rests there for a quarter" in text for text in texts)
    page = (folder / "quoted.md").read_text()
    assert "## What the start model writes of test problems" in page
    assert "Nothing to do" in harness("bench", "quoted.toml").stderr


def test_a_page_has_the_probe_with_its_intervals():
    made = generated.board({"start": 0.4, "sft": 0.6})
    probed = Probe(task="words", n=200, exact=30, rouge_l=0.5, rouge_l_other=0.2, rouge_l_sd=0.3)
    too_few = probed.model_copy(update={"task": "few", "n": 1, "exact": 1})
    records = [
        one.model_copy(update={"probes": (probed, too_few)}).sealed()
        if one.trainer == "start"
        else one
        for one in made
    ]
    board = build(records, generated.conditions())
    (shown,) = board.probes
    assert (shown.exact_low, shown.exact_high) == pytest.approx(wilson(30, 200), abs=1e-8)
    half = 1.9720 * 0.3 / 200**0.5
    assert (shown.low, shown.high) == pytest.approx((0.3 - half, 0.3 + half), abs=1e-5)
    text = markdown.render(board)
    line = next(line for line in text.splitlines() if line.startswith("| words | 200 |"))
    assert "| 15.0 [10.7,\N{NO-BREAK SPACE}20.6] | 50.0 | 20.0 | +30.0 [+25.8," in line
    assert "What the start model writes" not in markdown.render(build(made, generated.conditions()))


def test_figures_that_cannot_be_are_refused():
    good = {"task": "t", "n": 2, "exact": 2, "rouge_l": 1, "rouge_l_other": 0, "rouge_l_sd": 0}
    assert Probe(**good).exact == 2
    for wrong in ({"exact": 3}, {"rouge_l": 1.2}, {"rouge_l_sd": -1}, {"n": -1}):
        with pytest.raises(ValueError, match=r"more halves|less than|greater than"):
            Probe(**{**good, **wrong})
    assert FEWEST < WORDS
