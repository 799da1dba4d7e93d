"""``lsi-edge run``: the service."""

import argparse
import contextlib
import datetime as dt
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING

from edge_app.bundles.admission import Admitted, Terms
from edge_app.bundles.changeover import Changeover, Rules
from edge_app.bundles.device_slots import open_slots, rules_of, running_bundle, starting_bundle
from edge_app.bundles.inbox import take_in
from edge_app.bundles.slot_store import SlotStore
from edge_app.cli_commands.command_parts import add_config, add_light, add_simulate, open_board
from edge_app.disclosure.latent_sealer import LatentSealer
from edge_app.disclosure.policy import in_force
from edge_app.disclosure.policy_record import hold_to_record
from edge_app.link.egress import EgressGuard
from edge_app.link.egress_rules import ResultTerms
from edge_app.link.home_assistant import DeviceCard, Discovery, discovery
from edge_app.link.publisher import PrintingPublisher, Publisher
from edge_app.notify import Notifier, watchdog_for
from edge_app.outlet import disclosed_names
from edge_app.rig.device_rig import KEY_NAME
from edge_app.rig.rig_lock import rig_lock
from edge_app.service import Parts, Service, new_stream
from edge_app.settings.config import AppConfig, load_config
from edge_app.uplink import Uplink, open_outbox
from edge_app.wall_clock import SystemWallClock, utc_if_synced
from firmware.boards.board import SIMULATED_BOARD, Board, find_board
from firmware.clock import MonotonicClock
from firmware.rig import Rig
from lsi.bundle import Bundle
from lsi.credentials import is_credential
from lsi.disclosure import DisclosurePolicy, PayloadMode
from lsi.errors import AppConfigError, ConfigError
from lsi.status import Widening

if TYPE_CHECKING:
    from edge_app.provision.certificate_watch import CertificateWatch

logger = logging.getLogger(__name__)


def add_run(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    run = commands.add_parser(
        "run",
        help="measure and publish until stopped",
        epilog="Example: lsi-edge run --config /etc/lsi/config.toml",
    )
    add_config(run)
    add_simulate(run)
    add_light(run)
    run.add_argument("--print", action="store_true", help="write what would leave instead of publishing it")
    run.add_argument("--scans", type=int, metavar="N", help="stop after N scans")
    run.set_defaults(command=_run)


def _run(parsed: argparse.Namespace) -> int:
    config = load_config(parsed.config)
    widened = hold_to_record(config.state, config.policy)
    board = find_board(SIMULATED_BOARD if parsed.simulate else config.board)
    terms = Terms.of(config.trust, board, config.policy.mode, dt.datetime.now(dt.UTC).date())
    stream = new_stream()
    parsed.log_fields.device, parsed.log_fields.stream = config.device_id, stream
    stop = _stop_on_signal()
    with _simulation_lock(board, config, parsed), open_board(board, config.state, parsed.light) as rig:
        device = _Device(config, board, rig, stream, widened)
        slots = open_slots(config.state), rules_of(config, terms)
        parts = _printing(device, *slots) if parsed.print else _publishing(device, *slots)
        Service(config, parts).run(stop, parsed.scans)
    return 0


@dataclass(frozen=True, slots=True)
class _Device:
    """What the parts of one start have in common."""

    config: AppConfig
    board: Board
    rig: Rig
    stream: str
    widened: Sequence[Widening]


def _printing(device: _Device, store: SlotStore, rules: Rules) -> Parts:
    """Writes what would leave; the slots are only read."""
    admitted = running_bundle(store, rules)
    guard = EgressGuard(device.config.device_id, _terms(device, admitted.bundle))
    return _parts(device, admitted, PrintingPublisher(guard, sys.stdout))


def _publishing(device: _Device, store: SlotStore, rules: Rules) -> Parts:
    take_in(device.config.state, store, rules)
    origin = starting_bundle(store, rules)
    uplink = _uplink(device, origin.admitted.bundle)
    changes = Changeover(
        store, origin, rules, clock=MonotonicClock(), acknowledged=lambda: uplink.acknowledged
    )

    def go_over(bundle: Bundle, act: Callable[[], None]) -> None:
        wanted = _announcement(device, bundle, certificate=uplink.has_certificate)
        uplink.change(_terms(device, bundle), wanted, act)

    return replace(_parts(device, origin.admitted, uplink), changes=changes, go_over=go_over)


def _parts(device: _Device, admitted: Admitted, publisher: Publisher) -> Parts:
    notifier = Notifier.from_environment(os.environ)
    watchdog = watchdog_for(
        os.environ,
        notifier,
        MonotonicClock(),
        scan_interval_s=device.config.interval_s,
        way_out_is_alive=lambda: publisher.way_out().is_alive,
    )
    return Parts(
        device.rig,
        admitted.bundle,
        admitted.encoder,
        publisher,
        stream=device.stream,
        notifier=notifier,
        watchdog=watchdog,
        widened=device.widened,
        sealer=partial(_sealer, device),
    )


@contextlib.contextmanager
def _simulation_lock(board: Board, config: AppConfig, parsed: argparse.Namespace) -> Iterator[None]:
    """A simulated rig may be driven twice, a state folder not: its records are as real as any."""
    if not board.simulated or parsed.print:
        yield
        return
    with contextlib.suppress(OSError):  # the lock says why
        config.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    with rig_lock(config.state):
        yield


def _sealed(config: AppConfig, policy: DisclosurePolicy, bundle: Bundle, stream: str) -> LatentSealer | None:
    """What seals latents, in the one mode that sends any.

    Raises:
        AppConfigError: The configuration names no host's key, or the extra is not installed.
        KeyFileError: A key that cannot be used.
    """
    if policy.mode is not PayloadMode.LATENT:
        return None
    if config.host_key is None:
        raise AppConfigError("Mode 'latent' seals to nobody.", hint='[latent] host_key = "host.pub"')
    try:
        # The only door to the code that seals; attribute sensors have it not even installed.
        from edge_app.disclosure.sealed_latents import SealedLatents, read_device_key, read_host  # noqa: PLC0415
    except ImportError as cause:
        raise AppConfigError(
            "Mode 'latent' is not installed.", hint="pip install 'lsi-edge[latent]'"
        ) from cause
    now = utc_if_synced()
    host = read_host(config.host_key, None if now is None else now.date())
    key = read_device_key(config.state / f"{KEY_NAME}.key")
    return SealedLatents(config.device_id, stream, bundle.manifest.short_id, host, key)


def _terms(device: _Device, bundle: Bundle) -> ResultTerms:
    """What may be told of a scene while ``bundle`` runs."""
    policy = in_force(device.config.policy, bundle)
    return ResultTerms.of(policy, bundle, device.stream, _sealer(device, bundle))


def _sealer(device: _Device, bundle: Bundle) -> LatentSealer | None:
    return _sealed(device.config, in_force(device.config.policy, bundle), bundle, device.stream)


def _uplink(device: _Device, bundle: Bundle) -> Uplink:
    config, clock = device.config, MonotonicClock()
    certificate = _certificate_watch(config)
    outbox = open_outbox(config, device.stream, clock=clock, wall_clock=SystemWallClock())
    wanted = _announcement(device, bundle, certificate=certificate is not None)
    results = _terms(device, bundle)
    return Uplink(config, outbox, wanted, results=results, clock=clock, certificate=certificate)


def _certificate_watch(config: AppConfig) -> "CertificateWatch | None":
    """Finishes a renewal that was cut off, and looks out for the next one; credentials are systemd's."""
    tls = config.broker.tls
    if tls is None or tls.cert_file is None or is_credential(tls.cert_file):
        return None
    # A sensor without a certificate starts sooner without the code that reads one.
    from edge_app.provision.certificate_watch import CertificateWatch  # noqa: PLC0415
    from edge_app.provision.provisioning import DeviceIdentity, complete  # noqa: PLC0415

    identity = DeviceIdentity.of(config)
    try:
        complete(identity)
    except ConfigError as error:
        logger.warning("A renewed certificate could not be put in place: %s", error)
    return CertificateWatch(identity, utc_if_synced)


def _announcement(device: _Device, bundle: Bundle, *, certificate: bool) -> Discovery | None:
    """What Home Assistant is told: the attributes that leave, and no other."""
    config = device.config
    settings = config.home_assistant
    if not settings.enabled:
        return None
    card = DeviceCard(
        config.device_id,
        settings.name or config.device_id,
        "LSI single-pixel",
        bundle.manifest.d,
        version("lsi-edge"),
        device.board.name,
    )
    policy = in_force(config.policy, bundle)
    return discovery(
        card,
        disclosed_names(bundle, policy),
        heartbeat_s=config.live.heartbeat_s,
        certificate=certificate,
        counted=policy.mode is PayloadMode.AGG,
        prefix=settings.prefix,
    )


def _stop_on_signal() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop
