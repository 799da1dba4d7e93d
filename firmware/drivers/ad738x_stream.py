"""Arms, trigger and lamp of an AD738x sampled together, over and over."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from firmware.drivers.ad738x import Ad738xLink, check_channels, stuck
from firmware.drivers.ad738x_frames import ZERO_COUNTS, codes_in
from firmware.interfaces import MAX_MESSAGE_TRANSFERS, Clock, StreamBlock, StreamRole
from lsi.errors import BoardConfigError, FrameError

_STILL_COUNTS: Final = (ZERO_COUNTS - 1, ZERO_COUNTS)
"""What words of ones and words of zeros are read as."""


class Ad738xStream:
    """``SampleStream`` of blocks of one message each; nothing is allocated between them.

    The first frame of a message brings a conversion that was begun by the last frame of
    the message before, on the other side of the pause between the two. It is left out, so
    that a block of F frames holds F - 1 conversions at even spacing, and the conversion
    that every last frame begins is the price.

    Args:
        link: The chip.
        channels: What is wired to which channel; blocks have one column each, in this order.
        clock: On which blocks are timed.
        frames: Frames of a message, 2 to 511.

    Raises:
        BoardConfigError: Channels that the part does not have, one for two roles, or too few frames.
    """

    def __init__(
        self,
        link: Ad738xLink,
        channels: Mapping[StreamRole, int],
        clock: Clock,
        frames: int = MAX_MESSAGE_TRANSFERS,
    ) -> None:
        check_channels(link.settings.part, list(channels.values()))
        if frames < 2:  # noqa: PLR2004 - one brings nothing
            raise BoardConfigError(
                f"{frames} frames hold no conversion.", hint=f"2 to {MAX_MESSAGE_TRANSFERS}."
            )
        self.scale = link.settings.scale
        self.roles = tuple(channels)
        self._link = link
        self._clock = clock
        self._message = link.conversions(frames)
        wired = list(channels.values())
        self._all = np.zeros((frames - 1, link.settings.part.channels), np.uint16)
        self._picked = None if wired == list(range(len(wired))) else np.array(wired)
        self._counts = self._all[:, : len(wired)]
        if self._picked is not None:
            self._counts = np.zeros((frames - 1, len(wired)), np.uint16)

    def read(self) -> StreamBlock:
        """Convert one message now; see ``SampleStream``. Sets the chip up before the first.

        Raises:
            FrameError: The chip was reset (it is set up again), or its line stands still.
            BusError: The bus failed.
        """
        self._link.ensure_configured()
        started_at_ns = self._clock.now_ns()
        self._message.run()
        ended_at_ns = self._clock.now_ns()
        np.bitwise_xor(codes_in(self._message.received)[1:], ZERO_COUNTS, out=self._all)
        if self._picked is not None:
            # Without a mode, numpy would take through a buffer.
            np.take(self._all, self._picked, axis=1, out=self._counts, mode="clip")
        self._check()
        return StreamBlock(self._counts, started_at_ns, ended_at_ns)

    def _check(self) -> None:
        """Ask the chip when a channel looks as if nobody drove it.

        After a reset half of the channels leave on another line, so at least one of them
        stands still here; asking costs a transfer, so it is not done for every block.
        """
        suspects = [column for column, first in enumerate(self._counts[0].tolist()) if first in _STILL_COUNTS]
        if not any(np.ptp(self._counts[:, column]) == 0 for column in suspects):
            return
        self._link.check()
        received = self._message.received
        if stuck(received[1:].reshape(1, -1)).all():
            raise FrameError(
                "The converter's line stood still for a block.", hint="check the wire from SDOA to MISO."
            )
