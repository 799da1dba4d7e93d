"""Where the broker is, how it is reached and what is said to it: frozen values."""

import ipaddress
import ssl
import stat
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from lsi.credentials import forbidden_mode
from lsi.errors import AppConfigError
from transport.tls import client_context

PORT: Final = 1883
TLS_PORT: Final = 8883
DEFAULT_KEEPALIVE_S: Final = 15
MAX_KEEPALIVE_S: Final = 30
"""A broker says "offline" for a frozen client after 1.5 times this."""

MAX_EXPIRY_S: Final = 2**32 - 1
"""MQTT 5 writes intervals in four bytes (3.3.2.3.3)."""


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """Whose certificates are trusted and who we are.

    ``ca_file`` is ``None`` for the system's store. The private key must be readable by
    its owner alone. ``server_name`` is the name that the broker's certificate must carry
    where it is not the host.
    """

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    server_name: str | None = None

    def context(self) -> ssl.SSLContext:
        """A context that verifies name and chain; TLS 1.2 or newer.

        Raises:
            AppConfigError: A file is missing, unusable or, for the key, too open.
        """
        if self.key_file is not None:
            _check_private(self.key_file)
        try:
            return client_context(self.ca_file, self.cert_file, self.key_file, self.server_name)
        except (OSError, ValueError) as cause:
            found = f"TLS files cannot be used ({cause})."
            raise AppConfigError(found, hint="PEM files that exist and belong together.") from cause


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Host, port and security of a broker.

    Raises:
        AppConfigError: No TLS although the broker is not on this machine, or a keepalive
            outside 1 to 30 s.
    """

    host: str
    port: int
    tls: TlsSettings | None
    keepalive_s: int = DEFAULT_KEEPALIVE_S

    def __post_init__(self) -> None:
        if self.tls is None and not is_loopback(self.host):
            found = f"Broker {self.host} is not on this machine and TLS is off."
            raise AppConfigError(found, hint="TLS mode 'system' or 'file'; off works on loopback only.")
        if not 1 <= self.keepalive_s <= MAX_KEEPALIVE_S:
            found = f"A keepalive of {self.keepalive_s} s leaves a dead client online for too long."
            raise AppConfigError(found, hint=f"keepalive_s from 1 to {MAX_KEEPALIVE_S}.")

    def __str__(self) -> str:
        return f"{self.host}:{self.port}{'' if self.tls is None else ' (TLS)'}"


@dataclass(frozen=True, slots=True)
class MessageProperties:
    """What MQTT 5 can say beside a payload; left out on 3.1.1, so no reader may need it.

    ``expires_s`` is the life of the message at the broker, ``is_text`` says that the
    payload is UTF-8, ``user_properties`` are pairs of name and value.

    Raises:
        ValueError: ``expires_s`` does not fit into four bytes.
    """

    expires_s: int | None = None
    content_type: str | None = None
    user_properties: tuple[tuple[str, str], ...] = ()
    response_topic: str | None = None
    correlation_data: bytes | None = None
    is_text: bool = False

    def __post_init__(self) -> None:
        if self.expires_s is not None and not 0 <= self.expires_s <= MAX_EXPIRY_S:
            message = f"expires_s = {self.expires_s} must be from 0 to {MAX_EXPIRY_S}"
            raise ValueError(message)


NO_PROPERTIES: Final = MessageProperties()


@dataclass(frozen=True, slots=True)
class Message:
    """One MQTT message. ``repr`` leaves payload and properties out."""

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False
    properties: MessageProperties = NO_PROPERTIES

    def __repr__(self) -> str:
        return f"Message({self.topic}, {len(self.payload)} bytes, qos={self.qos}, retain={self.retain})"


@dataclass(frozen=True, slots=True)
class Session:
    """What an MQTT 5 broker keeps for us after a loss; all of it is 0 on 3.1.1.

    With ``will_delay_s`` the broker speaks the will only when we have not come back by
    then. ``expires_s`` is the life of subscriptions and waiting messages.

    Raises:
        ValueError: The session ends before the will, which would speak it at once.
    """

    will_delay_s: int = 0
    expires_s: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.will_delay_s <= self.expires_s <= MAX_EXPIRY_S:
            message = f"0 <= will_delay_s = {self.will_delay_s} <= expires_s = {self.expires_s} does not hold"
            raise ValueError(message)


class LinkState(StrEnum):
    """What a link to a broker is doing, for logs and for people."""

    CONNECTING = "connecting"
    ONLINE = "online"
    AWAY = "away"
    REFUSED = "refused"
    CONFLICT = "in conflict"


ADVICE: Final = {
    LinkState.AWAY: "check that it runs and that host and port are right.",
    LinkState.REFUSED: "check certificate, user and access rules at the broker.",
    LinkState.CONFLICT: "find the other client with this id and give it an id and a certificate of its own.",
}
"""What to try in the states in which nothing can be sent."""


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
    if mode & forbidden_mode(key_file):
        found = f"Private key {key_file} is open to others (mode {stat.S_IMODE(mode):04o})."
        raise AppConfigError(found, hint=f"chmod 600 {key_file}")
