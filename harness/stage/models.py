"""Models: how a stage loads them, gathers sharded weights, and writes a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from harness import checkpoint_checks, checkpoints
from harness.errors import StageError, TamperedError
from harness.stage.manifest import check_sealed
from harness.stage.memory import keep_freed
from harness.weights import Contents

if TYPE_CHECKING:
    import transformers

    from harness.stage.spec import GenerateSpec, ProbeSpec, TrainSpec


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
    kept = checkpoints.SPECIAL_TOKENS
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

    if device == "cpu":
        keep_freed()
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


def lay_out(model: Any) -> None:
    """Store the weights of a model's linear layers on a CPU in the order in which they are read.

    A product of a few rows spends much of its time on bringing the weights into that order, each
    time anew: this saves a fifth of it at 64 rows and half at 8. Values and shapes stay, strides
    change. Left alone are weights that an embedding shares, which it reads row by row, and those in
    half precision, whose kernels have orders of their own.
    """
    import torch

    if model.device.type != "cpu":
        return
    shared = {id(part.weight) for part in model.modules() if isinstance(part, torch.nn.Embedding)}
    for part in model.modules():
        if type(part) is torch.nn.Linear and part.weight.dtype == torch.float32:
            weight: Any = part.weight
            if id(weight) not in shared:
                weight.data = weight.data.t().contiguous().t()


def hollow(folder: Path, dtype: str) -> transformers.PreTrainedModel:
    """Return the causal model of a folder without its weights: its tensors have shapes alone."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    with torch.device("meta"):
        model: transformers.PreTrainedModel = AutoModelForCausalLM.from_config(
            config, dtype=getattr(torch, dtype), trust_remote_code=False
        )
    return model


def adapted(
    model: transformers.PreTrainedModel, options: Any, seed: int, sharded: bool
) -> transformers.PreTrainedModel:
    """Return a model with the fresh low-rank adapter that a trainer's options ask for, if they do.

    Hu et al. 2022, arXiv 2106.09685. Its weights come from the seed alone: torch's own random
    numbers go on as they were.

    Raises:
        StageError: If no layer has the name, or weights are spread over processes.
    """
    if not getattr(options, "lora_rank", 0):
        return model
    if sharded:
        raise StageError(
            "an adapter whose weights are spread over processes (FSDP, ZeRO-3) cannot be merged;"
            " set lora_rank=0, or train it without"
        )
    import torch
    from peft import LoraConfig, get_peft_model

    adapter = LoraConfig(
        r=options.lora_rank,
        lora_alpha=options.lora_alpha,
        lora_dropout=options.lora_dropout,
        target_modules=options.lora_targets,
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            made: Any = get_peft_model(model, adapter)
        except ValueError as error:
            raise StageError(f"lora_targets={options.lora_targets!r}: {error}") from error
    return cast("transformers.PreTrainedModel", made)


def load_tokenizer(folder: Path) -> transformers.PreTrainedTokenizerBase:
    """Return the tokenizer of a folder, padding on the left; no code of the folder is run."""
    from transformers import AutoTokenizer

    tokenizer: transformers.PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
        folder, padding_side="left", trust_remote_code=False
    )
    return tokenizer


def save_model(model: Any, weights: dict[str, Any] | None, base: Path, out: Path) -> None:
    """Write a trained model; all but its weights is the start model's (`checkpoints.dress`).

    A PEFT adapter is merged. `weights` are by name where they were sharded, else None.
    """
    if hasattr(model, "merge_and_unload"):
        model = model.merge_and_unload()
    model.save_pretrained(out, state_dict=weights)
    if not any((base / name).exists() for name in checkpoints.TOKENIZER_FILES):
        raise StageError(f"the model in {base} has no tokenizer files")
    checkpoints.dress(out, base)


def check_given(spec: TrainSpec) -> None:
    """Check that the models which a training stage is given are those that it was planned with.

    Raises:
        TamperedError: If one is not; the text names the file or the folder.
    """
    base, path = spec.identity.base, spec.paths.base_model
    if base.stage:
        check_sealed(path.parent, path.name, spec.sealed)
    else:
        _check_digest(path, base.model, "start model")
    if spec.paths.teacher:
        _check_digest(spec.paths.teacher, spec.identity.teacher, "teacher")


def _check_digest(
    path: Path, expected: str | None, what: str, known: dict[str, str] | None = None
) -> None:
    on_hub = "@" in (expected or "")  # known by its commit
    if expected and not on_hub and checkpoints.digest(path, known) != expected:
        raise TamperedError(
            f"the {what} in {path.name} was changed since the bench was planned; run it again"
        )


def seal_checkpoint(checkpoint: Path, base: Path, trainer: str) -> tuple[Contents, list[str]]:
    """Check what a trainer left, and put the start model's files beside its weights.

    Returns:
        What the weight files hold, and the names of the files that were otherwise.

    Raises:
        StageError: If it is no sound checkpoint of the model that the trainer started from.
    """
    if not any(checkpoint.glob("*")):
        raise StageError(
            f"trainer {trainer!r} left no checkpoint: call run.save(model) at the end of its train"
        )
    faults, contents = checkpoint_checks.examine(checkpoint, base)
    return _sound(faults, contents, f"trainer {trainer!r} left"), checkpoints.dress(
        checkpoint, base
    )


def _sound(faults: list[str], contents: Contents | None, found: str) -> Contents:
    if faults or contents is None:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise StageError(f"{found} no usable checkpoint: {faults[0]}{more}")
    return contents


def check_scored(spec: GenerateSpec | ProbeSpec) -> tuple[str, float, float]:
    """Check the model that is to be scored, in a process in which no trainer has run.

    Returns:
        The digest of its tensors, the share of them that are the board's teacher's, and how far
        its way from the start model leads to the teacher.

    Raises:
        TamperedError: If it is not what was sealed or planned, or has another prompt or
            configuration than its start model.
        StageError: If a trained checkpoint is not sound.
    """
    path, start, base = spec.paths.base_model, spec.paths.start, spec.identity.base
    if start is None:
        contents = checkpoint_checks.read(path)
        _check_digest(path, base.model, "model", contents.files)
        return contents.digest, 0.0, 0.0
    faults, found = checkpoint_checks.examine(path, start)
    check_sealed(path.parent, path.name, spec.sealed, found.files if found else None)
    contents = _sound(faults, found, "there is")
    if changed := checkpoints.undressed(path, start):
        raise TamperedError(f"{changed[0]} of the checkpoint is not the start model's")
    teacher = spec.paths.teacher
    if teacher is None:
        return contents.digest, 0.0, 0.0
    taken = checkpoint_checks.taken_from(contents, teacher, start)
    return contents.digest, taken, checkpoint_checks.toward(path, teacher, start)


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
