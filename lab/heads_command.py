"""``lsi lab heads``: landmarks and classes per pixel from the offsets of one frozen bank, as a file."""

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from lab.segmentation_labels import read_classes
from lsi.errors import ConfigError
from training.cli_commands.command_parts import check_limits, digests, read_sensor, require_torch
from training.data_sets.data import open_data

if TYPE_CHECKING:
    from lab.latent_heads import Bench

HELP: Final = "train heads on the offsets of a frozen bank: landmarks, classes per pixel"
EXAMPLE: Final = (
    "Example: lsi lab heads latent64.npz --generator faces64.npz --data train.npz "
    "--board hardware/boards/sim-mcp3208.toml --segmentation labels.npz -o heads64.npz"
)
_FILES: Final = ("generator", "data", "board", "segmentation")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``lsi lab heads``."""
    parser.epilog = EXAMPLE
    add = parser.add_argument
    add("checkpoint", type=Path, help="of 'lsi train latent'; it is not changed")
    add("--generator", type=Path, required=True, metavar="FILE", help="the generator it was trained for")
    add("--data", type=Path, required=True, metavar="FILE", help="training pictures, with landmarks or not")
    add("--board", type=Path, required=True, metavar="FILE", help="board file (TOML) whose sensor measures")
    add("--segmentation", type=Path, metavar="FILE", help="classes per pixel of --data ('lsi lab segment')")
    add("--rows", type=int, default=6000, metavar="N", help="pictures for landmarks (default %(default)s)")
    add("--threads", type=int, default=2, metavar="N", help="threads of PyTorch (default 2)")
    add("-o", "--output", type=Path, required=True, metavar="FILE", help="file to write")


def run(arguments: argparse.Namespace) -> int:
    """Fit and write.

    Raises:
        ConfigError: PyTorch is missing, a number is out of range, or the bank is of another generator.
        DataError: A file cannot be used, or there are no labels.
    """
    check_limits(arguments, {"rows": (1, 1e7), "threads": (1, 64)})
    require_torch()
    import torch  # noqa: PLC0415 - `lsi --help` works without PyTorch

    from host.decoder.heads_file import save_heads  # noqa: PLC0415 - same
    from lab.latent_heads import fitted_heads  # noqa: PLC0415 - same

    torch.set_num_threads(arguments.threads)
    bench = bench_of(arguments)
    data, classes = open_data(arguments.data, "train"), read_classes(arguments.segmentation)
    rows = np.arange(0, len(data), max(1, -(-len(data) // arguments.rows)))
    heads = fitted_heads(bench, data, rows, classes, _record(arguments))
    save_heads(heads, arguments.output)
    kinds = [f"{len(heads.landmarks.bias) // 2} landmarks"] if heads.landmarks is not None else []
    kinds += [f"{len(heads.classes)} classes per pixel"] if heads.segmentation is not None else []
    print(f"wrote {arguments.output}: {' and '.join(kinds)} for d = {len(bench.checkpoint.patterns)}")
    return 0


def bench_of(arguments: argparse.Namespace) -> "Bench":
    """The bank in ``checkpoint``, the generator and the board that the arguments name.

    Raises:
        ConfigError: They do not belong together.
        DataError: A file cannot be used.
    """
    from host.decoder.decoder import OwnDecoder  # noqa: PLC0415 - needs PyTorch
    from host.decoder.generator_file import load_generator  # noqa: PLC0415 - same
    from lab.latent_heads import Bench  # noqa: PLC0415 - same
    from training.latent.latent_checkpoint import load_latent_checkpoint  # noqa: PLC0415 - same
    from training.light.forward_model import Detector  # noqa: PLC0415 - same

    generator = load_generator(arguments.generator)
    checkpoint = load_latent_checkpoint(arguments.checkpoint)
    if checkpoint.space != generator.space.form:
        found = f"{arguments.checkpoint} was trained for another latent space than {generator.space!r}."
        raise ConfigError(found, hint="the generator that 'lsi train latent' was given.")
    detector = Detector(*read_sensor(arguments.board))
    return Bench(checkpoint, OwnDecoder(generator, str(arguments.generator)), detector)


def _record(arguments: argparse.Namespace) -> dict[str, object]:
    """How the heads came about; file names without folders."""
    words = ["lsi", "lab", "heads", arguments.checkpoint.name]
    named = {option: getattr(arguments, option) for option in _FILES}
    for option, path in named.items():
        words += [] if path is None else ["--" + option, path.name]
    words += ["--rows", str(arguments.rows), "-o", arguments.output.name]
    files = [arguments.checkpoint, *(path for path in named.values() if path is not None)]
    return {"command": shlex.join(words), "data": digests(files)}
