"""``lsi-edge bench``: how fast this host drives this board."""

import argparse
import contextlib
import json
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from edge_app.cli_commands.bench_report import (
    SIMULATED_NOTE,
    BenchReport,
    DurationRow,
    RateRow,
    Section,
    Setup,
    bars_of,
)
from edge_app.cli_commands.command_parts import add_board, board_of, open_board
from edge_app.cli_commands.walsh import walsh_patterns
from firmware.acquisition.bus_timing import time_calls, time_messages, time_transfers, time_triggers
from firmware.acquisition.stepped import REARM_NS, SteppedAcquisition
from firmware.boards.board import Board, ScanMode
from firmware.boards.board_parts import CONVERTERS
from firmware.realtime import realtime_thread, without_collector
from firmware.rig import Rig
from lsi.patterns import PatternSet
from lsi.units import NS_PER_S

DEFAULT_REPEATS: Final = 200
MODEL_FILE: Final = Path("/proc/device-tree/model")
_REPEATS_PER_SCAN: Final = 20
"""A scan shows some twenty patterns, so fewer of them tell as much."""


def add_bench(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to ``lsi-edge``."""
    bench = commands.add_parser(
        "bench",
        help="measure how fast this host drives this board, as a table to paste",
        description="Times transfers and messages on the bus of the converter, the trigger wires and whole "
        "scans. Drives the mirrors and tells no light. Stop the service first.",
        epilog="Example: lsi-edge bench --board pi-dlpc900-mcp3208",
    )
    add_board(bench)
    bench.add_argument(
        "--repeats",
        type=_repeats,
        default=DEFAULT_REPEATS,
        metavar="N",
        help="measure each duration so often (default: %(default)s)",
    )
    bench.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    bench.set_defaults(command=bench_command)


def bench_command(parsed: argparse.Namespace) -> int:
    """Measure and print.

    Raises:
        LsiError: The board cannot be opened, or failed while it was measured.
    """
    board = board_of(parsed)
    with open_board(board, parsed.state) as rig, _undisturbed(board):
        report = bench(rig, parsed.repeats)
    print(json.dumps(report.to_document()) if parsed.json else report.to_table())
    return 0


def bench(rig: Rig, repeats: int, model_file: Path = MODEL_FILE) -> BenchReport:
    """Measure everything that the board of ``rig`` has; shows 16 Walsh patterns.

    Raises:
        LsiError: The board failed.
    """
    patterns = walsh_patterns()
    rig.next_scene()
    sections = [_bus_section(rig, repeats)]
    rig.load(patterns)
    sections += [_trigger_section(rig, patterns, repeats), _scan_section(rig, patterns, repeats)]
    if rig.board.simulated:
        sections.append(Section(notes=(SIMULATED_NOTE,)))
    return BenchReport(_setup(rig.board, model_file), tuple(sections))


def _setup(board: Board, model_file: Path) -> Setup:
    try:
        model = model_file.read_bytes().decode("utf-8", "replace").strip("\0\n ")
    except OSError:
        model = platform.machine()
    return Setup(
        machine=f"{model}, {len(os.sched_getaffinity(0))} cores",
        kernel=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
        board=board.name,
        parts=_parts(board),
        mode=board.mode,
        clock="simulated" if board.simulated else "monotonic",
    )


def _repeats(text: str) -> int:
    count = int(text)
    if count < 1:
        message = f"{count} is not at least 1"
        raise argparse.ArgumentTypeError(message)
    return count


@contextlib.contextmanager
def _undisturbed(board: Board) -> Iterator[None]:
    """As in a scan of the service. Simulated time is not disturbed by anything."""
    with contextlib.ExitStack() as stack:
        if not board.simulated:
            stack.enter_context(realtime_thread())
            stack.enter_context(without_collector())
        yield


def _parts(board: Board) -> str:
    if board.converter is not None:
        return f"{board.converter.kind} at {board.converter.spi_hz / 1e6:g} MHz"
    if board.coprocessor is not None:
        return f"co-processor, {board.coprocessor.converter}"
    return "no converter"


def _bus_section(rig: Rig, repeats: int) -> Section:
    """Transfers of zeros: a command of no converter, so that nothing is set by them."""
    spi = rig.spi
    if spi is None or rig.board.converter is None:
        return Section(notes=("No converter on a bus of this host: no transfers to time.",))
    word = bytes(CONVERTERS[rig.board.converter.kind].frame_bits // 8)
    clock = rig.parts.clock
    transfers = time_transfers(spi, word, clock, repeats)
    messages = time_messages(spi, word, clock, repeats)
    size = f"{len(word)} bytes"
    return Section(
        durations=(
            DurationRow.of(f"transfer of {size}", transfers),
            DurationRow.of(f"message of {messages.transfers} x {size}", messages.message),
            DurationRow.of("gap between two messages", messages.gap),
        ),
        rates=(
            RateRow("transfers, one by one", NS_PER_S / transfers.median_ns),
            RateRow("transfers inside a message", NS_PER_S / messages.spacing_ns),
            RateRow("transfers in messages, with gaps", messages.transfers_per_s),
        ),
        notes=(messages.refused,) if messages.refused else (),
    )


def _trigger_section(rig: Rig, patterns: PatternSet, repeats: int) -> Section:
    acquisition = rig.parts.acquisition
    if not isinstance(acquisition, SteppedAcquisition):
        return Section(notes=(f"The host advances no mask in mode {rig.board.mode}: no trigger latency.",))
    in_pass = len(rig.parts.sequence_of(patterns))
    times = time_triggers(acquisition, in_pass, -(-repeats // in_pass))
    return Section(
        durations=(
            DurationRow.of("trigger pulse to edge", times.to_edge),
            DurationRow.of("trigger edge to return", times.to_return),
            DurationRow.of("trigger pulse to return", times.latency),
        ),
        trigger_latency=bars_of(times.latency),
    )


def _scan_section(rig: Rig, patterns: PatternSet, repeats: int) -> Section:
    """Whole scans, and what the exposure alone would allow."""
    scans = time_calls(lambda: rig.scan(patterns), rig.parts.clock, -(-repeats // _REPEATS_PER_SCAN))
    rearm_ns = REARM_NS if rig.board.mode is ScanMode.STEPPED else 0
    pattern_ns = rig.board.plan.exposure_ns + rearm_ns
    masks = len(patterns)
    return Section(
        durations=(DurationRow.of(f"scan of {masks} masks, {rig.board.mode}", scans),),
        rates=(
            RateRow(f"masks, {rig.board.mode}", masks * NS_PER_S / scans.median_ns),
            RateRow("patterns, at most with this exposure", NS_PER_S / pattern_ns),
        ),
    )
