"""Clusters in one box: a Ray cluster of two nodes, and a SLURM of two, with its real daemons."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd", "squeue", "sbatch")
SLURM_CONF = """
ClusterName=box
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,bf_interval=1
MpiDefault=none
ReturnToService=2
SlurmctldTimeout=30
SlurmdTimeout=10
KillWait=2
MinJobAge=300
InactiveLimit=0
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
NodeName=DEFAULT CPUs=1 RealMemory=2000 State=UNKNOWN
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={first}
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={second}
PartitionName=debug Nodes=n1,n2 Default=YES MaxTime=600 State=UP OverSubscribe=NO
"""


def why_no_slurm() -> str:
    """Return why there can be no SLURM here, or nothing."""
    missing = [name for name in DAEMONS if not shutil.which(name, path=_path())]
    if missing:
        return f"{', '.join(missing)} missing (apt-get install slurm-wlm munge)"
    return "" if os.getuid() == 0 else "slurmd has to be started by root"


def _path() -> str:
    return os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@dataclass
class Slurm:
    """A SLURM of two nodes with one core each, `n1` and `n2`."""

    folder: Path
    started: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """Return what commands need to find it."""
        return {"SLURM_CONF": str(self.folder / "slurm.conf")}

    def daemon(self, name: str, *command: str) -> None:
        log = (self.folder / f"{name}.out").open("ab")
        self.started[name] = subprocess.Popen(
            [shutil.which(command[0], path=_path()) or command[0], *command[1:]],
            env={**os.environ, **self.environment, "PATH": _path()},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )

    def start(self) -> None:
        for name in ("state", "spool-n1", "spool-n2"):
            (self.folder / name).mkdir(parents=True)
        self.folder.chmod(0o755)
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        values = {"host": socket.gethostname(), "user": "root", "folder": self.folder}
        ports = {name: free_port() for name in ("port", "first", "second")}
        (self.folder / "slurm.conf").write_text(SLURM_CONF.format(**values, **ports))
        places = [f"--{name}={self.folder}/munge.{name}" for name in ("socket", "seed-file")]
        files = [f"--key-file={key}", f"--pid-file={self.folder}/munge.pid"]
        log = f"--log-file={self.folder}/munge.log"
        self.daemon("munged", "munged", "--foreground", "--force", *places[:1], *files, log)
        until = time.monotonic() + 30
        while not (self.folder / "munge.socket").exists() and time.monotonic() < until:
            time.sleep(0.1)
        self.daemon("slurmctld", "slurmctld", "-D", "-f", f"{self.folder}/slurm.conf")
        for node in ("n1", "n2"):
            self.start_node(node)
        self.wait_for("n1", "idle")
        self.wait_for("n2", "idle")

    def start_node(self, node: str) -> None:
        self.daemon(node, "slurmd", "-D", "-N", node, "-f", f"{self.folder}/slurm.conf")

    def kill_node(self, node: str) -> None:
        """End a node with all that runs on it, as a power cut would."""
        for line in self.run("squeue", "-h", "-w", node, "-o", "%i").split():
            for pid in _processes_of(line):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.started[node].kill()
        self.started[node].wait()

    def run(self, *command: str) -> str:
        environment = {**os.environ, **self.environment}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
        return done.stdout

    def wait_for(self, node: str, state: str, seconds: float = 60) -> None:
        until = time.monotonic() + seconds
        while self.run("sinfo", "-h", "-n", node, "-o", "%t").strip() != state:
            assert time.monotonic() < until, self.run("sinfo", "-N", "-l") + self.logs()
            time.sleep(0.2)

    def logs(self) -> str:
        files = [*self.folder.glob("*.out"), *self.folder.glob("*.log")]
        return "\n".join(f"{path.name}: {path.read_text()[-2000:]}" for path in files)

    def stop(self) -> None:
        self.run("scancel", "-u", "root", "--full", "--signal=KILL")
        for process in reversed(self.started.values()):
            process.terminate()
        for process in self.started.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _processes_of(job: str) -> list[int]:
    """Return the processes of a job: those that have its number, and what started them."""
    found = []
    for place in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            lines = (place / "environ").read_bytes().split(b"\0")
            if (
                f"SLURM_JOB_ID={job}".encode() in lines
                or b"slurmstepd: [" + job.encode() in (place / "cmdline").read_bytes()
            ):
                found.append(int(place.name))
    return found


@contextlib.contextmanager
def slurm(folder: Path) -> Iterator[Slurm]:
    """Run a SLURM; its path is short, for its sockets."""
    cluster = Slurm(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
