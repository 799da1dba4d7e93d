"""A broker named by one line: ``mqtts://broker.example.org``, or ``mqtt://127.0.0.1:1883`` on loopback."""

from typing import Final
from urllib.parse import urlsplit

from lsi.errors import AppConfigError
from transport.broker import PORT, TLS_PORT, BrokerAddress, TlsSettings

_PORTS: Final = {"mqtt": PORT, "mqtts": TLS_PORT}
_HINT: Final = "mqtts://HOST[:PORT], or mqtt://127.0.0.1[:PORT] on this machine."


def broker_address(url: str, tls: TlsSettings | None = None) -> BrokerAddress:
    """The address that ``url`` names.

    Args:
        url: Scheme ``mqtts`` (TLS) or ``mqtt`` (loopback only), host, and an unusual port.
        tls: Certificates; without them the system's store, and none of our own.

    Raises:
        AppConfigError: Another form, a name or password in it, or no TLS to another machine.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError as cause:
        raise AppConfigError(f"Broker {url!r}: {cause}.", hint=_HINT) from cause
    if parts.username is not None or parts.password is not None:
        raise AppConfigError("A broker's URL holds no name and password.", hint="client certificates.")
    if parts.scheme not in _PORTS or not parts.hostname or parts.path.strip("/") or parts.query:
        raise AppConfigError(f"Broker {url!r} is no address of a broker.", hint=_HINT)
    is_plain = parts.scheme == "mqtt"
    return BrokerAddress(parts.hostname, port, None if is_plain else tls or TlsSettings())
