"""What every ``SpiDevice``, ``BucketDetector`` and ``Sampler`` promises."""

from collections.abc import Callable

import numpy as np
import pytest

from firmware.drivers.ad738x import Ad738xDetector, Ad738xLink, Ad738xSettings
from firmware.drivers.ad738x_frames import PARTS as AD738X_PARTS
from firmware.drivers.ads868x import Ads868xDetector, Ads868xSettings
from firmware.drivers.ads868x_frames import PARTS as ADS868X_PARTS
from firmware.drivers.ads868x_frames import unipolar_range
from firmware.drivers.mcp3208 import Mcp3208Detector
from firmware.interfaces import MAX_MESSAGE_TRANSFERS, BucketDetector, SpiDevice
from firmware.sim.ad738x_chip import Ad738xChip
from firmware.sim.ads868x_chip import Ads868xChip
from firmware.sim.clock import SimClock
from firmware.sim.mcp3208_chip import Mcp3208Chip
from firmware.sim.spi import SimSpi
from lsi.errors import BusError, BusErrorKind
from tests.firmware.scripted import ScriptedClock, ScriptedDetector, ScriptedSpi
from tests.lsi.test_sensor import SENSOR

WORDS = [b"\x06\x00\x00", b"\x06\x40\x00"]
PATTERNS, SAMPLES = 3, 8
VOLTS = (1.0, 2.0)
"""On arm + and arm -."""


def volts_at(channel: int, _: int) -> float:
    return VOLTS[channel]


def bus(chip: Mcp3208Chip | Ad738xChip | Ads868xChip, clock: SimClock, spi_hz: int = 1_000_000) -> SimSpi:
    return SimSpi(chip, clock, spi_hz, 1_000)


def simulated_spi() -> SpiDevice:
    return bus(Mcp3208Chip(volts_at, SENSOR), SimClock())


def scripted_spi() -> SpiDevice:
    return ScriptedSpi([(word, b"\0\0\0") for word in WORDS])


@pytest.fixture(params=[simulated_spi, scripted_spi])
def spi(request: pytest.FixtureRequest) -> SpiDevice:
    made: SpiDevice = request.param()
    return made


def test_a_transfer_returns_as_many_bytes_as_were_sent(spi: SpiDevice) -> None:
    assert len(spi.transfer(WORDS[0])) == len(WORDS[0])


def test_a_message_receives_a_row_for_every_word(spi: SpiDevice) -> None:
    message = spi.message(WORDS)
    message.run()
    assert message.received.shape == (2, 3)
    assert message.received.dtype == np.uint8


def test_a_message_brings_what_its_words_would_bring_one_by_one() -> None:
    message = simulated_spi().message(WORDS)
    message.run()
    single = simulated_spi()
    assert [row.tobytes() for row in message.received] == [single.transfer(word) for word in WORDS]


def test_a_message_can_be_run_again_and_writes_anew() -> None:
    message = simulated_spi().message(WORDS)
    message.run()
    kept = message.received.copy()
    message.received[:] = 0
    message.run()
    assert (message.received == kept).all()


@pytest.mark.parametrize("words", [[], [b"\0", b"\0\0"], [b"\0"] * (MAX_MESSAGE_TRANSFERS + 1)])
def test_what_is_no_message_is_refused(words: list[bytes]) -> None:
    with pytest.raises(BusError) as failure:
        simulated_spi().message(words)
    assert failure.value.kind is BusErrorKind.REFUSED


def mcp3208(arms: int) -> BucketDetector:
    return Mcp3208Detector(bus(Mcp3208Chip(volts_at, SENSOR), SimClock()), (0, 1)[:arms], SENSOR.vref_v)


def ad738x(name: str, arms: int) -> BucketDetector:
    part, clock = AD738X_PARTS[name], SimClock()
    chip = Ad738xChip(lambda channel, _: VOLTS[channel % 2], name, 2.5)
    spi = bus(chip, clock, 10_000_000)
    return Ad738xDetector(Ad738xLink(spi, Ad738xSettings(part, 10_000_000), clock), (0, 1)[:arms])


def ads868x() -> BucketDetector:
    part = ADS868X_PARTS["ads8681"]
    spi = bus(Ads868xChip(volts_at, part.name), SimClock(), 10_000_000)
    return Ads868xDetector(spi, Ads868xSettings(part, 10_000_000, unipolar_range(5.12)))


def scripted() -> BucketDetector:
    counts = np.repeat([[[1000], [2000]]], SAMPLES, axis=2)
    return ScriptedDetector(ScriptedClock(), np.repeat(counts, PATTERNS, axis=0))


DETECTORS: dict[str, tuple[int, Callable[[], BucketDetector]]] = {
    "mcp3208, two arms": (2, lambda: mcp3208(2)),
    "mcp3208, one arm": (1, lambda: mcp3208(1)),
    "ad7380, two arms": (2, lambda: ad738x("ad7380", 2)),
    "ad7383, two arms": (2, lambda: ad738x("ad7383", 2)),
    "ad7383, one arm": (1, lambda: ad738x("ad7383", 1)),
    "ad7383-4, two arms": (2, lambda: ad738x("ad7383-4", 2)),
    "ads8681, one arm": (1, ads868x),
    "scripted, two arms": (2, scripted),
}


@pytest.fixture(params=list(DETECTORS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_pass_holds_every_sample_of_every_arm_in_volts(kind: str) -> None:
    arms, make = DETECTORS[kind]
    detector = make()
    sampler = detector.sampler(PATTERNS, SAMPLES)
    for index in range(PATTERNS):
        sampler.take(index)
    counts = sampler.counts()
    assert counts.shape == (PATTERNS, arms, SAMPLES)
    assert counts.dtype == np.uint16
    assert counts.max() <= detector.scale.full_scale_counts
    volts = counts * detector.scale.v_per_count + detector.scale.zero_v
    expected = np.array(VOLTS)[:arms, np.newaxis]
    assert np.abs(volts - expected).max() <= 1.01 * detector.scale.v_per_count


def test_counts_are_a_copy_that_the_next_pass_leaves_alone(kind: str) -> None:
    sampler = DETECTORS[kind][1]().sampler(PATTERNS, SAMPLES)
    for index in range(PATTERNS):
        sampler.take(index)
    counts = sampler.counts()
    kept = counts.copy()
    counts[:] = 0
    assert (sampler.counts() == kept).all()


def test_patterns_land_where_they_were_taken_for() -> None:
    level = {"volts": 0.5}
    clock = SimClock()
    parts: dict[str, BucketDetector] = {
        "mcp3208": Mcp3208Detector(
            bus(Mcp3208Chip(lambda _, __: level["volts"], SENSOR), clock), (0, 1), SENSOR.vref_v
        ),
        "ad7383": Ad738xDetector(
            Ad738xLink(
                bus(Ad738xChip(lambda _, __: level["volts"], "ad7383", 2.5), clock, 10_000_000),
                Ad738xSettings(AD738X_PARTS["ad7383"], 10_000_000),
                clock,
            ),
            (0, 1),
        ),
    }
    for detector in parts.values():
        sampler = detector.sampler(3, 4)
        for index, volts in ((2, 2.0), (0, 0.5), (1, 1.0)):
            level["volts"] = volts
            sampler.take(index)
        volts_back = sampler.counts().mean(axis=(1, 2)) * detector.scale.v_per_count + detector.scale.zero_v
        assert np.allclose(volts_back, [0.5, 1.0, 2.0], atol=1e-3)
