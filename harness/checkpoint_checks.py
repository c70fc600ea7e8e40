"""Checks of a trained checkpoint: it is safe to load, and is its start model with other weights.

One implementation for the bench, which trusts no checkpoint, and for the conformance kit.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness import checkpoints, weights
from harness.errors import UsageError
from harness.weights import Contents

# files that run code when they are loaded, or may
CODE = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".py", ".pyc", ".so", ".sh")
# What a trained checkpoint's configuration may have otherwise than its start model's: what no
# forward pass reads. The host writes the start model's configuration over it in any case.
MAY_DIFFER = {
    *checkpoints.VOLATILE,
    "architectures",
    "attention_dropout",
    "bos_token_id",
    "eos_token_id",
    "id2label",
    "imported",
    "initializer_range",
    "label2id",
    "output_attentions",
    "output_hidden_states",
    "pad_token_id",
    "problem_type",
    "return_dict",
    "use_cache",
}
HEAD = "lm_head.weight"
BUFFERS = ("rotary_emb.inv_freq", ".masked_bias", ".attn.bias")  # computed when a model is made
LISTED = 3  # names of one kind of fault


def examine(checkpoint: Path, start: Path) -> tuple[list[str], Contents | None]:
    """Return what is wrong with a trained checkpoint, each in one line, and what it holds.

    Its files are judged first, then its configuration, tensors and values; what cannot be read on
    for a fault is not judged.

    Args:
        checkpoint: The folder that a trainer left.
        start: The folder of the model that it started from.
    """
    faults = _unsafe_files(checkpoint)
    try:
        checkpoints.check_model_folder(checkpoint, "checkpoint")
        faults += _config_faults(checkpoint, start) + _index_faults(checkpoint)
        faults += _tensor_faults(checkpoint, start)
        if faults:
            return faults, None
        contents = read(checkpoint)
    except UsageError as error:
        return [*faults, str(error)], None
    if contents.not_finite:
        what = "holds NaN or infinite values: lower the learning rate, or clip gradients"
        faults.append(f"{_some(contents.not_finite)} {what}")
    return faults, contents


def read(folder: Path) -> Contents:
    """Read a model's weights once; a head that is tied to the embedding is no part of them."""
    return weights.read(folder, without=(HEAD,) if _tied(folder) else ())


def _tied(folder: Path) -> bool:
    return bool(checkpoints.configuration(folder).get("tie_word_embeddings"))


def taken_from(contents: Contents, teacher: Path, start: Path) -> float:
    """Return the share of tensors, alike in shape, in which a checkpoint is the teacher to the bit.

    Tensors that the teacher has in common with the start model do not count. Where no shape agrees
    this reads nothing.
    """
    found = weights.tensors(teacher)
    alike = [name for name, shape in contents.shapes.items() if _shape(found.get(name)) == shape]
    theirs = weights.values(teacher, alike) if alike else {}
    equal = [name for name in alike if theirs[name] == contents.tensors[name]]
    if not equal:
        return 0.0
    before = weights.values(start, equal)
    kept = sum(before.get(name) == theirs[name] for name in equal)
    return (len(equal) - kept) / max(1, len(alike) - kept)


def toward(checkpoint: Path, teacher: Path, start: Path) -> float:
    """Return how far a checkpoint's way from its start leads to the teacher: a cosine, 0 to 1.

    It is 1 for the teacher's weights, for these with a little noise, and for a mean of them and the
    start model's; in millions of dimensions training alone comes nowhere near it. Tensors alike in
    shape count, all together. Where no shape agrees this reads nothing.
    """
    before, after, target = (weights.tensors(folder) for folder in (start, checkpoint, teacher))
    tied = {HEAD} if _tied(start) else set()
    sums = [0.0, 0.0, 0.0]
    for name in sorted(before.keys() & after.keys() & target.keys() - tied):
        three = before[name], after[name], target[name]
        floats = all(one.dtype in weights.FLOATS for one in three)
        if floats and len({one.shape for one in three}) == 1:
            sums = [a + b for a, b in zip(sums, weights.movement(*three), strict=True)]
    along, moved, away = sums
    return max(0.0, min(1.0, along / math.sqrt(moved * away))) if moved * away > 0 else 0.0


def _shape(tensor: weights.Tensor | None) -> tuple[int, ...] | None:
    return tensor.shape if tensor else None


def _some(names: Any) -> str:
    listed = sorted(names)
    more = f" and {len(listed) - LISTED} more" if len(listed) > LISTED else ""
    return ", ".join(listed[:LISTED]) + more


def _unsafe_files(folder: Path) -> list[str]:
    faults = ["it is a link; leave the folder itself"] if folder.is_symlink() else []
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        name = path.relative_to(folder)
        if path.is_symlink():
            faults.append(f"{name} is a link; leave the file itself")
        elif path.suffix.lower() in CODE:
            faults.append(f"{name} could run code; leave safetensors only, as run.save does")
        elif not path.is_dir() and not path.is_file():
            faults.append(f"{name} is no plain file; remove it")
    return faults


def _config_faults(checkpoint: Path, start: Path) -> list[str]:
    raw = [checkpoints.configuration(folder) for folder in (start, checkpoint)]
    # whole numbers first: a configuration is not made with a size that nobody checked
    faults = _differing(*({k: v for k, v in one.items() if type(v) is int} for one in raw))
    if faults or (kind := raw[0].get("model_type")) != raw[1].get("model_type"):
        return faults or [f"config.json: model_type is not the start model's {kind!r}"]
    before, after = (_normal(folder) for folder in (start, checkpoint))
    return _differing(before, after, missing=True)


def _normal(folder: Path) -> dict[str, Any]:
    """Return a configuration as this version of transformers writes it, every default filled in."""
    import transformers

    try:
        made = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
        content: dict[str, Any] = json.loads(json.dumps(made.to_dict(), default=str))
    except Exception as error:  # whatever its class finds wrong with it
        line = " ".join(str(error).split()) or type(error).__name__
        raise UsageError(f"{folder / 'config.json'} cannot be read: {line[:200]}") from None
    return content


def _differing(
    before: Mapping[str, Any], after: Mapping[str, Any], *, missing: bool = False
) -> list[str]:
    return [
        f"config.json: {name} is {json.dumps(after.get(name))[:80]}, in the start model"
        f" {json.dumps(value)[:80]}; training must not change what the model is"
        for name, value in sorted(before.items())
        if name not in MAY_DIFFER and (missing or name in after) and after.get(name) != value
    ][:LISTED]


def _index_faults(folder: Path) -> list[str]:
    """Return what would make a loader read other files than are judged here."""
    files = {path.name for path in weights.weight_files(folder)}
    index = folder / checkpoints.INDEX
    if not index.exists():
        other = sorted(files - {"model.safetensors"})
        return [f"{other[0]} is in no {checkpoints.INDEX}; save with run.save"] if other else []
    here = {name: tensor.file.name for name, tensor in weights.tensors(folder).items()}
    listed = checkpoints.model_json(index).get("weight_map")
    same = listed == here and "model.safetensors" not in files
    return [] if same else [f"{index.name} does not list the tensors of the files beside it"]


def _tensor_faults(checkpoint: Path, start: Path) -> list[str]:
    faults: list[str] = []
    before, after = (
        {name: one for name, one in weights.tensors(folder).items() if not name.endswith(BUFFERS)}
        for folder in (start, checkpoint)
    )
    if _tied(start):
        faults = _head_faults(checkpoint, after)
        for each in (before, after):
            each.pop(HEAD, None)
    if lost := before.keys() - after.keys():
        faults.append(f"tensor {_some(lost)} is missing; save the whole model with run.save")
    if more := after.keys() - before.keys():
        faults.append(f"tensor {_some(more)} is not one of the start model's")
    both = before.keys() & after.keys()
    if other := [name for name in both if before[name].shape != after[name].shape]:
        name = min(other)
        shapes = f"{list(after[name].shape)}, in the start model {list(before[name].shape)}"
        faults.append(f"tensor {_some(other)} has another shape: {shapes}")
    if kinds := [name for name in after if after[name].dtype not in weights.FLOATS]:
        what = f"{after[min(kinds)].dtype}; save float32, bfloat16 or float16"
        faults.append(f"tensor {_some(kinds)} is of type {what}")
    return faults


def _head_faults(checkpoint: Path, found: Mapping[str, weights.Tensor]) -> list[str]:
    """Return a fault for a head that is stored, and is not what it is tied to."""
    embedding = next((name for name in found if name.endswith("embed_tokens.weight")), None)
    if HEAD not in found or embedding is None:
        return []
    alike = len(set(weights.values(checkpoint, (HEAD, embedding)).values())) == 1
    return [] if alike else [f"{HEAD} differs from {embedding}, to which it is tied; leave it out"]
