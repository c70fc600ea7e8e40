"""Checkpoints: model folders that are safe to load, their digests, and where they come from.

Nothing here imports torch or transformers: a folder is judged by its files.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import stat
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness import hub, weights
from harness.errors import UsageError
from harness.files import file_sha256, read_json
from harness.weights import weight_files

# entries of a configuration that name a path or follow the library's version
VOLATILE = ("_name_or_path", "transformers_version", "dtype", "torch_dtype")
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
    "chat_template.jinja",
)
DECODING = "generation_config.json"
SPECIAL_TOKENS = ("bos_token_id", "eos_token_id", "pad_token_id")  # all that is used of it
INDEX = "model.safetensors.index.json"  # which file holds which tensor, where there are several
JSON_BYTES = 256 * 2**20  # a tokenizer of 250,000 tokens takes 30 MiB
DTYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}


def check_model_folder(path: Path, what: str = "model") -> None:
    """Refuse a folder that lacks configuration, tokenizer or safetensors, or asks to run code."""
    if not path.is_dir():
        raise UsageError(f"no {what} folder {path}")
    config = configuration(path, what)
    if config.get("auto_map"):
        raise UsageError(f"the {what} in {path} wants to run its own code (auto_map); refused")
    if not weight_files(path):
        pickles = sorted(p.name for ext in ("*.bin", "*.pt", "*.pth") for p in path.glob(ext))
        if pickles:
            raise UsageError(
                f"the {what} in {path} has only pickled weights ({pickles[0]}), which can run code"
                " when loaded; convert them to safetensors"
            )
        raise UsageError(f"the {what} in {path} has no weights (*.safetensors)")
    if not any((path / name).exists() for name in ("tokenizer.json", "tokenizer.model")):
        raise UsageError(f"the {what} in {path} has no tokenizer (tokenizer.json)")
    for file in weight_files(path):
        weights.header(file)


def configuration(path: Path, what: str = "model") -> dict[str, Any]:
    """Return the configuration of a model folder; `UsageError` if it has none that is JSON."""
    return model_json(path / "config.json", what)


def context_length(path: Path) -> int | None:
    """Return how many tokens a model's prompt and answer may have; None if it does not say."""
    config = configuration(path)
    names = ("n_positions", "max_position_embeddings", "n_ctx")
    return next((config[name] for name in names if isinstance(config.get(name), int)), None)


def has_chat_template(path: Path) -> bool:
    """Return whether a model's tokenizer has a chat template."""
    if (path / "chat_template.jinja").exists():
        return True
    config = path / "tokenizer_config.json"
    return config.exists() and bool(model_json(config, "tokenizer").get("chat_template"))


def parameter_count(path: Path) -> int:
    """Return the number of stored parameters; a tied embedding is stored and counted once."""
    return sum(
        math.prod(tensor.shape)
        for file in weight_files(path)
        for tensor in weights.header(file).values()
    )


def size_bytes(path: Path) -> int:
    return sum(file.stat().st_size for file in weight_files(path))


def digest(path: Path, known: Mapping[str, str] | None = None) -> str:
    """Return a sha256 over weights, configuration and tokenizer, the same wherever they lie.

    Of the decoding defaults that is the special tokens, where they are others than the
    configuration's: an answer ends at one of them. What else they say is never used.

    `known` are the sha256 of its files by name, where they have been read already.
    """
    sha256 = (known or {}).get
    sha = hashlib.sha256()
    for file in weight_files(path):
        sha.update(f"{file.name} {sha256(file.name) or read_sha256(file)}\n".encode())
    config = {k: v for k, v in configuration(path).items() if k not in VOLATILE}
    sha.update(json.dumps(config, sort_keys=True).encode())
    for name in TOKENIZER_FILES:
        if (path / name).exists():
            sha.update(f"\n{name} {sha256(name) or read_sha256(path / name)}".encode())
    if others := _other_special_tokens(path, config):
        sha.update(f"\n{DECODING} {json.dumps(others, sort_keys=True)}".encode())
    return sha.hexdigest()


def _other_special_tokens(path: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the special tokens of a model's decoding defaults that its configuration has not."""
    if not (path / DECODING).exists():
        return {}  # then they are the configuration's
    defaults = model_json(path / DECODING)
    found = {name: defaults.get(name) for name in SPECIAL_TOKENS}
    return {name: ids for name, ids in found.items() if ids != config.get(name)}


_read: dict[tuple[str, int, int, int, int], str] = {}


def read_sha256(path: Path) -> str:
    """Return the sha256 of a file, which this process reads once while the file stays as it is.

    The time of a file's last change, which no program can set, tells whether it did. A file of the
    last two seconds is read each time, since its time may not tell a second change.
    """
    state = path.stat()
    key = (str(path), state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
    if key not in _read:
        sha256 = file_sha256(path)
        if time.time() - state.st_ctime < 2:
            return sha256
        _read[key] = sha256
    return _read[key]


# -- what of a checkpoint is the host's -----------------------------------------------------------


def dressing(path: Path, start: Path) -> dict[str, bytes]:
    """Return what a trained checkpoint has beside its weights: file -> content.

    All of it is the start model's: tokenizer, chat template, special tokens, decoding defaults and
    configuration, in which only the type of the weights is the checkpoint's own.
    """
    names = (*TOKENIZER_FILES, DECODING)
    files = {name: (start / name).read_bytes() for name in names if (start / name).is_file()}
    config = configuration(start)
    config.pop("torch_dtype", None)
    stored = Counter(tensor.dtype for tensor in weights.tensors(path).values())
    config["dtype"] = DTYPES.get(max(stored, key=lambda each: stored[each]), "float32")
    files["config.json"] = (json.dumps(config, indent=2, sort_keys=True) + "\n").encode()
    return files


def undressed(path: Path, start: Path) -> list[str]:
    """Return the files of a checkpoint, beside its weights, that are not as in `dressing`."""
    wanted = dressing(path, start)
    here = {entry.name for entry in path.iterdir() if not _holds_weights(entry)}
    same = {
        name
        for name in here & wanted.keys()
        if _plain(path / name)
        and (path / name).stat().st_size == len(wanted[name])
        and (path / name).read_bytes() == wanted[name]
    }
    return sorted((here | wanted.keys()) - same)


def dress(path: Path, start: Path) -> list[str]:
    """Make a checkpoint what it is scored as, and return the files that were otherwise."""
    wanted, changed = dressing(path, start), undressed(path, start)
    for name in changed:
        if (path / name).is_dir() and not (path / name).is_symlink():
            shutil.rmtree(path / name)
        else:
            (path / name).unlink(missing_ok=True)
        if name in wanted:
            (path / name).write_bytes(wanted[name])
    return changed


def _holds_weights(path: Path) -> bool:
    return path.name == INDEX or path.suffix == ".safetensors"


def _plain(path: Path) -> bool:
    return stat.S_ISREG(path.lstat().st_mode)


def same_tokenizer(one: Path, other: Path) -> bool:
    """Return whether two models cut text into the same ids, by their `tokenizer.json`.

    The size of the embedding, which may be padded differently, and special tokens added behind a
    common vocabulary are not compared.
    """
    left, right = (model_json(path / "tokenizer.json", "tokenizer") for path in (one, other))
    return all(left.get(key) == right.get(key) for key in ("model", "normalizer", "pre_tokenizer"))


def resolve_model(reference: str, folder: Path) -> Path:
    """Return the folder of a model: a path relative to `folder`, or `<Hub id>@<revision>`.

    A Hub model is downloaded once, safetensors and tokenizer only, at the pinned revision.
    """
    local = folder / reference
    if local.is_dir():
        return local.resolve()
    name, _, revision = reference.partition("@")
    if name.count("/") != 1 or name.startswith((".", "/")):
        raise UsageError(f"no model folder {local}")
    if len(revision) != 40:
        absent = "" if revision else f"no model folder {local}, and "
        raise UsageError(
            f"{absent}a model of the Hub needs a pinned revision: write '{name}@<40-digit commit>'"
        )
    wanted = ["*.safetensors", "*.json", "*.txt", "*.model", "*.jinja"]
    try:
        return hub.download(name, kind="model", revision=revision, patterns=wanted)
    except hub.HubError as error:
        raise UsageError(f"cannot get model {reference!r} from the Hub: {error}") from None


def find_model(reference: str, folder: Path) -> Path | None:
    """Return a model's folder if it is on this machine, whole, or None; nothing is downloaded."""
    local = folder / reference
    if local.is_dir():
        return local.resolve()
    name, _, revision = reference.partition("@")
    if name.count("/") != 1 or len(revision) != 40:
        return None
    from huggingface_hub.constants import HF_HUB_CACHE

    found = Path(HF_HUB_CACHE) / f"models--{name.replace('/', '--')}" / "snapshots" / revision
    index = found / INDEX
    try:
        parts = set(read_json(index)["weight_map"].values()) if index.exists() else set()
        for part in parts or {"model.safetensors"}:
            weights.header(found / part)
        check_model_folder(found)
    except (UsageError, OSError, KeyError, TypeError, AttributeError):
        return None
    return found


def model_json(path: Path, what: str = "model") -> dict[str, Any]:
    """Return the content of one of a model's files; `UsageError` if it is no JSON object."""
    if not path.exists():
        raise UsageError(f"the {what} in {path.parent} has no {path.name}")
    content = read_json(path, JSON_BYTES)
    if not isinstance(content, dict):
        raise UsageError(f"{path} is not a JSON object")
    return content
