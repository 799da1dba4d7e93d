"""How a real board is put together and taken apart; its buses are replaced by simulated far ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from firmware.acquisition.correction import correct
from firmware.boards.board import Board, find_board
from firmware.buses import rig as real
from firmware.factory import open_rig
from firmware.interfaces import SpiDevice
from firmware.sim.clock import SimClock
from firmware.sim.dlpc900_chip import SimDlpc900
from firmware.sim.light import StillLight, smooth_field
from firmware.sim.mcp3208_chip import Mcp3208Chip
from firmware.sim.optics import Optics
from firmware.sim.spi import SimSpi
from firmware.sim.trigger import SimTriggerLine
from lsi.errors import BoardConfigError, BusError, BusErrorKind
from lsi.patterns import PatternSet

BOARD = find_board("pi-dlpc900-mcp3208")
PATTERNS = PatternSet(np.random.default_rng(3).random((4, 64, 64)) < 0.5)


@dataclass
class Wires:
    """Simulated far ends in place of the buses, and what was done to them in order."""

    clock: SimClock = field(default_factory=SimClock)
    done: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.controller = SimDlpc900(self.clock)
        optics = Optics(
            controller=self.controller,
            light=StillLight(smooth_field()),
            sensor=BOARD.sensor,
            channels=BOARD.arm_channels,
            mirror_scale_px=BOARD.modulator.mirror_scale_px,
            seed=1,
        )
        self.chip = Mcp3208Chip(optics.volts_at, BOARD.sensor)

    @contextmanager
    def told(self, what: str) -> Iterator[None]:
        self.done.append(f"open {what}")
        try:
            yield
        finally:
            self.done.append(f"close {what}")

    @contextmanager
    def hid(self, serial_number: str | None) -> Iterator[SimDlpc900]:
        with self.told(f"hid {serial_number}"):
            yield self.controller

    @contextmanager
    def spi(self, path: str, *, speed_hz: int, mode: int) -> Iterator[SpiDevice]:
        with self.told(f"spi {path} {speed_hz} {mode}"):
            yield SimSpi(self.chip, self.clock, speed_hz, 1_000)

    @contextmanager
    def trigger(self, wires: object, clock: object) -> Iterator[SimTriggerLine]:
        del wires, clock
        with self.told("trigger"):
            yield SimTriggerLine(self.controller, self.clock)


@pytest.fixture
def wires(monkeypatch: pytest.MonkeyPatch) -> Wires:
    made = Wires()
    monkeypatch.setattr(real, "HidrawDevice", made.hid)
    monkeypatch.setattr(real, "SpidevDevice", made.spi)
    monkeypatch.setattr(real, "LgpioTriggerLine", made.trigger)
    monkeypatch.setattr("firmware.buses.gpiod_trigger.GpiodTriggerLine", made.trigger)
    monkeypatch.setattr(real, "MonotonicClock", lambda: made.clock)
    return made


def test_a_stepped_board_scans_and_closes_its_buses(wires: Wires, tmp_path: Path) -> None:
    with open_rig(BOARD, cache=tmp_path / "cache") as rig:
        rig.load(PATTERNS)
        values = correct(*rig.scan(PATTERNS)).values
        assert rig.spi is not None
    assert np.abs(values).max() < 1
    assert wires.done == [
        "open hid None",
        "open spi /dev/spidev0.0 1000000 0",
        "open trigger",
        "close trigger",
        "close spi /dev/spidev0.0 1000000 0",
        "close hid None",
    ]
    assert len(list((tmp_path / "cache").iterdir())) == 1


@pytest.mark.parametrize("kind", ["gpiod", "rpi-lgpio"])
def test_the_trigger_goes_through_the_library_that_the_board_names(wires: Wires, kind: str) -> None:
    assert BOARD.trigger is not None
    board = replace(BOARD, trigger=replace(BOARD.trigger, kind=kind))  # type: ignore[arg-type] # a literal
    with open_rig(board):
        assert "open trigger" in wires.done


def test_what_was_opened_is_closed_when_the_rest_fails(wires: Wires, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: object) -> None:
        raise BusError("No GPIO chip.", kind=BusErrorKind.NO_DEVICE)

    monkeypatch.setattr("firmware.buses.gpiod_trigger.GpiodTriggerLine", absent)
    with pytest.raises(BusError, match="No GPIO chip"):
        open_rig(BOARD)
    assert wires.done[-2:] == ["close spi /dev/spidev0.0 1000000 0", "close hid None"]


def test_a_fast_converter_gets_a_slow_bus_for_its_registers(wires: Wires) -> None:
    with open_rig(find_board("pi-dlpc900-ad7383-4")):
        opened = [line for line in wires.done if line.startswith("open spi")]
    assert opened == ["open spi /dev/spidev0.0 20000000 2", "open spi /dev/spidev0.0 10000000 2"]


@pytest.mark.usefixtures("wires")
def test_a_co_processor_that_is_not_there_is_said_to_be_absent(tmp_path: Path) -> None:
    board = find_board("pi-coproc")
    assert board.coprocessor is not None
    absent = replace(board, coprocessor=replace(board.coprocessor, device=str(tmp_path / "ttyACM*")))
    with pytest.raises(BusError, match="No serial line") as error:
        open_rig(absent)
    assert error.value.kind is BusErrorKind.NO_DEVICE


@pytest.mark.usefixtures("wires")
@pytest.mark.parametrize("part", ["trigger", "converter"])
def test_a_board_without_a_part_that_its_mode_needs_is_refused(part: str) -> None:
    board: Board = replace(BOARD, **{part: None})  # type: ignore[arg-type] # by name
    with pytest.raises(BoardConfigError, match="has no"):
        open_rig(board)
