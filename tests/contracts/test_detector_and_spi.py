"""What every ``SpiDevice`` and every ``BucketDetector`` promises."""

from collections.abc import Callable

import numpy as np
import pytest

from firmware.drivers.mcp3208 import TwoArmMcp3208
from firmware.interfaces import BucketDetector, SpiDevice
from firmware.sim.clock import SimClock
from firmware.sim.mcp3208_chip import Mcp3208Chip, SimSpi
from tests.firmware.scripted import ScriptedClock, ScriptedDetector, ScriptedSpi
from tests.lsi.test_sensor import SENSOR

WORD = b"\x06\x00\x00"


def simulated_spi() -> SimSpi:
    return SimSpi(Mcp3208Chip(lambda channel, _: 1.0 + channel, SENSOR), SimClock(), 1_000_000, 1_000)


def simulated_detector() -> BucketDetector:
    clock = SimClock()
    chip = Mcp3208Chip(lambda channel, _: 1.0 + channel, SENSOR)
    return TwoArmMcp3208(SimSpi(chip, clock, 1_000_000, 1_000), clock, (0, 1))


def scripted_detector() -> BucketDetector:
    return ScriptedDetector(ScriptedClock(), [(1241, 2482)] * 2)


@pytest.mark.parametrize("make", [simulated_spi, lambda: ScriptedSpi([(WORD, b"\0\0\0")])])
def test_a_transfer_returns_as_many_bytes_as_were_sent(make: Callable[[], SpiDevice]) -> None:
    assert len(make().transfer(WORD)) == len(WORD)


@pytest.fixture(params=[simulated_detector, scripted_detector])
def detector(request: pytest.FixtureRequest) -> BucketDetector:
    made: BucketDetector = request.param()
    return made


def test_a_block_holds_two_samples_of_each_arm_plus_first(detector: BucketDetector) -> None:
    block = detector.read_block()
    assert block.counts.shape == (2, 2)
    assert block.counts.dtype == np.uint16
    assert (np.abs(block.counts.astype(int) - [[1241] * 2, [2482] * 2]) <= 1).all()


def test_blocks_follow_each_other_in_time(detector: BucketDetector) -> None:
    first, second = detector.read_block(), detector.read_block()
    assert first.started_at_ns < first.ended_at_ns <= second.started_at_ns < second.ended_at_ns


def test_no_count_exceeds_full_scale(detector: BucketDetector) -> None:
    assert detector.read_block().counts.max() <= detector.full_scale_counts
