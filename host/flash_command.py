"""``lsi flash``: bring a bundle onto devices and hear whether they keep it."""

import argparse
import json
import shlex
import sys
from functools import partial
from pathlib import Path

from host.flash_card import put_on_card
from host.flash_device import Flashed, Wishes, flash_device
from host.flash_rollout import AT_ONCE, Group, Result, exit_code, read_groups, roll_out
from host.flash_target import CardTarget, EdgeCommand, target_of
from host.progress_bar import ProgressBar
from lsi.bundle import contents_of, open_archive
from lsi.errors import BundleError, FlashError, UnsignedBundleError
from lsi.trust import sign_command

HELP = "bring a bundle onto devices and hear whether they keep it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``lsi flash``."""
    parser.add_argument("bundle", type=Path, metavar="FILE", help="a signed .lsib file")
    parser.add_argument(
        "destinations",
        nargs="*",
        metavar="DEST",
        help="local, a mounted card's folder, ssh://user@host[:port]",
    )
    parser.add_argument("--devices", type=Path, metavar="LIST", help="a TOML file with groups of devices")
    parser.add_argument(
        "--group", action="append", default=[], metavar="NAME", help="only this group of LIST"
    )
    parser.add_argument("--dry-run", action="store_true", help="look at everything and change nothing")
    parser.add_argument("--offline-ok", action="store_true", help="for sites without a broker")
    parser.add_argument("--sudo", action="store_true", help="call lsi-edge with 'sudo -n'")
    parser.add_argument("--edge-command", default="lsi-edge", metavar="COMMAND", help="default: %(default)s")
    parser.add_argument("--device-config", metavar="PATH", help="on the device; default: the usual one")
    parser.add_argument("--ssh-config", type=Path, metavar="FILE", help="for ssh -F; default: your own")
    parser.add_argument(
        "--at-once", type=int, default=AT_ONCE, metavar="N", help="devices of a group (%(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object per device")
    parser.epilog = "Example: lsi flash mine-0.2.0.lsib ssh://lsi@hall1.local"


def run(arguments: argparse.Namespace) -> int:
    """Flash every device that is named."""
    content = _checked(arguments.bundle)
    groups = _groups(arguments)
    edge = EdgeCommand(
        (*(("sudo", "-n") if arguments.sudo else ()), *shlex.split(arguments.edge_command)),
        arguments.device_config,
        arguments.ssh_config,
    )
    bar = ProgressBar(sys.stderr, is_shared=sum(len(group.devices) for group in groups) > 1)
    flash = partial(_flash, arguments, content, edge, bar)
    results = []
    for result in roll_out(groups, flash, max(1, arguments.at_once)):
        bar.end()
        _say(result, as_json=arguments.json)
        results.append(result)
    left = sum(len(group.devices) for group in groups) - len(results)
    if left:
        print(f"{left} more devices were not begun: a group before them did not take it.", file=sys.stderr)
    return exit_code(results)


def _checked(path: Path) -> bytes:
    """The bytes of a bundle that some device may take; who is trusted there, only the device knows."""
    try:
        content = path.read_bytes()
    except OSError as cause:
        raise BundleError(f"{path} cannot be read ({cause.strerror}).", hint="a .lsib file.") from cause
    file = open_archive(content, path)
    contents_of(file)
    if file.signature is None:
        raise UnsignedBundleError(f"{path.name} is not signed.", hint=sign_command(path))
    return content


def _groups(arguments: argparse.Namespace) -> list[Group]:
    if arguments.devices is not None and not arguments.destinations:
        return read_groups(arguments.devices, arguments.group)
    if not arguments.destinations or arguments.devices is not None or arguments.group:
        raise FlashError("Where to?", hint="destinations, or --devices LIST [--group NAME].")
    return [Group("named", tuple(arguments.destinations))]


def _flash(
    arguments: argparse.Namespace, content: bytes, edge: EdgeCommand, bar: ProgressBar, destination: str
) -> Flashed:
    target = target_of(destination, edge)
    wishes = Wishes(offline_ok=arguments.offline_ok, dry_run=arguments.dry_run)
    if isinstance(target, CardTarget):
        put_on_card(target.folder, arguments.bundle.name, content, dry_run=wishes.dry_run)
        return Flashed.CHECKED if wishes.dry_run else Flashed.TRIED_AT_NEXT_START
    return flash_device(target, content, wishes, partial(bar.tell, target.label))


def _say(result: Result, *, as_json: bool) -> None:
    if not as_json:
        print(result.line, flush=True)
        return
    error = result.error
    document = {
        "device": result.device,
        "result": result.flashed,
        "error": None if error is None else str(error),
        "exit_code": 0 if error is None else error.exit_code,
    }
    print(json.dumps(document), flush=True)
