"""Engines: which one answers, and what vLLM is asked and gives back. vLLM itself is not needed."""

from __future__ import annotations

import importlib.util
import json
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from models import byte_tokenizer
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from harness.bench.facts import facts
from harness.bench.stage_identity import choose_engine, common
from harness.boards.board import load_board
from harness.errors import UsageError
from harness.plugin.host import Host
from harness.stage.decoding.prompt import Prompt
from harness.stage.engines import Completion, end_tokens, seed, vllm_completion, vllm_sampling

WITH_VLLM = importlib.util.find_spec("vllm") is not None


@dataclass
class VllmCompletion:
    """The fields of vLLM's `CompletionOutput` that are read."""

    text: str
    token_ids: tuple[int, ...]
    finish_reason: str | None


@dataclass
class Output:
    """The field of vLLM's `RequestOutput` that is read."""

    outputs: list[VllmCompletion] = field(default_factory=list)


@pytest.mark.parametrize(
    ("reason", "finish"), [("stop", "stop"), ("length", "length"), ("abort", "length")]
)
def test_an_answer_of_vllm_keeps_its_length_and_why_it_ended(reason, finish):
    output = Output([VllmCompletion("It is 4.\n\nProblem: next", (1, 2, 3), reason)])
    assert vllm_completion(output, ["Problem:"]) == Completion("It is 4.\n\n", 3, finish)


def test_an_output_that_is_not_one_completion_is_an_error():
    with pytest.raises(ValueError, match="unpack"):
        vllm_completion(Output(), [])


def test_vllm_is_asked_for_the_boards_decoding():
    wanted = {
        "until": ["Question:", "<|im_end|>", ""],
        "do_sample": True,
        "temperature": 0.6,
        "top_p": 0.95,
    }
    tokenizer = byte_tokenizer()
    asked = vllm_sampling(Prompt([5, 6], 100, 77), wanted, tokenizer, [0])
    assert asked == {
        "max_tokens": 100,
        "temperature": 0.6,
        "top_p": 0.95,
        "seed": 77,
        "stop": ["Question:"],
        "stop_token_ids": sorted([0, tokenizer.eos_token_id]),
    }
    greedy = vllm_sampling(Prompt([5], 9), {**wanted, "do_sample": False}, tokenizer, [])
    assert (greedy["temperature"], greedy["top_p"], greedy["seed"]) == (0.0, 1.0, None)


@pytest.mark.parametrize(("given", "ends"), [(7, [7]), ([7, 9], [7, 9]), (None, [])])
def test_the_tokens_that_end_a_turn_are_the_checkpoints_own(given, ends, tmp_path):
    assert end_tokens(tmp_path) == []
    content = {"eos_token_id": given, "temperature": 0.7}
    (tmp_path / "generation_config.json").write_text(json.dumps(content))
    assert end_tokens(tmp_path) == ends


def test_every_sample_has_a_seed_of_its_own():
    seeds = {seed(s, q, k) for s in ("a__p.v1", "b__p.v1") for q in range(50) for k in range(8)}
    assert len(seeds) == 2 * 50 * 8
    assert all(0 <= one < 2**63 for one in seeds)


def test_the_engine_is_the_one_that_the_board_and_the_machine_allow():
    assert choose_engine("hf", facts("cuda")) == "hf"
    assert choose_engine("auto", facts("cpu")) == "hf"
    assert choose_engine("auto", facts("cuda")) == ("vllm" if WITH_VLLM else "hf")
    with pytest.raises(UsageError, match='"vllm" needs a GPU'):
        choose_engine("vllm", facts("cpu"))


def test_another_version_of_flash_attention_is_another_stage_on_a_gpu_alone(tmp_path, monkeypatch):
    board = load_board("tiny", Host())
    without = [common(board, facts(device)) for device in ("cpu", "cuda")]
    (tmp_path / "flash_attn").mkdir()
    (tmp_path / "flash_attn" / "__init__.py").touch()
    (tmp_path / "flash_attn-2.8.3.dist-info").mkdir()
    about = "Metadata-Version: 2.1\nName: flash_attn\nVersion: 2.8.3\n"
    (tmp_path / "flash_attn-2.8.3.dist-info" / "METADATA").write_text(about)
    monkeypatch.syspath_prepend(tmp_path)
    assert common(board, facts("cpu")) == without[0]
    packages = {**without[1].packages, "flash_attn": "2.8.3"}
    assert common(board, facts("cuda")).packages == packages


def test_flash_attention_is_for_packed_rows(monkeypatch):
    """Padded rows are unpacked and packed in every layer, with two waits for the GPU."""
    import transformers.utils.import_utils as found

    from harness.stage.models import attention

    monkeypatch.setattr(found, "is_flash_attn_2_available", lambda: True)
    assert attention("cuda") == attention("cpu", packed=True) == "sdpa"
    assert attention("cuda", packed=True) == "flash_attention_2"
    monkeypatch.setattr(found, "is_flash_attn_2_available", lambda: False)
    assert attention("cuda", packed=True) == "sdpa"


@pytest.mark.skipif(WITH_VLLM, reason="vLLM is installed")
def test_a_board_that_wants_vllm_says_how_to_get_it():
    with pytest.raises(UsageError, match=r'-c constraints-vllm.txt "srlm-harness\[vllm\]"'):
        choose_engine("vllm", facts("cuda"))


def test_the_versions_for_vllm_are_those_that_the_package_allows():
    """And those of the other constraints, but for what vLLM decides: transformers and torch."""
    root = Path(__file__).parents[1]
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    apart, usual = (
        {
            canonicalize_name(one.name): one.specifier
            for one in map(Requirement, pinned(root / name))
        }
        for name in ("constraints-vllm.txt", "constraints.txt")
    )
    vllm = next(
        one
        for one in map(Requirement, project["optional-dependencies"]["vllm"])
        if one.name == "vllm"
    )
    for one in (vllm, *map(Requirement, project["dependencies"])):
        if pin := apart.get(canonicalize_name(one.name)):
            assert one.specifier.contains(version(pin)), one.name
    assert "vllm" in apart
    assert "torch" not in apart
    # the newest that TRL works with; the next minor version wants another torch
    assert not vllm.specifier.contains("0.32.0")
    assert Version(version(apart["transformers"])) < Version("5.18")
    same = apart.keys() & usual.keys() - {"transformers"}
    assert {"trl", "lm-eval", "peft", "accelerate", "datasets"} <= same
    assert {name: apart[name] for name in same} == {name: usual[name] for name in same}


def pinned(file: Path) -> list[str]:
    """Return the lines of a constraints file that are not comments."""
    lines = (line.split("#")[0].strip() for line in file.read_text().splitlines())
    return [line for line in lines if line]


def version(specifier: SpecifierSet) -> str:
    """Return the one version that `==` allows."""
    (only,) = specifier
    assert only.operator == "=="
    return only.version
