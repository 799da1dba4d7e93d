"""``lsi bundle``: make keys, sign, look into, verify and compare bundles.

It stands in the lab because ``verify`` runs the device's own checks, TFLite included.
"""

import argparse
import datetime as dt
import json
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge_app.bundles.admission import Check, Terms, admit
from firmware.boards.board import SIMULATED_BOARD, find_board
from lab.bundle_report import as_lines, describe, differences
from lsi.bundle import contents_of, open_bundle
from lsi.disclosure import PayloadMode
from lsi.errors import ConfigError, LsiError
from lsi.key_files import read_public_key, read_secret_key, write_key_pair
from lsi.mask_rank import check_mask_rank
from lsi.minisign import SecretKey
from lsi.trust import sign_bundle
from lsi.whole_file import whole_file

HELP = "make keys, sign, inspect, verify and compare bundles"


@dataclass(frozen=True, slots=True)
class _Action:
    """One command below ``lsi bundle``."""

    name: str
    text: str
    example: str
    declare: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the commands of ``lsi bundle``."""
    subparsers = parser.add_subparsers(required=True, metavar="ACTION")
    for action in _ACTIONS:
        example = f"Example: lsi bundle {action.name} {action.example}"
        subparser = subparsers.add_parser(
            action.name, help=action.text, description=action.text, epilog=example
        )
        action.declare(subparser)
        subparser.set_defaults(action=action)
    parser.epilog = "Example: lsi bundle sign mine-0.1.0.lsib --key owner.key"


def run(arguments: argparse.Namespace) -> int:
    """Run one of them."""
    action: _Action = arguments.action
    return action.run(arguments)


def _keygen_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("owner"), metavar="NAME", help="default: %(default)s"
    )


def _sign_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", type=Path, metavar="FILE", help="a .lsib file")
    parser.add_argument("--key", type=Path, required=True, metavar="KEY", help="a secret key, mode 0600")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="OUT", help="a new file (default: replace FILE in one step)"
    )


def _inspect_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", type=Path, metavar="FILE", help="a .lsib file")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")


def _verify_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", type=Path, metavar="FILE", help="a .lsib file")
    parser.add_argument(
        "--key", type=Path, required=True, nargs="+", metavar="PUB", help="public keys to trust"
    )
    parser.add_argument(
        "--board", default=SIMULATED_BOARD, metavar="NAME_OR_FILE", help="default: %(default)s"
    )


def _diff_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("one", type=Path, metavar="A", help="a .lsib file")
    parser.add_argument("two", type=Path, metavar="B", help="another")


def _keygen(arguments: argparse.Namespace) -> int:
    key = SecretKey.generate()
    secret, public = write_key_pair(key, arguments.output)
    print(f"Key {key.public_key.name}")
    print(f"  {secret}: signs; keep it, and a copy of it, away from devices and networks")
    print(f'  {public}: goes onto each device: [trust] keys = ["{public.name}"]')
    return 0


def _sign(arguments: argparse.Namespace) -> int:
    output = _output(arguments.bundle, arguments.output)
    key = read_secret_key(arguments.key)
    file = open_bundle(arguments.bundle)
    # Nobody should put a name to what every device will refuse.
    check_mask_rank(contents_of(file).patterns, PayloadMode(file.manifest.mode))
    _replace(output, sign_bundle(file, key), like=arguments.bundle)
    manifest = file.manifest
    identity = f"{manifest.name} {manifest.version} {manifest.short_id}"
    print(f"{output.name}: {identity}, signed with key {key.public_key.name}")
    return 0


def _inspect(arguments: argparse.Namespace) -> int:
    description = describe(open_bundle(arguments.bundle))
    print(json.dumps(description) if arguments.json else "\n".join(as_lines(description)))
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    terms = Terms(
        trusted=tuple(map(read_public_key, arguments.key)),
        allow_unsigned=False,
        provides=find_board(arguments.board).provides,
        mode=PayloadMode.LATENT,
        today=dt.datetime.now(dt.UTC).date(),
    )
    left = list(Check)

    def passed(check: Check, remark: str) -> None:
        left.remove(check)
        print(f"ok      {check:26} {remark}")

    try:
        admit(arguments.bundle, terms, passed)
    except LsiError as error:
        print(f"failed  {left[0]:26} {error.found}")
        for check in left[1:]:
            print(f"-       {check:26} not made")
        raise
    return 0


def _diff(arguments: argparse.Namespace) -> int:
    lines = differences(open_bundle(arguments.one), open_bundle(arguments.two))
    print("\n".join(lines or ["no difference"]))
    return 0


def _output(bundle: Path, output: Path | None) -> Path:
    """Where the signed bundle goes; a link is followed, so that it stays one."""
    if output is None:
        return bundle.resolve()
    if output.exists() and not (bundle.exists() and output.samefile(bundle)):
        raise ConfigError(f"{output} exists.", hint="another name, or no -o to sign in place.")
    return output.resolve()


def _replace(path: Path, content: bytes, *, like: Path) -> None:
    """Write ``path`` in one step, with the mode of ``like``; a power cut leaves old or new."""
    try:
        with whole_file(path) as file:
            file.write(content)
            os.fchmod(file.fileno(), stat.S_IMODE(like.stat().st_mode))
    except OSError as cause:
        found = f"{path} cannot be written ({cause.strerror})."
        raise ConfigError(found, hint="a folder that exists and may be written to.") from cause


_ACTIONS: Final = (
    _Action(
        "keygen",
        "make a key pair: NAME.key (mode 0600, keep it) and NAME.pub (for devices)",
        "-o owner",
        _keygen_arguments,
        _keygen,
    ),
    _Action(
        "sign",
        "sign a bundle, in place or as a copy",
        "mine-0.1.0.lsib --key owner.key",
        _sign_arguments,
        _sign,
    ),
    _Action(
        "inspect",
        "show what a bundle says about itself, whoever signed it",
        "mine-0.1.0.lsib --json",
        _inspect_arguments,
        _inspect,
    ),
    _Action(
        "verify",
        "make every check that a device makes when it loads a bundle",
        "mine-0.1.0.lsib --key owner.pub",
        _verify_arguments,
        _verify,
    ),
    _Action(
        "diff",
        "list the fields and members in which two bundles differ",
        "mine-0.1.0.lsib mine-0.2.0.lsib",
        _diff_arguments,
        _diff,
    ),
)
