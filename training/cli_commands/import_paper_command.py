"""``lsi import-paper``: a checkpoint of the paper's official code in, plain arrays out."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lsi.errors import ConfigError

if TYPE_CHECKING:
    from training.paper.paper_import import PaperImport

HELP: str = "check a checkpoint of the paper's official code and write it without pickle"
EXAMPLE: Final = "example: lsi import-paper simulation_256.pt -o checkpoints/paper256.npz"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lsi import-paper`` to its parser."""
    parser.epilog = EXAMPLE
    parser.add_argument("checkpoint", type=Path, metavar="CKPT", help=".pt file of vccimaging/latent-imaging")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.npz", help="file to write")
    parser.add_argument("--force", action="store_true", help="replace an existing file")


def run(arguments: argparse.Namespace) -> int:
    """Read, check, write; print what was found.

    Raises:
        ConfigError: PyTorch is missing or too old, or the output exists or cannot be written.
        DataError: The checkpoint is not one of the official code, or holds more than numbers.
    """
    _check_output(arguments)
    from training.paper.paper_import import import_paper  # noqa: PLC0415 - `lsi --help` stays light
    from training.paper.paper_weights import save_paper_weights  # noqa: PLC0415 - same

    print(f"reading {arguments.checkpoint}", flush=True)
    found = import_paper(arguments.checkpoint)
    print("\n".join(summary_lines(found)))
    try:
        save_paper_weights(found.weights, arguments.output)
    except OSError as cause:
        message = f"{arguments.output} cannot be written ({cause.strerror})."
        raise ConfigError(message, hint="another folder, or more space.") from cause
    print(f"wrote {arguments.output} ({arguments.output.stat().st_size / 1e6:.0f} MB)")
    return 0


def summary_lines(found: "PaperImport") -> list[str]:
    """What the checkpoint holds, for people."""
    weights = found.weights
    fractions = 100 * weights.open_fractions
    head = "none in this checkpoint" if weights.head_bias is None else f"{len(weights.head_bias)} logits"
    average = "none in this checkpoint" if weights.latent_avg is None else "found"
    return [
        f"d           {weights.d} masks of {weights.patterns.shape[1]} x {weights.patterns.shape[2]}",
        f"open        {fractions.mean():.1f} % of a mask ({fractions.min():.1f} to {fractions.max():.1f})",
        f"encoder     {weights.parameters:,} parameters in {len(weights.encoder)} tensors",
        f"head        {head}",
        f"latent_avg  {average}",
        f"skipped     {', '.join(found.skipped) or 'nothing'}",
        *(f"note        {note}" for note in found.notes),
    ]


def _check_output(arguments: argparse.Namespace) -> None:
    output: Path = arguments.output
    if output.resolve() == arguments.checkpoint.resolve():
        raise ConfigError(f"{output} is the checkpoint itself.", hint="another name after -o.")
    if output.exists() and not arguments.force:
        raise ConfigError(f"{output} exists.", hint="another name, or --force to replace it.")
