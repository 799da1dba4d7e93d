"""What may be told about one scan: everything but the measurement."""

from dataclasses import asdict, dataclass

from lsi.measurement import Measurement, RawScan
from lsi.units import ns_to_ms


@dataclass(frozen=True, slots=True)
class ScanReport:
    """Facts about one scan for a person at the bench. Holds no measured value.

    ``digest`` tells two measurements apart; it is ``None`` when the scan could not be
    corrected. ``clock`` is "simulated" when ``duration_ms`` is that of the simulated
    controller and converter, not of this machine.
    """

    board: str
    clock: str
    d: int
    samples_per_pattern: int
    pattern_digest: str
    digest: str | None
    saturated: int
    duration_ms: float

    @classmethod
    def of(
        cls, raw: RawScan, measurement: Measurement | None, board: str, *, simulated: bool
    ) -> "ScanReport":
        """The report on ``raw``, which became ``measurement``."""
        d, _, samples = raw.counts.shape
        return cls(
            board=board,
            clock="simulated" if simulated else "monotonic",
            d=d,
            samples_per_pattern=samples,
            pattern_digest=raw.pattern_digest,
            digest=None if measurement is None else measurement.digest,
            saturated=int(raw.saturated.sum()),
            duration_ms=round(ns_to_ms(raw.duration_ns), 3),
        )

    def to_document(self) -> dict[str, object]:
        """For ``--json``."""
        return asdict(self)
