"""``LgpioTriggerLine`` with the real rpi-lgpio over the kernel's gpio-sim; runs in the guest only."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import gpiod
import pytest

from firmware.buses.gpio_module import GpioModule, import_gpio, installed_gpio_module
from firmware.buses.lgpio_trigger import LgpioTriggerLine
from firmware.buses.trigger_wires import TriggerWires
from firmware.clock import MonotonicClock
from lsi.errors import BusError, BusErrorKind, TriggerTimeoutError
from lsi.units import NS_PER_MS, NS_PER_S
from tests.guest.gpio_sim import FarEnd, GpioSim

ADVANCE, EXPOSURE = 17, 27
# So wide that a far end which polls sees it, under emulation on a busy machine.
WIRES = TriggerWires(ADVANCE, EXPOSURE, pulse_ns=150 * NS_PER_MS)
NOBODY = 65_534
PI_5_REVISION = "c04170"


def opened(max_lag_ns: int = NS_PER_S) -> LgpioTriggerLine:
    return LgpioTriggerLine(WIRES, MonotonicClock(), max_lag_ns=max_lag_ns)


@pytest.fixture(scope="module", autouse=True)
def sim() -> Iterator[GpioSim]:
    """One chip for all: the module opens it once and keeps it."""
    os.environ["RPI_LGPIO_REVISION"] = PI_5_REVISION
    # As under systemd: the working directory cannot be written, and LG_WD names nothing useful.
    os.environ["LG_WD"] = "/nowhere"
    with GpioSim("other"), GpioSim("pinctrl-rp1") as chip:
        yield chip


@pytest.fixture
def line() -> Iterator[LgpioTriggerLine]:
    with opened() as trigger:
        yield trigger


def kind_of(caught: pytest.ExceptionInfo[BusError]) -> BusErrorKind:
    return caught.value.kind


def test_a_chip_that_may_not_be_opened_names_the_group() -> None:
    opened().close()  # the module's files belong to root here
    for chip in Path("/dev").glob("gpiochip*"):
        chip.chmod(0o600)
    os.seteuid(NOBODY)
    try:
        with pytest.raises(BusError, match="usermod") as caught:
            import_gpio(GpioModule.RPI_LGPIO, WIRES)
    finally:
        os.seteuid(0)
    assert kind_of(caught) is BusErrorKind.PERMISSION


def test_without_the_label_the_labels_that_exist_are_named() -> None:
    wires = TriggerWires(ADVANCE, EXPOSURE, chips=("absent",))
    with pytest.raises(BusError, match=r"labelled absent; found other, pinctrl-rp1") as caught:
        LgpioTriggerLine(wires, MonotonicClock())
    assert kind_of(caught) is BusErrorKind.NO_DEVICE


@pytest.mark.usefixtures("line")
def test_rpi_lgpio_is_what_is_imported_where_nothing_can_be_written() -> None:
    assert installed_gpio_module() is GpioModule.RPI_LGPIO
    assert not os.access(".", os.W_OK)
    assert os.environ["LG_WD"] == "/nowhere"


def test_every_pulse_is_answered_not_before_its_edge(sim: GpioSim, line: LgpioTriggerLine) -> None:
    with FarEnd(sim, ADVANCE, EXPOSURE) as far:
        told_ns = []
        for pulses in range(1, 21):
            told_ns.append(line.advance(NS_PER_S))
            far.wait_for_fall(pulses)
    assert line.edges_seen() == 20
    assert all(before <= edge for edge, (before, _) in zip(told_ns, far.edges, strict=True))
    assert told_ns == sorted(told_ns)


def test_without_an_edge_there_is_a_timeout_and_the_line_rests_low(
    sim: GpioSim, line: LgpioTriggerLine
) -> None:
    started_ns = time.monotonic_ns()
    with pytest.raises(TriggerTimeoutError, match="No exposure within 300000 us"):
        line.advance(300 * NS_PER_MS)
    assert time.monotonic_ns() - started_ns >= 300 * NS_PER_MS
    assert line.edges_seen() == 0
    assert sim.attribute(ADVANCE, "value").read_text().strip() == "0"


def test_an_edge_before_the_pulse_is_counted_but_not_taken_for_the_answer(
    sim: GpioSim, line: LgpioTriggerLine
) -> None:
    sim.edge(EXPOSURE)
    time.sleep(0.05)
    with pytest.raises(TriggerTimeoutError):
        line.advance(200 * NS_PER_MS)
    assert line.edges_seen() == 1


def test_an_answer_whose_time_is_uncertain_counts_as_none(sim: GpioSim) -> None:
    def late(_seen_ns: int) -> None:
        time.sleep(0.3)
        sim.edge(EXPOSURE)

    with opened(max_lag_ns=200 * NS_PER_MS) as line, FarEnd(sim, ADVANCE, EXPOSURE, late):
        with pytest.raises(TriggerTimeoutError, match="No exposure within 200105 us"):
            line.advance(NS_PER_S)
        time.sleep(0.5)
        assert line.edges_seen() == 1


def test_bounce_shows_in_the_count_of_edges(sim: GpioSim, line: LgpioTriggerLine) -> None:
    def bounce(_seen_ns: int) -> None:
        for _ in range(3):
            sim.edge(EXPOSURE)

    with FarEnd(sim, ADVANCE, EXPOSURE, bounce):
        line.advance(NS_PER_S)
        time.sleep(0.2)
    assert line.edges_seen() == 3


@pytest.mark.parametrize("taken", [ADVANCE, EXPOSURE])
def test_a_line_in_use_is_refused_and_the_other_one_given_back(sim: GpioSim, taken: int) -> None:
    with gpiod.request_lines(str(sim.node), consumer="fan", config={taken: None}):
        with pytest.raises(BusError, match=f"GPIO {taken} is in use") as caught:
            opened()
        assert kind_of(caught) is BusErrorKind.REFUSED
        other = ADVANCE + EXPOSURE - taken
        gpiod.request_lines(str(sim.node), config={other: None}).release()
    opened().close()


def test_an_open_wire_is_pulled_down(sim: GpioSim) -> None:
    sim.attribute(EXPOSURE, "pull").write_text("pull-up")
    with opened():
        assert sim.attribute(EXPOSURE, "pull").read_text().strip() == "pull-down"


def test_closing_gives_the_lines_back_and_is_safe_twice(sim: GpioSim, line: LgpioTriggerLine) -> None:
    line.close()
    line.close()
    gpiod.request_lines(str(sim.node), config={(ADVANCE, EXPOSURE): None}).release()
    with pytest.raises(BusError, match="do not work"):
        line.advance(NS_PER_MS)
