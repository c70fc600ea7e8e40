"""Checks of what is installed: Python, packages, torch, the verifier, stages, plug-ins."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator

from harness.doctor.finding import Finding, last_line, output_of, version_of

ASK_TORCH = """
import json, torch
gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
print(json.dumps({
    "version": torch.__version__, "cuda": torch.version.cuda, "hip": torch.version.hip,
    "gpus": gpus, "bf16": bool(gpus) and torch.cuda.is_bf16_supported(),
    "capability": torch.cuda.get_device_capability(0) if gpus else None,
}))
"""


def platform() -> Iterator[Finding]:
    from packaging.specifiers import SpecifierSet

    version = ".".join(map(str, sys.version_info[:3]))
    wanted = importlib.metadata.metadata("srlm-harness")["Requires-Python"] or ""
    if version not in SpecifierSet(wanted):
        yield Finding("python", "problem", version, f"use Python {wanted}")
    else:
        yield Finding("python", "ok", f"{version}, {sys.executable}")
    if sys.platform != "linux":
        yield Finding("system", "warning", sys.platform, "only Linux has been tried")


def packages() -> Iterator[Finding]:
    """Compare what is installed with the bounds in this distribution's own metadata."""
    from packaging.requirements import Requirement

    wanted = [Requirement(text) for text in importlib.metadata.requires("srlm-harness") or ()]
    needed = [one for one in wanted if not one.marker or one.marker.evaluate({"extra": ""})]
    wrong = 0
    for one in needed:
        version = version_of(one.name)
        if version is None or not one.specifier.contains(version, prereleases=True):
            have = f"{one.name} {version}" if version else f"{one.name} is not installed"
            todo = f"pip install '{one.name}{one.specifier}'"
            yield Finding("packages", "problem", have, todo)
            wrong += 1
    if not wrong:
        yield Finding("packages", "ok", f"all {len(needed)} within the tested bounds")


def torch(child: subprocess.Popen[str], gpus: list[str]) -> Iterator[Finding]:
    output, error = output_of(child)
    try:
        facts = json.loads(output.splitlines()[-1])
    except (ValueError, IndexError):
        found = f"cannot be imported: {last_line(error)}"
        yield Finding("torch", "problem", found, "install it again")
        return
    build = f"CUDA {facts['cuda']}" if facts["cuda"] else "ROCm" if facts["hip"] else "CPU only"
    found = f"{facts['version']} ({build})"
    if gpus and not facts["gpus"]:
        todo = (
            "the driver is too old for this build, or CUDA_VISIBLE_DEVICES hides the GPU"
            if facts["cuda"]
            else "install a torch that is built for CUDA, or give --device cpu"
        )
        yield Finding("torch", "problem", f"{found} sees none of {len(gpus)} GPUs", todo)
    elif facts["gpus"] and not facts["bf16"]:
        capability = ".".join(map(str, facts["capability"]))
        found += f"; compute capability {capability} has no bfloat16"
        todo = "training in bfloat16 is emulated and slow: give --device cpu or take a newer GPU"
        yield Finding("torch", "warning", found, todo)
    else:
        sees = f", sees {facts['gpus']} GPU(s)" if facts["gpus"] else ""
        yield Finding("torch", "ok", found + sees)


def extras() -> Iterator[Finding]:
    there = {
        module: version_of(module) or "unknown"  # names of distributions take _ for -
        for module in ("vllm", "flash_attn", "deepspeed", "matplotlib", "jinja2", "gguf")
        if importlib.util.find_spec(module) is not None
    }
    found = ", ".join(f"{module} {version}" for module, version in there.items())
    yield Finding("optional", "ok", f"installed: {found or 'none'}")
    if not {"jinja2", "matplotlib"} <= set(there):
        todo = "pip install 'srlm-harness[report]'"
        yield Finding("optional", "warning", "harness report cannot draw", todo)


def compiler(gpus: list[str]) -> Iterator[Finding]:
    from harness.stage.environment import has_compiler, lacks_for_triton

    if gpus and (lacking := lacks_for_triton()):
        found = f"no {lacking}: trainers of TRL cannot train on a GPU, where triton compiles losses"
        yield Finding("compiler", "problem", found, f"install {lacking}, or give --device cpu")
    if has_compiler():
        yield Finding("compiler", "ok", "g++, so boards may say [compute] compile = true")
    else:
        found = "no g++: boards with [compute] compile = true cannot train here"
        yield Finding("compiler", "warning", found, "install g++, if you want such boards")


def antlr() -> Iterator[Finding]:
    version = version_of("antlr4-python3-runtime")
    if version is None:
        found = "not installed and not needed: the verifier reads LaTeX itself"
        yield Finding("antlr", "ok", found)
    elif version.startswith("4.11."):
        yield Finding("antlr", "ok", version)
    else:
        found = f"{version}: lm-eval's minerva_math reads LaTeX with 4.11 alone"
        pip = "pip install 'antlr4-python3-runtime==4.11.*'"
        todo = f"{pip}, or leave lm-eval's own math tasks alone"
        yield Finding("antlr", "warning", found, todo)


def verifier() -> Iterator[Finding]:
    """Judge the cases of the self-test here, and one in a worker."""
    from harness.errors import HarnessError
    from harness.verify import VERIFIER_VERSION, Verdict, VerifierPool, self_test

    wrong = None
    try:
        self_test()
        with VerifierPool(workers=1) as pool:
            (judged,) = pool.verify_many([r"\boxed{\frac{1}{\sqrt{2}}}"], [r"\frac{\sqrt{2}}{2}"])
        if judged.verdict is not Verdict.correct:
            wrong = f"its worker says {judged.verdict.value}"
    except HarnessError as error:
        wrong = str(error)
    if wrong is not None:
        todo = "pip install --force-reinstall mpmath"
        yield Finding("verifier", "problem", wrong, todo)
    else:
        yield Finding("verifier", "ok", f"version {VERIFIER_VERSION}, self-test and worker agree")


def warm(child: subprocess.Popen[str]) -> Iterator[Finding]:
    """Look at a warm process whose input was empty: it imports what stages need, and ends."""
    _, error = output_of(child)
    failed = [line for line in error.splitlines() if line.startswith("harness: cannot")]
    for line in failed:
        found = line.removeprefix("harness: ")[:300]
        yield Finding("stages", "problem", found, "install that package again; see 'packages'")
    if child.returncode:
        found = f"the warm process ends: {last_line(error)}"
        yield Finding("stages", "problem", found, "see above")
    elif not failed:
        yield Finding("stages", "ok", "a stage's process starts and finds all it imports")


def plugins() -> Iterator[Finding]:
    from harness.errors import HarnessError
    from harness.plugin.host import Host

    host = Host()
    errors = host.load_all()
    for name, error in errors.items():
        yield Finding("plug-ins", "problem", str(error), f"install {name!r} again or uninstall it")
    try:
        trainers, tasks, boards = host.trainers(), host.tasks(), host.boards()
    except HarnessError as error:
        yield Finding("plug-ins", "problem", str(error), "uninstall that plug-in")
        return
    loaded = len(host.names) - len(errors)
    offered = f"{len(trainers)} trainers, {len(tasks)} tasks, {len(boards)} boards of theirs"
    found = f"{loaded} load: {offered}"
    yield Finding("plug-ins", "ok", found)
