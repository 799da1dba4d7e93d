"""Signal to noise of the simulated chain, against what photons, resistor and converter allow.

Controller, optics and converter are simulated, drivers and scan are the shipping ones. All
mirrors send a white field to arm +; each of many masks gives one mean of K samples, and the
figure is their level above the dark over their standard deviation.

Expected is computed without the sensor model: 0.3 A/W, a window of 85 us, shot noise of its
photo-electrons, Johnson noise of the feedback resistor over half the inverse window, and a
converter of 42 uV a sample (16 bits, 6 samples) or 0.35 mV (12 bits, 2 samples), rounding
included. That noise depends a little on where the level lies between two counts, so
levels are spread over one count.

    python -m benchmarks.chain_snr --json
"""

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from benchmarks.report import Figure, report
from firmware.acquisition.scan import ScanParts, run_scan
from firmware.acquisition.sequence import sequence_of
from firmware.acquisition.stepped import SteppedAcquisition
from firmware.drivers.ad738x import Ad738xDetector, Ad738xLink, Ad738xSettings
from firmware.drivers.ad738x_frames import PARTS
from firmware.drivers.dlpc900 import Dlpc900
from firmware.drivers.mcp3208 import Mcp3208Detector
from firmware.interfaces import BucketDetector
from firmware.sim.ad738x_chip import Ad738xChip
from firmware.sim.clock import SimClock
from firmware.sim.dlpc900_chip import SimDlpc900
from firmware.sim.light import StillLight
from firmware.sim.mcp3208_chip import Mcp3208Chip
from firmware.sim.optics import Optics
from firmware.sim.spi import SimSpi, VoltsAt
from firmware.sim.trigger import SimTriggerLine
from lsi.measurement import ArmLayout, ScanPlan
from lsi.patterns import PatternSet
from lsi.sensor import BOLTZMANN_J_PER_K, ELEMENTARY_CHARGE_C, SINGLE_POLE_NOISE_BANDWIDTH, SensorModel

MASKS: Final = 250
LEVELS: Final = 8
GOAL_DB: Final = 1.0
WINDOW_S: Final = 85e-6
RESPONSIVITY_A_PER_W: Final = 0.3
TEMPERATURE_K: Final = 298.0
POWERS_NW: Final = {1.0: 10e6, 10.0: 10e6, 100.0: 10e6, 1000.0: 1e6}
"""Light on the diode, and the feedback resistor that goes with it in ohm."""
_SIDE_PX, _SCALE_PX = 64, 16
_ROUNDING: Final = 1 / math.sqrt(12)


@dataclass(frozen=True, slots=True)
class ConverterCase:
    """One converter: width, reference, noise of a sample with rounding, samples per window."""

    bits: int
    vref_v: float
    noise_v: float
    samples: int

    @property
    def count_v(self) -> float:
        """One count."""
        return float(self.vref_v / 2**self.bits)

    def sensor(self, power_nw: float, resistor_ohm: float) -> SensorModel:
        """Noise of a sample so wide that the mean of K independent ones has that of the window."""
        return SensorModel(
            adc_bits=self.bits,
            vref_v=self.vref_v,
            responsivity_a_per_w=RESPONSIVITY_A_PER_W,
            transimpedance_ohm=resistor_ohm,
            voltage_gain=1.0,
            bandwidth_hz=self.samples / (2 * WINDOW_S) / SINGLE_POLE_NOISE_BANDWIDTH,
            temperature_k=TEMPERATURE_K,
            read_noise_v=math.sqrt(self.noise_v**2 - (_ROUNDING * self.count_v) ** 2),
            offset_v=0.1,
            stray_nw=0.0,
            power_nw=power_nw,
        )


CASES: Final = (ConverterCase(16, 2.5, 42e-6, 6), ConverterCase(12, 3.3, 0.35e-3, 2))


class Bench:
    """A controller that holds all-on masks, for every converter and light in turn."""

    def __init__(self, masks: int) -> None:
        self._clock = SimClock()
        self._controller = SimDlpc900(self._clock)
        self._patterns = PatternSet(np.ones((masks, _SIDE_PX, _SIDE_PX), np.bool_))
        self._modulator = Dlpc900(self._controller, mirror_scale_px=_SCALE_PX)
        self._plan = ScanPlan(500_000, 20_000, 1, 20_000_000)
        self._modulator.load(sequence_of(self._patterns, ArmLayout.TWO), self._plan.exposure_ns)

    def snr_db(self, case: ConverterCase, power_nw: float, resistor_ohm: float) -> float:
        """Level over standard deviation of the masks' means, levels spread over one count."""
        sensor = case.sensor(power_nw, resistor_ohm)
        shift_v = [0.0]
        optics = Optics(
            controller=self._controller,
            light=StillLight(np.ones((_SIDE_PX, _SIDE_PX), np.float32)),
            sensor=sensor,
            channels=(0, 1),
            mirror_scale_px=_SCALE_PX,
            seed=round(power_nw) + case.bits,
        )
        detector = self._detector(lambda channel, at_ns: optics.volts_at(channel, at_ns) + shift_v[0], case)
        plan = ScanPlan(self._plan.exposure_ns, self._plan.settle_ns, case.samples, 20_000_000)
        trigger = SimTriggerLine(self._controller, self._clock)
        acquisition = SteppedAcquisition(plan, self._modulator, detector, trigger, self._clock)
        parts = ScanParts(self._modulator, acquisition, self._clock)
        levels, variances = [], []
        for level in range(LEVELS):
            shift_v[0] = level * case.count_v / LEVELS
            raw, dark = run_scan(self._patterns, parts)
            means = raw.mean_counts[:, 0]
            levels.append(means.mean() - dark.mean_counts[0])
            variances.append(means.var(ddof=1))
        return float(20 * np.log10(np.mean(levels) / np.sqrt(np.mean(variances))))

    def _detector(self, volts_at: VoltsAt, case: ConverterCase) -> BucketDetector:
        if case.bits == CASES[1].bits:
            chip = Mcp3208Chip(volts_at, case.sensor(1.0, 1.0))
            return Mcp3208Detector(SimSpi(chip, self._clock, 1_000_000, 25_000), (0, 1), case.vref_v)
        part = PARTS["ad7383"]
        spi = SimSpi(Ad738xChip(volts_at, part.name, case.vref_v), self._clock, 10_000_000, 25_000)
        settings = Ad738xSettings(part, 10_000_000, case.vref_v)
        return Ad738xDetector(Ad738xLink(spi, settings, self._clock), (0, 1))


def expected_db(case: ConverterCase, power_nw: float, resistor_ohm: float) -> float:
    """What physics leaves of the DC level; see the module."""
    current_a = RESPONSIVITY_A_PER_W * power_nw * 1e-9
    band_hz = 1 / (2 * WINDOW_S)
    shot_a2 = 2 * ELEMENTARY_CHARGE_C * current_a * band_hz
    johnson_a2 = 4 * BOLTZMANN_J_PER_K * TEMPERATURE_K / resistor_ohm * band_hz
    converter_a2 = (case.noise_v / resistor_ohm) ** 2 / case.samples
    return 20 * math.log10(current_a / math.sqrt(shot_a2 + johnson_a2 + converter_a2))


def measure(masks: int = MASKS) -> list[tuple[str, float, float]]:
    """(case, measured dB, expected dB) for every converter and light."""
    bench = Bench(masks)
    return [
        (
            f"{case.bits}_bit_{power_nw:g}_nw",
            bench.snr_db(case, power_nw, resistor_ohm),
            expected_db(case, power_nw, resistor_ohm),
        )
        for case in CASES
        for power_nw, resistor_ohm in POWERS_NW.items()
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chain_snr", description=__doc__)
    parser.add_argument("--masks", type=int, default=MASKS, help="masks per pass, at most 398")
    parser.add_argument("--json", action="store_true")
    parsed = parser.parse_args(arguments)
    rows = measure(parsed.masks)
    worst_db = max(abs(found - expected) for _, found, expected in rows)
    goal = f"at most {GOAL_DB:g} dB"
    figures = [Figure("snr_error_db", worst_db, "dB", goal, worst_db <= GOAL_DB, {})]
    figures += [
        Figure(f"snr_{name}", found, "dB", None, None, {"computed": expected})
        for name, found, expected in rows
    ]
    print(report("chain_snr", figures, as_json=parsed.json))
    return 0


if __name__ == "__main__":
    sys.exit(main())
