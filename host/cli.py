"""``lsi``: the commands of the host. Each room registers its own (``lsi.commands``)."""

import argparse
import logging
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points, version
from typing import Final, Protocol

from lsi.errors import LsiError

GROUP: Final = "lsi.commands"
INTERRUPTED: Final = 130


class Command(Protocol):
    """What a module named in the entry-point group ``lsi.commands`` has to offer."""

    HELP: str
    """One line for ``lsi --help``."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare arguments and an epilog with one example."""
        ...

    def run(self, arguments: argparse.Namespace) -> int:
        """Do it; the result is the exit code."""
        ...


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is that of ``docs/reference/exit-codes.md``."""
    words = sys.argv[1:] if arguments is None else arguments
    parsed = _parser(_commands(words)).parse_args(words)
    logging.basicConfig(
        level=parsed.log_level, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s"
    )
    try:
        command: Command = parsed.command
        return command.run(parsed)
    except LsiError as error:
        print(f"lsi: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED


def _commands(words: Sequence[str]) -> dict[str, Command]:
    """The command that is named, or all of them for who asks what there is: loading all takes a second."""
    points = {point.name: point for point in sorted(entry_points(group=GROUP), key=lambda point: point.name)}
    named = next((word for word in words if word in points), None)
    return {name: point.load() for name, point in points.items() if named in {None, name}}


def _parser(commands: dict[str, Command]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lsi",
        description="The host side of a camera that never makes a picture.",
        epilog="Example: lsi listen --broker 127.0.0.1 --tls off",
    )
    parser.add_argument("--version", action="version", version=f"lsi {version('lsi-host')}")
    parser.add_argument("--log-level", default="WARNING", choices=["DEBUG", "INFO", "WARNING", "ERROR"])
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, command in commands.items():
        subparser = subparsers.add_parser(name, help=command.HELP, description=command.HELP)
        command.add_arguments(subparser)
        subparser.set_defaults(command=command)
    return parser


if __name__ == "__main__":
    sys.exit(main())
