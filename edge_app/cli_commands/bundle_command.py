"""``lsi-edge bundle``: what is installed on this device, and changing it."""

import argparse
import datetime as dt
import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge_app.bundles.admission import Terms
from edge_app.bundles.changeover import Rules
from edge_app.bundles.device_slots import open_slots, rules_of, running_bundle
from edge_app.bundles.inbox import Inbox, PatientReader, read_bundle_file
from edge_app.bundles.installation import check_install, install
from edge_app.bundles.slot_lock import install_lock, service_runs
from edge_app.bundles.slot_store import SlotStore
from edge_app.bundles.slot_table import SlotTable, Standing
from edge_app.cli_commands.bundle_list import as_document, as_lines
from edge_app.cli_commands.command_parts import add_config
from edge_app.cli_commands.trial_watch import watch_trial
from edge_app.disclosure.disclosure_change import lets_out_more
from edge_app.settings.config import AppConfig, load_config
from firmware.boards.board import SIMULATED_BOARD, find_board
from lsi.bundle import contents_of, open_archive
from lsi.errors import DowngradeError, LsiError, SlotError
from lsi.rollback import RollbackReason


@dataclass(frozen=True, slots=True)
class _Device:
    """The device that a command is about."""

    config: AppConfig
    store: SlotStore
    rules: Rules

    @classmethod
    def of(cls, parsed: argparse.Namespace) -> "_Device":
        config = load_config(parsed.config)
        board = find_board(SIMULATED_BOARD if parsed.simulate else config.board)
        terms = Terms.of(config.trust, board, config.policy.mode, dt.datetime.now(dt.UTC).date())
        return cls(config, open_slots(config.state), rules_of(config, terms))


@dataclass(frozen=True, slots=True)
class _Action:
    name: str
    text: str
    example: str
    declare: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def add_bundle(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``bundle`` and what it can do."""
    bundle = commands.add_parser(
        "bundle",
        help="install, try, list and go back: the two slots for bundles",
        epilog="Example: lsi-edge bundle install mine-0.2.0.lsib && lsi-edge bundle activate --wait",
    )
    actions = bundle.add_subparsers(required=True, metavar="ACTION")
    for action in _ACTIONS:
        epilog = f"Example: lsi-edge bundle {action.name} {action.example}".rstrip()
        parser = actions.add_parser(action.name, help=action.text, description=action.text, epilog=epilog)
        add_config(parser)
        parser.add_argument("--simulate", action="store_true", help=argparse.SUPPRESS)
        parser.add_argument("--json", action="store_true", help="JSON instead of lines for people")
        action.declare(parser)
        parser.set_defaults(command=action.run)


def _install_arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("file", type=Path, nargs="?", metavar="FILE", help="a .lsib file")
    what.add_argument("--received", metavar="SHA256", help="the file that 'bundle receive' took")
    parser.add_argument("--dry-run", action="store_true", help="check it and write nothing")
    parser.add_argument(
        "--allow-downgrade", action="store_true", help="take a lower security epoch; only as root"
    )


def _activate_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--offline-ok", action="store_true", help="do not wait for an answer of the broker")
    parser.add_argument("--wait", action="store_true", help="return when the trial is over")


def _list_arguments(parser: argparse.ArgumentParser) -> None:
    del parser


def _verify_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", type=Path, nargs="?", metavar="FILE", help="a .lsib file (default: the slots)"
    )


def _rollback_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--allow-downgrade", action="store_true", help="go back to a lower security epoch; only as root"
    )


def _receive_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("digest", metavar="SHA256", help="of the whole file")
    parser.add_argument("size", type=int, metavar="BYTES", help="of the whole file")


def _install(parsed: argparse.Namespace) -> int:
    device = _Device.of(parsed)
    _demand_root(parsed)
    inbox = Inbox(device.config.state)
    path = parsed.file if parsed.received is None else inbox.received(parsed.received)
    content = read_bundle_file(path)
    if parsed.dry_run:
        manifest, _ = check_install(
            content, path, device.store, device.rules, allow_downgrade=parsed.allow_downgrade
        )
        _say(parsed, {"would_install": manifest.name, "version": manifest.version, "id": manifest.short_id})
        return 0
    try:
        with install_lock(device.config.state):
            done = install(content, path, device.store, device.rules, allow_downgrade=parsed.allow_downgrade)
    finally:
        if parsed.received is not None:
            inbox.remove(path)
    held = device.store.table()[done.slot]
    standing = None if held is None else held.standing
    document = {
        "slot": done.slot, "standing": standing, "name": done.manifest.name,
        "version": done.manifest.version, "id": done.manifest.short_id, "is_new": done.is_new,
    }  # fmt: skip
    _say(parsed, document)
    return 0


def _demand_root(parsed: argparse.Namespace) -> None:
    if parsed.allow_downgrade and os.geteuid() != 0:
        raise DowngradeError("Only root may go back to a lower security epoch.", hint="sudo, on the device.")


def _activate(parsed: argparse.Namespace) -> int:
    device = _Device.of(parsed)
    more = _more(device)
    if more:
        print(f"It will let out more than before: {', '.join(more)}.", file=sys.stderr)
    held = device.store.activate(offline_ok=parsed.offline_ok, again=True).of(Standing.TRIAL)
    if held is None:  # pragma: no cover - activate says so itself
        raise SlotError("No bundle is on trial.")
    if not service_runs(device.config.state):
        _say(parsed, {"standing": "trial", "bundle": held.label, "service": "stopped"})
        print("The service does not run: the trial begins at its next start.", file=sys.stderr)
        return 0
    if not parsed.wait:
        _say(parsed, {"standing": "trial", "bundle": held.label, "service": "runs"})
        return 0
    return watch_trial(device.store, held, lambda document: _say(parsed, document))


def _more(device: _Device) -> list[str]:
    """What the bundle that is to be activated lets out beyond the one that runs."""
    table = device.store.table()
    slot = table.slot_of(Standing.STAGED) or table.slot_of(Standing.REJECTED)
    if slot is None:
        return []
    try:
        running = running_bundle(device.store, device.rules).bundle
    except LsiError:
        return []
    other = contents_of(open_archive(device.store.content(slot), device.store.path(slot)))
    return lets_out_more(device.rules.policy, running, other)


def _list(parsed: argparse.Namespace) -> int:
    device = _Device.of(parsed)
    table = device.store.table()
    if parsed.json:
        print(json.dumps(as_document(table)))
    else:
        print("\n".join(as_lines(table, device.config.bundle)))
    return 0


def _verify(parsed: argparse.Namespace) -> int:
    device = _Device.of(parsed)
    if parsed.file is not None:
        admitted = device.rules.admit(read_bundle_file(parsed.file), parsed.file)
        _say(parsed, {"file": parsed.file.name, "holds": True, "id": admitted.bundle.manifest.short_id})
        return 0
    failures: list[LsiError] = []
    for slot, held in device.store.table().held():
        try:
            device.rules.admit(device.store.content(slot), device.store.path(slot))
        except LsiError as error:
            failures.append(error)
            _say(parsed, {"slot": slot, "bundle": held.label, "holds": False, "found": error.found})
        else:
            _say(parsed, {"slot": slot, "bundle": held.label, "holds": True})
    if failures:
        raise failures[0]
    return 0


def _rollback(parsed: argparse.Namespace) -> int:
    device = _Device.of(parsed)
    _demand_root(parsed)
    if device.store.table().slot_of(Standing.TRIAL) is not None:
        after = device.store.roll_back(RollbackReason.BY_HAND)
    else:
        _check_previous(device.store.table(), allow_downgrade=parsed.allow_downgrade)
        after = device.store.switch(downgrade=parsed.allow_downgrade)
    active = after.of(Standing.ACTIVE)
    _say(parsed, {"active": None if active is None else active.label})
    return 0


def _check_previous(table: SlotTable, *, allow_downgrade: bool) -> None:
    previous = table.of(Standing.PREVIOUS)
    if previous is None or allow_downgrade or previous.security_epoch >= table.highest_epoch:
        return
    found = f"{previous.label} has epoch {previous.security_epoch}; {table.highest_epoch} ran here."
    raise DowngradeError(found, hint="as root, on the device, --allow-downgrade.")


def _receive(parsed: argparse.Namespace) -> int:
    """For ``lsi flash``: says how much is here, takes the rest from standard input."""
    device = _Device.of(parsed)
    inbox = Inbox(device.config.state)
    with install_lock(device.config.state):
        print(json.dumps({"have": inbox.begun(parsed.digest)}), flush=True)
        inbox.take(parsed.digest, parsed.size, PatientReader(sys.stdin.fileno()))
    print(json.dumps({"received": True}), flush=True)
    return 0


def _say(parsed: argparse.Namespace, document: Mapping[str, object]) -> None:
    if parsed.json:
        print(json.dumps(document), flush=True)
    else:
        print(", ".join(f"{key.replace('_', ' ')}: {value}" for key, value in document.items()), flush=True)


_ACTIONS: Final = (
    _Action(
        "install",
        "check a bundle and put it into the idle slot",
        "mine-0.2.0.lsib",
        _install_arguments,
        _install,
    ),
    _Action(
        "activate",
        "try the bundle that is staged; it is kept once it has passed, else the device goes back",
        "--wait",
        _activate_arguments,
        _activate,
    ),
    _Action("list", "what the slots hold, and what happened to them", "", _list_arguments, _list),
    _Action(
        "verify",
        "make every check of this device on both slots, or on a file",
        "",
        _verify_arguments,
        _verify,
    ),
    _Action("rollback", "end a trial, or go back to the previous bundle", "", _rollback_arguments, _rollback),
    _Action(
        "receive",
        "take a bundle from standard input, going on where an earlier try ended (for lsi flash)",
        "SHA256 BYTES <FILE",
        _receive_arguments,
        _receive,
    ),
)
