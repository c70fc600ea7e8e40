"""The energy of a stage on a CPU, by RAPL: counters of the processor's packages and memory.

Linux offers them under /sys/class/powercap (Documentation/power/powercap/powercap.rst): a folder
for each domain, with `energy_uj`, microjoules that go up and begin anew after
`max_energy_range_uj`. Since 2020 only root may read them unless an administrator lets others,
because they give away what a processor computes (CVE-2020-8694); most virtual machines have none.
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

POWERCAP, STAT = Path("/sys/class/powercap"), Path("/proc/stat")
# `psys` holds the packages, `core` and `uncore` are parts of one, and another interface
# (`intel-rapl-mmio`) counts the same: of all domains these add up
COUNTED = re.compile(r"package-\d+(-die-\d+)?|dram")
LOOK_SECONDS = 10.0  # the smallest counters begin anew after 65 kJ, a minute at a kilowatt
BUSY = (0, 1, 2, 5, 6)  # of /proc/stat: user, nice, system, irq, softirq; guests are users


class Energy:
    """What the machine's processors and memory took since this was made, if that can be read."""

    def __init__(self, powercap: Path = POWERCAP, stat: Path = STAT) -> None:
        self._stat = stat
        self._domains = [path for path in sorted(powercap.glob("intel-rapl:*")) if _counted(path)]
        self._microjoules = 0
        self._looked = time.monotonic()
        self._busy = self._busy_seconds()
        self._last = self._read()

    def look(self) -> None:
        """Read the counters, at most every ten seconds; call it often, or a turn is missed."""
        if self._last is not None and time.monotonic() - self._looked >= LOOK_SECONDS:
            self._add()

    def of(self, cpu_seconds: float) -> float | None:
        """Return the joules of a stage that used so many CPU seconds; None where nobody knows.

        They are its share of what the machine took: its share of the time in which processors of
        the machine were busy. Stages that run beside each other thus add up to no more than what
        was measured, and what an idle machine takes is shared in the same way.
        """
        self._add()
        busy, before = self._busy_seconds(), self._busy
        if self._last is None or busy is None or before is None:
            return None
        share = min(1.0, cpu_seconds / (busy - before)) if busy > before else 1.0
        return share * self._microjoules / 1e6

    def _add(self) -> None:
        before, now = self._last, self._read()
        self._last, self._looked = now, time.monotonic()
        if before is None or now is None:
            self._last = None  # a gap: what is known is too little
            return
        for (old, _), (new, largest) in zip(before, now, strict=True):
            self._microjoules += new - old if new >= old else new + largest - old

    def _read(self) -> list[tuple[int, int]] | None:
        """Return each domain's counter and where it begins anew; None if any cannot be read."""
        names = ("energy_uj", "max_energy_range_uj")
        try:
            found = [[int((path / name).read_text()) for name in names] for path in self._domains]
        except (OSError, ValueError):
            return None
        return [(counter, largest) for counter, largest in found] or None

    def _busy_seconds(self) -> float | None:
        """Return the seconds for which the machine's processors were busy since it started."""
        try:
            times = self._stat.read_text(encoding="ascii").split("\n", 1)[0].split()[1:]
            return sum(int(times[place]) for place in BUSY) / os.sysconf("SC_CLK_TCK")
        except (OSError, ValueError, IndexError):
            return None


def readable(powercap: Path = POWERCAP) -> bool | None:
    """Return whether the counters can be read; None where there are none."""
    domains = [path for path in powercap.glob("intel-rapl:*") if _counted(path)]
    return all(os.access(path / "energy_uj", os.R_OK) for path in domains) if domains else None


def _counted(domain: Path) -> bool:
    try:
        return COUNTED.fullmatch((domain / "name").read_text(encoding="ascii").strip()) is not None
    except (OSError, ValueError):
        return False
