"""``lsi lab``: what is done on a bench and nowhere else."""

import argparse
from collections.abc import Mapping
from typing import Final

from host.cli import Command
from lab import digits_command, heads_command, record_command, renders_command, segment_command

HELP: Final = (
    "bench only: record labelled measurement vectors (image-equivalent), label pixels, heads, digits"
)
_ACTIONS: Final[Mapping[str, Command]] = {
    "record": record_command,
    "digits": digits_command,
    "segment": segment_command,
    "heads": heads_command,
    "renders": renders_command,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the commands of ``lsi lab``."""
    subparsers = parser.add_subparsers(required=True, metavar="ACTION")
    for name, action in _ACTIONS.items():
        subparser = subparsers.add_parser(name, help=action.HELP, description=action.HELP)
        action.add_arguments(subparser)
        subparser.set_defaults(action=action)
    parser.epilog = record_command.EXAMPLE


def run(arguments: argparse.Namespace) -> int:
    """Run one of them."""
    action: Command = arguments.action
    return action.run(arguments)
