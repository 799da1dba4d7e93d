"""``lsi-edge wipe``: leave no record of anybody on this device."""

import argparse

from edge_app.cli_commands.command_parts import add_config
from edge_app.records.outbox_schema import erase
from edge_app.rig.rig_lock import rig_lock
from edge_app.settings.config import load_config
from edge_app.uplink import OUTBOX
from lsi.errors import ConfigError


def add_wipe(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    wipe = commands.add_parser(
        "wipe",
        help="erase every record that waits on this device or is kept for a replay",
        description="Erases the outbox: events that the broker does not have yet are lost. Keys, "
        "certificates and calibration stay. Stop the service first.",
        epilog="Example: lsi-edge wipe --config /etc/lsi/config.toml",
    )
    add_config(wipe)
    wipe.set_defaults(command=_wipe)


def _wipe(parsed: argparse.Namespace) -> int:
    config = load_config(parsed.config)
    path = config.state / OUTBOX
    if not path.parent.exists():
        print(f"There are no records in {config.state}.")
        return 0
    with rig_lock(config.state):
        try:
            erase(path)
        except OSError as cause:
            found = f"{path} cannot be erased ({cause.strerror})."
            raise ConfigError(found, hint="the user of the service; a disk that can be written.") from cause
    print(f"Erased: {path}")
    return 0
