import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lsi.sensor import SensorModel

BOARD = Path(__file__).resolve().parents[2] / "hardware/boards/sim-mcp3208.toml"
SENSOR = SensorModel(**tomllib.loads(BOARD.read_text("utf-8"))["sensor"])
NW = np.array([0.0, 10.0, 100.0])


def test_white_light_on_one_arm_stays_inside_the_range() -> None:
    counts = SENSOR.counts(SENSOR.volts(np.array([SENSOR.power_nw])))
    assert 0.5 * SENSOR.full_scale_counts < counts[0] < SENSOR.full_scale_counts


def test_volts_are_linear_in_light() -> None:
    dark, some, more = SENSOR.volts(NW)
    assert more - dark == pytest.approx(10 * (some - dark))


def test_counts_per_nanowatt_is_the_slope_in_counts() -> None:
    volts = SENSOR.volts(NW)
    assert (volts[2] - volts[0]) * SENSOR.counts_per_v == pytest.approx(100 * SENSOR.counts_per_nw)


def test_noise_of_one_conversion_is_this_by_hand() -> None:
    # 10 nW + 1 nW stray: 3.3 nA. Noise bandwidth 12 566 Hz.
    # shot: sqrt(2 * 1.602e-19 * 3.3e-9 * 12566) = 3.645e-12 A; Johnson at 10 Mohm: 4.548e-12 A.
    # Together 5.828e-12 A * 8e7 V/A = 0.4663 mV; with 0.35 mV read noise 0.583 mV.
    assert SENSOR.noise_v(NW)[1] == pytest.approx(0.583e-3, rel=2e-3)


def test_shot_noise_grows_with_the_root_of_light() -> None:
    quiet = replace(SENSOR, temperature_k=1e-9, read_noise_v=0.0, stray_nw=0.0)
    _, some, more = quiet.noise_v(NW)
    assert more / some == pytest.approx(np.sqrt(10))


def test_the_converter_clips_at_both_ends() -> None:
    assert SENSOR.counts(np.array([-1.0, 0.0, 99.0])).tolist() == [0, 0, 4095]
