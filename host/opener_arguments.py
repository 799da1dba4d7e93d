"""The arguments by which a command is given what opens sealed latents: keys of the host, and of devices."""

import argparse
from pathlib import Path

from host.opener import Opener
from lsi.errors import ConfigError
from lsi.host_keys import read_host_secret_key
from lsi.key_files import read_public_key
from lsi.minisign import PublicKey
from lsi.topics import DEVICE_ID


def add_opener_arguments(parser: argparse._ActionsContainer, *, required: bool) -> None:
    """Declare ``--key`` and ``--device``."""
    add = parser.add_argument
    add("--key", action="append", required=required, type=Path, help="secret key of the host")
    add("--device", action="append", required=required, metavar="ID=FILE", help="public key file of a device")


def opener_of(arguments: argparse.Namespace) -> Opener:
    """An opener with the keys that the arguments name.

    Raises:
        ConfigError: ``--device`` that names no device and key.
        KeyFileError: A key that cannot be read, or a secret one that others can read.
    """
    devices = dict(map(_device, arguments.device))
    return Opener([read_host_secret_key(path) for path in arguments.key], devices)


def _device(text: str) -> tuple[str, PublicKey]:
    device_id, _, path = text.partition("=")
    if not DEVICE_ID.fullmatch(device_id) or not path:
        raise ConfigError(f"--device {text[:80]!r} names no device and key.", hint="--device hall1=hall1.pub")
    return device_id, read_public_key(Path(path))
