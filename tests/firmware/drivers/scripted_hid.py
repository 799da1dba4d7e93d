"""``HidDevice`` that follows a script: what must come in, and what is answered."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from firmware.drivers.dlpc900_frames import REPORT_BYTES


@dataclass(frozen=True, slots=True)
class Step:
    """One message of the host and the reports that answer it.

    ``sent`` is the message without padding; every reply is padded to a whole report.
    """

    sent: bytes
    replies: Sequence[bytes] = field(default_factory=tuple)


class ScriptedHid:
    """Fails on any message that is not the next of the script; ``finish`` on one left over."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = deque(steps)
        self._reports: list[bytes] = []
        self._replies: deque[bytes] = deque()
        self.waited_ms: list[int] = []

    def write(self, report: bytes) -> None:
        assert len(report) == REPORT_BYTES
        assert self._steps, f"unexpected message {report.hex(' ')}"
        self._reports.append(report)
        sent = self._steps[0].sent
        if len(self._reports) * REPORT_BYTES < len(sent):
            return
        message = b"".join(self._reports)
        assert message == sent.ljust(len(message), b"\0"), message.hex(" ")
        self._replies += [reply.ljust(REPORT_BYTES, b"\0") for reply in self._steps.popleft().replies]
        self._reports = []

    def read(self, timeout_ms: int) -> bytes:
        if self._replies:
            return self._replies.popleft()
        self.waited_ms.append(timeout_ms)
        return b""

    def finish(self) -> None:
        assert not self._steps
        assert not self._replies
