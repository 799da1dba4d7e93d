"""The steps of a calibration, in order, from what the rig reads at each of them."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from firmware.calibration.gain import (
    Linearity,
    arm_balance,
    drift_share,
    linearity,
    paper_scale,
    stray_shares,
)
from firmware.calibration.geometry import GeometryFit, fit_geometry
from firmware.calibration.patterns import WhitePatterns, edge_patterns, white_patterns
from firmware.calibration.readings import Readings, Scanner, check_light, take_readings
from firmware.calibration.throughput import Throughput, throughput
from lsi.errors import RigCalibrationError
from lsi.patterns import PatternSet
from lsi.rig_calibration import ArmBalance, PaperScale

COVER_LEAK: Final = 0.02
"""Light that a covered lens may let through, in parts of that of the white card."""


class Step(StrEnum):
    """What has to be in front of the lens, in this order."""

    COVERED = "covered"
    WHITE_CARD = "white card"
    TARGET = "target"


@dataclass(frozen=True, slots=True)
class CalibrationPlan:
    """What to calibrate: masks of ``side_px`` at ``mirror_scale_px``, with ``scans`` of each set of patterns.

    ``with_paper`` adds the map to the scale of the paper's bundles.
    """

    side_px: int
    mirror_scale_px: int
    scans: int
    with_paper: bool = False


@dataclass(frozen=True, slots=True)
class CalibrationResult:
    """Everything that a calibration found."""

    balance: ArmBalance
    linearity: Linearity
    stray_shares: tuple[float, float]
    drift_share: float
    throughput: Throughput
    geometry: GeometryFit
    paper: PaperScale | None


def run_calibration(
    rig: Scanner, plan: CalibrationPlan, prepare: Callable[[Step], None]
) -> CalibrationResult:
    """Go through all steps.

    Args:
        rig: The rig, which has to show masks centred.
        plan: What to calibrate.
        prepare: Called before each step; returns when what it names is in front of the lens.

    Raises:
        RigCalibrationError: Something else was in front of the lens.
        LowLightError: Too little light to calibrate with.
        ScanError: A scan failed.
        BusError: A bus failed.
    """
    shown = white_patterns(plan.side_px)
    prepare(Step.COVERED)
    covered = take_readings(rig, flat_patterns(shown), plan.scans)
    prepare(Step.WHITE_CARD)
    white = take_readings(rig, shown.patterns, plan.scans)
    check_light(white, Step.WHITE_CARD)
    _check_cover(covered, white)
    balance = arm_balance(white)
    light = throughput(white.open_share(balance.minus_factor)[shown.blocks])
    prepare(Step.TARGET)
    target = take_readings(rig, edge_patterns(plan.side_px).patterns, plan.scans)
    check_light(target, Step.TARGET)
    shares = target.open_share(balance.minus_factor)
    return CalibrationResult(
        balance=balance,
        linearity=linearity(white, shown),
        stray_shares=stray_shares(white, covered, shown),
        drift_share=drift_share(white, shown),
        throughput=light,
        geometry=fit_geometry(shares, light.over_field(plan.side_px), plan.mirror_scale_px),
        paper=paper_scale(white, shown) if plan.with_paper else None,
    )


def flat_patterns(shown: WhitePatterns) -> PatternSet:
    """All-on and all-off alone: what is to be known of a covered lens."""
    return PatternSet(shown.patterns.masks[[shown.all_on[0], shown.all_off[0]]])


def _check_cover(covered: Readings, white: Readings) -> None:
    leak = float(np.abs(covered.light_counts[0, 0]))
    full = float(white.light_counts[0, 0])
    if leak > COVER_LEAK * full:
        found = f"The covered lens lets {leak / full:.0%} of the white card's light through."
        raise RigCalibrationError(found, hint="a lens cap or thick black card; then start again.")
