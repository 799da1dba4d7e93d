"""What ``lsi-edge bench`` found, as a table that a person can paste or one JSON object.

Holds times and nothing else: no count of the converter, no light.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

from firmware.acquisition.bus_timing import BIN_EDGES_US, Durations
from lsi.units import NS_PER_US

_COLUMNS: Final = ("median", "p95", "p99", "min", "max")
_NAME_WIDTH: Final = 40
_BAR_WIDTH: Final = 40
SIMULATED_NOTE: Final = "Times are those of the simulated board and say nothing about this machine."


@dataclass(frozen=True, slots=True)
class Setup:
    """Where and on what the bench ran. ``clock`` is "simulated" or "monotonic"."""

    machine: str
    kernel: str
    python: str
    board: str
    parts: str
    mode: str
    clock: str


@dataclass(frozen=True, slots=True)
class DurationRow:
    """One duration, measured ``count`` times; in microseconds."""

    name: str
    count: int
    median: float
    p95: float
    p99: float
    min: float
    max: float

    @classmethod
    def of(cls, name: str, durations: Durations) -> "DurationRow":
        """``durations`` under a name."""
        shares = (50, 95, 99, 0, 100)
        values = (round(durations.percentile_ns(share) / NS_PER_US, 2) for share in shares)
        return cls(name, durations.each_ns.size, *values)


@dataclass(frozen=True, slots=True)
class RateRow:
    """One rate, per second."""

    name: str
    per_s: float


@dataclass(frozen=True, slots=True)
class Bar:
    """How many trigger latencies lie from ``from_us`` up to ``to_us``; ``None`` is without end."""

    from_us: int
    to_us: int | None
    count: int


def bars_of(durations: Durations) -> tuple[Bar, ...]:
    """The histogram of ``durations``."""
    ends = (*BIN_EDGES_US[1:], None)
    rows = zip(BIN_EDGES_US, ends, durations.histogram(), strict=True)
    return tuple(Bar(*row) for row in rows)


@dataclass(frozen=True, slots=True)
class Section:
    """What was found about one part of a board; ``notes`` say what is missing and why."""

    durations: tuple[DurationRow, ...] = ()
    rates: tuple[RateRow, ...] = ()
    trigger_latency: tuple[Bar, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BenchReport:
    """All of one run."""

    setup: Setup
    sections: tuple[Section, ...]

    def to_document(self) -> dict[str, object]:
        """For ``--json``."""
        return {
            **asdict(self.setup),
            "durations_us": [asdict(row) for section in self.sections for row in section.durations],
            "rates": [asdict(row) for section in self.sections for row in section.rates],
            "trigger_latency": [asdict(bar) for section in self.sections for bar in section.trigger_latency],
            "notes": [note for section in self.sections for note in section.notes],
        }

    def to_table(self) -> str:
        """For people."""
        lines = [f"{name:10}{value}" for name, value in asdict(self.setup).items()]
        lines += ["", _row("us", ("count", *_COLUMNS))]
        lines += [_duration_line(row) for section in self.sections for row in section.durations]
        lines += ["", _row("a second", ())]
        lines += [
            _row(rate.name, (f"{rate.per_s:.1f}",)) for section in self.sections for rate in section.rates
        ]
        for section in self.sections:
            if section.trigger_latency:
                lines += ["", "trigger pulse to return, histogram", *_bar_lines(section.trigger_latency)]
        notes = [note for section in self.sections for note in section.notes]
        return "\n".join(line.rstrip() for line in [*lines, *([""] if notes else []), *notes])


def _row(name: str, values: Sequence[str]) -> str:
    return f"{name:{_NAME_WIDTH}}" + "".join(f"{value:>10}" for value in values)


def _duration_line(row: DurationRow) -> str:
    values = (f"{getattr(row, column):.1f}" for column in _COLUMNS)
    return _row(row.name, (str(row.count), *values))


def _bar_lines(bars: Sequence[Bar]) -> list[str]:
    most = max(bar.count for bar in bars) or 1
    return [_bar_line(bar, most) for bar in bars]


def _bar_line(bar: Bar, most: int) -> str:
    end = "and more" if bar.to_us is None else f"to {bar.to_us:6} us"
    stars = "#" * -(-bar.count * _BAR_WIDTH // most)
    return f"{bar.from_us:6} {end:12} {bar.count:8}  {stars}"
