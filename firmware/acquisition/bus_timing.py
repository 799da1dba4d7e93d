"""How long the buses of a rig take: transfers, messages, the gap between them, the trigger wires.

Everything is measured between two questions to the rig's clock, so that it holds the time
of the system call and of the Python around it, as a scan has it too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from firmware.acquisition.running_pass import running_pass
from firmware.acquisition.stepped import REARM_NS, SteppedAcquisition
from firmware.interfaces import MAX_MESSAGE_TRANSFERS, Clock, SpiDevice, SpiMessage
from lsi.errors import BusError, BusErrorKind
from lsi.frozen import frozen_array
from lsi.units import NS_PER_S, NS_PER_US

BIN_EDGES_US: Final = (0, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)
"""Where the bars of a histogram begin; the last one is open."""


@dataclass(frozen=True, slots=True)
class Durations:
    """How long something took, again and again.

    Shape: ``each_ns`` (N,) int64, N at least 1, in the order in which they were measured.
    """

    each_ns: NDArray[np.int64]

    def __post_init__(self) -> None:
        object.__setattr__(self, "each_ns", frozen_array("each_ns", self.each_ns, np.int64, (None,)))

    def percentile_ns(self, percent: float) -> float:
        """The duration that ``percent`` of all do not exceed; 0 is the shortest, 100 the longest."""
        return float(np.percentile(self.each_ns, percent))

    @property
    def median_ns(self) -> float:
        """Half of all take longer."""
        return self.percentile_ns(50)

    def histogram(self) -> list[int]:
        """How many lie in each bar of ``BIN_EDGES_US``."""
        edges = np.array([*BIN_EDGES_US, np.inf]) * NS_PER_US
        counts, _ = np.histogram(np.maximum(self.each_ns, 0), edges)
        return [int(count) for count in counts]


@dataclass(frozen=True, slots=True)
class MessageTimes:
    """Messages of ``transfers`` transfers, run one right after the other.

    ``spacing_ns`` is from one transfer to the next inside a message: what the longest message
    takes more than one of a single transfer, over the transfers that it has more. A gap is
    what the time from the start of a message to the start of the next has beyond its
    transfers at that spacing; nothing is converted in it. Not below 0.
    """

    transfers: int
    message: Durations
    gap: Durations
    spacing_ns: float
    refused: str = ""

    @property
    def transfers_per_s(self) -> float:
        """Transfers that go through in a second, gaps included."""
        return NS_PER_S / (self.spacing_ns + self.gap.median_ns / self.transfers)


@dataclass(frozen=True, slots=True)
class TriggerTimes:
    """From a pulse on the advance wire to the edge that answers, and from the edge to the caller."""

    to_edge: Durations
    to_return: Durations

    @property
    def latency(self) -> Durations:
        """From the pulse until the caller knows."""
        return Durations(self.to_edge.each_ns + self.to_return.each_ns)


def time_transfers(spi: SpiDevice, word: bytes, clock: Clock, repeats: int) -> Durations:
    """``repeats`` single transfers of ``word``.

    Raises:
        BusError: The bus failed.
    """
    return _timed(lambda: spi.transfer(word), clock, repeats)[0]


def time_messages(spi: SpiDevice, word: bytes, clock: Clock, repeats: int) -> MessageTimes:
    """``repeats`` of the longest messages of ``word`` that the bus takes.

    ``MAX_MESSAGE_TRANSFERS`` where it can; where the bus refuses that, half as many, and so on.
    ``refused`` then holds why.

    Raises:
        BusError: The bus failed, or takes no message of two transfers.
    """
    single = _timed(spi.message([word]).run, clock, repeats)[0]
    message, transfers, refused = _longest(spi, word)
    durations, periods_ns = _timed(message.run, clock, repeats)
    spacing_ns = max(0.0, (durations.median_ns - single.median_ns) / (transfers - 1))
    gaps = np.maximum(periods_ns - round(transfers * spacing_ns), 0)
    return MessageTimes(transfers, durations, Durations(gaps), spacing_ns, refused)


def time_triggers(acquisition: SteppedAcquisition, patterns: int, passes: int) -> TriggerTimes:
    """``passes`` passes of the loaded sequence of ``patterns`` patterns, without sampling.

    Raises:
        TriggerTimeoutError: A pattern was not shown in time.
        BusError: The modulator failed.
    """
    clock, trigger, plan = acquisition.clock, acquisition.trigger, acquisition.plan
    stamps_ns = np.zeros((passes * patterns, 3), np.int64)
    rows = iter(stamps_ns)
    for _ in range(passes):
        with running_pass(acquisition.modulator):
            for row in (next(rows) for _ in range(patterns)):
                row[0] = clock.now_ns()
                row[1] = edge_ns = trigger.advance(plan.trigger_timeout_ns)
                row[2] = clock.now_ns()
                clock.wait_until_ns(edge_ns + plan.exposure_ns + REARM_NS)
    steps_ns = np.diff(stamps_ns, axis=1)
    return TriggerTimes(Durations(steps_ns[:, 0]), Durations(steps_ns[:, 1]))


def time_calls(action: Callable[[], object], clock: Clock, repeats: int) -> Durations:
    """``repeats`` calls of ``action``, one right after the other."""
    return _timed(action, clock, repeats)[0]


def _timed(action: Callable[[], object], clock: Clock, repeats: int) -> tuple[Durations, NDArray[np.int64]]:
    """How long each call took, and the time from each start to the next (``repeats`` of both).

    The first call is not counted: what it loads or allocates does not come again.
    """
    action()
    starts_ns, ends_ns = np.zeros(repeats + 1, np.int64), np.zeros(repeats + 1, np.int64)
    for index in range(repeats + 1):
        starts_ns[index] = clock.now_ns()
        action()
        ends_ns[index] = clock.now_ns()
    return Durations((ends_ns - starts_ns)[:repeats]), np.diff(starts_ns)


def _longest(spi: SpiDevice, word: bytes) -> tuple[SpiMessage, int, str]:
    refused = ""
    for transfers in _lengths():
        try:
            return spi.message([word] * transfers), transfers, refused
        except BusError as error:
            if error.kind is not BusErrorKind.REFUSED:
                raise
            refused = refused or str(error)
    raise BusError(refused, kind=BusErrorKind.REFUSED)


def _lengths() -> Sequence[int]:
    """511, 255, 127 ... 3: half of what was refused, down to the shortest that has a spacing."""
    return [MAX_MESSAGE_TRANSFERS >> shift for shift in range(8)]
