"""``lsi-edge``: the commands of the device."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Final

from edge_app.cli_commands.run_command import add_run
from edge_app.journal import set_up_logging
from firmware.clock import MonotonicClock
from lsi.errors import LsiError

INTERRUPTED: Final = 130
_RUN: Final = "run"
_BUNDLE: Final = "bundle"
_LOG_LEVEL: Final = "--log-level"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is that of ``docs/reference/exit-codes.md``."""
    given = sys.argv[1:] if arguments is None else arguments
    parsed = _parser(_command(given)).parse_args(given)
    parsed.log_fields = set_up_logging(parsed.log_level, os.environ, sys.stderr, MonotonicClock())
    command: Callable[[argparse.Namespace], int] = parsed.command
    try:
        return command(parsed)
    except LsiError as error:
        print(f"lsi-edge: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED


def _command(arguments: Sequence[str]) -> str | None:
    """The command among ``arguments``, if there is one."""
    words = iter(arguments)
    for word in words:
        if word == _LOG_LEVEL:
            next(words, None)
        elif not word.startswith(f"{_LOG_LEVEL}="):
            return word
    return None


def _parser(command: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lsi-edge",
        description="The device side of a camera that never makes a picture.",
        epilog="Example: lsi-edge scan --simulate --json",
    )
    parser.add_argument("--version", action="version", version=f"lsi-edge {version('lsi-edge')}")
    parser.add_argument(_LOG_LEVEL, default="INFO", choices=["DEBUG", "INFO", "WARNING", "ERROR"])
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    if command == _RUN:
        add_run(commands)
    elif command == _BUNDLE:  # called several times in a row by lsi flash
        from edge_app.cli_commands.bundle_command import add_bundle  # noqa: PLC0415

        add_bundle(commands)
    else:
        # The service starts an eighth sooner where the modules of all other commands stay unread.
        from edge_app.cli_commands.all_commands import add_all  # noqa: PLC0415

        add_all(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
