"""``lsi-edge provision``: a key and a request, then the signed certificate, tried and put in place."""

import argparse
import contextlib
import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from edge_app.cli_commands.command_parts import add_config
from edge_app.link.egress import EgressGuard
from edge_app.link.short_link import short_link
from edge_app.provision.certificates import read_bounded
from edge_app.provision.provisioning import DeviceIdentity, commit, complete, request, stage
from edge_app.rig.rig_lock import rig_lock
from edge_app.settings.config import load_config
from edge_app.wall_clock import utc_if_synced
from lsi.errors import BusError, BusErrorKind, ConfigError, PublishError
from transport.broker import TlsSettings


def add_provision(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    provision = commands.add_parser(
        "provision",
        help="make this device's key and request, or put its signed certificate in place",
        description="Without --finish: makes a private key, which never leaves this device, and a signing "
        "request, whose path it prints. With --finish: checks the certificate that an authority made of it, "
        "connects to the broker with it, and puts it where the configuration says. Any step may be repeated.",
        epilog="Example: lsi-edge provision --finish hall1.crt",
    )
    add_config(provision)
    step = provision.add_mutually_exclusive_group()
    step.add_argument("--finish", type=Path, metavar="CERT", help="the signed certificate, PEM")
    step.add_argument("--renew", action="store_true", help="ask for another certificate, with a new key")
    provision.set_defaults(command=_provision)


def finish(identity: DeviceIdentity, content: bytes, now: dt.datetime | None) -> bool:
    """Judge a certificate, connect with it, put it in place.

    Args:
        identity: The device.
        content: PEM: its certificate, then those on the way to the authority.
        now: The time of day; ``None`` while the clock is not synchronised.

    Returns:
        ``False`` when it was in place already.

    Raises:
        ConfigError: It may not be used, or a file cannot be written.
        BusError: The service runs.
        PublishError: The broker does not take it, or is away; nothing in place has changed.
    """
    complete(identity)
    if identity.is_in_place(content):
        return False
    with _service_stopped(identity):
        settings = stage(identity, content, now)
        _try(identity, settings)
        commit(identity)
    return True


def _provision(parsed: argparse.Namespace) -> int:
    identity = DeviceIdentity.of(load_config(parsed.config))
    if parsed.finish is None:
        path = request(identity, renew=parsed.renew)
        print(f"Let your authority sign {path}, then: lsi-edge provision --finish {identity.device_id}.crt")
        return 0
    now = utc_if_synced()
    if now is None:
        print("The clock is not synchronised: the dates of the certificate are not judged.")
    in_place = finish(identity, _read(parsed.finish), now)
    said = "The broker takes it; it is" if in_place else "This certificate was"
    print(f"{said} in place as {identity.cert_file}, valid until {identity.expires}.")
    return 0


def _read(path: Path) -> bytes:
    try:
        return read_bounded(path.resolve())
    except OSError as cause:
        found = f"Certificate {path} cannot be read ({cause.strerror})."
        raise ConfigError(found, hint="the path of a PEM file.") from cause


@contextlib.contextmanager
def _service_stopped(identity: DeviceIdentity) -> Iterator[None]:
    """Two clients with one id would throw each other out."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(rig_lock(identity.state))
        except BusError as cause:
            if cause.kind is not BusErrorKind.REFUSED:
                raise
            hint = (
                f"stop it; or copy the certificate into {identity.incoming}: the service takes it from there."
            )
            raise BusError("The service runs.", kind=cause.kind, hint=hint) from cause
        yield


def _try(identity: DeviceIdentity, settings: TlsSettings) -> None:
    try:
        with short_link(replace(identity.address, tls=settings), EgressGuard(identity.device_id)):
            pass
    except PublishError as cause:
        found = f"The certificate is good, but not tried: {cause.found}"
        raise PublishError(
            found, hint=f"lsi-edge doctor tls; then the same command again ({cause.hint})"
        ) from cause
