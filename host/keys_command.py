"""``lsi keys``: make and show the keys to which devices seal latents."""

import argparse
import datetime as dt
from pathlib import Path
from typing import Final

from lsi.host_keys import HostSecretKey, read_host_public_key, write_host_key

HELP: Final = "make or show the host's key, to which devices seal latents"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare arguments."""
    parser.epilog = "Example: lsi keys new host-2026-11"
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    new = actions.add_parser(
        "new",
        help="make a key: NAME.key stays here, NAME.pub goes to the devices",
        epilog="Example: lsi keys new host-2026-11",
    )
    new.add_argument("name", type=Path, metavar="NAME", help="path without a suffix")
    new.set_defaults(action=_new)
    show = actions.add_parser(
        "show",
        help="show name and last day of a public key",
        epilog="Example: lsi keys show host-2026-11.pub",
    )
    show.add_argument("file", type=Path, metavar="FILE")
    show.set_defaults(action=_show)


def run(arguments: argparse.Namespace) -> int:
    """Make or show."""
    code: int = arguments.action(arguments)
    return code


def _new(arguments: argparse.Namespace) -> int:
    key = HostSecretKey.generate(dt.datetime.now(dt.UTC).date())
    secret, public = write_host_key(key, arguments.name)
    print(f"{secret}  secret: whoever has it can see what devices sealed to it")
    print(f"{public}  key {key.public_key.kid}, for devices, until {key.public_key.expires}")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    key = read_host_public_key(arguments.file)
    print(f"key {key.kid}, made {key.created}, sealed to until {key.expires}")
    return 0
