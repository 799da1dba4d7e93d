"""``lsi train finetune-latent``: a latent bank adapted to vectors that were measured on a bench."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lsi.errors import ConfigError, DataError
from training.cli_commands.command_parts import check_limits, command_line, require_torch

if TYPE_CHECKING:
    from training.latent.latent_checkpoint import LatentCheckpoint
    from training.latent.latent_finetune import ShownVectors, TunedLatent

HELP: Final = "adapt a latent encoder to measured vectors; its masks stay"
EXAMPLE: Final = (
    "example: lsi train finetune-latent latent64.npz --measurements bench/vectors.npz "
    "--generator faces64.npz --data val.npz --shots 256 -o latent64-bench.npz"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lsi train finetune-latent`` to its parser."""
    parser.epilog = EXAMPLE
    add = parser.add_argument
    add("checkpoint", type=Path, help="of 'lsi train latent'")
    add("--measurements", type=Path, required=True, metavar="FILE", help="of 'lsi lab record' (--part all)")
    add("--generator", type=Path, required=True, metavar="FILE", help="the generator of the checkpoint")
    add("--data", type=Path, required=True, metavar="FILE", help="the pictures that were shown")
    add("--shots", type=int, metavar="N", help="vectors to adapt to (default: the tune half of the people)")
    add("--seed", type=int, default=0, help="which people the shots are of (default 0)")
    add("--threads", type=int, default=2, help="threads of PyTorch (default 2)")
    add("-o", "--output", type=Path, required=True, metavar="FILE", help="checkpoint to write")


def run(arguments: argparse.Namespace) -> int:
    """Adapt, print what it gained on people that were not among the shots, write the checkpoint.

    Raises:
        ConfigError: PyTorch is missing, a number is out of range, or the output is an input.
        DataError: Checkpoint, vectors, generator and pictures do not belong together, or are too few.
    """
    limits: dict[str, tuple[float, float]] = {"seed": (0, 2**31 - 1), "threads": (1, 64)}
    check_limits(arguments, limits | ({} if arguments.shots is None else {"shots": (16, 1e6)}))
    if arguments.output in {arguments.checkpoint, arguments.measurements, arguments.data}:
        raise ConfigError(f"{arguments.output} is one of the inputs.", hint="-o with another name.")
    require_torch()
    import torch  # noqa: PLC0415 - `lsi --help` works without PyTorch

    from training.data_sets.measured_vectors import is_open_to_others  # noqa: PLC0415 - same
    from training.latent.latent_checkpoint import load_latent_checkpoint, save_latent_checkpoint  # noqa: PLC0415 - same
    from training.latent.latent_finetune import finetune_latent, with_record  # noqa: PLC0415 - same

    torch.set_num_threads(arguments.threads)
    checkpoint = load_latent_checkpoint(arguments.checkpoint)
    if arguments.measurements.exists() and is_open_to_others(arguments.measurements):
        told = f"warning: image-equivalent and open to others: chmod 600 {arguments.measurements}"
        print(told, file=sys.stderr)
    shown = _shown(arguments, checkpoint)
    tuned = finetune_latent(checkpoint, shown, arguments.shots, arguments.seed)
    save_latent_checkpoint(with_record(tuned, shown.vectors, _command(arguments)), arguments.output)
    print("\n".join([*table(tuned), f"wrote {arguments.output}"]))
    return 0


def table(tuned: "TunedLatent") -> list[str]:
    """What cross-validation found and the figures of other people, for a terminal."""
    figures: Mapping[str, float] = tuned.figures
    lines = [f"gain on people left out of {figures['shots']:.0f} shots (deviations of the latent):"]
    lines += [
        f"  {kind:12} {gain:+.4f}, standard error {error:.4f}" for kind, (gain, error) in tuned.gains.items()
    ]
    lines.append(f"chosen: {tuned.chosen}")
    lines.append(f"{figures['rows']:.0f} vectors of other people, before > after:")
    for name in ("latent_error", "macro_auc"):
        lines.append(f"  {name:12} {figures[f'{name}_before']:.4f} > {figures[f'{name}_after']:.4f}")
    return lines


def _shown(arguments: argparse.Namespace, checkpoint: "LatentCheckpoint") -> "ShownVectors":
    """The vectors, and what the teacher says of the pictures that were shown."""
    import numpy as np  # noqa: PLC0415 - `lsi --help` stays light

    from host.decoder.generator_file import load_generator  # noqa: PLC0415 - needs PyTorch
    from training.data_sets.data import open_data  # noqa: PLC0415 - same
    from training.data_sets.measured_vectors import load_vectors  # noqa: PLC0415 - same
    from training.data_sets.whole_picture import small_picture  # noqa: PLC0415 - same
    from training.generator.generator import encoder_of, latents_of  # noqa: PLC0415 - same
    from training.latent.latent_finetune import ShownVectors  # noqa: PLC0415 - same

    vectors, generator = load_vectors(arguments.measurements), load_generator(arguments.generator)
    if checkpoint.space != generator.space.form:
        found = f"{arguments.checkpoint} was trained for another latent space than {generator.space!r}."
        raise DataError(found, hint="the generator that 'lsi train latent' was given.")
    data, size_px = open_data(arguments.data, "val"), generator.shape.size_px
    if data.digest() != vectors.bench.data_digest or not len(vectors):
        found = f"The {len(vectors)} vectors were measured of other pictures than {arguments.data.name}."
        raise DataError(found, hint="the file that 'lsi lab record' was given.")
    pictures = np.stack([small_picture(data.picture(int(row)), size_px) for row in vectors.rows])
    latents = latents_of(encoder_of(generator, str(arguments.generator)), pictures)
    return ShownVectors(vectors, latents - generator.space.mean)


def _command(arguments: argparse.Namespace) -> str:
    words: list[tuple[str, object]] = [(arguments.checkpoint.name, True)]
    words += [(f"--{name}", getattr(arguments, name)) for name in ("measurements", "generator", "data")]
    words += [] if arguments.shots is None else [("--shots", arguments.shots)]
    return command_line("finetune-latent", [*words, ("--seed", arguments.seed), ("-o", arguments.output)])
