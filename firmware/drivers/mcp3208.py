"""One or two arms on an MCP3208: a multiplexed 12-bit converter.

Ref: Microchip MCP3204/3208, DS21298.
"""

from collections.abc import Sequence
from itertools import islice
from typing import Final

import numpy as np
from numpy.typing import NDArray

from firmware.drivers.mcp3208_frames import (
    FULL_SCALE_COUNTS,
    parse_conversions,
    request_conversion,
)
from firmware.drivers.pass_rows import PassRows, message_sizes
from firmware.interfaces import SpiDevice
from lsi.errors import BoardConfigError
from lsi.measurement import CountScale

BLOCK_SAMPLES: Final = 2
"""Samples per arm of one A B B A block."""
_ORDER_OF_ARMS: Final = {1: ((0, 1, 2, 3),), 2: ((0, 3), (1, 2))}
"""Which of the four conversions of a block belong to each arm: A A A A, or A B B A."""


class Mcp3208Detector:
    """``BucketDetector`` on one channel, or on two that are read A B B A.

    The mean time of both arms is the same within a block, so that light that drifts
    linearly adds nothing to their difference. All conversions of a pattern go out as one
    message, or several where they exceed what one message holds.

    Args:
        spi: The chip, mode 0 or 3, one conversion per transfer.
        channels: Channel of arm + and, where there is one, of arm -.
        vref_v: Reference voltage.
    """

    def __init__(self, spi: SpiDevice, channels: Sequence[int], vref_v: float) -> None:
        self._spi = spi
        self._arms = _ORDER_OF_ARMS[len(channels)]
        first, last = request_conversion(channels[0]), request_conversion(channels[-1])
        self._block = (first, last, last, first)
        self.scale = CountScale(FULL_SCALE_COUNTS, vref_v / (FULL_SCALE_COUNTS + 1))

    def sampler(self, patterns: int, samples: int) -> "Mcp3208Sampler":
        """Room for ``samples`` per arm; a multiple of 2 with two arms, of 4 with one.

        Raises:
            BoardConfigError: Another number of samples.
        """
        per_block = len(self._arms[0])
        if samples % per_block:
            found = f"{samples} samples per pattern: an MCP3208 takes them in blocks of {per_block}."
            raise BoardConfigError(found, hint=f"scan.samples_per_pattern a multiple of {per_block}.")
        return Mcp3208Sampler(self._spi, self._block * (samples // per_block), self._arms, patterns)


class Mcp3208Sampler:
    """``Sampler`` of an MCP3208; received bytes are read once, after the pass."""

    def __init__(
        self, spi: SpiDevice, words: Sequence[bytes], arms: Sequence[Sequence[int]], patterns: int
    ) -> None:
        left = iter(words)
        messages = [spi.message(list(islice(left, size))) for size in message_sizes(len(words))]
        self._arms = arms
        self._rows = PassRows(messages, patterns)

    def take(self, index: int) -> None:
        """Convert all blocks of pattern ``index`` now; see ``Sampler``."""
        self._rows.take(index)

    def counts(self) -> NDArray[np.uint16]:
        """(patterns, arms, samples); see ``Sampler``."""
        conversions = parse_conversions(self._rows.received)
        blocks = conversions.reshape(len(conversions), -1, 4)
        arms = [blocks[:, :, list(order)].reshape(len(blocks), -1) for order in self._arms]
        return np.stack(arms, axis=1)
