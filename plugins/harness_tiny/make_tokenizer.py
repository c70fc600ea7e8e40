"""Makes the tokenizer that the start model and the teacher share.

A byte-level BPE: every text round-trips. Each digit is a token of its own, with or without the
space before it, because a number cut at a place that depends on it is hard to calculate with.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from harness_tiny import problems

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

VOCABULARY = 640
PAD, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
INSTRUCTION = "Think step by step and put the final answer in \\boxed{}."

# A digit alone; a LaTeX command with its brace; a word; a run of signs; white space.
_PIECES = r" ?\p{N}| ?\\[a-z]+\{?| ?\p{L}+| ?[^\s\p{L}\p{N}\\]+|\\|\s+"

CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}"
)


def user_text(problem: str) -> str:
    """The user's message of the chat protocol: the problem, a line break and the instruction."""
    return f"{problem}\n{INSTRUCTION}"


def make_tokenizer(
    source: problems.Generator = problems.TINY,
    vocabulary: int = VOCABULARY,
    longest: int = 512,
    rows: int = 4000,
) -> PreTrainedTokenizerFast:
    """Train the tokenizer on fresh rows of each family, always the same ones.

    Args:
        source: draws the rows.
        vocabulary: most tokens it may have.
        longest: tokens that its model has positions for.
        rows: of each family.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD, START, END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(source, rows), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        additional_special_tokens=[START],
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
        model_max_length=longest,
        padding_side="left",
    )


def _texts(source: problems.Generator, rows: int) -> list[str]:
    rng = random.Random("tokenizer")
    texts = []
    for family in source.families:
        for _ in range(rows):
            _, problem, solution, answer = source.draw(family, rng)
            texts.append(f"user\n{user_text(problem)}")
            texts.append(f"assistant\n{solution} \\boxed{{{answer}}}")
    return texts
