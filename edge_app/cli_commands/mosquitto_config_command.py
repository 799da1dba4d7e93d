"""``lsi-edge mosquitto-config``: write configuration and access rules of a broker for sensors."""

import argparse
import os
from pathlib import Path
from typing import Final

from edge_app.provision.mosquitto_config import (
    CONFIG_NAME,
    DEFAULT_DATA,
    DEFAULT_FOLDER,
    RULES_NAME,
    BrokerSetup,
    Floor,
    Version,
    access_rules,
    broker_config,
)
from lsi.errors import ConfigError
from lsi.whole_file import whole_file
from transport.broker import TLS_PORT

CONFIG_MODE: Final = 0o644
RULES_MODE: Final = 0o640
"""Mosquitto 2.1 warns when everybody can read its rules."""


def add_mosquitto_config(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    command = commands.add_parser(
        "mosquitto-config",
        help="write mosquitto.conf and access rules of a broker for sensors",
        description="Writes two files and changes nothing else. docs/how-to/broker-with-tls.md says where "
        "they go.",
        epilog="Example: lsi-edge mosquitto-config --out broker",
    )
    command.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER", help="where to write the two files"
    )
    command.add_argument("--force", action="store_true", help="replace files that look different")
    _add_setup(command)
    command.set_defaults(command=_mosquitto_config)


def _add_setup(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--broker-version", choices=[*Version], default=Version.V2_0, type=str, help="default: %(default)s"
    )
    command.add_argument(
        "--tls-floor", choices=[*Floor], default=Floor.TLS_1_3, type=str, help="default: %(default)s"
    )
    command.add_argument(
        "--folder",
        type=Path,
        default=DEFAULT_FOLDER,
        help="where rules and certificates will lie on the broker's machine (default: %(default)s)",
    )
    command.add_argument(
        "--data", type=Path, default=DEFAULT_DATA, metavar="FOLDER", help="default: %(default)s"
    )
    command.add_argument("--port", type=int, default=TLS_PORT, help="default: %(default)s")
    command.add_argument("--listen", default="", metavar="ADDRESS", help="default: every address")
    command.add_argument("--crl", action="store_true", help="refuse the certificates that ca.crl revokes")
    command.add_argument("--prefix", default="homeassistant", help="Home Assistant's (default: %(default)s)")
    command.add_argument(
        "--acl-plugin", type=Path, metavar="FILE", help="mosquitto_acl_file.so of 2.1 on the broker's machine"
    )


def _mosquitto_config(parsed: argparse.Namespace) -> int:
    setup = BrokerSetup(
        version=Version(parsed.broker_version),
        floor=Floor(parsed.tls_floor),
        folder=parsed.folder,
        data=parsed.data,
        port=parsed.port,
        listen=parsed.listen,
        with_crl=parsed.crl,
        prefix=parsed.prefix,
        plugin=parsed.acl_plugin,
    )
    files = {CONFIG_NAME: (broker_config(setup), CONFIG_MODE), RULES_NAME: (access_rules(setup), RULES_MODE)}
    try:
        parsed.out.mkdir(parents=True, exist_ok=True)
        for name, (text, _) in files.items():
            _refuse_other(parsed.out / name, text, is_forced=parsed.force)
        for name, (text, mode) in files.items():
            _write(parsed.out / name, text, mode)
    except OSError as cause:
        found = f"{parsed.out} cannot be written to ({cause.strerror})."
        raise ConfigError(found, hint="--out with a folder that is yours.") from cause
    return 0


def _refuse_other(path: Path, text: str, *, is_forced: bool) -> None:
    if path.exists() and not is_forced and path.read_bytes() != text.encode():
        found = f"{path} exists and says something else."
        raise ConfigError(found, hint="another --out, or --force to replace it.")


def _write(path: Path, text: str, mode: int) -> None:
    with whole_file(path) as file:
        file.write(text.encode())
        os.fchmod(file.fileno(), mode)
    print(path)
