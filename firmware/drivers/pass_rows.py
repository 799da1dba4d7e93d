"""What an SPI converter sends during a pass: a row of bytes for each pattern, read as few messages."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from firmware.interfaces import MAX_MESSAGE_TRANSFERS, SpiMessage


def message_sizes(transfers: int) -> Iterator[int]:
    """``transfers`` in parts that a message holds."""
    for start in range(0, transfers, MAX_MESSAGE_TRANSFERS):
        yield min(MAX_MESSAGE_TRANSFERS, transfers - start)


class PassRows:
    """Room for a pass, laid out once and used for every pass.

    Args:
        messages: What is run for each pattern, in order.
        patterns: Of a pass.
    """

    def __init__(self, messages: Sequence[SpiMessage], patterns: int) -> None:
        sizes = [len(message.received) for message in messages]
        starts = np.cumsum([0, *sizes[:-1]]).tolist()
        self._messages = list(zip(starts, messages, strict=True))
        self.received: NDArray[np.uint8] = np.zeros(
            (patterns, sum(sizes), messages[0].received.shape[1]), np.uint8
        )

    def take(self, index: int) -> None:
        """Run the messages now, for pattern ``index``; see ``Sampler``."""
        row = self.received[index]
        for start, message in self._messages:
            message.run()
            row[start : start + len(message.received)] = message.received
