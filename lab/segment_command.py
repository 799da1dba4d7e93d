"""``lsi lab segment``: weak labels per pixel for training pictures, by a face parsing network."""

import argparse
from pathlib import Path
from typing import Final

import numpy as np

from lab.evaluate_command import tell
from lab.segmentation_labels import label_rows, save_classes
from training.cli_commands.command_parts import check_limits
from training.data_sets.data import open_data

HELP: Final = "label pixels of some pictures with a face parsing network (ONNX)"
EXAMPLE: Final = (
    "Example: lsi lab segment --data train.npz --network faceparse.onnx --rows 1000 -o labels.npz"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``lsi lab segment``."""
    parser.epilog = EXAMPLE
    parser.add_argument("--data", type=Path, required=True, metavar="FILE", help="pictures")
    parser.add_argument("--network", type=Path, required=True, metavar="ONNX", help="19 classes at 256 px")
    parser.add_argument("--rows", type=int, default=1000, metavar="N", help="evenly chosen (default 1000)")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="file to write")


def run(arguments: argparse.Namespace) -> int:
    """Label and write.

    Raises:
        ConfigError: onnxruntime is missing, or a number is out of range.
        DataError: Data or network cannot be used.
    """
    check_limits(arguments, {"rows": (1, 1e7)})
    data = open_data(arguments.data, "train")
    rows = np.unique(np.linspace(0, len(data) - 1, min(arguments.rows, len(data))).astype(np.int64))
    classes = label_rows(arguments.network, data, rows, lambda done, total: tell("labels", done, total))
    save_classes(classes, arguments.output)
    print(f"wrote {arguments.output}: {len(rows)} rows, {len(classes.names)} classes; weak labels, not truth")
    return 0
