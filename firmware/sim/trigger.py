"""The two trigger wires between host and simulated controller."""

from firmware.sim.clock import SimClock
from firmware.sim.dlpc900_chip import SimDlpc900
from lsi.errors import TriggerTimeoutError


class SimTriggerLine:
    """``TriggerLine`` to a simulated DLPC900.

    ``stray_edges`` is how many edges the next pulse picks up besides its own: a fault
    for tests.
    """

    def __init__(self, controller: SimDlpc900, clock: SimClock) -> None:
        self._controller = controller
        self._clock = clock
        self._edges = 0
        self.stray_edges = 0

    def advance(self, timeout_ns: int) -> int:
        """Pulse TRIG_IN_1 and wait for TRIG_OUT_2; see ``TriggerLine``."""
        pulse_ns = self._clock.now_ns()
        edge_ns = self._controller.trigger_in(pulse_ns)
        if edge_ns is None or edge_ns - pulse_ns > timeout_ns:
            self._clock.wait_until_ns(pulse_ns + timeout_ns)
            found = f"No exposure within {timeout_ns // 1000} us of a trigger pulse."
            raise TriggerTimeoutError(found, hint="check the wires to TRIG_IN_1 and TRIG_OUT_2.")
        self._edges += 1 + self.stray_edges
        self.stray_edges = 0
        self._clock.wait_until_ns(edge_ns)
        return edge_ns

    def edges_seen(self) -> int:
        """Exposure edges so far."""
        return self._edges
