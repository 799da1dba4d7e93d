"""The chips behind the simulated nodes, by name."""

import itertools
from collections.abc import Callable, Mapping
from typing import Final

from firmware.drivers.ad738x_frames import PARTS
from firmware.sim.ad738x_chip import Ad738xChip
from firmware.sim.mcp3208_chip import Mcp3208Chip
from firmware.sim.spi import SpiChip
from tests.lsi.test_sensor import SENSOR

CONSTANT_COUNTS: Final = (400, 1200, 1600, 2000, 2400, 2800, 3200, 3600)
"""What the channels of ``mcp3208`` read."""
AD7383_4_COUNTS: Final = (10_000, 20_000, 30_000, 40_000)
"""What the channels of ``ad7383-4`` read."""
AD7383_4_VREF_V: Final = 2.5


def volts_of(counts: int) -> float:
    """Volts in the middle of a code of the MCP3208."""
    return (counts + 0.5) / SENSOR.counts_per_v


def steady_mcp3208() -> SpiChip:
    """Each channel reads its own number."""
    return Mcp3208Chip(lambda channel, _: volts_of(CONSTANT_COUNTS[channel]), SENSOR)


def counting_mcp3208() -> SpiChip:
    """Conversion n reads n, whatever the channel."""
    numbers = itertools.count()
    return Mcp3208Chip(lambda _channel, _now_ns: volts_of(next(numbers) % 4096), SENSOR)


def steady_ad7383_4() -> SpiChip:
    """Each channel reads its own number."""
    scale = PARTS["ad7383-4"].scale(AD7383_4_VREF_V)
    volts = [scale.zero_v + (counts + 0.5) * scale.v_per_count for counts in AD7383_4_COUNTS]
    return Ad738xChip(lambda channel, _: volts[channel], "ad7383-4", AD7383_4_VREF_V)


CHIPS: Final[Mapping[str, Callable[[], SpiChip]]] = {
    "mcp3208": steady_mcp3208,
    "mcp3208-counting": counting_mcp3208,
    "ad7383-4": steady_ad7383_4,
}
"""Name to a new chip."""
