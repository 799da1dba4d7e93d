"""What every ``SampleStream`` promises."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from firmware.drivers.ad738x_stream import Ad738xStream
from firmware.interfaces import SampleStream, StreamRole
from firmware.sim.clock import SimClock
from tests.firmware.drivers.ad738x_rig import rig_with

ROLES = (StreamRole.ARM_PLUS, StreamRole.ARM_MINUS, StreamRole.TRIGGER, StreamRole.LAMP)
MILLISECOND = 1_000_000
V_PER_S = 1_000.0


@dataclass(slots=True)
class Ramp:
    """Volts that tell the time since ``begin_ns``: every channel 1 V/ms, each from its own level."""

    begin_ns: int = 0

    def volts_at(self, channel: int, now_ns: int) -> float:
        return 0.3 + 0.1 * channel + (now_ns - self.begin_ns) * 1e-9 * V_PER_S


@dataclass(slots=True)
class Rig:
    stream: SampleStream
    ramp: Ramp
    clock: SimClock


def ad738x(name: str, channels: tuple[int, ...]) -> Rig:
    ramp = Ramp()
    rig = rig_with(name, ramp.volts_at)
    wired = dict(zip(ROLES, channels, strict=False))
    return Rig(Ad738xStream(rig.link, wired, rig.clock, 64), ramp, rig.clock)


STREAMS: dict[str, Callable[[], Rig]] = {
    "ad7380": lambda: ad738x("ad7380", (0, 1)),
    "ad7383": lambda: ad738x("ad7383", (0, 1)),
    "ad7383-4": lambda: ad738x("ad7383-4", (0, 1, 2, 3)),
    "ad7383-4, lamp not wired": lambda: ad738x("ad7383-4", (0, 1, 2)),
}


@pytest.fixture(params=list(STREAMS))
def rig(request: pytest.FixtureRequest) -> Rig:
    """A stream that has been read once, so that its chip is set up."""
    made = STREAMS[request.param]()
    made.stream.read()
    made.clock.advance(MILLISECOND)
    made.ramp.begin_ns = made.clock.now_ns()
    return made


def test_a_block_has_a_column_for_every_role(rig: Rig) -> None:
    block = rig.stream.read()
    assert block.counts.ndim == 2
    assert block.counts.shape[1] == len(rig.stream.roles)
    assert block.counts.dtype == np.uint16
    assert block.counts.max() <= rig.stream.scale.full_scale_counts


def test_roles_are_different_and_do_not_change(rig: Rig) -> None:
    roles = tuple(rig.stream.roles)
    rig.stream.read()
    assert len(set(roles)) == len(roles)
    assert tuple(rig.stream.roles) == roles


def times_ns(rig: Rig) -> tuple[NDArray[np.float64], int, int]:
    """When each sample (N, C) was taken, by the ramp, and the block's own two times; from ``begin_ns``."""
    block = rig.stream.read()
    volts = block.counts * rig.stream.scale.v_per_count + rig.stream.scale.zero_v
    taken_ns = (volts - 0.3 - 0.1 * np.arange(volts.shape[1])) / V_PER_S * 1e9
    return taken_ns, block.started_at_ns - rig.ramp.begin_ns, block.ended_at_ns - rig.ramp.begin_ns


def count_ns(rig: Rig) -> float:
    return rig.stream.scale.v_per_count / V_PER_S * 1e9


def test_all_channels_are_sampled_at_the_same_instant(rig: Rig) -> None:
    taken_ns, _, _ = times_ns(rig)
    assert np.ptp(taken_ns, axis=1).max() <= 1.5 * count_ns(rig)


def test_conversions_are_evenly_spaced_and_lie_within_the_blocks_times(rig: Rig) -> None:
    taken_ns, started_ns, ended_ns = times_ns(rig)
    spacing_ns = np.diff(taken_ns[:, 0])
    assert spacing_ns.min() > 0
    assert np.ptp(spacing_ns) <= 2 * count_ns(rig)
    assert started_ns <= taken_ns[0, 0] + count_ns(rig)
    assert taken_ns[-1, 0] <= ended_ns + count_ns(rig)


def test_blocks_follow_each_other_in_time(rig: Rig) -> None:
    first, second = times_ns(rig), times_ns(rig)
    assert first[2] <= second[1]
    assert first[0][-1, 0] < second[0][0, 0]


def test_a_block_is_overwritten_by_the_next(rig: Rig) -> None:
    first = rig.stream.read()
    kept = first.counts.copy()
    rig.stream.read()
    assert np.shares_memory(first.counts, rig.stream.read().counts)
    assert not (first.counts == kept).all()
