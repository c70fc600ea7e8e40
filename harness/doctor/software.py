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
    """Look at Python and the system."""
    version = ".".join(map(str, sys.version_info[:3]))
    wanted = importlib.metadata.metadata("srlm-harness")["Requires-Python"] or ""
    from packaging.specifiers import SpecifierSet

    if version not in SpecifierSet(wanted):
        yield Finding("python", "problem", version, f"use Python {wanted}")
    else:
        yield Finding("python", "ok", f"{version}, {sys.executable}")
    if sys.platform != "linux":
        yield Finding("system", "warning", sys.platform, "only Linux has been tried")


def packages() -> Iterator[Finding]:
    """Compare what is installed with the bounds in this distribution's own metadata."""
    from packaging.requirements import Requirement

    wrong, right = [], 0
    for text in importlib.metadata.requires("srlm-harness") or ():
        wanted = Requirement(text)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        try:
            found = importlib.metadata.version(wanted.name)
        except importlib.metadata.PackageNotFoundError:
            found = None
        if found is not None and wanted.specifier.contains(found, prereleases=True):
            right += 1
        else:
            wrong.append((wanted, found))
    for wanted, found in wrong:
        have = f"{wanted.name} {found}" if found else f"{wanted.name} is not installed"
        todo = f"pip install '{wanted.name}{wanted.specifier}'"
        yield Finding("packages", "problem", have, todo)
    if not wrong:
        yield Finding("packages", "ok", f"all {right} within the tested bounds")


def torch(child: subprocess.Popen[str], gpus: list[str]) -> Iterator[Finding]:
    """Look at what torch was built for, and what it sees."""
    output, error = output_of(child)
    try:
        facts = json.loads(output.splitlines()[-1])
    except (ValueError, IndexError):
        yield Finding(
            "torch", "problem", f"cannot be imported: {last_line(error)}", "install it again"
        )
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
        yield Finding(
            "torch", "warning", f"{found}; compute capability {capability} has no bfloat16",
            "training in bfloat16 is emulated and slow: give --device cpu or take a newer GPU",
        )  # fmt: skip
    else:
        sees = f", sees {facts['gpus']} GPU(s)" if facts["gpus"] else ""
        yield Finding("torch", "ok", found + sees)


def extras() -> Iterator[Finding]:
    """List the optional packages that are installed; none is needed."""
    there = []
    for module, distribution in (
        ("vllm", "vllm"),
        ("flash_attn", "flash-attn"),
        ("deepspeed", "deepspeed"),
        ("matplotlib", "matplotlib"),
        ("jinja2", "jinja2"),
    ):
        if importlib.util.find_spec(module) is not None:
            there.append(f"{module} {version_of(distribution)}")
    found = ", ".join(there) or "none"
    yield Finding("optional", "ok", f"installed: {found}")
    if importlib.util.find_spec("jinja2") is None or importlib.util.find_spec("matplotlib") is None:
        yield Finding(
            "optional", "warning", "harness report cannot draw",
            "pip install 'srlm-harness[report]'",
        )  # fmt: skip


def antlr() -> Iterator[Finding]:
    """Look for a version of antlr that breaks lm-eval's own reading of LaTeX."""
    version = version_of("antlr4-python3-runtime")
    if version == "unknown":
        yield Finding(
            "antlr", "ok", "not installed and not needed: the verifier reads LaTeX itself"
        )
    elif version.startswith("4.11."):
        yield Finding("antlr", "ok", version)
    else:
        yield Finding(
            "antlr", "warning", f"{version}: lm-eval's minerva_math reads LaTeX with 4.11 alone",
            "pip install 'antlr4-python3-runtime==4.11.*', or leave lm-eval's own math tasks alone",
        )  # fmt: skip


def verifier() -> Iterator[Finding]:
    """Judge the cases of the self-test here, and one in a worker."""
    from harness.errors import HarnessError
    from harness.verify import VERIFIER_VERSION, VerifierPool, self_test

    try:
        self_test()
        with VerifierPool(workers=1) as pool:
            (judged,) = pool.verify_many([r"\boxed{\frac{1}{\sqrt{2}}}"], [r"\frac{\sqrt{2}}{2}"])
    except HarnessError as error:
        yield Finding("verifier", "problem", str(error), "pip install --force-reinstall mpmath")
        return
    if judged.verdict.value != "correct":
        yield Finding("verifier", "problem", f"its worker says {judged.verdict.value}",
                      "pip install --force-reinstall mpmath")  # fmt: skip
    else:
        yield Finding("verifier", "ok", f"version {VERIFIER_VERSION}, self-test and worker agree")


def warm(child: subprocess.Popen[str]) -> Iterator[Finding]:
    """Look at a warm process whose input was empty: it imports what stages need, and ends."""
    _, error = output_of(child)
    failed = [line for line in error.splitlines() if line.startswith("harness.bench.warm: cannot")]
    for line in failed:
        yield Finding(
            "stages", "problem", line.removeprefix("harness.bench.warm: ")[:300],
            "install that package again; see 'packages'",
        )  # fmt: skip
    if child.returncode:
        yield Finding(
            "stages", "problem", f"the warm process ends: {last_line(error)}", "see above"
        )
    elif not failed:
        yield Finding("stages", "ok", "a stage's process starts and finds all it imports")


def plugins() -> Iterator[Finding]:
    """Load every plug-in."""
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
    found = f"{loaded} load: {len(trainers)} trainers, {len(tasks)} tasks, {len(boards)} boards"
    yield Finding("plug-ins", "ok", found)
