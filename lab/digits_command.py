"""``lsi lab digits``: the second domain as data files."""

import argparse
from pathlib import Path
from typing import Final

from lab.digits import TRAIN_ROWS, write_digits

HELP: Final = "write handwritten digits as data files: pictures that anyone may use"
EXAMPLE: Final = "Example: lsi lab digits -o data/"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``lsi lab digits``."""
    parser.epilog = EXAMPLE
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FOLDER", help="folder to write into"
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the files and name them.

    Raises:
        ConfigError: scikit-learn is missing.
    """
    for part, path in write_digits(arguments.output, TRAIN_ROWS).items():
        print(f"{part:12} {path}")
    return 0
