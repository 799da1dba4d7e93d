"""``lsi lab record``: labelled measurement vectors from a sensor on the bench."""

import argparse
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Final

from firmware.boards.board import find_board
from lab.bench_rig import with_power
from lab.evaluate_command import tell
from lab.evaluation import chosen_rows
from lab.record import Session, record
from lab.rig_faults import NAMES, parse_faults
from lsi.bundle import read_bundle
from lsi.errors import ConfigError
from training.data_sets.data import open_data
from training.data_sets.measured_vectors import MeasuredVectors, is_open_to_others

HELP: Final = "show labelled pictures to a sensor on the bench and write what it measures"
WARNING: Final = (
    "IMAGE-EQUIVALENT: whoever holds a generator can turn these vectors into pictures of the people shown. "
    "Keep the file like the pictures: mode 0600, on the bench, never on a device, and wipe it after use."
)
EXAMPLE: Final = (
    "Example: lsi lab record bundles/attr-lite-16-0.2.0.lsib --data faces.npz --board sim-mcp3208 "
    "--part tune --limit 512 -o bench/vectors.npz"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``lsi lab record``."""
    parser.description = f"{HELP}. {WARNING}"
    parser.add_argument("bundle", type=Path, help="a .lsib file: its masks and attributes")
    parser.add_argument("--data", type=Path, required=True, metavar="FILE", help="labelled pictures to show")
    parser.add_argument("--board", required=True, metavar="NAME_OR_FILE", help="the board on the bench")
    parser.add_argument("--power-nw", type=float, metavar="P", help="white light; default: the board's")
    parser.add_argument(
        "--part", choices=["all", "tune", "report"], default="all", help="of the people in the file"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N rows of that part")
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="NAME=NUMBER",
        help=f"simulated boards: make the rig wrong; may be repeated; {', '.join(NAMES)}",
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="a .npz; an interrupted one goes on"
    )
    parser.epilog = EXAMPLE


def run(arguments: argparse.Namespace) -> int:
    """Record; an interruption leaves a valid file that the same command goes on with.

    Raises:
        ConfigError: An argument that cannot be used, or the file belongs to another recording.
        BundleError: The bundle cannot be used.
        DataError: The data cannot be read, or the file not be written.
    """
    # Terminated is interrupted: the file is completed on the way out.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    session = _session(arguments)
    _warn(arguments.output)
    try:
        vectors = record(session, partial(tell, arguments.output.name))
    except KeyboardInterrupt:
        print(f"\ninterrupted; the same command goes on with {arguments.output}", file=sys.stderr)
        raise
    print("\n".join(_account(vectors, arguments.output)))
    return 0


def _session(arguments: argparse.Namespace) -> Session:
    if arguments.limit is not None and arguments.limit < 1:
        raise ConfigError(f"--limit is {arguments.limit}.", hint="at least 1.")
    board, data = find_board(arguments.board), open_data(arguments.data, "val")
    return Session(
        bundle=read_bundle(arguments.bundle),
        board=board if arguments.power_nw is None else with_power(board, arguments.power_nw),
        fault=parse_faults(arguments.fault),
        data=data,
        part=arguments.part,
        rows=chosen_rows(data, arguments.part, arguments.limit),
        output=arguments.output,
    )


def _warn(output: Path) -> None:
    print(f"{'!' * 78}\n{WARNING}\n{'!' * 78}", file=sys.stderr)
    if output.parent.is_dir() and is_open_to_others(output.parent):
        folder = output.resolve().parent
        print(f"warning: others may enter {folder}; chmod 700 {folder}", file=sys.stderr)


def _account(vectors: MeasuredVectors, output: Path) -> list[str]:
    lines = [f"wrote {output}: {len(vectors)} vectors of {vectors.d} numbers, mode 0600, IMAGE-EQUIVALENT"]
    lines += [f"dropped {len(rows)} rows: {reason}" for reason, rows in sorted(vectors.dropped.items())]
    if vectors.bench.faults:
        wrong = ", ".join(f"{name} {value:g}" for name, value in vectors.bench.faults.items())
        lines.append(f"the simulated rig was made wrong: {wrong}")
    return lines
