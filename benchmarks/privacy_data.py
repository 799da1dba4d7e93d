"""The faces that the attacks of the privacy benchmarks are made on: one place for their arguments."""

import argparse
from pathlib import Path


def add_data(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Declare ``--data`` and ``--learn``; where they are not required, see :func:`check_data`."""
    add = parser.add_argument
    add("--data", type=Path, required=required, help="labelled faces with identities (.npz), to attack")
    add("--learn", type=Path, required=required, help="other people, from whom attackers learn (.npz)")


def check_data(parser: argparse.ArgumentParser, parsed: argparse.Namespace) -> None:
    """End with a message where only one of the two files is given."""
    if (parsed.data is None) != (parsed.learn is None):
        parser.error("--data and --learn belong together")
