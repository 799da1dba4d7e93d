"""The arguments by which every command of the host names its broker."""

import argparse
from pathlib import Path

from transport.broker import PORT, TLS_PORT, BrokerAddress, TlsSettings


def add_broker_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare host, port and certificates."""
    parser.add_argument("--broker", default="127.0.0.1", metavar="HOST", help="default: %(default)s")
    parser.add_argument("--port", type=int, help=f"default: {TLS_PORT}, without TLS {PORT}")
    parser.add_argument("--tls", choices=["on", "off"], default="on", help="off works on loopback only")
    parser.add_argument("--ca-file", type=Path, help="whom to trust instead of the system's certificates")
    parser.add_argument("--cert-file", type=Path, help="our certificate, where the broker asks for one")
    parser.add_argument("--key-file", type=Path, help="its private key, mode 0600")


def broker_of(arguments: argparse.Namespace) -> BrokerAddress:
    """The address that the arguments name.

    Raises:
        AppConfigError: No TLS to another machine.
    """
    tls = None
    if arguments.tls == "on":
        tls = TlsSettings(arguments.ca_file, arguments.cert_file, arguments.key_file)
    port = arguments.port or (PORT if tls is None else TLS_PORT)
    return BrokerAddress(arguments.broker, port, tls)
