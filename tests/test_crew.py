"""Several processes that generate answers: the texts and counts of one, and a clear end."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from models import byte_tokenizer, random_model, save_model
from test_decoding import prompts
from test_evaluate import START, answers, score

from harness.errors import StageError
from harness.records import Caps
from harness.stage.decoding.crew import Crew
from harness.stage.decoding.decoder import Decoder
from harness.stage.decoding.prompt import Prompt
from harness.stage.generate import generate_answers
from harness.stage.metering.counter import Counter
from harness.stage.metering.meter import metered

pytestmark = pytest.mark.bench


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return save_model(tmp_path_factory.mktemp("crew") / "model", seed=3)


@pytest.fixture(scope="module")
def model(folder):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return (
        AutoModelForCausalLM.from_pretrained(folder).eval(),
        AutoTokenizer.from_pretrained(folder),
    )


@contextmanager
def crew(folder: Path, size: int = 2):
    made = Crew(folder, "float32", "cpu", 1, size)
    try:
        yield made
    finally:
        made.close()


def pids(parent: int, module: str = "harness.stage.decoding.worker") -> list[int]:
    """Return the living processes of a crew that a process made."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            state = (entry / "stat").read_text().rpartition(")")[2].split()
            words = (entry / "cmdline").read_bytes().decode().split("\0")
        except OSError:
            continue
        if int(state[1]) == parent and module in words and state[0] != "Z":
            found.append(int(entry.name))
    return found


def run(decoder: Decoder, given: list[Prompt]) -> tuple[dict, Counter]:
    import torch

    counter = Counter(Caps(steps=1))
    with metered(counter), torch.inference_mode():
        found = {place: (tokens, ended) for place, tokens, ended in decoder.generate(given)}
    return found, counter


@pytest.mark.slow
def test_two_processes_write_and_count_what_one_does(model, folder):
    """Prompts that are the same, begin the same or are alone; more of them than rows and fewer."""
    shared = [33] * 3 + list(range(40, 60))
    given = prompts(50)
    given += [Prompt(shared + one.tokens, one.limit, one.seed + 100) for one in given[:20]]
    given += [Prompt(given[0].tokens, 30, seed) for seed in range(200, 212)]
    with crew(folder) as both:
        for settings in ({}, {"temperature": 1.0, "top_p": 0.9}, {"stop": ["a", "Q"]}):
            for some in (given, given[:3]):
                alone, one = run(Decoder(*model, 5, **settings), some)
                shared_out = Decoder(*model, 5, **settings, crew=both)
                found, two = run(shared_out, some)
                assert found == alone
                assert two.cost.generated_tokens == one.cost.generated_tokens > 0
                assert two.cost.flops == one.cost.flops > 0
                assert (shared_out.smallest, shared_out.way.why) == (None, None)
        assert list(Decoder(*model, 5, crew=both).generate([])) == []


def test_a_board_scores_on_several_processes_what_it_scores_on_one(tmp_path):
    from harness_tiny import rows

    asked = [score(rows("tiny_word", "test")[:12], limit=40), score(rows("tiny_word", "test")[:6],
             "base_fewshot", limit=24)]  # fmt: skip
    sampled = [score(rows("tiny_word", "test")[:4], limit=30, samples=3, temperature=1.0)]
    for number, scores in enumerate((asked, sampled)):
        one, two = tmp_path / f"{number}-one", tmp_path / f"{number}-two"
        first = generate_answers(START, scores, 4, "cpu", one)
        second = generate_answers(START, scores, 4, "cpu", two, processes=2)
        assert second.notes == first.notes == {}
        for each in scores:
            assert answers(two, each.name) == answers(one, each.name)
    assert pids(os.getpid()) == []


def test_a_process_that_is_killed_is_one_line_and_the_others_end(tmp_path):
    from harness_tiny import rows

    killed: list[int] = []

    def kill() -> None:
        while len(found := pids(os.getpid())) < 2:
            time.sleep(0.05)
        killed.append(found[0])
        os.kill(found[0], signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    asked = [score(rows("tiny_word", "test")[:12], limit=96)]
    with pytest.raises(StageError, match=r"^process [12] of 2 that generate answers was killed by"):
        generate_answers(START, asked, 4, "cpu", tmp_path, processes=2)
    killer.join()
    assert killed
    assert pids(os.getpid()) == []


def test_a_process_that_fails_says_why_in_one_line(folder, tmp_path):
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    with crew(tmp_path) as both, pytest.raises(StageError) as failed:
        list(both_of(both, folder).generate(prompts(3)))
    assert "of 2 that generate answers failed: " in str(failed.value)
    assert "\n" not in str(failed.value)


def both_of(both: Crew, folder: Path) -> Decoder:
    from harness.stage.models import hollow

    return Decoder(hollow(folder, "float32"), None, 4, crew=both)


@pytest.mark.skipif(sys.platform != "linux", reason="another process's limits are set by Linux")
@pytest.mark.slow
def test_a_process_without_memory_writes_fewer_rows(tmp_path):
    """Its address space may grow by 160 MB once it runs; a cache of 80 rows takes twice 168 MB."""
    tokenizer = byte_tokenizer()
    shape = {"hidden_size": 256, "intermediate_size": 64, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 8, "num_key_value_heads": 8, "head_dim": 128}
    network = random_model(tokenizer, 1, vocab_size=320, **shape, **heads)
    network.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with crew(tmp_path) as both:
        decoder = both_of(both, tmp_path)
        list(decoder.generate([Prompt([5, 6, 7], 2)] * 2))
        for pid in pids(os.getpid()):
            words = Path(f"/proc/{pid}/statm").read_text().split()
            most = int(words[0]) * resource.getpagesize() + 160 * 2**20
            resource.prlimit(pid, resource.RLIMIT_AS, (most, most))
        given = [Prompt([5 + row % 9] * 500, 3) for row in range(160)]
        large = Decoder(decoder.model, None, 80, crew=both)
        found = {place for place, _, _ in large.generate(given)}
    assert found == set(range(160))
    assert large.smallest is not None
    assert 1 <= large.smallest <= 40


def test_no_process_outlives_the_one_that_made_the_crew(folder):
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from harness.stage.decoding.crew import Crew\n"
        "Crew(Path(sys.argv[1]), 'float32', 'cpu', 1, 2)\n"
        "print('made', flush=True)\n"
        "time.sleep(600)\n"
    )
    maker = subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE)
    assert maker.stdout is not None
    assert maker.stdout.readline() == b"made\n"
    workers = pids(maker.pid)
    assert len(workers) == 2
    maker.kill()
    maker.communicate()
    until = time.monotonic() + 60
    while (left := [pid for pid in workers if lives(pid)]) and time.monotonic() < until:
        time.sleep(0.1)
    assert left == []


def lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_too_few_gpus_are_told_before_anything_starts(folder, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,")
    with pytest.raises(StageError, match="on 2 GPUs, and 1 are seen"):
        Crew(folder, "bfloat16", "cuda", 1, 2)
    assert pids(os.getpid()) == []
