"""``lsi train finetune``: a checkpoint adapted to vectors that were measured on a bench."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lsi.errors import ConfigError, DataError

if TYPE_CHECKING:
    from training.attributes.finetune import Tuned
    from training.data_sets.measured_vectors import MeasuredVectors

HELP: str = "adapt the read-out of a checkpoint to measured vectors; its masks stay"
EXAMPLE: Final = (
    "example: lsi train finetune checkpoints/lite16.npz --measurements bench/vectors.npz --shots 128 "
    "-o checkpoints/lite16-bench.npz"
)
FEWEST_SHOTS: Final = 16
MOST_SHOTS: Final = 4096


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lsi train finetune`` to its parser."""
    parser.add_argument("checkpoint", type=Path, help="from 'lsi train attributes'")
    parser.add_argument(
        "--measurements", type=Path, required=True, metavar="FILE", help="from 'lsi lab record' (--part all)"
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="CHECKPOINT", help="file to write"
    )
    parser.add_argument(
        "--shots", type=int, metavar="N", help="vectors to adapt to (default: the tune half of the people)"
    )
    parser.add_argument("--seed", type=int, default=0, help="which people the shots are of (default 0)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.epilog = EXAMPLE


def run(arguments: argparse.Namespace) -> int:
    """Adapt, print what it gained on held-out people, write the checkpoint.

    Where cross-validation inside the shots shows no gain the start is kept, which is said.

    Raises:
        ConfigError: An argument out of range, or an output that would replace an input.
        DataError: The checkpoint or the vectors cannot be used, or do not belong together.
    """
    _check(arguments)
    from training.attributes.checkpoint import load_checkpoint, save_checkpoint  # noqa: PLC0415 - light help
    from training.attributes.finetune import as_document, finetune, with_record  # noqa: PLC0415 - same
    from training.data_sets.measured_vectors import is_open_to_others, load_vectors  # noqa: PLC0415 - same

    checkpoint, vectors = load_checkpoint(arguments.checkpoint), load_vectors(arguments.measurements)
    if is_open_to_others(arguments.measurements):
        warning = f"warning: image-equivalent and open to others: chmod 600 {arguments.measurements}"
        print(warning, file=sys.stderr)
    tuned = finetune(checkpoint, vectors, arguments.shots, arguments.seed)
    result = with_record(tuned, vectors, _command(arguments), arguments.seed)
    try:
        save_checkpoint(result, arguments.output)
    except OSError as cause:
        found = f"{arguments.output} cannot be written ({cause.strerror})."
        raise DataError(found, hint="a folder that may be written to, on a disk with room.") from cause
    if arguments.json:
        print(json.dumps(as_document(tuned)))
    else:
        print("\n".join((*table(tuned, vectors), f"wrote {arguments.output}")))
    return 0


def table(tuned: "Tuned", vectors: "MeasuredVectors") -> list[str]:
    """Before and after as a table for people, trivial predictors included."""
    figures, bench = tuned.figures, vectors.bench
    wrong = ", ".join(f"{name} {value:g}" for name, value in bench.faults.items())
    light = f"{bench.board}, {bench.sensor.power_nw:g} nW white, d = {vectors.d}, two arms"
    shots = f"{figures['shots']} shots of {figures['shot_people']} people"
    held_out = f"{figures['rows']} vectors of {figures['people']} other people ({bench.data}, report half)"
    lines = [
        light + (f"; made wrong: {wrong}" if wrong else ""),
        f"{shots}; figures on {held_out}",
        "log loss on unseen people of the shots, against the start (nats per answer):",
    ]
    lines += [
        f"  {choice.name:14} {-choice.gain_nats:+.4f}, standard error {choice.error_nats:.4f}"
        for choice in tuned.choices
    ]
    lines += [_verdict(tuned), _heading()]
    lines += [_row(name, row) for name, row in figures["attributes"].items()]
    return [*lines, *_macro(figures)]


def _verdict(tuned: "Tuned") -> str:
    if tuned.kept_start:
        return "cross-validation shows no gain: the start is kept as it is"
    return f"chosen: {tuned.chosen}; thresholds are those of the start, presence's too"


def _heading() -> str:
    return f"{'':24} {'AUC':>15} {'bal. accuracy':>15} {'accuracy':>15} {'majority':>8}"


def _row(name: str, row: dict[str, float]) -> str:
    pairs = (
        _pair(row[f"{figure}_before"], row[f"{figure}_after"])
        for figure in ("auc", "balanced_accuracy", "accuracy")
    )
    return f"{name:24} {' '.join(pairs)} {row['accuracy_majority']:8.3f}"


def _macro(figures: Any) -> list[str]:  # noqa: ANN401 - the figures' JSON
    low, high = figures["macro_auc_after_95"]
    gain_low, gain_high = figures["macro_auc_gain_95"]
    macro = _pair(figures["macro_auc_before"], figures["macro_auc_after"])
    away = _pair(figures["faces_turned_away_before"], figures["faces_turned_away_after"])
    chance = figures["macro_auc_chance"]
    gain = f"{figures['macro_auc_gain']:+.4f}"
    return [
        f"{'macro':24} {macro} (95 % {low:.3f} to {high:.3f} over people, chance {chance:.1f})",
        f"{'gain':24} {gain} (95 % {gain_low:+.4f} to {gain_high:+.4f})",
        f"{'faces turned away':24} {away} (scenes without a face are not in the file: not known)",
    ]


def _pair(before: float, after: float) -> str:
    return f"{before:6.3f} > {after:6.3f}"


def _check(arguments: argparse.Namespace) -> None:
    shots = arguments.shots
    if shots is not None and not FEWEST_SHOTS <= shots <= MOST_SHOTS:
        raise ConfigError(f"--shots is {shots}.", hint=f"a whole number in {FEWEST_SHOTS}..{MOST_SHOTS}.")
    if not 0 <= arguments.seed < 2**32:
        raise ConfigError(f"--seed is {arguments.seed}.", hint="a whole number in 0..4294967295.")
    output = arguments.output
    if output.exists() and any(
        path.exists() and output.samefile(path) for path in (arguments.checkpoint, arguments.measurements)
    ):
        raise ConfigError(f"{output} is one of the inputs.", hint="-o with another name.")


def _command(arguments: argparse.Namespace) -> str:
    from training.cli_commands.command_parts import command_line  # noqa: PLC0415 - `lsi --help` stays light

    words: list[tuple[str, object]] = [
        (arguments.checkpoint.name, True),
        ("--measurements", arguments.measurements),
        ("-o", arguments.output),
        ("--seed", arguments.seed),
    ]
    if arguments.shots is not None:
        words.append(("--shots", arguments.shots))
    return command_line("finetune", words)
