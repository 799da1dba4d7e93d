import argparse
import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from edge_app.cli_commands.bench_command import add_bench, bench
from edge_app.cli_commands.bench_report import SIMULATED_NOTE, BenchReport
from firmware.acquisition.scan import ScanParts
from firmware.boards.board import SIMULATED_BOARD, Board, ScanMode, find_board
from firmware.factory import Rig, open_rig
from firmware.interfaces import SpiDevice
from firmware.sim.clock import SimClock
from firmware.sim.light import StillLight, smooth_field
from firmware.sim.mcp3208_chip import Mcp3208Chip
from firmware.sim.spi import SELECT_GAP_NS, SimSpi, SimSpiMessage
from lsi.errors import BusError, BusErrorKind
from tests.firmware.scripted import ScriptedAcquisition, ScriptedClock, ScriptedModulator

BOARD = find_board(SIMULATED_BOARD)
IN_PASS = 18
"""Two dark patterns and 16 masks."""


@dataclass
class WiredRig(Rig):
    """A rig of which the bus of the converter is known."""

    spi: SpiDevice | None = None


def wired(board: Board, light: float = 1.0) -> WiredRig:
    rig = open_rig(board, StillLight(smooth_field() * np.float32(light)))
    clock = rig.parts.clock
    assert isinstance(clock, SimClock)
    chip = Mcp3208Chip(lambda _channel, _now_ns: light, board.sensor)
    return WiredRig(rig.board, rig.parts, rig.next_scene, spi=SimSpi(chip, clock, 1_000_000, 25_000))


@pytest.fixture
def _wired_board(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "edge_app.cli_commands.bench_command.open_board",
        lambda board, _state: contextlib.nullcontext(wired(board)),
    )


def timed(report: BenchReport) -> list[str]:
    return [row.name for section in report.sections for row in section.durations]


def notes(report: BenchReport) -> list[str]:
    return [note for section in report.sections for note in section.notes]


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    add_bench(parser.add_subparsers())
    parsed = parser.parse_args(["bench", *arguments])
    code: int = parsed.command(parsed)
    return code


@pytest.mark.usefixtures("_wired_board")
def test_the_document_has_every_figure_and_says_that_its_clock_is_simulated(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("--simulate", "--repeats", "20", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    durations = {row["name"]: row for row in document["durations_us"]}
    rates = {row["name"]: row["per_s"] for row in document["rates"]}
    assert (document["board"], document["mode"], document["clock"]) == ("sim-mcp3208", "stepped", "simulated")
    assert SIMULATED_NOTE in document["notes"]
    assert durations["transfer of 3 bytes"]["median"] == 25 + 24
    spacing_us = 24 + SELECT_GAP_NS / 1000
    assert durations["message of 511 x 3 bytes"]["max"] == 25 + 511 * spacing_us
    assert durations["gap between two messages"]["median"] == 25
    assert durations["transfer of 3 bytes"]["count"] == 20
    assert rates["transfers inside a message"] == pytest.approx(1e6 / spacing_us)
    assert durations["trigger pulse to return"]["count"] == 2 * IN_PASS
    assert sum(bar["count"] for bar in document["trigger_latency"]) == 2 * IN_PASS


@pytest.mark.usefixtures("_wired_board")
def test_masks_a_second_are_those_of_whole_scans_and_below_what_the_exposure_allows(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run("--simulate", "--repeats", "1", "--json")
    document = json.loads(capsys.readouterr().out)
    scan_us = next(row for row in document["durations_us"] if row["name"] == "scan of 16 masks, stepped")
    rates = {row["name"]: row["per_s"] for row in document["rates"]}
    assert rates["masks, stepped"] == pytest.approx(16e6 / scan_us["median"], rel=1e-6)
    assert rates["masks, stepped"] < rates["patterns, at most with this exposure"]
    assert rates["patterns, at most with this exposure"] == pytest.approx(1e6 / (1_500 + 120))


@pytest.mark.usefixtures("_wired_board")
def test_the_table_names_machine_and_board_and_warns_of_simulated_times(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("--simulate", "--repeats", "2") == 0
    table = capsys.readouterr().out
    assert table.startswith("machine   ")
    assert "\nboard     sim-mcp3208\n" in table
    assert "\nclock     simulated\n" in table
    assert "\ntransfer of 3 bytes " in table
    assert "\ntrigger pulse to return, histogram\n" in table
    assert table.endswith(SIMULATED_NOTE + "\n")


def test_nothing_in_the_report_depends_on_the_light() -> None:
    dark, bright = (bench(wired(BOARD, light), repeats=2).to_document() for light in (0.0, 1.0))
    assert dark == bright


def test_without_a_bus_and_without_trigger_wires_it_says_what_is_not_timed() -> None:
    clock = ScriptedClock(tick_ns=1_000)
    board = replace(BOARD, converter=None, mode=ScanMode.COPROC)
    counts = np.zeros((IN_PASS, 2, 4))
    parts = ScanParts(ScriptedModulator(), ScriptedAcquisition(clock, counts, 9_000_000), clock)
    report = bench(Rig(board, parts), repeats=1)
    assert timed(report) == ["scan of 16 masks, coproc"]
    bus, trigger, *_ = notes(report)
    assert bus.startswith("No converter on a bus of this host")
    assert trigger == "The host advances no mask in mode coproc: no trigger latency."
    rates = {rate.name: rate.per_s for section in report.sections for rate in section.rates}
    assert rates["patterns, at most with this exposure"] == pytest.approx(1e6 / 1_500)


def test_what_the_bus_refused_is_a_note() -> None:
    class Narrow(SimSpi):
        def message(self, words: Sequence[bytes]) -> SimSpiMessage:
            if len(words) > 32:
                raise BusError("Too long.", kind=BusErrorKind.REFUSED, hint="spidev.bufsiz=65536.")
            return super().message(words)

    rig = wired(BOARD)
    assert isinstance(rig.parts.clock, SimClock)
    chip = Mcp3208Chip(lambda _channel, _now_ns: 1.0, BOARD.sensor)
    rig.spi = Narrow(chip, rig.parts.clock, 1_000_000, 25_000)
    report = bench(rig, repeats=1)
    assert "Too long. Try: spidev.bufsiz=65536." in notes(report)
    assert "message of 31 x 3 bytes" in timed(report)


def test_the_machine_is_what_the_device_tree_says_or_else_its_processor(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.write_bytes(b"Raspberry Pi 5 Model B Rev 1.0\0")
    named = bench(wired(BOARD), repeats=1, model_file=model).setup.machine
    assert named.startswith("Raspberry Pi 5 Model B Rev 1.0, ")
    unnamed = bench(wired(BOARD), repeats=1, model_file=tmp_path / "gone").setup.machine
    assert unnamed.endswith(" cores")


@pytest.mark.parametrize("repeats", ["0", "-1", "many"])
def test_less_than_one_repeat_is_no_command_line(repeats: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        run("--simulate", "--repeats", repeats)
    assert stopped.value.code == 2


def test_the_help_ends_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("--help")
    assert "Example: lsi-edge bench" in capsys.readouterr().out.rpartition("\n\n")[2]
