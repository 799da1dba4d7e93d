"""``lsi-edge rollback-app``: back to the release that ran before this one.

The install script switches, for it works with a release that is broken too; this command finds
the script beside the release that it belongs to.
"""

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Final

from lsi.errors import ConfigError

SCRIPT: Final = "install_device.sh"
RELEASES: Final = "releases"


def add_rollback_app(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``rollback-app``."""
    rollback = commands.add_parser(
        "rollback-app",
        help="run the release of this software that ran before; configuration and state stay",
        epilog="Example: sudo lsi-edge rollback-app",
    )
    rollback.set_defaults(command=_rollback_app)


def _rollback_app(_parsed: argparse.Namespace) -> int:
    return roll_back(Path(sys.prefix))


def roll_back(prefix: Path) -> int:
    """Let the script of the installation that ``prefix`` is a release of switch and restart.

    Returns:
        The exit code of the script, which has said what it found.

    Raises:
        ConfigError: The running Python belongs to no installation of the script.
    """
    script = prefix.resolve().parent.parent / SCRIPT
    if prefix.resolve().parent.name != RELEASES or not script.is_file():
        found = f"{prefix} is no release that {SCRIPT} installed."
        raise ConfigError(
            found, hint="the command of the installation: sudo /usr/local/bin/lsi-edge rollback-app"
        )
    return subprocess.run([str(script), "--rollback"], check=False).returncode  # noqa: S603 - root's own file
