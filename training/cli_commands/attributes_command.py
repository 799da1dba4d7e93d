"""``lsi train attributes``: masks and read-out from data files, one checkpoint per bank."""

import argparse
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lsi.errors import ConfigError
from training.cli_commands.command_parts import (
    FILES_OF_A_TRAINING,
    check_limits,
    command_line,
    digests,
    named_weights,
    read_sensor,
    require_torch,
    whole_numbers,
)

if TYPE_CHECKING:
    from training.attributes.settings import Schedule, Settings
    from training.attributes.train import Lesson, Trained
    from training.data_sets.data import DataFile
    from training.light.forward_model import TwoArms

HELP: Final = "train masks and read-out together"
ATTRIBUTES: Final = ("Smiling", "Mouth_Slightly_Open", "Eyeglasses", "Wearing_Hat")
"""The attributes of mode attr-lite in output order."""
EXAMPLE: Final = (
    "example: lsi train attributes --data train.npz --nonfaces nonfaces_train.npz --val val.npz "
    "--nonfaces-val nonfaces_val.npz --board hardware/boards/sim-mcp3208.toml -o checkpoints/lite16.npz"
)
LARGEST_D: Final = 512
SAVE_EVERY_S: Final = 30.0
"""An interruption costs at most one epoch, or this long where epochs are short."""
STARTS: Final = ("dither", "noise", "pca", "lda")
RULES: Final = {
    "balanced": "best balanced accuracy on val tune",
    "accuracy": "a calibrated probability of one half",
    "prior": "as many yes as on val tune",
}
PRESENCE_RULE: Final = "2 % of val tune faces rejected"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lsi train attributes`` to its parser."""
    parser.epilog = EXAMPLE
    for option, text in FILES_OF_A_TRAINING.items():
        parser.add_argument(option, type=Path, required=True, metavar="FILE", help=text)
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="CHECKPOINT",
        help="file to write; with several banks, NAME-d4-seed0.npz and so on",
    )
    parser.add_argument(
        "--attributes", default="attr-lite", help='"attr-lite" (default), "all", or names with commas'
    )
    parser.add_argument("--d", default="16", help="numbers of masks, one bank each (default 16)")
    parser.add_argument("--seed", default="0", help="seeds, one bank each (default 0)")
    parser.add_argument("--epochs", type=int, default=50, help="passes over the faces (default 50)")
    parser.add_argument("--threads", type=int, default=2, help="threads of PyTorch (default 2)")
    _add_lesson(parser)
    _add_masks(parser)
    _add_decisions(parser)
    parser.add_argument("--fresh", action="store_true", help="do not go on with an interrupted run")


def _add_lesson(parser: argparse.ArgumentParser) -> None:
    """What is learned from."""
    parser.add_argument("--teacher", type=Path, metavar="FILE", help="soft labels of 'lsi train teacher'")
    parser.add_argument("--soft", type=float, default=0.8, help="their weight, 0 to 1 (default %(default)s)")
    parser.add_argument(
        "--shift",
        type=float,
        default=0.4,
        help="spread of a face around its place, in mask pixels; turn and size spread with it (default 0.4)",
    )
    parser.add_argument(
        "--wide", type=float, default=0.2, help="weight of faces far from their place (default %(default)s)"
    )
    parser.add_argument(
        "--wide-faces", type=int, default=64, metavar="N", help="of them per 256 faces (default 64)"
    )
    parser.add_argument(
        "--negatives",
        type=int,
        default=160,
        metavar="N",
        help="scenes without a face per 256 faces (default 160)",
    )
    parser.add_argument("--still", action="store_true", help="train without motion, drift and dead mirrors")
    parser.add_argument(
        "--photons",
        type=float,
        metavar="N",
        help="train for an ideal detector, photon noise only",
    )
    parser.add_argument("--noise-free", action="store_true", help="train without noise and converter")


def _add_masks(parser: argparse.ArgumentParser) -> None:
    """What the masks may be."""
    parser.add_argument(
        "--nested", action="store_true", help="one bank that serves 4, 8, 16 ... d masks; one file for each"
    )
    parser.add_argument(
        "--start", choices=STARTS, default="dither", help="where the masks begin (default %(default)s)"
    )
    parser.add_argument(
        "--feature-px", type=int, default=1, metavar="N", help="smallest feature of a mask (default 1)"
    )
    parser.add_argument(
        "--mask-loss",
        action="append",
        default=[],
        metavar="NAME=WEIGHT",
        help="a loss on the masks themselves",
    )


def _add_decisions(parser: argparse.ArgumentParser) -> None:
    """How scores become answers."""
    parser.add_argument(
        "--rule",
        choices=sorted(RULES),
        default="balanced",
        help="how thresholds are chosen on tune (default balanced)",
    )
    parser.add_argument(
        "--coverage", type=float, default=1.0, help="part of the answers that are given (default 1)"
    )


def print_line(line: str) -> None:
    """Progress, at once."""
    print(line, flush=True)


def run(arguments: argparse.Namespace) -> int:
    """Train, print one line per epoch and the figures, write the checkpoints.

    Raises:
        ConfigError: PyTorch is missing, an argument is out of range, or an attribute is not in the data.
        BoardConfigError: The board file cannot be used.
        DataError: A data file cannot be used, or the disk is full.
    """
    banks = _banks(arguments)
    print_line("reading the data")
    sensor, samples = read_sensor(arguments.board)
    require_torch()
    import torch  # noqa: PLC0415 - `lsi --help` works without PyTorch

    from training.attributes.checkpoint import save_checkpoint  # noqa: PLC0415 - same
    from training.attributes.exam import checkpoint_of, figure_lines, read_exam  # noqa: PLC0415 - same
    from training.light.detectors import IdealDetector  # noqa: PLC0415 - same
    from training.light.forward_model import Detector  # noqa: PLC0415 - same

    torch.set_num_threads(arguments.threads)
    real = Detector(sensor, samples)
    detector = real if arguments.photons is None else IdealDetector(arguments.photons)
    taught_on = replace(real, averaged=real.dithers) if detector is real else detector
    lesson, names = _lesson(arguments, taught_on)
    schedule, settings = _settings(arguments, banks, len(names))
    exam = read_exam(arguments.val, arguments.nonfaces_val, names, arguments.rule, arguments.coverage)
    record = _record(arguments, schedule, names) | {"sensor": asdict(sensor), "samples": samples}
    all_trained = _train(arguments, lesson, schedule, settings, record)
    each_settings = [each for each in settings for _ in each.sizes]
    outputs = _outputs(arguments.output, settings)
    for trained, each, output in zip(all_trained, each_settings, outputs, strict=True):
        found = exam.assess(trained, detector)
        whole = record | {"settings": asdict(each), "figures": found.to_record()}
        save_checkpoint(checkpoint_of(trained, found, whole), output)
        print("\n".join(figure_lines(found)))
        print(f"wrote {output}")
    return 0


def chosen_attributes(text: str, data: "DataFile") -> tuple[str, ...]:
    """The attributes that ``--attributes`` names, in output order.

    Raises:
        ConfigError: One is named twice, or the data has none at all.
    """
    if text == "attr-lite":
        return ATTRIBUTES
    names = data.attribute_names if text == "all" else tuple(text.split(","))
    if not names or len(set(names)) != len(names):
        known = ", ".join(data.attribute_names) or "none at all"
        raise ConfigError(f"--attributes is {text!r}.", hint=f"names, each once, out of: {known}.")
    return names


def mask_losses(words: list[str]) -> tuple[tuple[str, float], ...]:
    """Names and weights of ``--mask-loss NAME=WEIGHT``.

    Raises:
        ConfigError: Another form, an unknown name, or a weight that is none.
    """
    from training.mask_banks.mask_losses import MASK_LOSSES  # noqa: PLC0415 - needs PyTorch

    return tuple(named_weights("--mask-loss", words, tuple(MASK_LOSSES)).items())


def _banks(arguments: argparse.Namespace) -> list[tuple[int, int]]:
    """(d, seed) of every bank."""
    limits = {"epochs": (1, 10_000), "threads": (1, 64), "soft": (0, 1), "shift": (0, 4), "wide": (0, 1)}
    check_limits(
        arguments,
        limits
        | {"coverage": (0.1, 1), "feature_px": (1, 16), "wide_faces": (0, 256), "negatives": (10, 1024)},
    )
    all_d = whole_numbers("--d", arguments.d, 1, LARGEST_D)
    seeds = whole_numbers("--seed", arguments.seed, 0, 2**32 - 1)
    return [(d, seed) for d in all_d for seed in seeds]


def _outputs(output: Path, settings: list["Settings"]) -> list[Path]:
    """One file per bank and size; the name says which where there are several."""
    banks = [(size, each.seed) for each in settings for size in each.sizes]
    if len(banks) == 1:
        return [output]
    return [output.with_name(f"{output.stem}-d{size}-seed{seed}{output.suffix}") for size, seed in banks]


def _lesson(arguments: argparse.Namespace, detector: "TwoArms") -> tuple["Lesson", tuple[str, ...]]:
    """What is learned from, and the attributes that the product answers; the others of the file follow."""
    from training.attributes.soft_labels import load_soft_labels  # noqa: PLC0415 - same
    from training.attributes.train import Lesson  # noqa: PLC0415 - same
    from training.data_sets.data import FaceData, check_two_classes, open_data  # noqa: PLC0415 - `lsi --help` stays light

    data, nonfaces = open_data(arguments.data, "train"), open_data(arguments.nonfaces, "train")
    names = chosen_attributes(arguments.attributes, data)
    auxiliary = tuple(name for name in data.attribute_names if name not in names)
    faces = data.faces(names + auxiliary)
    columns = range(len(names))
    check_two_classes(FaceData(faces.luminance, faces.attributes[:, columns], names, faces.identity))
    soft = None if arguments.teacher is None else load_soft_labels(arguments.teacher).of(faces)
    return Lesson(faces, nonfaces.faces(), detector, soft), names


def _settings(
    arguments: argparse.Namespace, banks: list[tuple[int, int]], attributes: int
) -> tuple["Schedule", list["Settings"]]:
    from training.attributes.settings import Schedule, Settings  # noqa: PLC0415 - needs PyTorch
    from training.data_sets.augmentation import Jitter  # noqa: PLC0415 - needs PyTorch
    from training.data_sets.luminance import FIELD_PX  # noqa: PLC0415 - `lsi --help` stays light

    schedule = Schedule(
        arguments.epochs,
        banks[0][1],
        wide=arguments.wide_faces,
        negatives=arguments.negatives,
        jitter=Jitter.by_shift(arguments.shift / FIELD_PX),
    )
    one = Settings(
        d=1,
        seed=0,
        attributes=attributes,
        soft_weight=0.0 if arguments.teacher is None else arguments.soft,
        wide_weight=arguments.wide,
        nested=arguments.nested,
        start=arguments.start,
        feature_px=arguments.feature_px,
        mask_losses=mask_losses(arguments.mask_loss),
    )
    if arguments.photons is not None:
        one = replace(one, power_bounds_nw=(arguments.photons, arguments.photons))
    if arguments.noise_free:
        one = replace(one, power_bounds_nw=None)
    if arguments.still:
        one = replace(one, disturbance=None)
    if FIELD_PX % one.feature_px:
        raise ConfigError(f"--feature-px is {one.feature_px}.", hint=f"a number that divides {FIELD_PX}.")
    return schedule, [replace(one, d=d, seed=seed) for d, seed in banks]


def _train(
    arguments: argparse.Namespace,
    lesson: "Lesson",
    schedule: "Schedule",
    settings: list["Settings"],
    record: dict[str, Any],
) -> list["Trained"]:
    """Go on where an interrupted run stopped; keep the state until all is done."""
    from training.attributes.train import train_together  # noqa: PLC0415 - needs PyTorch
    from training.unfinished import Unfinished, digest_of  # noqa: PLC0415 - same

    output: Path = arguments.output
    output.parent.mkdir(parents=True, exist_ok=True)
    digest = digest_of({**record, "banks": [asdict(each) for each in settings]})
    unfinished = Unfinished(output.with_name(output.name + ".unfinished"), digest)
    if arguments.fresh:
        unfinished.remove()
    resume = unfinished.load()
    if resume is not None:
        print_line(f"going on after epoch {resume['epoch']} ({unfinished.path.name})")
    save = now_and_then(unfinished.save, SAVE_EVERY_S, time.monotonic)
    trained = train_together(lesson, schedule, settings, print_line, resume=resume, save=save)
    unfinished.remove()
    return trained


def now_and_then(
    save: Callable[[dict[str, Any]], None], every_s: float, clock_s: Callable[[], float]
) -> Callable[[dict[str, Any]], None]:
    """``save``, but not before ``every_s`` have passed since the last time."""
    last_s = clock_s()

    def save_if_due(state: dict[str, Any]) -> None:
        nonlocal last_s
        if clock_s() - last_s >= every_s:
            save(state)
            last_s = clock_s()

    return save_if_due


def _record(arguments: argparse.Namespace, schedule: "Schedule", names: tuple[str, ...]) -> dict[str, Any]:
    """How the checkpoint came about. File names without folders, so that it says nothing of the machine."""
    files = [(option, getattr(arguments, option[2:].replace("-", "_"))) for option in FILES_OF_A_TRAINING]
    teacher = [] if arguments.teacher is None else [arguments.teacher]
    return {
        "command": command_line("attributes", [*files, *_options(arguments)]),
        "data": digests([path for _, path in files] + teacher),
        "attributes": list(names),
        "photons": arguments.photons,
        "schedule": asdict(schedule),
        "thresholds": f"attributes: {RULES[arguments.rule]}; presence: {PRESENCE_RULE}",
        "coverage": arguments.coverage,
    }


def _options(arguments: argparse.Namespace) -> list[tuple[str, object]]:
    """The options that were given or matter, in order."""
    words: list[tuple[str, object]] = [("-o", arguments.output)]
    names = ("attributes", "d", "seed", "epochs", "threads", "shift", "wide", "rule", "coverage")
    words += [(f"--{name}", getattr(arguments, name)) for name in names]
    words += [("--start", arguments.start), ("--feature-px", arguments.feature_px)]
    words += [("--wide-faces", arguments.wide_faces), ("--negatives", arguments.negatives)]
    words += [("--mask-loss", word) for word in arguments.mask_loss]
    if arguments.teacher is not None:
        words += [("--teacher", arguments.teacher), ("--soft", arguments.soft)]
    if arguments.photons is not None:
        words.append(("--photons", f"{arguments.photons:g}"))
    flags = ("nested", "still", "noise_free")
    return words + [("--" + name.replace("_", "-"), True) for name in flags if getattr(arguments, name)]
