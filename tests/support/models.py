"""Makes tiny random models and a run on the spot, for tests of trainers."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

PAD, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
SPECIAL = (PAD, START, END)
VOCABULARY = 256 + len(SPECIAL)

CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}"
)


def chat_tokenizer(words: list[str], merges: list[tuple[str, str]], *, split: bool) -> Any:
    """Return a byte-level BPE tokenizer with a ChatML template; `split` cuts texts into words."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE({word: i for i, word in enumerate(words)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=split)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(SPECIAL))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        additional_special_tokens=[START],
        chat_template=CHAT_TEMPLATE,
    )


def byte_tokenizer() -> Any:
    """Return a tokenizer of 256 bytes and three special tokens, which come first."""
    from tokenizers import pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    return chat_tokenizer([*SPECIAL, *letters], [], split=False)


def random_model(tokenizer: Any, seed: int, **shape: Any) -> Any:
    """Return a Qwen2 model of a shape, its weights random."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(seed)
    ends = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id}
    model = Qwen2ForCausalLM(Qwen2Config(bos_token_id=None, **ends, **shape))
    model.generation_config.update(**ends)
    return model


def save_model(
    folder: Path, *, seed: int, vocabulary: int = 320, tied: bool = True, positions: int = 512
) -> Path:
    """Write a random two-layer Qwen2 model whose embedding has `vocabulary` rows."""
    tokenizer = byte_tokenizer()
    model = random_model(
        tokenizer,
        seed,
        vocab_size=vocabulary,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=positions,
        tie_word_embeddings=tied,
        initializer_range=0.2,
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def sums(count: int, seed: int = 0) -> list[dict[str, str]]:
    """Return training rows of one-digit sums."""
    rng = random.Random(seed)
    rows = []
    for number in range(count):
        a, b = rng.randint(1, 4), rng.randint(1, 4)
        rows.append(
            {
                "id": f"s{number}",
                "task": "sums",
                "problem": f"{a}+{b}?",
                "solution": f"{a}+{b}={a + b}.",
                "answer": str(a + b),
            }
        )
    return rows


def traces(count: int, seed: int = 0) -> list[dict[str, str]]:
    """Return sums with traces as a reasoning model writes them: thoughts, then a boxed answer."""
    return [
        row
        | {
            "solution": f"<think>\nLet me see. {row['solution']}\n</think>\n\n{row['solution']}"
            f" \\boxed{{{row['answer']}}}"
        }
        for row in sums(count, seed)
    ]


def teach_sums(source: Path, folder: Path, steps: int) -> Path:
    """Write a copy of a model that learnt the sums for `steps` steps of 16, by a bare loop."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from harness.stage.tokens import written
    from harness.tasks.protocols import get_protocol

    torch.manual_seed(7)
    tokenizer = AutoTokenizer.from_pretrained(source)
    model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.0)
    protocol = get_protocol("chat_zeroshot")
    rng = random.Random(7)
    data = []
    for row in sums(400, seed=3):
        example = protocol.training_row(row)
        texts = written(example["prompt"], example["completion"], tokenizer)
        start, end = (tokenizer(text)["input_ids"] for text in texts)
        data.append((start + end, len(start)))
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = 1e-2 * min(1.0, (step + 1) / 10, 2 * (1 - step / steps))
        rows = rng.sample(data, 16)
        ids = torch.tensor([row for row, _ in rows])  # one-digit sums are all equally long
        labels = ids.clone()
        labels[:, : rows[0][1]] = -100
        model(input_ids=ids, labels=labels).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def solved(folder: Path, rows: list[dict[str, str]]) -> int:
    """Return how many sums a checkpoint solves greedily."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from harness.tasks.protocols import get_protocol

    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(folder)
    prompts = tokenizer.apply_chat_template(
        [get_protocol("chat_zeroshot").training_row(row)["prompt"] for row in rows],
        add_generation_prompt=True,
        tokenize=False,
    )
    inputs = tokenizer(prompts, return_tensors="pt", padding=True)
    output = model.generate(**inputs, max_new_tokens=24, do_sample=False)
    texts = tokenizer.batch_decode(output, skip_special_tokens=True)
    return sum(f"boxed{{{row['answer']}}}" in text for row, text in zip(rows, texts, strict=True))


def make_run(
    folder: Path,
    base: Path,
    options: Any,
    *,
    teacher: Path | None = None,
    rows: list[dict[str, str]] | None = None,
    protocol: str = "chat_zeroshot",
    **more: Any,
) -> Any:
    """Return a `Run` in `folder`, with what its stage keeps to itself where tests can read it.

    `more` are caps of the budget (1000 steps by default), and fields of `TrainStage`, of its spec,
    or of the spec's identity or compute.
    """
    from harness.records import Caps
    from harness.stage.budget import Budget
    from harness.stage.metering.counter import Counter
    from harness.stage.processes import Group
    from harness.stage.run import Run
    from harness.stage.spec import TrainCompute, TrainIdentity, TrainPaths, TrainSpec
    from harness.stage.train_stage import TrainStage
    from harness.tasks.protocols import get_protocol
    from harness.verify import Conventions, VerifierPool

    for name in ("checkpoint", "scratch"):
        (folder / name).mkdir(parents=True, exist_ok=True)

    def taken(names: Any) -> dict[str, Any]:
        return {name: more.pop(name) for name in names if name in more}

    def made(model: Any, **given: Any) -> Any:
        return model.model_construct(**given | taken(model.model_fields))

    counter = more.pop("counter", None)
    caps, own = taken(Caps.model_fields), taken(TrainStage.__dataclass_fields__)
    spec = made(
        TrainSpec,
        identity=made(
            TrainIdentity, seed=0, device="cpu", dtype="float32", engine="hf", max_new_tokens=20
        ),
        compute=made(TrainCompute, save_every=0, save_minutes=0, gradient_checkpointing=False),
        paths=TrainPaths.model_construct(base_model=base, teacher=teacher),
        conventions={"sums": Conventions()},
        name="",
        report_to=(),
    )
    if counter is None:
        counter = Counter(Caps(**(caps or {"steps": 1000})), str(teacher) if teacher else None)
    given = {
        "options": options,
        "rows": sums(24) if rows is None else rows,
        "holdout": sums(8, seed=1),
        "traces": (),
        "protocol": get_protocol(protocol),
        "verifier": VerifierPool(workers=1),
        "budget": Budget(counter),
        "group": Group(),
        "micro_batch_size": None,
    }
    stage = TrainStage(spec=spec, folder=folder, **given | own)
    assert not more, more
    run: Any = Run(stage)
    run.out, run.events = folder / "checkpoint", folder / "events.jsonl"
    run.notes, run.close, run.counter = stage.notes, stage.verifier.close, counter
    return run


def events(run: Any) -> list[dict[str, Any]]:
    """Return what a run logged."""
    return [json.loads(line) for line in run.events.read_text().splitlines()]
