"""``StreamRecord``: the blocks of one pass, copied out of the stream that overwrites them."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from firmware.interfaces import StreamBlock, StreamRole
from lsi.errors import BoardConfigError, ScanError

_FIRST_CAPACITY: Final = 8_192


class StreamRecord:
    """Consecutive blocks of a stream, kept until :meth:`clear`.

    Room grows by doubling and is kept from pass to pass, so that a scan does not allocate.

    Args:
        roles: What each column is; arm + and the trigger have to be among them.
        full_scale_counts: The highest count of the stream.

    Raises:
        BoardConfigError: A role is missing or there twice.
    """

    def __init__(self, roles: Sequence[StreamRole], full_scale_counts: int) -> None:
        needed = {StreamRole.ARM_PLUS, StreamRole.TRIGGER}
        if not needed <= set(roles) or len(set(roles)) != len(roles):
            found = f"A stream of {', '.join(roles) or 'nothing'} cannot be cut into patterns."
            raise BoardConfigError(found, hint="one channel each for arm_plus and for trigger.")
        self.full_scale_counts = full_scale_counts
        self._columns = {role: column for column, role in enumerate(roles)}
        self._counts = np.zeros((_FIRST_CAPACITY, len(roles)), np.uint16)
        self._firsts: list[int] = []
        self._started_ns: list[int] = []
        self._ended_ns: list[int] = []
        self._size = 0

    def clear(self) -> None:
        """Forget all blocks; the room stays."""
        self._size = 0
        for kept in (self._firsts, self._started_ns, self._ended_ns):
            kept.clear()

    def add(self, block: StreamBlock) -> None:
        """Copy ``block``.

        Raises:
            ScanError: Nothing in it, or it does not come after the one before: the stream stands still.
        """
        added = len(block.counts)
        not_before_ns = self._ended_ns[-1] if self._ended_ns else block.started_at_ns
        if not added or block.started_at_ns < not_before_ns or block.ended_at_ns <= block.started_at_ns:
            found = f"Block {len(self._firsts)} of the sample stream brings {added} samples and no new time."
            raise ScanError(found, hint="the converter's bus; close other programs that use it.")
        while self._size + added > len(self._counts):
            self._counts = np.concatenate([self._counts, np.zeros_like(self._counts)])
        self._counts[self._size : self._size + added] = block.counts
        self._firsts.append(self._size)
        self._started_ns.append(block.started_at_ns)
        self._ended_ns.append(block.ended_at_ns)
        self._size += added

    def __len__(self) -> int:
        return self._size

    def __repr__(self) -> str:
        return f"StreamRecord(samples={self._size}, blocks={len(self._firsts)})"

    @property
    def firsts(self) -> NDArray[np.intp]:
        """(B,): index of the first sample of each block."""
        return np.array(self._firsts, np.intp)

    @property
    def started_ns(self) -> NDArray[np.float64]:
        """(B,): start of each block after that of the first."""
        return np.array(self._started_ns, np.float64) - self._started_ns[0]

    @property
    def ended_ns(self) -> NDArray[np.float64]:
        """(B,): end of each block after the start of the first."""
        return np.array(self._ended_ns, np.float64) - self._started_ns[0]

    def times_ns(self) -> NDArray[np.float64]:
        """(N,): when each sample was taken, evenly within its block."""
        counts = np.diff(self.firsts, append=self._size)
        within = np.arange(self._size) - np.repeat(self.firsts, counts)
        spacing_ns = np.repeat((self.ended_ns - self.started_ns) / counts, counts)
        return np.repeat(self.started_ns, counts) + within * spacing_ns

    def has(self, role: StreamRole) -> bool:
        """Whether there is such a channel."""
        return role in self._columns

    def channel(self, role: StreamRole) -> NDArray[np.uint16]:
        """(N,): the samples of one channel; a view."""
        return self._counts[: self._size, self._columns[role]]

    def gather(self, rows: NDArray[np.intp], roles: Sequence[StreamRole]) -> NDArray[np.uint16]:
        """(P, len(roles), S): the samples at ``rows`` (P, S), one axis 1 entry per role."""
        counts = self._counts[: self._size]
        return np.stack([counts[rows, self._columns[role]] for role in roles], axis=1)
