"""Whether a rig is within the limits of its board file: dark, noise, full-on, linearity, balance, triggers.

Only evenly spread patterns are shown, a fixed list, and what is told is about the rig: no
number tells one part of the field from another.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from firmware.acquisition.oversampled import OversampledAcquisition
from firmware.boards.board import Board
from firmware.rig import Rig
from lsi.errors import ScanError
from lsi.measurement import ARMS, ArmLayout, DarkReference, RawScan
from lsi.patterns import PatternSet

SIDE: Final = 64
STEPS: Final = 8
"""Open fractions 0/8 .. 8/8."""
PASSES: Final = 3
_BAYER_2: Final = np.array([[0, 2], [3, 1]])


MAX_FLICKER: Final = 0.05
"""Depth. The ratio of two arms takes out what both see at once; what is left grows with depth (U)."""
_FLICKER: Final = "direct current for the lamp, or daylight."
_STRAY: Final = "less stray light; check the offset of the amplifiers."
_NOISE: Final = "shielding, ground and supply of the amplifiers; lamp flicker in the stray light."
_LIGHT: Final = "light on, lens uncovered, both diodes where the mirrors send the light."
_BRIGHT: Final = "less light, or a lower transimpedance or gain."
_BENT: Final = "less light or gain; a longer scan.settle_us; check for light that changes."
_UNEVEN: Final = "place and focus of the two diodes, then lsi-edge calibrate."


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was tried: what was found against its limit, and what to try where it does not hold."""

    name: str
    value: float
    limit: float
    unit: str
    is_floor: bool
    advice: str

    @property
    def holds(self) -> bool:
        """Whether ``value`` is on the right side of ``limit``."""
        return self.value >= self.limit if self.is_floor else self.value <= self.limit


def selftest_patterns() -> PatternSet:
    """9 patterns of 64 x 64 with 0/8 to 8/8 of the mirrors open, spread evenly (ordered dither)."""
    bayer_4 = np.kron(np.ones((2, 2), int), 4 * _BAYER_2) + np.kron(_BAYER_2, np.ones((2, 2), int))
    bayer_8 = np.kron(np.ones((2, 2), int), 4 * bayer_4) + np.kron(_BAYER_2, np.ones((4, 4), int))
    threshold = np.tile(bayer_8, (SIDE // 8, SIDE // 8))
    return PatternSet(np.stack([threshold < 64 * step // STEPS for step in range(STEPS + 1)]))


def run_selftest(rig: Rig) -> tuple[Check, ...]:
    """Load the patterns, scan them a few times, and hold what comes back against ``rig.board.limits``.

    The masks that the controller held are lost.

    Raises:
        RigError: A part does not answer; its message says which and what to try.
        ScanError: Not one of the passes could be used.
    """
    patterns = selftest_patterns()
    rig.load(patterns)
    passes, failure = [], ScanError("No pass was tried.")
    for _ in range(PASSES):
        try:
            passes.append(rig.scan(patterns))
        except ScanError as error:
            failure = error
    if not passes:
        raise failure
    whole = _at_least("whole passes", len(passes), PASSES, f"of {PASSES}", failure.hint)
    return (whole, *_checks(rig.board, *passes[-1]), *_flicker(rig, passes[-1][1]))


def _checks(board: Board, raw: RawScan, dark: DarkReference) -> tuple[Check, ...]:
    limits = board.limits
    arms = slice(0, ARMS if board.layout is ArmLayout.TWO else 1)
    light = (raw.mean_counts - dark.mean_counts)[:, arms]
    full_on = np.array([light[STEPS, 0], light[0, -1]])[arms]
    checks = [
        _at_most("dark", dark.mean_counts[arms].max(), limits.dark_max_counts, "counts", _STRAY),
        _at_most(
            "noise in the dark", dark.std_counts[arms].max(), limits.dark_noise_max_counts, "counts", _NOISE
        ),
        _at_least("full-on", full_on.min(), limits.full_on_min_counts, "counts above dark", _LIGHT),
        _at_most("clipped", raw.saturated.sum(), 0, f"of {len(raw.saturated)} patterns", _BRIGHT),
        _at_most(
            "linearity", _departure_from_line(light, full_on), limits.linearity_max, "of full-on", _BENT
        ),
    ]
    if board.layout is ArmLayout.TWO:
        imbalance = abs(full_on[0] / full_on[1] - 1) if full_on[1] > 0 else np.inf
        checks.append(_at_most("imbalance of the arms", imbalance, limits.arm_imbalance_max, "", _UNEVEN))
    return tuple(checks)


def _at_most(name: str, value: float, limit: float, unit: str, advice: str) -> Check:
    return Check(name, float(value), limit, unit, is_floor=False, advice=advice)


def _at_least(name: str, value: float, limit: float, unit: str, advice: str) -> Check:
    return Check(name, float(value), limit, unit, is_floor=True, advice=advice)


def _flicker(rig: Rig, dark: DarkReference) -> tuple[Check, ...]:
    """Where the light was recorded all along: how much of it comes and goes with the mains, or a driver."""
    acquisition = rig.parts.acquisition
    if not isinstance(acquisition, OversampledAcquisition):
        return ()
    found = acquisition.flicker(float(dark.mean_counts.sum()))
    if found is None:
        return ()
    depth = found.depth if found.is_significant else 0.0
    unit = f"of the light, {found.frequency_hz:.0f} Hz" if depth else "of the light"
    return (_at_most("lamp flicker", depth, MAX_FLICKER, unit, _FLICKER),)


def _departure_from_line(light: NDArray[np.float64], full_on: NDArray[np.float64]) -> float:
    """Largest distance from the best line through light against open fraction, as a share of full-on."""
    if (full_on <= 0).any():
        return float("inf")
    fraction = np.linspace(0, 1, STEPS + 1)
    design = np.stack([fraction, np.ones_like(fraction)], axis=1)
    coefficients, *_ = np.linalg.lstsq(design, light, rcond=None)
    return float((np.abs(light - design @ coefficients) / full_on).max())
