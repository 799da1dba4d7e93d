"""``lsi-edge policy``: what may leave this device and who says so; widening it."""

import argparse
import os
from pathlib import Path

from edge_app.command_parts import add_config
from edge_app.config import AppConfig, load_config
from edge_app.policy import in_force
from edge_app.policy_record import WIDEN, read_record, widen
from edge_app.wall_clock import SystemWallClock
from lsi.bundle import read_bundle
from lsi.disclosure import DisclosurePolicy
from lsi.errors import DisclosureError


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
    policy.add_argument("--widen", action="store_true", help="allow what the configuration asks for (root)")
    policy.set_defaults(command=_policy)


def _policy(parsed: argparse.Namespace) -> int:
    config = load_config(parsed.config)
    if parsed.widen:
        return _widen(config)
    print(f"device and site  {_shown(config.policy)}")
    record = read_record(config.state)
    print(f"allowed so far   {record.mode}: {', '.join(sorted(record.attributes)) or 'no attribute'}")
    for each in record.widened:
        print(f"  widened {each.ts} to {each.mode}")
    if not record.covers(config.policy):
        print(f"NOT ALLOWED YET: the service does not start. Try: {WIDEN}")
    print(f"with the bundle  {_with_bundle(config.policy, config.bundle)}")
    return 0


def _widen(config: AppConfig) -> int:
    if os.geteuid() != 0:
        raise DisclosureError("A policy is widened by root, on the device.", hint=WIDEN)
    config.state.mkdir(parents=True, exist_ok=True)
    if widen(config.state, config.policy, SystemWallClock().timestamp()):
        print(f"Allowed: {_shown(config.policy)}. The topic info tells of it from the next start on.")
    else:
        print("Nothing to widen: it was allowed already.")
    return 0


def _with_bundle(policy: DisclosurePolicy, path: Path) -> str:
    """What the bundle leaves of ``policy``; whoever signed it, since nothing runs from it."""
    bundle = read_bundle(path)
    in_bundle = in_force(policy, bundle)
    answered = in_bundle.allowed & set(bundle.attributes.names)
    return f"{in_bundle.mode}: {', '.join(sorted(answered)) or 'no attribute'}"


def _shown(policy: DisclosurePolicy) -> str:
    return f"{policy.mode}: {', '.join(sorted(policy.allowed)) or 'no attribute'}"
