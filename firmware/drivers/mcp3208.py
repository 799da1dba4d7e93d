"""Two arms on an MCP3208: a multiplexed 12-bit converter.

Ref: Microchip MCP3204/3208, DS21298.
"""

import numpy as np

from firmware.drivers.mcp3208_frames import FULL_SCALE_COUNTS, parse_conversion, request_conversion
from firmware.interfaces import ArmBlock, Clock, SpiDevice


class TwoArmMcp3208:
    """``BucketDetector`` on two channels, read A B B A.

    The mean time of both arms is the same within a block, so that light that drifts
    linearly adds nothing to their difference.

    Args:
        spi: The chip, mode 0 or 3, one conversion per transfer.
        clock: Stamps the blocks.
        channels: Channel of arm + and of arm -.
    """

    full_scale_counts = FULL_SCALE_COUNTS

    def __init__(self, spi: SpiDevice, clock: Clock, channels: tuple[int, int]) -> None:
        self._spi = spi
        self._clock = clock
        plus, minus = (request_conversion(channel) for channel in channels)
        self._block = (plus, minus, minus, plus)

    def read_block(self) -> ArmBlock:
        """Convert arm +, arm -, arm -, arm + now; see ``BucketDetector``."""
        started_at_ns = self._clock.now_ns()
        a, b, c, d = (parse_conversion(self._spi.transfer(word)) for word in self._block)
        counts = np.array([[a, d], [b, c]], np.uint16)
        return ArmBlock(counts, started_at_ns, self._clock.now_ns())
