"""Masks over the real hidapi, triggers over the real gpiod, one simulated controller behind both.

Runs in the guest only.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from firmware.acquisition.stepped import SteppedAcquisition
from firmware.buses.gpiod_trigger import GpiodTriggerLine
from firmware.buses.hidraw_device import HidrawDevice
from firmware.buses.trigger_wires import TriggerWires
from firmware.clock import MonotonicClock
from firmware.drivers.dlpc900 import Dlpc900
from firmware.sim.dlpc900_chip import SimDlpc900
from lsi.errors import TriggerCountError, TriggerTimeoutError
from lsi.measurement import CountScale, ScanPlan
from lsi.patterns import PatternSet
from lsi.units import NS_PER_MS, NS_PER_US
from tests.guest.gpio_sim import FarEnd, GpioSim
from tests.guest.uhid_device import UhidDevice

ADVANCE, EXPOSURE = 17, 27
PATTERNS = 6
EXPOSURE_NS = 500 * NS_PER_MS
# Times are those of an emulated machine, not of a Pi.
PLAN = ScanPlan(
    exposure_ns=EXPOSURE_NS,
    settle_ns=NS_PER_MS,
    samples_per_pattern=2,
    trigger_timeout_ns=1_000 * NS_PER_MS,
)
WIRES = TriggerWires(ADVANCE, EXPOSURE, pulse_ns=150 * NS_PER_MS)


@dataclass
class PlaneReader:
    """``BucketDetector`` and ``Sampler`` whose counts are the plane that the mirrors show."""

    controller: SimDlpc900
    clock: MonotonicClock
    scale: CountScale = field(default_factory=lambda: CountScale(4095, 1.0))
    planes: list[int] = field(default_factory=list)

    def sampler(self, patterns: int, samples: int) -> "PlaneReader":
        assert (patterns, samples) == (PATTERNS, 2)
        return self

    def take(self, index: int) -> None:
        assert index == len(self.planes)
        plane = self.controller.showing_at(self.clock.now_ns()).plane
        assert plane is not None
        self.planes.append(plane)

    def counts(self) -> NDArray[np.uint16]:
        return np.array(self.planes, np.uint16).reshape(-1, 1, 1).repeat(2, axis=2)


@dataclass
class Bench:
    sim: GpioSim
    controller: SimDlpc900
    clock: MonotonicClock
    reader: PlaneReader

    def expose(self, seen_ns: int) -> None:
        """Tell the controller of a pulse and the host of its exposure."""
        edge_ns = self.controller.trigger_in(seen_ns)
        if edge_ns is not None:
            self.clock.wait_until_ns(edge_ns)
            self.sim.edge(EXPOSURE)


@pytest.fixture
def bench() -> Iterator[Bench]:
    clock = MonotonicClock()
    controller = SimDlpc900(clock, report_ns=50 * NS_PER_US)
    with GpioSim("pinctrl-rp1") as sim, UhidDevice(controller):
        deadline_s = time.monotonic() + 10
        while not list(Path("/dev").glob("hidraw*")):
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
        yield Bench(sim, controller, clock, PlaneReader(controller, clock))


def acquire(bench: Bench, expose: Callable[[int], None]) -> list[int]:
    patterns = PatternSet(np.random.default_rng(1).random((PATTERNS, 6, 6)) < 0.5)
    with (
        HidrawDevice() as hid,
        GpiodTriggerLine(WIRES, bench.clock) as trigger,
        FarEnd(bench.sim, ADVANCE, EXPOSURE, expose),
    ):
        modulator = Dlpc900(hid, mirror_scale_px=16)
        modulator.load(patterns, EXPOSURE_NS)
        acquisition = SteppedAcquisition(PLAN, modulator, bench.reader, trigger, bench.clock)
        samples = acquisition.acquire(PATTERNS)
        assert not modulator.is_running()
    return [int(plane) for plane in samples.counts[:, 0, 0]]


def test_every_sample_is_taken_while_its_own_mask_is_shown(bench: Bench) -> None:
    assert acquire(bench, bench.expose) == list(range(PATTERNS))


def test_a_bouncing_trigger_drops_the_scan(bench: Bench) -> None:
    def bounce(seen_ns: int) -> None:
        bench.expose(seen_ns)
        if len(bench.reader.planes) == 2:
            bench.sim.edge(EXPOSURE)

    with pytest.raises(TriggerCountError, match=f"{PATTERNS + 1} exposures"):
        acquire(bench, bounce)


def test_a_lost_edge_drops_the_scan(bench: Bench) -> None:
    def forget(seen_ns: int) -> None:
        if len(bench.reader.planes) != 3:
            bench.expose(seen_ns)

    with pytest.raises(TriggerTimeoutError):
        acquire(bench, forget)
