"""How a device gets its certificate: key and request made here, the signed certificate put in place.

What lies in the state folder on the way, each step restartable:

    provision/             device.key (0600), DEVICE_ID.csr     asked for, not signed yet
    certificate-staged/    device.key, device.crt               found good, not tried yet
    certificate-accepted/  device.key, device.crt               the broker took it, being put in place

The rename from staged to accepted is the one moment that decides. After it ``complete`` copies
both files to where the configuration wants them, as often as it takes.
"""

import datetime as dt
import os
import pwd
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509 import load_pem_x509_csr

from edge_app.provision.certificates import (
    Expectation,
    expires,
    faults,
    new_key,
    parse_certificates,
    public_bytes,
    read_bounded,
    read_certificates,
    read_key,
    signing_request,
)
from edge_app.provision.mosquitto_config import is_reserved
from edge_app.settings.config import AppConfig
from lsi.credentials import is_credential
from lsi.errors import AppConfigError, CertificateError, ConfigError, KeyFileError
from transport.broker import BrokerAddress, TlsSettings

PENDING: Final = "provision"
STAGED: Final = "certificate-staged"
ACCEPTED: Final = "certificate-accepted"
INCOMING: Final = "certificates"
"""Folder in which a new certificate is awaited."""
KEY_NAME: Final = "device.key"
CERT_NAME: Final = "device.crt"
TLS_EXAMPLE: Final = (
    'tls = { mode = "file", ca_file = "ca.crt", cert_file = "/var/lib/lsi/mqtt.crt", '
    'key_file = "/var/lib/lsi/mqtt.key" }'
)

_PRIVATE: Final = 0o600
_PUBLIC: Final = 0o644
_FOLDER: Final = 0o700


@dataclass(frozen=True, slots=True)
class DeviceIdentity:
    """Who the device is at the broker, and where what proves it lies.

    ``ca_file`` is ``None`` where the system's certificates are trusted; then nobody here knows who
    signs devices.
    """

    device_id: str
    state: Path
    address: BrokerAddress
    cert_file: Path
    key_file: Path
    ca_file: Path | None

    @classmethod
    def of(cls, config: AppConfig) -> "DeviceIdentity":
        """That of a configuration.

        Raises:
            AppConfigError: It names no certificate and key, one file for both, or its device id
                belongs to another user of the broker.
        """
        tls = config.broker.tls
        if tls is None or tls.cert_file is None or tls.key_file is None:
            raise AppConfigError(
                "The configuration names no client certificate.", hint=f"[mqtt] {TLS_EXAMPLE}"
            )
        if tls.cert_file == tls.key_file:
            raise AppConfigError("cert_file and key_file are one file.", hint=f"[mqtt] {TLS_EXAMPLE}")
        if is_credential(tls.cert_file) or is_credential(tls.key_file):
            found = "Certificate and key are credentials, which only systemd can replace."
            raise AppConfigError(found, hint="put the new files into /etc/lsi/creds and restart lsi-edge.")
        if is_reserved(config.device_id):
            found = f"{config.device_id} is the name of another user at the broker."
            raise AppConfigError(found, hint="another device_id.")
        return cls(config.device_id, config.state, config.broker, tls.cert_file, tls.key_file, tls.ca_file)

    @property
    def incoming(self) -> Path:
        """Where a new certificate is awaited."""
        return self.state / INCOMING

    @property
    def request_file(self) -> Path:
        """Where the signing request lies."""
        return self.state / PENDING / f"{self.device_id}.csr"

    @property
    def expires(self) -> str | None:
        """When the certificate in place ends, RFC 3339 UTC; ``None`` when none can be read."""
        try:
            return expires(read_certificates(self.cert_file)[0])
        except ConfigError:
            return None

    def is_in_place(self, content: bytes) -> bool:
        """Whether the certificate in place is the first one of the PEM text ``content``."""
        try:
            return read_certificates(self.cert_file)[0] == parse_certificates(content, "it")[0]
        except ConfigError:
            return False


def request(identity: DeviceIdentity, *, renew: bool = False) -> Path:
    """Make key and signing request, or find those of an earlier run.

    Returns:
        The path of the request, the only thing that need leave the device.

    Raises:
        ConfigError: There is a certificate or key already and ``renew`` is not set, or the state
            folder cannot be used.
        KeyFileError: The key of an earlier run cannot be used.
    """
    _open_state(identity.state)
    complete(identity)
    placed = [path for path in (identity.cert_file, identity.key_file) if path.exists()]
    if placed and not renew:
        until = f", valid until {identity.expires}" if identity.expires else ""
        raise ConfigError(f"There is a certificate or key already: {placed[0]}{until}.", hint="--renew")
    _check_places(identity)
    folder = identity.state / PENDING
    try:
        folder.mkdir(mode=_FOLDER, exist_ok=True)
        if not (folder / KEY_NAME).exists():
            _write(folder / KEY_NAME, new_key(), _PRIVATE)
        _write_request(folder / KEY_NAME, identity)
        identity.incoming.mkdir(mode=_FOLDER, exist_ok=True)
    except OSError as cause:
        raise _unwritable(identity.state, cause) from cause
    return identity.request_file


def stage(identity: DeviceIdentity, content: bytes, now: dt.datetime | None) -> TlsSettings:
    """Judge a certificate and lay it beside its key, ready to be tried.

    Args:
        identity: The device.
        content: PEM: its certificate, then those on the way to the authority.
        now: The time of day; ``None`` while the clock is not synchronised.

    Returns:
        What to connect with, to find out whether the broker takes it.

    Raises:
        ConfigError: It may not be used, and why; or the state folder cannot be written to.
        KeyFileError: There is no key, or it cannot be used.
    """
    chain = parse_certificates(content, "The certificate's file")
    key_file, key = _key_of(identity, public_bytes(chain[0].public_key()))
    authorities = None if identity.ca_file is None else read_certificates(identity.ca_file.resolve())
    expected = Expectation(identity.device_id, public_bytes(key.public_key()), authorities, now)
    found = faults(chain, expected)
    if found:
        reasons = " ".join(fault.found for fault in found)
        hints = "; ".join(fault.fix.rstrip(".") for fault in found)
        raise CertificateError(f"The certificate may not be used. {reasons}", hint=f"{hints}.")
    folder = identity.state / STAGED
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=_FOLDER)
        _write(folder / KEY_NAME, read_bounded(key_file), _PRIVATE)
        _write(folder / CERT_NAME, content, _PUBLIC)
    except OSError as cause:
        raise _unwritable(identity.state, cause) from cause
    server_name = None if identity.address.tls is None else identity.address.tls.server_name
    return TlsSettings(identity.ca_file, folder / CERT_NAME, folder / KEY_NAME, server_name)


def commit(identity: DeviceIdentity) -> None:
    """The broker took what was staged: put it in place.

    Raises:
        ConfigError: A file cannot be written; nothing is lost, :func:`complete` goes on later.
    """
    complete(identity)
    try:
        (identity.state / STAGED).rename(identity.state / ACCEPTED)
        _sync(identity.state)
    except OSError as cause:
        raise _unwritable(identity.state, cause) from cause
    complete(identity)


def complete(identity: DeviceIdentity) -> bool:
    """Finish what an interrupted :func:`commit` left; whoever uses the files calls this first.

    Returns:
        Whether there was anything to do.

    Raises:
        ConfigError: A file cannot be written; the same call again goes on.
    """
    accepted = identity.state / ACCEPTED
    if not accepted.is_dir():
        return False
    try:
        for name, path, mode in (
            (KEY_NAME, identity.key_file, _PRIVATE),
            (CERT_NAME, identity.cert_file, _PUBLIC),
        ):
            # One may be gone already: the last run was interrupted while it emptied the folder.
            if (accepted / name).exists():
                _write(path, read_bounded(accepted / name), mode)
                _sync(path.parent)
        _drop_pending(identity)
        shutil.rmtree(accepted)
    except OSError as cause:
        raise _unwritable(identity.cert_file.parent, cause) from cause
    return True


def _open_state(state: Path) -> None:
    """Make the state folder, and refuse to leave files in it that its owner cannot read."""
    try:
        state.mkdir(mode=_FOLDER, parents=True, exist_ok=True)
        owner = state.stat().st_uid
    except OSError as cause:
        raise _unwritable(state, cause) from cause
    if owner != os.geteuid():
        try:
            name = pwd.getpwuid(owner).pw_name
        except KeyError:
            name = f"#{owner}"
        raise ConfigError(f"{state} belongs to {name}.", hint=f"sudo -u {name} lsi-edge provision")


def _check_places(identity: DeviceIdentity) -> None:
    """Say now, not after the authority has signed, that a file could not be put in place."""
    for folder in (identity.key_file.parent, identity.cert_file.parent):
        if not os.access(folder, os.W_OK | os.X_OK):
            found = f"Certificate and key could not be put into {folder}."
            raise ConfigError(found, hint=f"a folder of the service's user: {TLS_EXAMPLE}")


def _key_of(identity: DeviceIdentity, public_key: bytes) -> tuple[Path, PrivateKeyTypes]:
    """The key that fits, of the one asked for last and the one in place; else the first that is there."""
    paths = (identity.state / PENDING / KEY_NAME, identity.key_file)
    keys = [(path, read_key(path)) for path in paths if path.exists()]
    if not keys:
        raise KeyFileError(
            "This device has no key to which a certificate could belong.", hint="lsi-edge provision"
        )
    return next((found for found in keys if public_bytes(found[1].public_key()) == public_key), keys[0])


def _write_request(key_file: Path, identity: DeviceIdentity) -> None:
    key = read_key(key_file)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise KeyFileError(f"{key_file} is no elliptic-curve key.", hint=f"rm {key_file}, then again.")
    if not _is_request_of(identity.request_file, key):
        _write(identity.request_file, signing_request(key, identity.device_id), _PUBLIC)


def _is_request_of(path: Path, key: ec.EllipticCurvePrivateKey) -> bool:
    try:
        found = load_pem_x509_csr(read_bounded(path))
    except (OSError, ValueError):
        return False
    return public_bytes(found.public_key()) == public_bytes(key.public_key())


def _drop_pending(identity: DeviceIdentity) -> None:
    """Forget the request once its key is the one in place; a later request stays."""
    pending = identity.state / PENDING / KEY_NAME
    if pending.exists() and read_bounded(pending) == read_bounded(identity.key_file):
        shutil.rmtree(pending.parent)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Write a file whole or not at all, never readable by more than ``mode`` allows."""
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(
        unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode
    )
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    """A rename is on the disk when its folder is."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unwritable(folder: Path, cause: OSError) -> ConfigError:
    found = f"{cause.filename or folder} cannot be written ({cause.strerror})."
    return ConfigError(found, hint="the user of the service, free space, and a folder that is the user's.")
