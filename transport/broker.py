"""Where the broker is, how it is reached and what is said to it: frozen values."""

import ipaddress
import ssl
import stat
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from lsi.errors import AppConfigError

PORT: Final = 1883
TLS_PORT: Final = 8883
DEFAULT_KEEPALIVE_S: Final = 15


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """Whose certificates are trusted and who we are.

    ``ca_file`` is ``None`` for the system's store. The private key must be readable by
    its owner alone.
    """

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    def context(self) -> ssl.SSLContext:
        """A context that verifies name and chain; TLS 1.2 or newer.

        Raises:
            AppConfigError: A file is missing, unusable or, for the key, too open.
        """
        if self.key_file is not None:
            _check_private(self.key_file)
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            if self.cert_file is not None:
                context.load_cert_chain(self.cert_file, self.key_file)
        except OSError as cause:
            found = f"TLS files cannot be used ({cause})."
            raise AppConfigError(found, hint="PEM files that exist and belong together.") from cause
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Host, port and security of a broker.

    Raises:
        AppConfigError: No TLS although the broker is not on this machine.
    """

    host: str
    port: int
    tls: TlsSettings | None
    keepalive_s: int = DEFAULT_KEEPALIVE_S

    def __post_init__(self) -> None:
        if self.tls is None and not is_loopback(self.host):
            found = f"Broker {self.host} is not on this machine and TLS is off."
            raise AppConfigError(found, hint="TLS mode 'system' or 'file'; off works on loopback only.")

    def __str__(self) -> str:
        return f"{self.host}:{self.port}{'' if self.tls is None else ' (TLS)'}"


@dataclass(frozen=True, slots=True)
class Message:
    """One MQTT message. ``repr`` leaves the payload out."""

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False

    def __repr__(self) -> str:
        return f"Message({self.topic}, {len(self.payload)} bytes, qos={self.qos}, retain={self.retain})"


class LinkState(StrEnum):
    """What a link to a broker is doing, for logs and for people."""

    CONNECTING = "connecting"
    ONLINE = "online"
    AWAY = "away"
    REFUSED = "refused"


def is_loopback(host: str) -> bool:
    """Whether ``host`` names this machine and nothing else."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_private(key_file: Path) -> None:
    try:
        mode = key_file.stat().st_mode
    except OSError as cause:
        found = f"Private key {key_file} cannot be read ({cause.strerror})."
        raise AppConfigError(found, hint="the path of a PEM key.") from cause
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        found = f"Private key {key_file} is open to others (mode {stat.S_IMODE(mode):04o})."
        raise AppConfigError(found, hint=f"chmod 600 {key_file}")
