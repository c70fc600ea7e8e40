"""Checkpoints: model folders that are safe to load, their digests, and where they come from.

Nothing here imports torch or transformers: a folder is judged by its files.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from pathlib import Path
from typing import Any

from harness import hub
from harness.errors import UsageError
from harness.files import file_sha256, open_regular, parse_json, read_json

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
        safetensors_header(file)


def configuration(path: Path, what: str = "model") -> dict[str, Any]:
    """Return the configuration of a model folder; `UsageError` if it has none that is JSON."""
    return _json(path / "config.json", what)


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
    return config.exists() and bool(_json(config, "tokenizer").get("chat_template"))


def weight_files(path: Path) -> list[Path]:
    return sorted(path.glob("*.safetensors"))


def safetensors_header(path: Path) -> dict[str, Any]:
    """Return the header of a safetensors file that is whole: name to dtype, shape and offsets."""
    try:
        with open_regular(path) as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > 100_000_000:
                raise ValueError
            header: dict[str, Any] = parse_json(file.read(length), path.name)
        header.pop("__metadata__", None)
        end = max((entry["data_offsets"][1] for entry in header.values()), default=0)
        if path.stat().st_size < 8 + length + end:
            raise ValueError
    except (struct.error, ValueError, UsageError, AttributeError, KeyError, TypeError):
        raise UsageError(f"{path} is not a whole safetensors file") from None
    return header


def parameter_count(path: Path) -> int:
    """Return the number of stored parameters; a tied embedding is stored and counted once."""
    return sum(
        math.prod(entry["shape"])
        for file in weight_files(path)
        for entry in safetensors_header(file).values()
    )


def size_bytes(path: Path) -> int:
    return sum(file.stat().st_size for file in weight_files(path))


def digest(path: Path) -> str:
    """Return a sha256 over weights, configuration and tokenizer, the same wherever they lie."""
    sha = hashlib.sha256()
    for file in weight_files(path):
        sha.update(f"{file.name} {file_sha256(file)}\n".encode())
    config = {k: v for k, v in configuration(path).items() if k not in VOLATILE}
    sha.update(json.dumps(config, sort_keys=True).encode())
    for name in TOKENIZER_FILES:
        if (path / name).exists():
            sha.update(f"\n{name} {file_sha256(path / name)}".encode())
    return sha.hexdigest()


def same_tokenizer(one: Path, other: Path) -> bool:
    """Return whether two models cut text into the same ids, by their `tokenizer.json`.

    The size of the embedding, which may be padded differently, and special tokens added behind a
    common vocabulary are not compared.
    """
    left, right = (_json(path / "tokenizer.json", "tokenizer") for path in (one, other))
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
        raise UsageError(
            f"model {name!r} needs a pinned revision: write '{name}@<40-digit commit>'"
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
    index = found / "model.safetensors.index.json"
    try:
        parts = set(_json(index)["weight_map"].values()) if index.exists() else set()
        for part in parts or {"model.safetensors"}:
            safetensors_header(found / part)
        check_model_folder(found)
    except (UsageError, OSError, KeyError):
        return None
    return found


def _json(path: Path, what: str = "model") -> dict[str, Any]:
    if not path.exists():
        raise UsageError(f"the {what} in {path.parent} has no {path.name}")
    content = read_json(path)
    if not isinstance(content, dict):
        raise UsageError(f"{path} is not a JSON object")
    return content
