"""``GpiodTriggerLine`` with the real gpiod over the kernel's gpio-sim; runs in the guest only."""

import os
import time
from collections.abc import Iterator

import gpiod
import pytest

from firmware.buses.gpiod_trigger import EVENT_BUFFER, GpiodTriggerLine
from firmware.buses.trigger_wires import TriggerWires
from firmware.clock import MonotonicClock
from lsi.errors import BusError, BusErrorKind, TriggerTimeoutError
from lsi.units import NS_PER_MS, NS_PER_S
from tests.guest.gpio_sim import FarEnd, GpioSim

ADVANCE, EXPOSURE = 17, 27
# So wide that a far end which polls sees it, under emulation on a busy machine.
WIRES = TriggerWires(ADVANCE, EXPOSURE, pulse_ns=150 * NS_PER_MS)
NOBODY = 65_534


@pytest.fixture
def sim() -> Iterator[GpioSim]:
    with GpioSim("pinctrl-rp1") as chip:
        yield chip


@pytest.fixture
def line(sim: GpioSim) -> Iterator[GpiodTriggerLine]:
    assert sim.node.exists()
    with GpiodTriggerLine(WIRES, MonotonicClock()) as trigger:
        yield trigger


def kind_of(caught: pytest.ExceptionInfo[BusError]) -> BusErrorKind:
    return caught.value.kind


def test_every_pulse_is_answered_with_the_kernels_time_of_the_edge(
    sim: GpioSim, line: GpiodTriggerLine
) -> None:
    with FarEnd(sim, ADVANCE, EXPOSURE) as far:
        told_ns = []
        for pulses in range(1, 21):
            told_ns.append(line.advance(NS_PER_S))
            far.wait_for_fall(pulses)
    assert line.edges_seen() == 20
    assert all(before <= edge <= after for edge, (before, after) in zip(told_ns, far.edges, strict=True))


def test_the_time_is_that_of_the_edge_however_late_the_host_looks(sim: GpioSim) -> None:
    # The edge comes within the pulse; the host only looks when the pulse has ended.
    wires = TriggerWires(ADVANCE, EXPOSURE, pulse_ns=500 * NS_PER_MS)
    with GpiodTriggerLine(wires, MonotonicClock()) as line, FarEnd(sim, ADVANCE, EXPOSURE) as far:
        edge_ns = line.advance(NS_PER_S)
        looked_ns = time.monotonic_ns()
    before_ns, after_ns = far.edges[0]
    assert before_ns <= edge_ns <= after_ns
    assert looked_ns - edge_ns > 100 * NS_PER_MS


def test_a_pulse_is_as_wide_as_asked_and_the_line_rests_low(sim: GpioSim, line: GpiodTriggerLine) -> None:
    with FarEnd(sim, ADVANCE, EXPOSURE) as far:
        for pulses in range(1, 6):
            line.advance(NS_PER_S)
            far.wait_for_fall(pulses)
    # A far end that polls sees a rise late, or a fall late.
    assert all(50 * NS_PER_MS < width < NS_PER_S for width in far.pulses_ns)
    assert sim.attribute(ADVANCE, "value").read_text().strip() == "0"


def test_without_an_edge_there_is_a_timeout_and_the_line_rests_low(
    sim: GpioSim, line: GpiodTriggerLine
) -> None:
    started_ns = time.monotonic_ns()
    with pytest.raises(TriggerTimeoutError, match="No exposure within 300000 us"):
        line.advance(300 * NS_PER_MS)
    assert time.monotonic_ns() - started_ns >= 300 * NS_PER_MS
    assert line.edges_seen() == 0
    assert sim.attribute(ADVANCE, "value").read_text().strip() == "0"


def test_an_edge_before_the_pulse_is_counted_but_not_taken_for_the_answer(
    sim: GpioSim, line: GpiodTriggerLine
) -> None:
    sim.edge(EXPOSURE)
    with pytest.raises(TriggerTimeoutError):
        line.advance(200 * NS_PER_MS)
    assert line.edges_seen() == 1


def test_an_edge_after_the_timeout_is_no_answer(sim: GpioSim, line: GpiodTriggerLine) -> None:
    def late(_seen_ns: int) -> None:
        time.sleep(0.005)
        sim.edge(EXPOSURE)

    # It is there when the host looks, for the pulse outlasts the timeout.
    with FarEnd(sim, ADVANCE, EXPOSURE, late), pytest.raises(TriggerTimeoutError):
        line.advance(NS_PER_MS)
    assert line.edges_seen() == 1


def test_bounce_shows_in_the_count_of_edges(sim: GpioSim, line: GpiodTriggerLine) -> None:
    def bounce(_seen_ns: int) -> None:
        for _ in range(3):
            sim.edge(EXPOSURE)

    with FarEnd(sim, ADVANCE, EXPOSURE, bounce):
        line.advance(NS_PER_S)
    assert line.edges_seen() == 3


def test_edges_that_the_kernel_had_to_drop_are_counted(sim: GpioSim, line: GpiodTriggerLine) -> None:
    flood = 3 * EVENT_BUFFER
    for _ in range(flood):
        sim.edge(EXPOSURE, rest_s=0.001)
    # A loaded kernel may make one event of two edges; it keeps no more than its buffer.
    seen = line.edges_seen()
    assert 2 * EVENT_BUFFER < seen <= flood
    with FarEnd(sim, ADVANCE, EXPOSURE):
        line.advance(NS_PER_S)
    assert line.edges_seen() == seen + 1


def test_an_open_wire_is_pulled_down(sim: GpioSim) -> None:
    sim.attribute(EXPOSURE, "pull").write_text("pull-up")
    with GpiodTriggerLine(WIRES, MonotonicClock()):
        assert sim.attribute(EXPOSURE, "pull").read_text().strip() == "pull-down"


def test_the_chip_is_found_by_label_among_others() -> None:
    with (
        GpioSim("other"),
        GpioSim("pinctrl-bcm2711") as wanted,
        GpioSim("zzz"),
        GpiodTriggerLine(WIRES, MonotonicClock()) as line,
        FarEnd(wanted, ADVANCE, EXPOSURE),
    ):
        line.advance(NS_PER_S)


def test_without_the_label_the_labels_that_exist_are_named() -> None:
    with GpioSim("other"), pytest.raises(BusError, match=r"pinctrl-rp1 or .*found other") as caught:
        GpiodTriggerLine(WIRES, MonotonicClock())
    assert kind_of(caught) is BusErrorKind.NO_DEVICE


@pytest.mark.parametrize("taken", [ADVANCE, EXPOSURE])
def test_a_line_in_use_is_refused_with_its_user_and_the_other_one_given_back(
    sim: GpioSim, taken: int
) -> None:
    with gpiod.request_lines(str(sim.node), consumer="fan", config={taken: None}):
        with pytest.raises(BusError, match=f"GPIO {taken} is in use by fan") as caught:
            GpiodTriggerLine(WIRES, MonotonicClock())
        assert kind_of(caught) is BusErrorKind.REFUSED
    GpiodTriggerLine(WIRES, MonotonicClock()).close()


@pytest.mark.usefixtures("sim")
@pytest.mark.parametrize("wires", [TriggerWires(54, EXPOSURE), TriggerWires(ADVANCE, 54)])
def test_a_line_that_does_not_exist_is_refused(wires: TriggerWires) -> None:
    with pytest.raises(BusError, match="no GPIO 54: the chip has 0 to 31") as caught:
        GpiodTriggerLine(wires, MonotonicClock())
    assert kind_of(caught) is BusErrorKind.REFUSED


def test_a_chip_that_may_not_be_opened_names_the_group(sim: GpioSim) -> None:
    sim.node.chmod(0o600)
    os.seteuid(NOBODY)
    try:
        with pytest.raises(BusError, match="usermod") as caught:
            GpiodTriggerLine(WIRES, MonotonicClock())
    finally:
        os.seteuid(0)
    assert kind_of(caught) is BusErrorKind.PERMISSION


def test_closing_gives_the_lines_back_and_is_safe_twice(line: GpiodTriggerLine) -> None:
    line.close()
    line.close()
    GpiodTriggerLine(WIRES, MonotonicClock()).close()
    with pytest.raises(BusError, match="do not work"):
        line.advance(NS_PER_MS)


def test_a_chip_that_goes_away_is_a_bus_error(sim: GpioSim, line: GpiodTriggerLine) -> None:
    sim.remove()
    with pytest.raises(BusError, match="do not work"):
        line.advance(NS_PER_MS)
