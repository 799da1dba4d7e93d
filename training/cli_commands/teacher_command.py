"""``lsi train teacher``: the ceiling, and soft labels for ``lsi train attributes --teacher``."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from training.cli_commands.command_parts import check_limits, command_line, digests, require_torch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.attributes.soft_labels import SoftLabels
    from training.data_sets.data import FaceData

HELP: Final = "train a network on whole pictures: the ceiling, and soft labels"
EXAMPLE: Final = "example: lsi train teacher --data train.npz --val val.npz -o checkpoints/teacher.npz"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lsi train teacher`` to its parser."""
    parser.epilog = EXAMPLE
    parser.add_argument("--data", type=Path, required=True, metavar="FILE", help="pictures to train on")
    parser.add_argument("--val", type=Path, required=True, metavar="FILE", help="pictures of other people")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="file to write")
    parser.add_argument(
        "--network",
        type=Path,
        metavar="FILE",
        help="also keep the network, for the features loss of generators",
    )
    parser.add_argument("--epochs", type=int, default=14, help="passes over the pictures (default 14)")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything random (default 0)")
    parser.add_argument("--threads", type=int, default=2, help="threads of PyTorch (default 2)")


def print_line(line: str) -> None:
    """Progress, at once."""
    print(line, flush=True)


def run(arguments: argparse.Namespace) -> int:
    """Train, print one line per epoch and the ceiling, write the soft labels.

    Raises:
        ConfigError: PyTorch is missing or an argument is out of range.
        DataError: A data file cannot be used.
    """
    check_limits(arguments, {"epochs": (1, 10_000), "seed": (0, 2**32 - 1), "threads": (1, 64)})
    require_torch()
    import torch  # noqa: PLC0415 - `lsi --help` works without PyTorch

    from training.attributes.soft_labels import save_soft_labels  # noqa: PLC0415 - same

    torch.set_num_threads(arguments.threads)
    labels = _labels(arguments)
    save_soft_labels(labels, arguments.output)
    print("\n".join(ceiling_lines(labels.record["figures"])))
    print(f"wrote {arguments.output}")
    return 0


def ceiling_lines(figures: dict[str, Any]) -> list[str]:
    """The teacher's figures on both halves of val for people."""
    return [
        f"ceiling on val {half}: macro AUC {each['macro_auc']:.4f} (chance 0.5), "
        f"accuracy {each['accuracy']:.4f} (majority {each['majority']:.4f}), {each['rows']} faces"
        for half, each in figures.items()
    ]


def _labels(arguments: argparse.Namespace) -> "SoftLabels":
    from training.attributes.soft_labels import SoftLabels, digest_of_data  # noqa: PLC0415 - same
    from training.attributes.teacher import TeacherSettings, answers, softened, train_teacher  # noqa: PLC0415 - same
    from training.data_sets.data import open_data  # noqa: PLC0415 - `lsi --help` stays light
    from training.data_sets.whole_picture import pictures_of  # noqa: PLC0415 - same
    from training.generator.feature_network import save_feature_network  # noqa: PLC0415 - needs PyTorch

    settings = TeacherSettings(epochs=arguments.epochs, seed=arguments.seed)
    data, val = open_data(arguments.data, "train"), open_data(arguments.val, "val")
    names = data.attribute_names
    pictures, val_faces = pictures_of(data), val.faces(names)
    teacher = train_teacher(pictures, data.attributes, settings, print_line)
    if arguments.network is not None:
        save_feature_network(teacher, names, arguments.network)
        print_line(f"wrote {arguments.network}")
    val_logits = answers(teacher, pictures_of(val))
    words = [(option, getattr(arguments, option[2:])) for option in ("--data", "--val")]
    words += [("-o", arguments.output), ("--epochs", arguments.epochs), ("--seed", arguments.seed)]
    record = {
        "command": command_line("teacher", words),
        "data": digests([arguments.data, arguments.val]),
        "settings": asdict(settings),
        "figures": ceiling(val_logits, val_faces),
    }
    return SoftLabels(names, softened(answers(teacher, pictures)), digest_of_data(data), val_logits, record)


def ceiling(logits: "NDArray[np.float32]", faces: "FaceData") -> dict[str, Any]:
    """Macro AUC and accuracy (a probability of one half decides) on either half of val."""
    from training.data_sets.data import tune_rows  # noqa: PLC0415 - `lsi --help` stays light
    from training.scores.figures import auc  # noqa: PLC0415 - same

    tune = tune_rows(faces.identity)
    found = {}
    for half, rows in (("tune", tune), ("report", ~tune)):
        scores, labels = logits[rows], faces.attributes[rows]
        known = [labels[:, k] != 0 for k in range(labels.shape[1])]
        areas = [auc(scores[each, k], labels[each, k] > 0) for k, each in enumerate(known)]
        share = [float((labels[each, k] > 0).mean()) for k, each in enumerate(known)]
        found[half] = {
            "macro_auc": float(np.nanmean(areas)),
            "accuracy": float(((scores > 0) == (labels > 0))[labels != 0].mean()),
            "majority": float(np.mean([max(each, 1 - each) for each in share])),
            "rows": int(rows.sum()),
        }
    return found
