"""``Trial``: what a bundle has to show before it is committed. No clock, disk or network of its own.

Golden vectors were held when it was admitted, the self-test of the rig was made before it was entered; what
is left is counted here: real inferences, and one answer of the broker.
"""

from dataclasses import dataclass
from typing import Final

from lsi.rollback import RollbackReason
from lsi.units import NS_PER_S

INFERENCES: Final = 20
PATIENCE_NS: Final = 60 * NS_PER_S
SCANS_PER_INFERENCE: Final = 2
"""A try is given the time of so many scans for each inference that it has to show."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a try did not pass; ``detail`` is for the log of the device, never for the wire."""

    reason: RollbackReason
    detail: str


class Trial:
    """One try of one bundle.

    Args:
        began_ns: When it was entered.
        interval_ns: Between the starts of two scans.
        acknowledged: What the broker had acknowledged by then; ``None`` where nobody waits for it.
        patience_ns: How long it may take beyond the time that its scans need.
    """

    def __init__(
        self, began_ns: int, interval_ns: int, acknowledged: int | None, patience_ns: int = PATIENCE_NS
    ) -> None:
        self._until_ns = began_ns + patience_ns + INFERENCES * SCANS_PER_INFERENCE * interval_ns
        self._acknowledged = acknowledged
        self._inferences = 0
        self._missed = ""

    @property
    def percentage(self) -> int:
        """How far it is, 0 to 99."""
        return min(99, 100 * self._inferences // INFERENCES)

    def inferred(self) -> None:
        """A scan was encoded."""
        self._inferences += 1

    def missed(self, why: str) -> None:
        """A scan could not be used."""
        self._missed = why

    def has_passed(self, acknowledged: int) -> bool:
        """Whether everything was shown; ``acknowledged`` is what the broker has acknowledged by now."""
        return self._inferences >= INFERENCES and self._is_heard(acknowledged)

    def failure(self, now_ns: int, acknowledged: int) -> Failure | None:
        """Why it has failed by now, if it has."""
        if now_ns < self._until_ns or self.has_passed(acknowledged):
            return None
        if self._inferences < INFERENCES:
            detail = f"{self._inferences} of {INFERENCES} inferences. {self._missed}".strip()
            return Failure(RollbackReason.FEW_INFERENCES, detail)
        return Failure(
            RollbackReason.NO_ACKNOWLEDGEMENT, "Is the broker there? Sites without one: --offline-ok."
        )

    def _is_heard(self, acknowledged: int) -> bool:
        return self._acknowledged is None or acknowledged > self._acknowledged
