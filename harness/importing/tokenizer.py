"""The tokenizer of a GGUF file, which holds a vocabulary and merges but names its rules only.

Rules by llama.cpp's names (`llama-vocab.cpp`): how a text is cut before merges are looked for.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import StageError, UsageError
from harness.importing.gguf_file import GGUF

NORMAL, CONTROL, DEFINED, UNUSED = 1, 3, 4, 5  # `tokenizer.ggml.token_type`
# Qwen2's `tokenizer.json`
QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
ALL_RULES = ("gpt-2", "qwen2", "smollm")
SPACES = "\u0120\u010a\u0109\u010d"  # space, newline, tab and return in the alphabet of bytes
ONE_DIGIT = ("qwen2", "smollm")  # rules under which every digit is a token of its own
TEXTS = (
    "What is 1234567890 + 0.75? 3,000 of 12 is 25%, and -7 * 8 = -56.",
    "Tom's  two\n\nlines\n\n12 apples,\tand   100 more  42\r\n",
    r"\boxed{\frac{1}{2}} $x^{2} \le 10$ <<48/2=24>>#### 24",
    "naïve café, 数学 ½ √2 — Привет 🙂",
    " a",
    "",
)


@dataclass(frozen=True)
class Checked:
    """What the round trips found, for the line that is printed."""

    template: bool  # whether there is a chat template
    digits: bool  # whether every digit is a token of its own
    lost: int  # bytes without a token: a text loses them


def write(source: GGUF, config: dict[str, Any], folder: Path) -> None:
    """Write `tokenizer.json`, `tokenizer_config.json` and, if there is one, the chat template.

    Raises:
        UsageError: If the file's tokenizer is of a kind that is not known here.
    """
    found, file = source.metadata, source.path.name
    words, kinds, merges = (_list(source, name) for name in ("tokens", "token_type", "merges"))
    rule = found.get("tokenizer.ggml.pre")
    if found.get("tokenizer.ggml.model") != "gpt2" or rule not in ALL_RULES:
        kind = f"{found.get('tokenizer.ggml.model')!r} with rule {rule!r}"
        raise UsageError(
            f"{file} has a tokenizer of kind {kind[:80]}; only 'gpt2' with one of"
            f" {', '.join(ALL_RULES)} can be imported"
        )
    if adds := [end for end in ("bos", "eos") if found.get(f"tokenizer.ggml.add_{end}_token")]:
        raise UsageError(f"{file} adds {adds[0]} to every text, which is not known here")
    if not merges or len(words) != len(kinds) or len(words) != len(set(words)):
        raise UsageError(f"{file} has no whole vocabulary: tokens, their types, and merges")
    if len(words) > config["vocab_size"]:
        many = f"{len(words):,} tokens, its embedding {config['vocab_size']:,} rows"
        raise UsageError(f"{file} has {many}; it is damaged or no whole model")
    special = {}
    for name in ("bos", "eos", "padding", "unknown"):
        number = found.get(f"tokenizer.ggml.{name}_token_id")
        if number is not None and not 0 <= number < len(words):
            raise UsageError(f"{file} has {name} token {number}, which its vocabulary has not")
        special[name] = None if number is None else words[number]
    if special["eos"] is None:
        raise UsageError(f"{file} has no token that ends an answer (eos)")
    made = _tokenizer(file, words, kinds, merges, rule)
    (folder / "tokenizer.json").write_text(made.to_str(pretty=True), encoding="utf-8")
    names = {"bos": "bos", "eos": "eos", "padding": "pad", "unknown": "unk"}
    content = {
        "clean_up_tokenization_spaces": False,
        "model_max_length": config["max_position_embeddings"],
        "tokenizer_class": "PreTrainedTokenizerFast",
        **{f"{names[name]}_token": word for name, word in special.items() if word is not None},
    }
    content.setdefault("pad_token", special["eos"])
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    (folder / "tokenizer_config.json").write_text(text, encoding="utf-8")
    if template := found.get("tokenizer.chat_template"):
        (folder / "chat_template.jinja").write_bytes(str(template).encode())


def _list(source: GGUF, name: str) -> list[Any]:
    found = source.metadata.get(f"tokenizer.ggml.{name}")
    return found if isinstance(found, list) else []


def _tokenizer(file: str, words: list[str], kinds: list[int], merges: list[str], rule: str) -> Any:
    from tokenizers import (
        AddedToken,
        Regex,
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
    )

    vocabulary = {
        word: number
        for number, (word, kind) in enumerate(zip(words, kinds, strict=True))
        if kind != UNUSED
    }
    # published vocabularies lack bytes of control characters and of rare scripts
    letters = [chr(number) for number in range(ord("!"), ord("~") + 1)]  # the alphabet keeps these
    if lost := sorted({*letters, *SPACES} - vocabulary.keys()):
        raise UsageError(f"{file} has no token for {lost[0]!r}; it is damaged")
    pairs: Any = [tuple(merge.split(" ")) for merge in merges]
    try:
        made = Tokenizer(models.BPE(vocabulary, pairs))
    except Exception as error:  # of one kind for all that is wrong with merges
        raise UsageError(f"{file} has merges that do not fit its tokens: {error}") from None
    bytes_only = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    words_of_gpt2 = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    if rule == "qwen2":
        made.normalizer = normalizers.NFC()
        cut = pre_tokenizers.Split(Regex(QWEN2), behavior="isolated")
        made.pre_tokenizer = pre_tokenizers.Sequence([cut, bytes_only])
    elif rule == "smollm":
        digits = pre_tokenizers.Digits(individual_digits=True)
        made.pre_tokenizer = pre_tokenizers.Sequence([digits, words_of_gpt2])
    else:
        made.pre_tokenizer = words_of_gpt2
    made.decoder = decoders.ByteLevel()
    for word, kind in zip(words, kinds, strict=True):
        if kind == CONTROL:
            made.add_special_tokens([AddedToken(word, normalized=False, special=True)])
        elif kind == DEFINED:
            made.add_tokens([AddedToken(word, normalized=False, special=False)])
    return made


def check(source: GGUF, folder: Path) -> Checked:
    """Load a tokenizer that was written and hold it against the file, by round trips.

    Texts come back as they were, digits are tokens of their own where the rule says so, control
    tokens are one token each, and the chat template keeps what is said, writes a prompt alike
    whether an answer follows or not, and closes an answer with the token that ends it.

    Raises:
        UsageError: If something of it is not so; the text says what.
    """
    from tokenizers import pre_tokenizers

    from harness.stage.models import load_tokenizer

    found, file = source.metadata, source.path.name
    tokenizer = load_tokenizer(folder)
    words, kinds = found["tokenizer.ggml.tokens"], found["tokenizer.ggml.token_type"]
    if len(tokenizer) > len(words):
        raise _fault(file, f"gives ids up to {len(tokenizer) - 1}; the last is {len(words) - 1}")
    for text in TEXTS:
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        if (back := tokenizer.decode(ids, clean_up_tokenization_spaces=False)) != text:
            raise _fault(file, f"makes {back!r} of {text!r}")
    rule = found["tokenizer.ggml.pre"]
    cases = ("is9876543210", " 9876543210.")
    pieces = [piece for case in cases for piece in tokenizer.tokenize(case)]
    digits = sum(len(piece) == 1 and piece.isdigit() for piece in pieces) == 20
    if rule in ONE_DIGIT and not digits:
        raise _fault(file, f"cuts {cases[1]!r} into {pieces}, not into its digits")
    for number, (word, kind) in enumerate(zip(words, kinds, strict=True)):
        if kind not in (CONTROL, DEFINED):
            continue
        if tokenizer(f"a{word}b", add_special_tokens=False)["input_ids"].count(number) != 1:
            raise _fault(file, f"does not keep the token {word!r} whole")
    template = bool(found.get("tokenizer.chat_template"))
    if template:
        _check_template(file, tokenizer)
    lost = set(pre_tokenizers.ByteLevel.alphabet()).difference(words)
    return Checked(template, digits, len(lost))


def _check_template(file: str, tokenizer: Any) -> None:
    from harness.stage.tokens import written

    asked = [
        {"role": "user", "content": "What is 12 + 30?"},
        {"role": "assistant", "content": "It is 42."},
        {"role": "user", "content": "And doubled?"},
    ]
    answer = [{"role": "assistant", "content": "It is 84."}]
    try:
        before, after = written(asked, answer, tokenizer)
    except StageError as error:
        raise UsageError(f"{file}: {error}") from None
    except Exception as error:  # of Jinja, or of what the template does
        line = " ".join(str(error).split())[:200]
        raise _fault(file, f"cannot put a conversation into its chat template: {line}") from None
    if lost := [one["content"] for one in asked if one["content"] not in before]:
        raise _fault(file, f"loses {lost[0]!r} in its chat template")
    if not after.startswith(answer[0]["content"]):
        raise _fault(file, f"puts {after[:80]!r} where the answer {answer[0]['content']!r} begins")
    closing = after.removeprefix(answer[0]["content"]).lstrip()
    ids = tokenizer(closing, add_special_tokens=False)["input_ids"]
    if ids[:1] != [tokenizer.eos_token_id]:
        raise _fault(
            file,
            f"ends an answer with {closing[:40]!r} in its chat template, but with"
            f" {tokenizer.eos_token!r} by its metadata, so answers would not end",
        )


def _fault(file: str, what: str) -> UsageError:
    return UsageError(f"the tokenizer of {file} {what}; it cannot be imported")
