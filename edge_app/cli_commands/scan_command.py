"""``lsi-edge scan``: one scan, and a report on it without its values."""

import argparse
import json
from pathlib import Path

from edge_app.cli_commands.command_parts import add_board, add_light, board_of, open_board
from edge_app.cli_commands.scan_report import ScanReport
from edge_app.cli_commands.walsh import walsh_patterns
from firmware.acquisition.correction import correct
from lsi.bundle import read_bundle
from lsi.errors import LowLightError, LsiError, SaturationError


def add_scan(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    scan = commands.add_parser(
        "scan",
        help="make one scan and report on it, without its values",
        epilog="Example: lsi-edge scan --simulate --json",
    )
    add_board(scan)
    scan.add_argument("--bundle", type=Path, metavar="FILE", help="whose masks to show (default: 16 Walsh)")
    add_light(scan)
    scan.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    scan.set_defaults(command=_scan)


def _scan(parsed: argparse.Namespace) -> int:
    board = board_of(parsed)
    patterns = walsh_patterns() if parsed.bundle is None else read_bundle(parsed.bundle).patterns
    failure: LsiError | None = None
    measurement = None
    with open_board(board, parsed.state, parsed.light) as rig:
        rig.next_scene()
        rig.load(patterns)
        raw, dark = rig.scan(patterns)
        arm_minus_factor = rig.arm_minus_factor
    try:
        measurement = correct(raw, dark, arm_minus_factor)
    except (SaturationError, LowLightError) as error:
        failure = error
    _print_report(ScanReport.of(raw, measurement, board.name, simulated=board.simulated), as_json=parsed.json)
    if failure is not None:
        raise failure
    return 0


def _print_report(report: ScanReport, *, as_json: bool) -> None:
    document = report.to_document()
    if as_json:
        print(json.dumps(document))
    else:
        print("\n".join(f"{key:20} {value}" for key, value in document.items()))
