"""What ``GpiodTriggerLine`` says where no chip can be used; with lines it is tested in ``tests/guest``."""

from pathlib import Path

import pytest

from firmware.clock import MonotonicClock
from lsi.errors import BusError, BusErrorKind

pytest.importorskip("gpiod", reason="gpiod is not installed (pip install 'lsi-edge[pi]')")

from firmware.buses.gpiod_trigger import GpiodTriggerLine
from firmware.buses.trigger_wires import ADVANCE_PULSE_NS, TriggerWires

WIRES = TriggerWires(17, 27)


def test_without_a_chip_the_labels_that_are_wanted_are_named(tmp_path: Path) -> None:
    with pytest.raises(BusError, match="pinctrl-rp1 or pinctrl-bcm2711") as caught:
        GpiodTriggerLine(WIRES, MonotonicClock(), tmp_path)
    assert caught.value.kind is BusErrorKind.NO_DEVICE
    assert "found none" in caught.value.found


def test_what_is_no_chip_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "gpiochip0").write_text("no chip")
    (tmp_path / "gpiochip1").symlink_to(tmp_path / "nowhere")
    with pytest.raises(BusError, match="found none"):
        GpiodTriggerLine(WIRES, MonotonicClock(), tmp_path)


def test_a_pulse_ends_before_the_exposure_that_it_starts() -> None:
    least_trigger_delay_ns = 105_000  # DLPC900, 0x1A35
    assert 0 < ADVANCE_PULSE_NS < least_trigger_delay_ns
