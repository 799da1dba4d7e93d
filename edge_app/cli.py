"""``lsi-edge``: the commands of the device."""

import argparse
import contextlib
import datetime as dt
import json
import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO, Final

from edge_app.admission import Terms, admit
from edge_app.config import AppConfig, load_config
from edge_app.publisher import MqttPublisher, PrintingPublisher
from edge_app.scan_report import ScanReport
from edge_app.service import Parts, Service
from edge_app.walsh import walsh_patterns
from firmware.board import SIMULATED_BOARD, Board, find_board
from firmware.correction import correct
from firmware.factory import LightStream, Rig, open_rig
from lsi.bundle import read_bundle
from lsi.errors import LowLightError, LsiError, SaturationError, SceneError
from transport.broker import TlsSettings

DEFAULT_CONFIG: Final = Path("/etc/lsi/config.toml")
INTERRUPTED: Final = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is that of ``docs/reference/exit-codes.md``."""
    parsed = _parser().parse_args(arguments)
    logging.basicConfig(
        level=parsed.log_level, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    command: Callable[[argparse.Namespace], int] = parsed.command
    try:
        return command(parsed)
    except LsiError as error:
        print(f"lsi-edge: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lsi-edge",
        description="The device side of a camera that never makes a picture.",
        epilog="Example: lsi-edge scan --simulate --json",
    )
    parser.add_argument("--version", action="version", version=f"lsi-edge {version('lsi-edge')}")
    parser.add_argument("--log-level", default="INFO", choices=["DEBUG", "INFO", "WARNING", "ERROR"])
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_run(commands)
    _add_scan(commands)
    _add_show_config(commands)
    return parser


def _add_run(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    run = commands.add_parser(
        "run",
        help="measure and publish until stopped",
        epilog="Example: lsi-edge run --config /etc/lsi/config.toml",
    )
    _add_config(run)
    _add_simulation(run)
    run.add_argument("--print", action="store_true", help="write what would leave instead of publishing it")
    run.add_argument("--scans", type=int, metavar="N", help="stop after N scans")
    run.set_defaults(command=_run)


def _add_scan(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    scan = commands.add_parser(
        "scan",
        help="make one scan and report on it, without its values",
        epilog="Example: lsi-edge scan --simulate --json",
    )
    scan.add_argument("--board", metavar="NAME_OR_FILE", help="a shipped board or a .toml file")
    scan.add_argument("--bundle", type=Path, metavar="FILE", help="whose masks to show (default: 16 Walsh)")
    _add_simulation(scan)
    scan.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    scan.set_defaults(command=_scan)


def _add_show_config(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    show = commands.add_parser(
        "show-config",
        help="print the effective configuration; secrets are paths and stay paths",
        epilog="Example: lsi-edge show-config --config config.toml",
    )
    _add_config(show)
    show.set_defaults(command=_show_config)


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config", type=Path, default=DEFAULT_CONFIG, metavar="FILE", help="default: %(default)s"
    )


def _add_simulation(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--simulate", action="store_true", help=f"use the simulated board {SIMULATED_BOARD}")
    parser.add_argument(
        "--light",
        metavar="FILE",
        help="light frames for the simulated board; - reads standard input; default: a smooth field",
    )


def _run(parsed: argparse.Namespace) -> int:
    config = load_config(parsed.config)
    board = _board(parsed, config.board)
    terms = Terms.of(config.trust, board, config.policy.mode, dt.datetime.now(dt.UTC).date())
    admitted = admit(config.bundle, terms)
    publisher = (
        PrintingPublisher(config.device_id, sys.stdout)
        if parsed.print
        else MqttPublisher(config.broker, config.device_id)
    )
    stop = _stop_on_signal()
    with _open(board, parsed.light) as rig:
        parts = Parts(rig, admitted.bundle, admitted.encoder, publisher)
        Service(config, parts).run(stop, parsed.scans)
    return 0


def _scan(parsed: argparse.Namespace) -> int:
    board = _board(parsed, parsed.board)
    patterns = walsh_patterns() if parsed.bundle is None else read_bundle(parsed.bundle).patterns
    failure: LsiError | None = None
    measurement = None
    with _open(board, parsed.light) as rig:
        rig.next_scene()
        rig.load(patterns)
        raw, dark = rig.scan(patterns)
    try:
        measurement = correct(raw, dark)
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


def _show_config(parsed: argparse.Namespace) -> int:
    print(json.dumps(_shown(load_config(parsed.config)), indent=2))
    return 0


def _shown(config: AppConfig) -> dict[str, object]:
    return {
        "device_id": config.device_id,
        "board": config.board,
        "bundle": str(config.bundle),
        "mqtt": {
            "host": config.broker.host,
            "port": config.broker.port,
            "keepalive_s": config.broker.keepalive_s,
            "tls": "off" if config.broker.tls is None else _shown_tls(config.broker.tls),
        },
        "scan": {"interval_s": config.interval_s},
        "policy": {"mode": config.policy.mode, "attributes": sorted(config.policy.allowed)},
        "trust": {
            "keys": [str(path) for path in config.trust.keys],
            "allow_unsigned": config.trust.allow_unsigned,
        },
    }


def _shown_tls(tls: TlsSettings) -> dict[str, str]:
    return {key: str(path) for key, path in asdict(tls).items() if path is not None}


def _board(parsed: argparse.Namespace, name: str | None) -> Board:
    return find_board(SIMULATED_BOARD if parsed.simulate or name is None else name)


@contextlib.contextmanager
def _open(board: Board, light: str | None) -> Iterator[Rig]:
    with contextlib.ExitStack() as stack:
        source = None
        if light == "-":
            source = LightStream(sys.stdin.buffer)
        elif light is not None:
            source = LightStream(stack.enter_context(_light_file(Path(light))))
        yield stack.enter_context(open_rig(board, source))


def _light_file(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as cause:
        found = f"Light {path} cannot be read ({cause.strerror})."
        raise SceneError(found, hint="a file of light frames, or - for standard input.") from cause


def _stop_on_signal() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop


if __name__ == "__main__":
    sys.exit(main())
