"""Models: how a stage loads them, gathers sharded weights, and writes a checkpoint."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.checkpoints import TOKENIZER_FILES
from harness.errors import StageError

if TYPE_CHECKING:
    import transformers


def attention(device: str, *, packed: bool = False) -> str:
    """Return the name of transformers' attention implementation for a device.

    FlashAttention 2 (Dao 2023, arXiv 2307.08691) for packed rows on a GPU where the package
    `flash_attn` works, else torch's scaled dot product attention: rows that are padded would have
    to be unpacked and packed in every layer, with two waits for the GPU. FlashAttention computes in
    half precision only: a model with float32 weights must run under autocast.
    """
    if device == "cpu" or not packed:
        return "sdpa"
    from transformers.utils.import_utils import is_flash_attn_2_available

    return "flash_attention_2" if is_flash_attn_2_available() else "sdpa"


def forget_defaults(model: Any) -> None:
    """Keep of a model's generation defaults only its special tokens.

    A `generation_config.json` may set a repetition penalty, top-k or a token limit, and
    transformers prefers those to what a caller leaves open (a `max_new_tokens` even to a
    `max_length` that is given): answers would be decoded otherwise than the board states.
    """
    import transformers

    make: Any = transformers.GenerationConfig  # without annotations
    kept = ("bos_token_id", "eos_token_id", "pad_token_id")
    known = {name: getattr(model.generation_config, name) for name in kept}
    model.generation_config = make(**known)


def load_model(
    folder: Path, dtype: str, device: str, *, packed: bool = False
) -> transformers.PreTrainedModel:
    """Return the causal model of a folder, on the CPU, to run on `device`.

    No code of the folder is run. `dtype` is torch's name of the type of its weights; `packed` says
    that a sequence which it reads holds several rows.
    """
    import torch
    import torch.utils.deterministic
    from transformers import AutoModelForCausalLM

    # Under deterministic algorithms torch fills every new tensor, and TRL's loss asks for one
    # of half a gigabyte in each step, of which it reads only what it wrote.
    deterministic: Any = torch.utils.deterministic  # which declares no attributes
    deterministic.fill_uninitialized_memory = False
    model: transformers.PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=getattr(torch, dtype),
        attn_implementation=attention(device, packed=packed),
        use_safetensors=True,
        trust_remote_code=False,
    )
    forget_defaults(model)
    return model


def load_tokenizer(folder: Path) -> transformers.PreTrainedTokenizerBase:
    """Return the tokenizer of a folder, padding on the left; no code of the folder is run."""
    from transformers import AutoTokenizer

    tokenizer: transformers.PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
        folder, padding_side="left", trust_remote_code=False
    )
    return tokenizer


def save_model(model: Any, weights: dict[str, Any] | None, base: Path, out: Path) -> None:
    """Write a trained model, with the tokenizer files and decoding defaults of the start model.

    A PEFT adapter is merged. `weights` are by name where they were sharded, else None.
    """
    if hasattr(model, "merge_and_unload"):
        model = model.merge_and_unload()
    model.save_pretrained(out, state_dict=weights)
    files = [base / name for name in TOKENIZER_FILES if (base / name).exists()]
    if not files:
        raise StageError(f"the model in {base} has no tokenizer files")
    decoding = base / "generation_config.json"
    if decoding.exists():  # training must not change how a checkpoint is decoded
        files.append(decoding)
    for file in files:
        shutil.copyfile(file, out / file.name)


def sharded(model: Any) -> bool:
    """Return whether a process holds only a part of a model's weights: FSDP or ZeRO of stage 3."""
    signs = ("ds_id", "full_tensor")
    return any(
        "_flat_param" in name or any(hasattr(parameter, sign) for sign in signs)
        for name, parameter in model.named_parameters()
    )


def whole_weights(model: Any) -> dict[str, Any] | None:
    """Return a sharded model's whole weights by name, on the CPU, or None if it is not sharded.

    FSDP of version 2 and ZeRO of stage 3 are supported. Every process of the stage must call this,
    and only the first one's result is whole.

    Raises:
        StageError: If the weights cannot be gathered: FSDP of version 1, or a sharded adapter.
    """
    parameters = dict(model.named_parameters())
    if any("_flat_param" in name for name in parameters):
        raise StageError("FSDP of version 1 cannot be saved; write fsdp_version: 2 in the file")
    fsdp = any(hasattr(parameter, "full_tensor") for parameter in parameters.values())
    zero = any(hasattr(parameter, "ds_id") for parameter in parameters.values())
    if not fsdp and not zero:
        return None
    if hasattr(model, "merge_and_unload"):
        raise StageError("a sharded adapter cannot be merged; train it without FSDP or ZeRO-3")
    if zero:
        import deepspeed

        with deepspeed.zero.GatheredParameters(list(parameters.values()), modifier_rank=None):
            return {name: value.detach().cpu().clone() for name, value in _state(model)}
    return {
        name: (value.full_tensor() if hasattr(value, "full_tensor") else value).detach().cpu()
        for name, value in _state(model)
    }


def _state(model: Any) -> list[tuple[str, Any]]:
    """Return parameters and buffers with their names; one with two names, as a tied head, once."""
    found: dict[int, tuple[str, Any]] = {}
    for name, value in model.state_dict(keep_vars=True).items():
        found.setdefault(id(value), (name, value))
    return list(found.values())
