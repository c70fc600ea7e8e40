"""Confinement: the kernel keeps a stage's process from what is not its own.

Files and signals by Landlock, which needs no privilege and holds for whatever the process starts;
the network, memory that outlives processes (`/dev/shm`, System V) and root's privileges by
namespaces of its own. Where no network namespace may be made, Landlock's rules for TCP are left,
but not for stages of several processes or with vLLM, which speak TCP among themselves.
A filter refuses calls that none of these sees (`calls`). What the kernel does not offer is left
open, and said in the text that `confine` returns.

landlockpy makes the Landlock calls. bubblewrap, the other well-kept way, starts a program and so
cannot confine a process that was forked with everything imported. For namespaces Python 3.11 has no
function (`os.unshare` came with 3.12), so libc's is called here.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import socket
import struct
import sys
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import landlockpy
import pydantic
from landlockpy import AccessFS, AccessNet, Scope

from harness.bench.executors.calls import refuse_calls
from harness.stage.spec import GenerateSpec, JudgeSpec, ProbeSpec, StageSpec, TrainSpec

CLONE_NEWUSER, CLONE_NEWNET = 0x1000_0000, 0x4000_0000
CLONE_NEWNS, CLONE_NEWIPC = 0x2_0000, 0x0800_0000
MS_NOSUID, MS_NODEV, MS_REC, MS_PRIVATE = 2, 4, 0x4000, 0x4_0000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1

READ = AccessFS.READ_FILE | AccessFS.READ_DIR | AccessFS.EXECUTE
WRITE = ~(AccessFS.MAKE_CHAR | AccessFS.MAKE_BLOCK)  # everything else
DEVICE = AccessFS.READ_FILE | AccessFS.READ_DIR | AccessFS.WRITE_FILE | AccessFS.IOCTL_DEV
# what the kernel lets a rule about a file say
OF_A_FILE = (
    AccessFS.EXECUTE | AccessFS.WRITE_FILE | AccessFS.READ_FILE | AccessFS.TRUNCATE
    | AccessFS.IOCTL_DEV
)  # fmt: skip

SYSTEM = (
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt", "/nix",
    "/gnu", "/sys", "/proc",
)  # fmt: skip
DEVICES = (
    "null", "zero", "full", "random", "urandom", "nvidia*", "nvidia-caps", "dri", "kfd", "dxg",
    "infiniband",
)  # fmt: skip
MODULES = (".py", ".so", ".dist-info", ".egg-info")
NOT_IN_NETWORK = {"tensorboard"}  # trackers that write files


@dataclass(frozen=True)
class Rights:
    """What a stage may do; everything that is not named is refused.

    Attributes:
        reads: Files and folders with all that is in them.
        lists: Folders whose names may be listed.
        writes: Folders, and what is in them.
        network: Whether it may reach other machines.
        alone: Whether it needs no network of its own machine: it is one process, without vLLM.
    """

    reads: tuple[Path, ...]
    lists: tuple[Path, ...]
    writes: tuple[Path, ...]
    network: bool
    alone: bool


def rights(folder: Path, spec: StageSpec, private: Path) -> Rights:
    """Return the rights of the stage in a folder, with a private folder for temporary files.

    A stage reads the system, Python, the harness, plug-ins, models, and the files that its
    `stage.json` names. Of the runs folder that is its own folder and the stage it starts from. Not
    for training is what the test rows of its board come from (`tasks.guard.Closed`), wherever it
    lies. A judging stage reads everything: it looks up gold answers, and runs no trainer.
    """
    writes = (folder, private, Path("/dev/shm"))
    if isinstance(spec, JudgeSpec):
        return Rights((Path("/"),), (), writes, network=False, alone=True)
    kept, (code, lists) = _kept(folder), _code()
    closed = spec.closed.paths if isinstance(spec, TrainSpec) else ()
    roots = (*_system(), *code)
    reads = [path for root in roots for path in _without(root, (*kept, *closed))]
    lists += tuple(path for path in _above(closed, roots) if not _concerns(path, kept))
    for path in {*_models(), *_paths(spec.paths), *_given(spec)}:
        reads += _with_targets(path)
    trackers = set(spec.report_to) - NOT_IN_NETWORK if isinstance(spec, TrainSpec) else set()
    network = bool(trackers) or (isinstance(spec, TrainSpec) and spec.compute.network)
    one = not isinstance(spec, TrainSpec) or spec.identity.gpus == 1
    alone = one and spec.identity.engine != "vllm"  # which starts gloo, that listens by TCP
    return Rights(tuple(reads), lists, writes, network, alone)


def prepare() -> None:
    """Find out once, before processes are forked, what is the same for all of them."""
    _code()
    landlockpy.abi_version()


def confine(rights: Rights) -> str:
    """Confine this process, and all that it will start, for good; return how, in words.

    The process must have one thread. What the system does not offer is left out.
    """
    users, offline, memory = _leave_namespaces(rights.network)
    if memory and not _own_memory(rights):
        memory = False
    attributes = refuse_calls()
    abi = landlockpy.abi_version()
    only_tcp = not (offline or rights.network) and rights.alone and abi >= 4
    left = "no network" if offline else "no TCP" if only_tcp else "network"
    if not attributes:
        left = f"attributes of files, {left}"
    if not memory:
        left = f"shared memory, {left}"
    if not users and os.getuid() == 0:
        left = f"root's privileges, {left}"
    if not abi:
        return f"none (this system has no Landlock); {left}"
    try:
        with landlockpy.Ruleset(
            handled_net=~AccessNet.NONE if only_tcp else AccessNet.NONE,
            scoped=Scope.SIGNAL | Scope.ABSTRACT_UNIX_SOCKET,
        ) as rules:
            _allow(rules, rights.reads, READ)
            _allow(rules, rights.lists, AccessFS.READ_DIR)
            _allow(rules, rights.writes, WRITE)
            own = Path("/proc/self")
            _allow(rules, [own], AccessFS.WRITE_FILE | AccessFS.TRUNCATE)  # names of threads
            devices = Path("/dev")
            _allow(rules, (path for name in DEVICES for path in devices.glob(name)), DEVICE)
            if rights.network:
                _allow(rules, [Path("/run")], READ)  # where resolvers leave their files
            rules.restrict()
    except OSError as error:
        return f"none (Landlock: {error.strerror or error}); {left}"
    return f"landlock {abi}; {left}"


def _allow(rules: landlockpy.Ruleset, paths: Iterable[Path], access: AccessFS) -> None:
    for path in paths:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            rules.allow_path(path, access if path.is_dir() else access & OF_A_FILE)


# -- what may be read -----------------------------------------------------------------------------


def _kept(folder: Path) -> tuple[Path, ...]:
    """Return the folders of the runs folder that no stage reads: this board's, and others'."""
    board = folder.parent.parent.resolve()
    others = (path.parent for path in board.parent.glob("*/stages"))
    return tuple({board, *(path.resolve() for path in others)})


@cache
def _system() -> tuple[Path, ...]:
    """Return the folders of the system and of Python."""
    prefixes = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}
    libraries = os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)
    named = [os.environ.get(name, "") for name in ("CUDA_HOME", "CUDA_PATH")]
    found = [*SYSTEM, *prefixes, *filter(os.path.isabs, (*libraries, *named))]
    return tuple(dict.fromkeys(path.resolve() for path in map(Path, found) if path.exists()))


@cache
def _code() -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Return what is imported from other places, and the folders that it lies in.

    Of such a folder that is modules and packages, with the metadata of distributions: it may hold
    anything else besides, such as runs, data or a home.
    """
    places = [Path(entry).resolve() for entry in sys.path]  # an empty one is the working folder
    for name, module in list(sys.modules.items()):
        if name.startswith("__editable__"):  # setuptools' way of an editable install
            found: dict[str, str] = getattr(module, "MAPPING", {})
            places += (Path(path).resolve().parent for path in found.values())
    reads: list[Path] = []
    lists = []
    for place in dict.fromkeys(places):
        if place.is_file() or place.name in ("site-packages", "dist-packages"):
            reads.append(place)
        elif not any(place.is_relative_to(root) for root in _system()):
            lists.append(place)
            with contextlib.suppress(OSError):
                reads += (path.resolve() for path in place.iterdir() if _is_importable(path))
    return tuple(reads), tuple(lists)


def _is_importable(path: Path) -> bool:
    return path.name.endswith(MODULES) or (path / "__init__.py").exists()


def _concerns(path: Path, kept: Collection[Path]) -> bool:
    return any(path.is_relative_to(each) or each.is_relative_to(path) for each in kept)


def _without(path: Path, kept: Collection[Path]) -> Iterator[Path]:
    """Yield a folder, or what is in it but for `kept`, where one of these is in it."""
    if not _concerns(path, kept):
        yield path
    elif not any(path.is_relative_to(each) for each in kept):
        with contextlib.suppress(OSError):
            for entry in path.iterdir():
                if not entry.is_symlink():
                    yield from _without(entry, kept)


def _above(closed: Collection[Path], roots: Collection[Path]) -> Iterator[Path]:
    """Yield the folders that something closed lies in, up to its root: imports list them."""
    found = (
        folder
        for path in closed
        for root in roots
        if path.is_relative_to(root)
        for folder in path.parents
        if folder.is_relative_to(root)
    )
    yield from dict.fromkeys(found)


def _models() -> Iterator[Path]:
    """Yield the models of the Hub's cache, which holds data sets too."""
    if cache := os.environ.get("HF_HUB_CACHE"):
        yield from Path(cache).glob("models--*")


def _paths(value: Any) -> Iterator[Path]:
    """Yield every path in a part of a `stage.json`."""
    if isinstance(value, Path):
        yield value
    elif isinstance(value, pydantic.BaseModel):
        for _, field in value:
            yield from _paths(field)
    elif isinstance(value, tuple):
        for item in value:
            yield from _paths(item)


def _given(spec: TrainSpec | GenerateSpec | ProbeSpec) -> Iterator[Path]:
    """Yield what a stage reads besides: its model's seal, and of scores where problems lie."""
    if spec.sealed:
        yield spec.paths.base_model.parent / "manifest.json"
    for one in () if isinstance(spec, TrainSpec) else spec.rows:
        yield from one.reads


def _with_targets(path: Path) -> Iterator[Path]:
    """Yield a file or folder, and what the links in it point to, as in the Hub's cache."""
    yield path
    if path.is_dir():
        yield from (each.resolve() for each in path.iterdir() if each.is_symlink())


# -- namespaces -----------------------------------------------------------------------------------


def _leave_namespaces(network: bool) -> tuple[bool, bool, bool]:
    """Move this process into namespaces of its own; say if it has left users, network and memory.

    In a user namespace that maps every user to itself files are as before, but root has no power
    over the system left, such as reading other processes. The network is one with nothing in it
    but this process and what it starts.
    """
    net = 0 if network else CLONE_NEWNET
    apart = CLONE_NEWNS | CLONE_NEWIPC  # mounts, and System V's shared memory
    memory = _unshare_users(net | apart)
    users = memory or _unshare_users(net)
    offline = not network and (users or _unshare(CLONE_NEWNET))
    if offline:
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            # its processes may talk to one another
            request = struct.pack("16sh14x", b"lo", 0)
            flags = struct.unpack("16sh14x", fcntl.ioctl(one, SIOCGIFFLAGS, request))[1]
            fcntl.ioctl(one, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))
    return users, offline, memory


def _own_memory(rights: Rights) -> bool:
    """Put an empty `/dev/shm` over that of the machine, for this process and what it starts.

    What lies in the machine's own cannot be reached then, so a stage that works there keeps it.
    """
    shared = Path("/dev/shm")
    if any(shared in path.parents for path in (*rights.reads, *rights.writes)):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    with contextlib.suppress(OSError, AttributeError):
        if libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) == 0:
            how = MS_NOSUID | MS_NODEV
            return int(libc.mount(b"tmpfs", b"/dev/shm", b"tmpfs", how, b"mode=1777")) == 0
    return False


def _unshare_users(others: int) -> bool:
    """Enter a user namespace, and others with it; return whether the system lets us.

    Only a process outside may say in it who is who, so one is forked for that.
    """
    wait, go = os.pipe()
    outer = os.getpid()
    helper = os.fork()
    if helper == 0:
        try:
            os.close(go)
            if os.read(wait, 1):
                _map_users(outer)
        finally:
            os._exit(0)
    os.close(wait)
    entered = _unshare(CLONE_NEWUSER | others)
    os.write(go, b"x" * entered)
    os.close(go)
    os.waitpid(helper, 0)
    return entered


def _map_users(pid: int) -> None:
    """Map every user and group to itself; without privilege, only one's own."""
    place = Path(f"/proc/{pid}")
    for name, own in (("uid_map", os.getuid()), ("gid_map", os.getgid())):
        ranges = [line.split() for line in Path("/proc/self", name).read_text().splitlines()]
        if os.getuid():
            ranges = [[str(own), "", "1"]]
            with contextlib.suppress(OSError):
                (place / "setgroups").write_text("deny")
        (place / name).write_text("".join(f"{first} {first} {n}\n" for first, _, n in ranges))


def _unshare(flags: int) -> bool:
    try:
        return int(ctypes.CDLL(None, use_errno=True).unshare(flags)) == 0
    except (OSError, AttributeError):  # not Linux
        return False
