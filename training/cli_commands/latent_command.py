"""``lsi train latent``: masks and latent encoder together, for the latent space of a generator."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lsi.errors import ConfigError
from training.cli_commands.attributes_command import STARTS, chosen_attributes, print_line
from training.cli_commands.command_parts import (
    FILES_OF_A_TRAINING,
    check_limits,
    command_line,
    digests,
    named_weights,
    read_sensor,
    require_torch,
)
from training.cli_commands.course_command import Limits, Writer, add_run, check_run, device_line, run_kept

if TYPE_CHECKING:
    from host.decoder.generator_file import GeneratorFile
    from training.latent.latent_exam import LatentExam
    from training.latent.latent_losses import LatentLosses
    from training.latent.latent_settings import LatentSettings
    from training.latent.latent_training import LatentCourse, LatentLesson
    from training.light.forward_model import TwoArms

HELP: Final = "train masks and latent encoder together"
EXAMPLE: Final = (
    "example: lsi train latent --generator faces64.npz --data train.npz --nonfaces nonfaces_train.npz "
    "--val val.npz --nonfaces-val nonfaces_val.npz --board hardware/boards/sim-mcp3208.toml -o latent64.npz"
)
_LIMITS: Final = {"d": (1, 512), "soft": (0, 1), "rarity": (0, 1)}
DEFAULT_SIZES: Final = (448, 96)
"""Units of the trunk and of each layer's token."""
_FILES: Final = {
    "--generator": "file of 'lsi train generator'",
    **FILES_OF_A_TRAINING,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lsi train latent`` to its parser."""
    parser.epilog = EXAMPLE
    for option, text in _FILES.items():
        parser.add_argument(option, type=Path, required=True, metavar="FILE", help=text)
    add = parser.add_argument
    add(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="FILE",
        help="checkpoint to write; with --nested, NAME-d4.npz ...",
    )
    add("--attributes", default="all", help='"all" (default), "attr-lite", or names with commas')
    add("--d", type=int, default=64, help="number of masks (default 64)")
    add("--nested", action="store_true", help="one bank that serves 4, 16, 32 ... d masks; one file for each")
    add(
        "--start",
        choices=[each for each in STARTS if each != "lda"],
        default="dither",
        help="where the masks begin",
    )
    add(
        "--from",
        dest="origin",
        type=Path,
        metavar="CHECKPOINT",
        help="go on from a trained bank of the same generator, of d masks or fewer",
    )
    add("--trunk", type=int, metavar="N", help="units of the encoder's trunk (default 448, or as --from)")
    add("--token", type=int, metavar="N", help="units of each layer's token (default 96, or as --from)")
    add("--fixed-masks", action="store_true", help="do not train the masks: a baseline")
    add("--no-mirror", action="store_true", help="mirrored pictures are something else (digits)")
    add("--features", type=Path, metavar="FILE", help="network of 'lsi train teacher --network'")
    add("--identity", type=Path, metavar="FILE", help="your recognition network (TorchScript), for that loss")
    add(
        "--loss",
        action="append",
        default=[],
        metavar="NAME=WEIGHT",
        help="a loss and its weight; 0 leaves it out",
    )
    add("--teacher", type=Path, metavar="FILE", help="soft labels of 'lsi train teacher'")
    add("--soft", type=float, default=0.8, help="their weight, 0 to 1 (default %(default)s)")
    add(
        "--rarity",
        type=float,
        default=0.0,
        help="weight of rare answers: (no / yes) to this power (default %(default)s)",
    )
    add("--still", action="store_true", help="train without motion, drift and dead mirrors")
    add("--noise-free", action="store_true", help="train without noise and converter")
    add_run(parser, epochs=30, batch=128, rate=1e-3)


def run(arguments: argparse.Namespace) -> int:
    """Train, print what it takes and the figures, write one checkpoint per size.

    Raises:
        ConfigError: PyTorch is missing, an argument is out of range, or the encoder would be too large.
        DataError: A file cannot be used, or the disk is full.
        TrainingError: The loss is no longer a number; the last good state is written.
    """
    check_run(arguments)
    check_limits(arguments, _LIMITS)
    sensor, samples = read_sensor(arguments.board)
    require_torch()
    import torch  # noqa: PLC0415 - `lsi --help` works without PyTorch

    from host.decoder.generator_file import load_generator  # noqa: PLC0415 - same
    from host.decoder.synthesis import parameter_count  # noqa: PLC0415 - same
    from training.latent.latent_training import LatentCourse  # noqa: PLC0415 - same
    from training.light.forward_model import Detector  # noqa: PLC0415 - same
    from training.unfinished import Unfinished, digest_of  # noqa: PLC0415 - same

    torch.set_num_threads(arguments.threads)
    settings = _settings(arguments)
    print_line("reading the data")
    generator = load_generator(arguments.generator)
    detector = Detector(sensor, samples)
    lesson, exam = _lesson(arguments, settings, generator, detector)
    record = _record(arguments, settings) | {"sensor": asdict(sensor), "samples": samples}
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    state_path = arguments.output.with_name(arguments.output.name + ".unfinished")
    identity = {key: record[key] for key in ("data", "attributes", "settings", "sensor", "samples")}
    unfinished = Unfinished(state_path, digest_of(identity))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with device:
        losses = _losses(arguments, settings, generator, lesson)
        course = LatentCourse(lesson, settings, losses, arguments.epochs)
        if arguments.origin is not None:
            _start(course, arguments.origin, generator)
        print_line(device_line(device.type, arguments.threads))
        print_line(f"encoder: {parameter_count(course.encoder):,} parameters at d = {settings.d}")
        write = _writer(arguments, course, exam, generator, record)
        run_kept(course, unfinished, Limits(arguments.minutes, is_fresh=arguments.fresh), write)
    return 0


def _settings(arguments: argparse.Namespace) -> "LatentSettings":
    from training.latent.latent_settings import DEFAULT_LOSSES, LATENT_LOSSES, LatentSettings  # noqa: PLC0415 - same
    from training.light.disturbance import DisturbanceRange  # noqa: PLC0415 - needs PyTorch

    trunk, token = _sizes(arguments)
    losses = dict(DEFAULT_LOSSES) | named_weights("--loss", arguments.loss, LATENT_LOSSES)
    settings = LatentSettings(
        d=arguments.d,
        seed=arguments.seed,
        batch=arguments.batch,
        rate=arguments.rate,
        nested=arguments.nested,
        mirrored=not arguments.no_mirror,
        start=arguments.start,
        fixed_masks=arguments.fixed_masks,
        power_bounds_nw=None if arguments.noise_free else (20.0, 500.0),
        disturbance=None if arguments.still or arguments.noise_free else DisturbanceRange(),
        trunk=trunk,
        token=token,
        soft_weight=0.0 if arguments.teacher is None else arguments.soft,
        rarity=arguments.rarity,
        losses=tuple(losses.items()),
    )
    _check_networks(arguments, settings)
    return settings


def _sizes(arguments: argparse.Namespace) -> tuple[int, int]:
    """Trunk and token of the encoder: as asked for, else those of the bank that it starts from."""
    from training.latent.latent_checkpoint import load_latent_checkpoint  # noqa: PLC0415 - `lsi --help` stays light

    trunk, token = DEFAULT_SIZES
    if arguments.origin is not None:
        shape = load_latent_checkpoint(arguments.origin).shape
        trunk, token = shape.trunk, shape.token
    given = {"trunk": arguments.trunk, "token": arguments.token}
    asked = {
        name: usual if given[name] is None else given[name]
        for name, usual in (("trunk", trunk), ("token", token))
    }
    check_limits(argparse.Namespace(**asked), {"trunk": (8, 4096), "token": (8, 1024)})
    return asked["trunk"], asked["token"]


def _check_networks(arguments: argparse.Namespace, settings: "LatentSettings") -> None:
    needed = {"features": "of 'lsi train teacher --network'", "identity": "that you exported"}
    for name, origin in needed.items():
        if settings.weight(name) and getattr(arguments, name) is None:
            raise ConfigError(f"The loss {name!r} needs a network.", hint=f"--{name} FILE {origin}.")


def _lesson(
    arguments: argparse.Namespace,
    settings: "LatentSettings",
    generator: "GeneratorFile",
    detector: "TwoArms",
) -> tuple["LatentLesson", "LatentExam"]:
    """Everything decoded once, the teacher's latents included."""
    import numpy as np  # noqa: PLC0415 - `lsi --help` stays light

    from training.attributes.soft_labels import load_soft_labels  # noqa: PLC0415 - same
    from training.data_sets.data import check_two_classes, open_data  # noqa: PLC0415 - same
    from training.data_sets.whole_picture import pictures_of  # noqa: PLC0415 - same
    from training.generator.generator import encoder_of, latents_of  # noqa: PLC0415 - needs PyTorch
    from training.latent.latent_exam import read_latent_exam  # noqa: PLC0415 - same
    from training.latent.latent_training import LatentLesson  # noqa: PLC0415 - same

    data = open_data(arguments.data, "train")
    names = chosen_attributes(arguments.attributes, data)
    exam = read_latent_exam(arguments.val, arguments.nonfaces_val, names, detector)
    faces, pictures = data.faces(names), pictures_of(data, generator.shape.size_px)
    check_two_classes(faces)
    print_line("the teacher looks at the pictures")
    teacher = encoder_of(generator, str(arguments.generator))
    sides = [latents_of(teacher, pictures, is_mirrored=side) for side in (False, True)]
    offsets = np.stack([(side - generator.space.mean).astype(np.float16) for side in sides])
    kept = pictures if settings.needs_pictures else pictures[:0]
    others = open_data(arguments.nonfaces, "train").faces().luminance
    taught_on = detector_for_training(detector)
    soft = None if arguments.teacher is None else load_soft_labels(arguments.teacher).of(faces)
    return LatentLesson(faces.luminance, offsets, faces.attributes, kept, others, taught_on, soft), exam


def _start(course: "LatentCourse", origin: Path, generator: "GeneratorFile") -> None:
    import numpy as np  # noqa: PLC0415 - `lsi --help` stays light

    from training.latent.latent_checkpoint import load_latent_checkpoint  # noqa: PLC0415 - same
    from training.latent.latent_exam import encoder_from  # noqa: PLC0415 - needs PyTorch

    checkpoint = load_latent_checkpoint(origin)
    if checkpoint.space != generator.space.form:
        found = f"{origin} belongs to {checkpoint.space}, not to {generator.space!r}."
        raise ConfigError(found, hint="a checkpoint that was trained for this generator.")
    course.start_from(np.array(checkpoint.patterns.masks), encoder_from(checkpoint, str(origin)))


def detector_for_training(detector: "TwoArms") -> "TwoArms":
    """The same detector, its conversions drawn at once where their noise allows it."""
    from dataclasses import replace  # noqa: PLC0415 - only here

    from training.light.forward_model import Detector  # noqa: PLC0415 - needs PyTorch

    return replace(detector, averaged=detector.dithers) if isinstance(detector, Detector) else detector


def _losses(
    arguments: argparse.Namespace,
    settings: "LatentSettings",
    generator: "GeneratorFile",
    lesson: "LatentLesson",
) -> "LatentLosses":
    import torch  # noqa: PLC0415 - `lsi --help` works without PyTorch

    from host.decoder.decoder import OwnDecoder  # noqa: PLC0415 - same
    from training.generator.feature_network import load_feature_network  # noqa: PLC0415 - same
    from training.generator.identity_network import IdentityNetwork  # noqa: PLC0415 - same
    from training.latent.latent_losses import LatentLosses  # noqa: PLC0415 - same

    synthesis = OwnDecoder(generator, str(arguments.generator)).network if settings.needs_pictures else None
    features = None if arguments.features is None else load_feature_network(arguments.features)
    scale = torch.tensor(lesson.offsets[0].astype("float32").std(axis=0))
    if features is not None:
        features = features.to(scale.device)
    size_px = generator.shape.size_px
    identity = None if arguments.identity is None else IdentityNetwork(arguments.identity, size_px)
    mean = torch.tensor(generator.space.mean)
    return LatentLosses(settings, mean, scale, synthesis, features, identity)


def _writer(
    arguments: argparse.Namespace,
    course: "LatentCourse",
    exam: "LatentExam",
    generator: "GeneratorFile",
    record: dict[str, Any],
) -> Writer:
    from training.latent.latent_checkpoint import save_latent_checkpoint  # noqa: PLC0415 - needs numpy only

    def write() -> None:
        whole = record | {"steps": course.step, "of_steps": course.steps}
        for trained in course.results():
            checkpoint = exam.checkpoint(trained, generator.space.form, whole)
            output = _output(arguments.output, len(trained.masks), course.settings.sizes)
            save_latent_checkpoint(checkpoint, output)
            figures = checkpoint.record["figures"]
            print_line(
                f"d = {len(trained.masks)}: macro AUC {figures['macro_auc']:.4f} (chance 0.5), "
                f"presence {figures['presence_auc']:.4f}; wrote {output}"
            )

    return write


def _output(output: Path, size: int, sizes: tuple[int, ...]) -> Path:
    """One file per size; the name says which where there are several."""
    return output if len(sizes) == 1 else output.with_name(f"{output.stem}-d{size}{output.suffix}")


def _record(arguments: argparse.Namespace, settings: "LatentSettings") -> dict[str, Any]:
    """How the checkpoint came about. File names without folders, so that it says nothing of the machine."""
    files = [(option, getattr(arguments, option[2:].replace("-", "_"))) for option in _FILES]
    optional = [("--features", arguments.features), ("--teacher", arguments.teacher)]
    optional += [("--from", arguments.origin), ("--identity", arguments.identity)]
    files += [(option, path) for option, path in optional if path is not None]
    words: list[tuple[str, object]] = [*files, ("-o", arguments.output), ("--d", settings.d)]
    words += [("--attributes", arguments.attributes), ("--start", settings.start)]
    words += [(f"--{name}", getattr(arguments, name)) for name in ("epochs", "seed", "batch")]
    words += [
        ("--rate", f"{settings.rate:g}"),
        ("--soft", settings.soft_weight),
        ("--rarity", settings.rarity),
    ]
    words += [("--trunk", settings.trunk), ("--token", settings.token)]
    words += [("--loss", f"{name}={weight:g}") for name, weight in settings.losses]
    flags = ("nested", "fixed_masks", "no_mirror", "still", "noise_free")
    words += [("--" + name.replace("_", "-"), True) for name in flags if getattr(arguments, name)]
    # The rate may be lowered when a run goes on after a loss that was no number.
    kept = {name: value for name, value in asdict(settings).items() if name != "rate"}
    return {
        "command": command_line("latent", words),
        "data": digests([path for _, path in files]),
        "attributes": arguments.attributes,
        "settings": kept,
    }
