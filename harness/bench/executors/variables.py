"""The environment variables that a stage sees: those that work depends on, and no secrets.

Everything that is not listed here is left out, and of what is listed, whatever is named like a
secret. A board lets others through, for its training stages alone (`[compute] environment`).
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from harness import scratch

NAMES = {
    "PATH", "LANG", "LANGUAGE", "TZ", "USER", "LOGNAME", "SHELL", "TERM", "TMPDIR", "VIRTUAL_ENV",
    "CONDA_PREFIX", "CC", "CXX", "CPATH", "LIBRARY_PATH", "LD_LIBRARY_PATH", "LD_PRELOAD",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "TOKENIZERS_PARALLELISM",
    "DO_NOT_TRACK",
}  # fmt: skip
PREFIXES = (
    "LC_", "PYTHON", "HARNESS_", "HF_", "HUGGINGFACE_", "TRANSFORMERS_", "TRL_", "ACCELERATE_",
    "FSDP_", "VLLM_", "TORCH", "PYTORCH_", "TRITON_", "CUDA", "CUBLAS", "NVIDIA_", "NCCL_",
    "GLOO_", "OMP_", "KMP_", "MKL_", "OPENBLAS_", "NUMEXPR_", "MALLOC_", "TENSORBOARD",
    "COVERAGE_",
)  # fmt: skip
PATHS = ("PYTHONPATH", "HF_HOME", "HF_HUB_CACHE")
CARRIED = ("HARNESS_", "HF_", "HUGGINGFACE_", "TRANSFORMERS_", "TRL_", "ACCELERATE_", "COVERAGE_")
SECRET = re.compile(
    r"(^|_)(TOKEN|TOKENS|KEY|KEYS|SECRET|SECRETS|PASSWORD|PASSWD|CREDENTIALS?|AUTH)(_|$)"
)
# what one stage compiled must not be run by another, so these lie in a stage's own folder
PRIVATE = {
    "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR", "TRITON_HOME", "VLLM_CACHE_ROOT",
    "PYTHONPYCACHEPREFIX", "HF_MODULES_CACHE", "HF_TOKEN_PATH", scratch.VARIABLE,
}  # fmt: skip


def usual(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of an environment that any stage may see.

    The Hub's cache is named in full: a stage's home folder is an empty one of its own. A stage
    finds the modules that this process finds, and its own working folder is no place for them.
    """
    kept = {name: value for name, value in environment.items() if _is_usual(name)}
    home = Path(environment.get("HOME") or Path.home())
    cache = Path(environment.get("XDG_CACHE_HOME") or home / ".cache")
    kept.setdefault("HF_HOME", str(cache / "huggingface"))
    kept.setdefault("HF_HUB_CACHE", os.path.join(kept["HF_HOME"], "hub"))
    prefixes = (sys.prefix, sys.base_prefix)
    given = [place for place in environment.get("PYTHONPATH", "").split(os.pathsep) if place]
    places = dict.fromkeys(os.path.abspath(place) for place in (*given, *sys.path))
    kept["PYTHONPATH"] = os.pathsep.join(
        place for place in places if not any(Path(place).is_relative_to(one) for one in prefixes)
    )
    return kept


def carried(environment: Mapping[str, str]) -> dict[str, str]:
    """Return those of the head that stages on other machines see, in place of the machine's own.

    That is where modules, models and data are, which every machine finds by the same paths, and how
    the libraries work; not what belongs to a machine, such as its GPUs, threads or programs.
    """
    kept = usual(environment)
    return {name: kept[name] for name in kept if name in PATHS or name.startswith(CARRIED)}


def named(environment: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """Return the variables that a board names, as far as they are set."""
    return {name: environment[name] for name in names if name in environment}


def _is_usual(name: str) -> bool:
    listed = name in NAMES or name.startswith(PREFIXES)
    return listed and name not in PRIVATE and not SECRET.search(name)
