"""``lsi-edge``: the commands of the device."""

import argparse
import datetime as dt
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Final

from edge_app.admission import Terms, admit
from edge_app.bench_command import add_bench
from edge_app.calibrate_command import add_calibrate
from edge_app.certificate_watch import CertificateWatch
from edge_app.clean_mqtt_command import add_clean_mqtt
from edge_app.command_parts import add_light, add_simulate, open_board
from edge_app.config import DEFAULT_CONFIG, AppConfig, load_config
from edge_app.doctor_command import add_doctor
from edge_app.home_assistant import DeviceCard, Discovery, discovery
from edge_app.journal import set_up_logging
from edge_app.mosquitto_config_command import add_mosquitto_config
from edge_app.notify import Notifier, watchdog_for
from edge_app.outlet import disclosed_names
from edge_app.provision_command import add_provision
from edge_app.provisioning import DeviceIdentity, complete
from edge_app.publisher import PrintingPublisher, Publisher
from edge_app.rollback_app_command import add_rollback_app
from edge_app.scan_command import add_scan
from edge_app.selftest_command import add_selftest
from edge_app.service import Parts, Service, new_stream
from edge_app.uplink import Uplink, open_outbox
from edge_app.wall_clock import SystemWallClock, utc_if_synced
from edge_app.wipe_command import add_wipe
from firmware.board import SIMULATED_BOARD, Board, find_board
from firmware.clock import MonotonicClock
from lsi.bundle import Bundle
from lsi.errors import ConfigError, LsiError
from transport.broker import TlsSettings

INTERRUPTED: Final = 130

logger = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is that of ``docs/reference/exit-codes.md``."""
    parsed = _parser().parse_args(arguments)
    parsed.log_fields = set_up_logging(parsed.log_level, os.environ, sys.stderr, MonotonicClock())
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
    add_scan(commands)
    add_selftest(commands)
    add_calibrate(commands)
    add_bench(commands)
    add_doctor(commands)
    add_provision(commands)
    add_mosquitto_config(commands)
    add_clean_mqtt(commands)
    add_wipe(commands)
    add_rollback_app(commands)
    _add_show_config(commands)
    return parser


def _add_run(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    run = commands.add_parser(
        "run",
        help="measure and publish until stopped",
        epilog="Example: lsi-edge run --config /etc/lsi/config.toml",
    )
    _add_config(run)
    add_simulate(run)
    add_light(run)
    run.add_argument("--print", action="store_true", help="write what would leave instead of publishing it")
    run.add_argument("--scans", type=int, metavar="N", help="stop after N scans")
    run.set_defaults(command=_run)


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


def _run(parsed: argparse.Namespace) -> int:
    config = load_config(parsed.config)
    board = find_board(SIMULATED_BOARD if parsed.simulate else config.board)
    terms = Terms.of(config.trust, board, config.policy.mode, dt.datetime.now(dt.UTC).date())
    admitted = admit(config.bundle, terms)
    stream = new_stream()
    parsed.log_fields.device, parsed.log_fields.stream = config.device_id, stream
    stop = _stop_on_signal()
    with open_board(board, config.state, parsed.light) as rig:
        publisher: Publisher = (
            PrintingPublisher(config.device_id, sys.stdout)
            if parsed.print
            else _uplink(config, board, admitted.bundle, stream)
        )
        notifier = Notifier.from_environment(os.environ)
        watchdog = watchdog_for(
            os.environ,
            notifier,
            MonotonicClock(),
            scan_interval_s=config.interval_s,
            way_out_is_alive=lambda: publisher.way_out().is_alive,
        )
        parts = Parts(
            rig,
            admitted.bundle,
            admitted.encoder,
            publisher,
            stream=stream,
            notifier=notifier,
            watchdog=watchdog,
        )
        Service(config, parts).run(stop, parsed.scans)
    return 0


def _uplink(config: AppConfig, board: Board, bundle: Bundle, stream: str) -> Uplink:
    clock = MonotonicClock()
    certificate = _certificate_watch(config)
    outbox = open_outbox(config, stream, clock=clock, wall_clock=SystemWallClock())
    wanted = _announcement(config, board, bundle, certificate=certificate is not None)
    return Uplink(config, outbox, wanted, clock=clock, certificate=certificate)


def _certificate_watch(config: AppConfig) -> CertificateWatch | None:
    """Finishes a renewal that was cut off, and looks out for the next one."""
    if config.broker.tls is None or config.broker.tls.cert_file is None:
        return None
    identity = DeviceIdentity.of(config)
    try:
        complete(identity)
    except ConfigError as error:
        logger.warning("A renewed certificate could not be put in place: %s", error)
    return CertificateWatch(identity, utc_if_synced)


def _announcement(config: AppConfig, board: Board, bundle: Bundle, *, certificate: bool) -> Discovery | None:
    """What Home Assistant is told: the attributes that leave, and no other."""
    settings = config.home_assistant
    if not settings.enabled:
        return None
    card = DeviceCard(
        config.device_id,
        settings.name or config.device_id,
        "LSI single-pixel",
        bundle.manifest.d,
        version("lsi-edge"),
        board.name,
    )
    names = disclosed_names(bundle, config.policy.narrowed(bundle.allowed))
    return discovery(
        card,
        names,
        heartbeat_s=config.live.heartbeat_s,
        certificate=certificate,
        prefix=settings.prefix,
    )


def _show_config(parsed: argparse.Namespace) -> int:
    print(json.dumps(_shown(load_config(parsed.config)), indent=2))
    return 0


def _shown(config: AppConfig) -> dict[str, object]:
    return {
        "device_id": config.device_id,
        "board": config.board,
        "bundle": str(config.bundle),
        "state": str(config.state),
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


def _stop_on_signal() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop


if __name__ == "__main__":
    sys.exit(main())
