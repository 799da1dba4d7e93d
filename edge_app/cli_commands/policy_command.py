"""``lsi-edge policy``: what may leave this device and who says so; widening it."""

import argparse
import os
from pathlib import Path

from edge_app.bundles.device_slots import open_slots
from edge_app.bundles.slot_table import Standing
from edge_app.cli_commands.command_parts import add_config
from edge_app.disclosure.policy import in_force
from edge_app.disclosure.policy_record import WIDEN, put_on_record, read_record, widen
from edge_app.disclosure.privacy_ledger import renewed
from edge_app.settings.config import AppConfig, load_config
from edge_app.wall_clock import SystemWallClock
from lsi.bundle import read_bundle
from lsi.disclosure import DisclosurePolicy, PayloadMode
from lsi.errors import DisclosureError, SlotError


def add_policy(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    policy = commands.add_parser(
        "policy",
        help="what may leave this device, or allow it to let out more",
        description="Shows what device, site and bundle let out, and what is in force: the narrowest of "
        "them. With --widen, root allows the configuration's policy where it is wider than before; the topic "
        "info lists the time and mode of each widening.",
        epilog="Example: lsi-edge policy --config /etc/lsi/config.toml",
    )
    add_config(policy)
    action = policy.add_mutually_exclusive_group()
    action.add_argument("--widen", action="store_true", help="allow what the configuration asks for (root)")
    action.add_argument(
        "--new-ledger", action="store_true", help="begin a ledger of epsilon anew; info tells of it (root)"
    )
    policy.set_defaults(command=_policy)


def _policy(parsed: argparse.Namespace) -> int:
    config = load_config(parsed.config)
    if parsed.widen:
        return _widen(config)
    if parsed.new_ledger:
        return _renew_ledger(config)
    print(f"device and site  {_shown(config.policy)}")
    so_far = read_record(config.state)
    print(f"allowed so far   {so_far.mode}: {', '.join(sorted(so_far.attributes)) or 'no attribute'}")
    for each in so_far.widened:
        print(f"  widened {each.ts} to {each.mode}")
    if not so_far.covers(config.policy):
        print(f"NOT ALLOWED YET: the service does not start. Try: {WIDEN}")
    print(f"with the bundle  {_with_bundle(config.policy, _running(config))}")
    return 0


def _renew_ledger(config: AppConfig) -> int:
    """A reset is a widening: whoever reads ``info`` sees when it was."""
    _demand_root()
    begun = renewed(config.state)
    put_on_record(config.state, SystemWallClock().timestamp(), PayloadMode.AGG)
    print(f"The ledger begins with {begun.releases} windows and epsilon {begun.epsilon:g} in all.")
    return 0


def _demand_root() -> None:
    if os.geteuid() != 0:
        raise DisclosureError("That takes root, on the device.", hint="the same command with sudo.")


def _widen(config: AppConfig) -> int:
    _demand_root()
    config.state.mkdir(parents=True, exist_ok=True)
    if widen(config.state, config.policy, SystemWallClock().timestamp()):
        print(f"Allowed: {_shown(config.policy)}. The topic info tells of it from the next start on.")
    else:
        print("Nothing to widen: it was allowed already.")
    return 0


def _running(config: AppConfig) -> Path:
    """The file of the bundle that runs: the active slot's, else the factory's."""
    store = open_slots(config.state)
    slot = store.table().slot_of(Standing.ACTIVE)
    path = config.bundle if slot is None else store.path(slot)
    if path is None:
        raise SlotError("No bundle is active.", hint="lsi flash, or lsi-edge bundle install FILE")
    return path


def _with_bundle(policy: DisclosurePolicy, path: Path) -> str:
    """What the bundle leaves of ``policy``; whoever signed it, since nothing runs from it."""
    bundle = read_bundle(path)
    in_bundle = in_force(policy, bundle)
    answered = in_bundle.allowed & set(bundle.attributes.names)
    return f"{in_bundle.mode}: {', '.join(sorted(answered)) or 'no attribute'}"


def _shown(policy: DisclosurePolicy) -> str:
    return f"{policy.mode}: {', '.join(sorted(policy.allowed)) or 'no attribute'}"
