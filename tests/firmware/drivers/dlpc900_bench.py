"""The shipping driver on a simulated controller, with a record of what it sends."""

import numpy as np

from firmware.drivers.dlpc900 import Dlpc900
from firmware.drivers.dlpc900_codes import Command
from firmware.drivers.dlpc900_frames import Request
from firmware.drivers.dlpc900_upload import Progress
from firmware.sim.clock import SimClock
from firmware.sim.dlpc900_chip import SimDlpc900
from lsi.errors import BusError
from lsi.patterns import PatternSet
from lsi.placement import CENTRED, Placement

EXPOSURE_NS = 1_500_000
SCALE = 16


class Bench:
    """Driver, controller, time, and a record of every message between them."""

    def __init__(self, dmd: str = "DLP6500", *, placement: Placement = CENTRED) -> None:
        self.clock = SimClock(start_ns=5)
        self.chip = SimDlpc900(self.clock, dmd=dmd)
        self.sent: list[Request] = []
        self._reports: list[bytes] = []
        self.progress: list[Progress] = []
        self.driver = Dlpc900(
            self,
            dmd,
            mirror_scale_px=SCALE,
            placement=placement,
            reply_timeout_ms=50,
            progress=self.progress.append,
            clock=self.clock,
        )

    def write(self, report: bytes) -> None:
        try:
            self.chip.write(report)
        except BusError:
            self._reports = []
            raise
        self._reports.append(report)
        length = 4 + int.from_bytes(self._reports[0][2:4], "little")
        if 64 * len(self._reports) >= length:
            self.sent.append(Request.from_reports(self._reports))
            self._reports = []

    def read(self, timeout_ms: int) -> bytes:
        return self.chip.read(timeout_ms)

    def show_all(self, count: int) -> None:
        for _ in range(count):
            edge_ns = self.chip.trigger_in(self.clock.now_ns())
            assert edge_ns is not None
            self.clock.wait_until_ns(edge_ns + EXPOSURE_NS)

    def names(self) -> list[str]:
        """Commands in order, repeats of one written once."""
        names = [Command(request.command).name for request in self.sent]
        return [name for k, name in enumerate(names) if k == 0 or names[k - 1] != name]


def masks(count: int, side: int = 6, seed: int = 0) -> PatternSet:
    return PatternSet(np.random.default_rng(seed).random((count, side, side)) > 0.5)
