"""Engines: what answers lm-eval's requests in place of its own `generate_until`.

Each is mixed into the class of lm-eval that loads the model and its tokenizer and builds chat
prompts (`generate` does it). Completions end one by one; the finish reason and the length of every
one are kept, so that a truncated answer is not taken for a wrong one; a prompt is never cut; and a
checkpoint's own generation defaults change nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from harness.files import read_json
from harness.stage.decoding.crew import Crew
from harness.stage.decoding.decoder import Decoder
from harness.stage.decoding.prompt import Prompt
from harness.stage.decoding.stopping import cut, room
from harness.stage.models import attention, forget_defaults, hollow, lay_out


@dataclass(frozen=True)
class Completion:
    """What was generated after one prompt: its text, its tokens, whether the limit ended it."""

    text: str
    tokens: int  # with the end-of-turn token or those of the stop string
    finish: Literal["stop", "length"]


class Engine:
    """Answers requests and keeps every completion."""

    tokenizer: Any
    max_length: int
    tok_encode: Any  # of lm-eval's class, as all three

    def begin(self, model: Path, batch_size: int) -> None:
        """Get ready, once the model is loaded."""
        self.wanted_batch = batch_size
        # (name of the score, place of the question) -> its samples, in order
        self.answers: dict[tuple[str, int], list[Completion]] = defaultdict(list)
        self.notes: dict[str, Any] = {}  # what a reader must know of the generation

    def end(self) -> None:
        """End what `begin` or loading has started."""

    def decode(self, prompts: Sequence[Prompt], wanted: Mapping[str, Any]) -> list[Completion]:
        """Complete prompts that are decoded alike; `wanted` is lm-eval's generation_kwargs."""
        raise NotImplementedError

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """Complete lm-eval's requests; those that are decoded alike are generated together."""
        kinds: dict[str, list[int]] = defaultdict(list)
        for place, request in enumerate(requests):
            kinds[json.dumps(request.args[1], sort_keys=True)].append(place)
        answers: dict[int, Completion] = {}
        samples: dict[tuple[str, int], int] = defaultdict(int)
        for decoding, places in kinds.items():
            wanted = json.loads(decoding)
            prompts = {}
            for place in places:
                request = requests[place]
                question = (request.task_name, request.doc_id)
                tokens = self.tok_encode(request.args[0])
                left = room(tokens, self.max_length, wanted["max_gen_toks"])
                if left:
                    prompts[place] = Prompt(tokens, left, seed(*question, samples[question]))
                else:
                    answers[place] = Completion("", 0, "length")
                    short = self.notes.setdefault("prompts_without_room", {})
                    short[request.task_name] = short.get(request.task_name, 0) + 1
                samples[question] += 1
            found = self.decode(list(prompts.values()), wanted)
            answers |= dict(zip(prompts, found, strict=True))
        for place, request in enumerate(requests):
            self.answers[request.task_name, request.doc_id].append(answers[place])
        return [answers[place].text for place in range(len(requests))]


class HfEngine(Engine):
    """Generates with transformers (see `decoding`)."""

    model: Any
    crew: Crew | None = None  # processes that hold the model in place of this one

    def begin(self, model: Path, batch_size: int) -> None:
        super().begin(model, batch_size)
        forget_defaults(self.model)
        lay_out(self.model)

    def form_crew(self, model: Path, dtype: str, device: str, processes: int) -> None:
        """Have several processes generate, each on a device of its own."""
        import torch

        self.crew = Crew(model, dtype, device, torch.get_num_threads(), processes)

    def end(self) -> None:
        if self.crew is not None:
            self.crew.close()

    def decode(self, prompts: Sequence[Prompt], wanted: Mapping[str, Any]) -> list[Completion]:
        from tqdm import tqdm

        stop = [text for text in wanted["until"] if text]
        decoder = Decoder(
            model=self.model,
            tokenizer=self.tokenizer,
            batch_size=self.wanted_batch,
            stop=stop,
            temperature=wanted["temperature"] if wanted["do_sample"] else 0.0,
            top_p=wanted["top_p"] if wanted["do_sample"] else 1.0,
            crew=self.crew,
        )
        found: dict[int, Completion] = {}
        written = tqdm(decoder.generate(prompts), total=len(prompts), desc="answers")
        for place, tokens, stopped in written:
            text = cut(self.tokenizer.decode(tokens, skip_special_tokens=True), stop)
            found[place] = Completion(text, len(tokens), "stop" if stopped else "length")
        if (smallest := decoder.smallest) is not None:
            self.notes["smallest_batch"] = min(smallest, self.notes.get("smallest_batch", smallest))
        self.notes |= decoder.way.note
        return [found[place] for place in range(len(prompts))]


def hf_arguments(model: Path, device: str, dtype: str, processes: int) -> dict[str, Any]:
    """Return what lm-eval's class is given to load a model and its tokenizer.

    Where several processes hold the model, this one has its shape alone.
    """
    here = {"trust_remote_code": False}
    if processes > 1:
        return here | {"pretrained": hollow(model, dtype), "tokenizer": str(model)}
    return here | {
        "pretrained": str(model),
        "device": device,
        "dtype": dtype,
        "use_safetensors": True,
        "attn_implementation": attention(device),
    }


class VllmEngine(Engine):
    """Generates with vLLM (0.22 and later): all prompts at once, on one GPU."""

    model: Any

    def begin(self, model: Path, batch_size: int) -> None:
        super().begin(model, batch_size)
        self.ends = end_tokens(model)

    def decode(self, prompts: Sequence[Prompt], wanted: Mapping[str, Any]) -> list[Completion]:
        from vllm import SamplingParams, TokensPrompt

        given = [TokensPrompt(prompt_token_ids=prompt.tokens) for prompt in prompts]
        sampling = [
            SamplingParams(**vllm_sampling(prompt, wanted, self.tokenizer, self.ends))
            for prompt in prompts
        ]
        outputs = self.model.generate(given, sampling_params=sampling)
        return [vllm_completion(output, wanted["until"]) for output in outputs]


def vllm_sampling(
    prompt: Prompt, wanted: Mapping[str, Any], tokenizer: Any, ends: Sequence[int]
) -> dict[str, Any]:
    """Return the arguments of vLLM's `SamplingParams` for one answer.

    A stop string that is a special token is given as a token: vLLM leaves special tokens out of
    the text in which it looks for strings.
    """
    specials = zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True)
    special = {text: token for text, token in specials if text in wanted["until"]}
    sampled = wanted["do_sample"]
    return {
        "max_tokens": prompt.limit,
        "temperature": wanted["temperature"] if sampled else 0.0,
        "top_p": wanted["top_p"] if sampled else 1.0,
        "seed": prompt.seed if sampled else None,
        "stop": [text for text in wanted["until"] if text and text not in special],
        "stop_token_ids": sorted({*ends, *special.values()}),
    }


def vllm_completion(output: Any, stop: Sequence[str]) -> Completion:
    (found,) = output.outputs  # of one of vLLM's `RequestOutput`s
    finish: Literal["stop", "length"] = "stop" if found.finish_reason == "stop" else "length"
    return Completion(cut(found.text, stop), len(found.token_ids), finish)


def end_tokens(model: Path) -> list[int]:
    """Return the tokens that end a turn by a checkpoint's `generation_config.json`."""
    path = model / "generation_config.json"
    found = read_json(path) if path.is_file() else {}
    ends = found.get("eos_token_id")
    return list(ends) if isinstance(ends, list) else [] if ends is None else [ends]


def seed(score: str, question: int, sample: int) -> int:
    """Return the seed of one sample: the same for every checkpoint and every way of batching."""
    digest = hashlib.sha256(f"{score} {question} {sample}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
