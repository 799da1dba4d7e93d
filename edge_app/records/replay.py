"""Sending records again on request, and telling honestly which are gone."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from edge_app.records.outbox import STREAM, Outbox
from lsi.errors import PayloadError

MAX_SEQ: Final = 2**53 - 1
"""Largest integer that every JSON reader keeps exactly."""
MAX_RANGES: Final = 32
"""Ranges told in one answer; ``gone_rows`` counts what all of them hold."""


@dataclass(frozen=True, slots=True)
class SeqRange:
    """From ``first`` to ``last``, both included."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class ReplayAnswer:
    """What became of a request.

    ``again`` records will be sent once more, ``waiting`` were on their way anyway, ``gone_rows``
    are not here any more; ``gone`` tells the first ``MAX_RANGES`` ranges of them.
    """

    stream: str
    again: int
    waiting: int
    gone_rows: int
    gone: tuple[SeqRange, ...]


def replay(outbox: Outbox, stream: str, from_seq: int, to_seq: int) -> ReplayAnswer:
    """Send what is kept of ``from_seq`` to ``to_seq`` of ``stream`` again.

    Of the running stream, what is beyond its highest seq is not made yet, so neither here nor gone.

    Raises:
        PayloadError: No stream id, or no range.
    """
    if not STREAM.fullmatch(stream) or not 1 <= from_seq <= to_seq <= MAX_SEQ:
        hint = "16 hexadecimal digits, and 1 <= from <= to."
        raise PayloadError("A replay was asked for without a stream or a range.", hint=hint)
    if stream == outbox.stream:
        to_seq = min(to_seq, outbox.highest()[stream])
    sent = outbox.send_again(stream, from_seq, to_seq)
    gone = tuple(gaps(sorted((*sent.again, *sent.waiting)), from_seq, to_seq))
    return ReplayAnswer(
        stream=stream,
        again=len(sent.again),
        waiting=len(sent.waiting),
        gone_rows=sum(gap.last - gap.first + 1 for gap in gone),
        gone=gone[:MAX_RANGES],
    )


def gaps(present: Iterable[int], first: int, last: int) -> Iterator[SeqRange]:
    """The ranges between ``first`` and ``last`` that ``present`` (ascending) does not cover."""
    expected = first
    for seq in present:
        if seq > expected:
            yield SeqRange(expected, seq - 1)
        expected = seq + 1
    if expected <= last:
        yield SeqRange(expected, last)
