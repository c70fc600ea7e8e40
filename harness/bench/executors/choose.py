"""Which executor a bench takes: `local`, `ray`, `slurm`, or one that a plug-in offers."""

from __future__ import annotations

from harness.bench.executors import local
from harness.errors import UsageError, did_you_mean
from harness.plugin.executor import Executor, ExecutorOffer, ExecutorSettings
from harness.plugin.host import Host


def _ray(settings: ExecutorSettings) -> Executor:
    from harness.bench.executors.ray_cluster import RayExecutor

    return RayExecutor(settings)


def _slurm(settings: ExecutorSettings) -> Executor:
    from harness.bench.executors.slurm import SlurmExecutor

    return SlurmExecutor(settings)


BUILT_IN = (
    ExecutorOffer("local", local.make, "processes of this machine"),
    ExecutorOffer("ray", _ray, "tasks of a Ray cluster"),
    ExecutorOffer("slurm", _slurm, "jobs of a SLURM cluster"),
)


def find_executor(name: str, host: Host) -> ExecutorOffer:
    """Return the offer of a name; plug-ins are loaded only if it is not a built-in one.

    Raises:
        UsageError: If there is none of that name.
    """
    offers = {offer.name: offer for offer in BUILT_IN}
    if name not in offers:
        host.load_all()
        offers = {**host.executors(), **offers}
    if name not in offers:
        raise UsageError(f"--executor {name}: no such executor; {did_you_mean(name, offers)}")
    return offers[name]


def open_executor(name: str, settings: ExecutorSettings, host: Host) -> Executor:
    """Return the executor of a name.

    Raises:
        UsageError: If there is none of that name, or it lacks what it needs.
    """
    return find_executor(name, host).make(settings)
