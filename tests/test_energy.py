"""Energy of a stage on a CPU: RAPL's counters, in a folder like the one that Linux shows."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.bench.executors import energy, measured
from harness.bench.executors.energy import Energy, readable
from harness.bench.recorder import _with_energy
from harness.records import Cost, Environment, Outside
from harness.render import numbers
from harness.stage.spec import TrainResult

RANGE = 262_143_328_850  # microjoules, as an Intel processor says them
TICKS = os.sysconf("SC_CLK_TCK")


class Machine:
    """A folder like /sys/class/powercap and a file like /proc/stat, whose counters are turned."""

    def __init__(self, folder: Path) -> None:
        self.powercap, self.stat = folder / "powercap", folder / "stat"
        self.powercap.mkdir()
        for domain, name in {
            "intel-rapl:0": "package-0",
            "intel-rapl:0:0": "core",
            "intel-rapl:0:1": "dram",
            "intel-rapl:1": "package-1",
            "intel-rapl:2": "psys",
            "intel-rapl-mmio:0": "package-0",
        }.items():
            (self.powercap / domain).mkdir()
            (self.powercap / domain / "name").write_text(f"{name}\n")
            (self.powercap / domain / "max_energy_range_uj").write_text(f"{RANGE}\n")
            self.counter(domain, 1000)
        (self.powercap / "intel-rapl").mkdir()
        self.busy(100)

    def counter(self, domain: str, microjoules: int) -> None:
        (self.powercap / domain / "energy_uj").write_text(f"{microjoules}\n")

    def busy(self, seconds: float) -> None:
        """Write how long processors were busy: half in programs, half in the kernel."""
        half = round(seconds * TICKS / 2)
        self.stat.write_text(f"cpu  {half} 0 {half} 999999 77 0 0 5 0 0\ncpu0 1 2 3\n")


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_packages_and_memory_are_added_and_their_parts_are_not(machine):
    meter = Energy(machine.powercap, machine.stat)
    for domain in ("intel-rapl:0:0", "intel-rapl:2", "intel-rapl-mmio:0"):
        machine.counter(domain, 10**9)
    machine.counter("intel-rapl:0", 1000 + 30_000_000)
    machine.counter("intel-rapl:0:1", 1000 + 5_000_000)
    machine.counter("intel-rapl:1", 1000 + 25_000_000)
    machine.busy(110)
    assert meter.of(10) == 60.0


def test_a_stage_has_its_share_of_what_a_busy_machine_took(machine):
    meter = Energy(machine.powercap, machine.stat)
    machine.counter("intel-rapl:1", 1000 + 80_000_000)
    machine.busy(120)
    assert [meter.of(seconds) for seconds in (5, 15, 20, 21)] == [20, 60, 80, 80]


def test_a_counter_that_begins_anew_is_followed(machine, monkeypatch):
    passed = [0.0]
    monkeypatch.setattr(energy.time, "monotonic", lambda: passed[0])
    machine.counter("intel-rapl:0", RANGE - 4_000_000)
    meter = Energy(machine.powercap, machine.stat)
    for _ in range(3):  # each time it goes round but for 12 joules
        for microjoules in (6_000_000, RANGE - 16_000_000):
            passed[0] += energy.LOOK_SECONDS
            machine.counter("intel-rapl:0", microjoules)
            meter.look()
    machine.busy(101)
    turns = 3 * RANGE - 12_000_000
    assert meter.of(1) == pytest.approx(turns / 1e6)


def test_between_two_looks_the_counters_are_left_alone(machine, monkeypatch):
    passed = [0.0]
    monkeypatch.setattr(energy.time, "monotonic", lambda: passed[0])
    meter = Energy(machine.powercap, machine.stat)
    machine.counter("intel-rapl:0", 10**6)
    meter.look()
    machine.counter("intel-rapl:0", 2_001_000)
    machine.busy(101)
    assert meter.of(1) == 2.0


def test_what_cannot_be_read_is_none_and_not_too_little(machine, tmp_path):
    assert Energy(tmp_path / "none", machine.stat).of(1) is None
    assert Energy(machine.powercap, tmp_path / "none").of(1) is None
    assert readable(tmp_path / "none") is None
    assert readable(machine.powercap) is True
    meter = Energy(machine.powercap, machine.stat)
    counter = machine.powercap / "intel-rapl:1" / "energy_uj"
    counter.unlink()
    assert meter.of(1) is None
    machine.counter("intel-rapl:1", 5)
    assert meter.of(1) is None  # how often it went round meanwhile, nobody knows
    counter.write_text("no number\n")
    assert Energy(machine.powercap, machine.stat).of(1) is None
    counter.unlink()
    assert readable(machine.powercap) is False


def test_attempts_are_added_where_all_are_known():
    one = Outside(seconds=1, cpu_seconds=1, cpu_joules=3.0)
    assert one.plus(one).cpu_joules == 6.0
    assert one.plus(Outside(seconds=1, cpu_seconds=1)).cpu_joules is None
    assert Outside(seconds=1, cpu_seconds=1).plus(one).cpu_joules is None


def test_few_joules_are_not_written_as_kilowatt_hours():
    said = [numbers.energy(joules) for joules in (None, 325.4, 35_999, 36_000, 7.2e6)]
    assert said == [numbers.NONE, "325 J", "35,999 J", "0.01 kWh", "2 kWh"]


def test_a_record_has_what_the_guard_measured_and_not_what_a_trainer_says():
    def recorded(device: str, outside: Outside | None) -> float | None:
        ran = Environment(python="3", platform="Linux", processor="one core", device=device)
        result = TrainResult(cost=Cost(steps=2, energy_joules=7.0), notes={}, environment=ran)
        seen = measured.Measured(outside=outside, confinement="") if outside else None
        cost = _with_energy(result, seen)
        assert cost.steps == 2
        return cost.energy_joules

    known = Outside(seconds=1, cpu_seconds=1, cpu_joules=3.0)
    unknown = Outside(seconds=1, cpu_seconds=1)
    assert [recorded("cpu", one) for one in (known, unknown, None)] == [3.0, None, None]
    assert recorded("cuda", known) == 7.0  # NVML's
