"""The bill at the end of a demo: what left the device beside what stayed."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

STAYED: Final = "never left"


@dataclass(slots=True)
class Account:
    """Counts messages and payload bytes per topic as a subscriber saw them."""

    messages: Counter[str] = field(default_factory=Counter)
    payload_bytes: Counter[str] = field(default_factory=Counter)

    def add(self, topic: str, size_bytes: int) -> None:
        """Count one message."""
        self.messages[topic] += 1
        self.payload_bytes[topic] += size_bytes

    def lines(self, scans: int, d: int, field_px: int) -> list[str]:
        """The account as text, after ``scans`` scans of ``d`` masks."""
        left = [
            f"  {topic:32} {self.messages[topic]:6} messages {self.payload_bytes[topic]:8} bytes"
            for topic in sorted(self.messages)
        ]
        total = f"  {'together':32} {self.messages.total():6} messages {self.payload_bytes.total():8} bytes"
        stayed = [
            f"  {'measurements':32} {scans} x {d} numbers: {STAYED}",
            f"  {'latent':32} this bundle computes none",
            f"  {'picture':32} {scans} scenes of {field_px} x {field_px}: none was ever made",
        ]
        return ["What left the device (payloads on the broker):", *left, total, "What stayed:", *stayed]
