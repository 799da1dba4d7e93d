"""``lsi train generator``: a style autoencoder; one file with encoder, synthesis and mean latent."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lsi.errors import ConfigError
from training.cli_commands.attributes_command import print_line
from training.cli_commands.command_parts import (
    check_limits,
    command_line,
    digests,
    named_weights,
    require_torch,
    whole_numbers,
)
from training.cli_commands.course_command import Limits, Writer, add_run, check_run, device_line, run_kept

if TYPE_CHECKING:
    from training.generator.generator import GeneratorCourse, GeneratorLesson
    from training.generator.generator_settings import GeneratorSettings

HELP: Final = "train a generator: pictures to latents and back"
EXAMPLE: Final = (
    "example: lsi train generator --data train.npz --features features.npz -o checkpoints/faces64.npz"
)
SIZES_PX: Final = (8, 16, 32, 64, 128)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lsi train generator`` to its parser."""
    parser.epilog = EXAMPLE
    parser.add_argument("--data", type=Path, required=True, metavar="FILE", help="pictures to train on")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="file to write")
    parser.add_argument("--name", default="faces", help="name of the latent space (default %(default)s)")
    parser.add_argument(
        "--size", type=int, default=64, choices=SIZES_PX, help="pixels of a side (default 64)"
    )
    parser.add_argument(
        "--preset", choices=("small", "full"), help='channels; default "full" with a GPU, "small" without'
    )
    parser.add_argument(
        "--widths", metavar="C4,C8,...", help="channels at 4, 8, ... pixels instead of a preset"
    )
    parser.add_argument(
        "--latent-width", type=int, default=128, metavar="D", help="numbers per layer (default 128)"
    )
    parser.add_argument(
        "--features", type=Path, metavar="FILE", help="network of 'lsi train teacher --network'"
    )
    _add_run(parser)


def _add_run(parser: argparse.ArgumentParser) -> None:
    """How it is trained, and for how long."""
    parser.add_argument(
        "--loss", action="append", default=[], metavar="NAME=WEIGHT", help="replace the weight of one loss"
    )
    parser.add_argument(
        "--no-mirror", action="store_true", help="mirrored pictures are something else (digits)"
    )
    add_run(parser, epochs=20, batch=16, rate=2e-3)


def run(arguments: argparse.Namespace) -> int:
    """Train, print what it will take and one line now and then, write the generator.

    Raises:
        ConfigError: PyTorch is missing, an argument is out of range, or the network would be too large.
        DataError: A data file cannot be used, or the disk is full.
        TrainingError: The loss is no longer a number; the last good state is written.
    """
    check_run(arguments)
    check_limits(arguments, {"latent_width": (4, 1024)})
    require_torch()
    import torch  # noqa: PLC0415 - `lsi --help` works without PyTorch

    from training.generator.generator import GeneratorCourse  # noqa: PLC0415 - same
    from training.unfinished import Unfinished, digest_of  # noqa: PLC0415 - same

    torch.set_num_threads(arguments.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    settings = _settings(arguments, device.type)
    print_line("reading the data")
    lesson = _lesson(arguments, settings)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    record = _record(arguments, settings)
    state_path = arguments.output.with_name(arguments.output.name + ".unfinished")
    unfinished = Unfinished(state_path, digest_of({key: record[key] for key in ("data", "network")}))
    with device:
        course = GeneratorCourse(lesson, settings, arguments.epochs)
        print_line(device_line(device.type, arguments.threads))
        print_line(f"{course.network.parameter_count:,} parameters; {settings.shape}")
        limits = Limits(arguments.minutes, is_fresh=arguments.fresh)
        run_kept(course, unfinished, limits, _writer(arguments, course, record))
    return 0


def _settings(arguments: argparse.Namespace, device: str) -> "GeneratorSettings":
    from host.decoder.synthesis import SynthesisShape  # noqa: PLC0415 - needs PyTorch
    from training.generator.generator_settings import (  # noqa: PLC0415 - same
        DEFAULT_LOSSES,
        FEATURES,
        GeneratorSettings,
        preset_widths,
    )

    preset = arguments.preset or ("full" if device == "cuda" else "small")
    widths = preset_widths(preset, arguments.size)
    if arguments.widths is not None:
        widths = tuple(positive_numbers("--widths", arguments.widths, 1024))
    losses = dict(DEFAULT_LOSSES) | ({FEATURES: 0.3} if arguments.features is not None else {})
    losses |= named_weights("--loss", arguments.loss, (*losses, "adversarial"))
    return GeneratorSettings(
        name=arguments.name,
        shape=SynthesisShape(arguments.size, arguments.latent_width, widths),
        seed=arguments.seed,
        batch=arguments.batch,
        rate=arguments.rate,
        mirrored=not arguments.no_mirror,
        losses=tuple(losses.items()),
    )


def positive_numbers(option: str, text: str, most: int) -> list[int]:
    """A list such as "16,16,8"; a number may come twice.

    Raises:
        ConfigError: Not whole numbers, or out of range.
    """
    words = text.split(",")
    numbers = [whole_numbers(option, word, 1, most)[0] for word in words]
    if not numbers:
        raise ConfigError(f"{option} is {text!r}.", hint="whole numbers with commas between them.")
    return numbers


def _lesson(arguments: argparse.Namespace, settings: "GeneratorSettings") -> "GeneratorLesson":
    from training.data_sets.data import open_data  # noqa: PLC0415 - `lsi --help` stays light
    from training.data_sets.whole_picture import pictures_of  # noqa: PLC0415 - same
    from training.generator.feature_network import load_feature_network  # noqa: PLC0415 - needs PyTorch
    from training.generator.generator import GeneratorLesson  # noqa: PLC0415 - same

    features = None if arguments.features is None else load_feature_network(arguments.features)
    data = open_data(arguments.data, "train")
    pictures = pictures_of(data, settings.shape.size_px)
    return GeneratorLesson(pictures, data.attributes, features)


def _writer(arguments: argparse.Namespace, course: "GeneratorCourse", record: Mapping[str, Any]) -> Writer:
    from host.decoder.generator_file import save_generator  # noqa: PLC0415 - needs PyTorch

    def write() -> None:
        whole = {**record, "steps": course.step, "of_steps": course.steps}
        save_generator(course.result(whole), arguments.output)
        print_line(f"wrote {arguments.output} after step {course.step} of {course.steps}")

    return write


def _record(arguments: argparse.Namespace, settings: "GeneratorSettings") -> dict[str, Any]:
    """How the generator came about. File names without folders, so that it says nothing of the machine."""
    words: list[tuple[str, object]] = [("--data", arguments.data), ("-o", arguments.output)]
    words += [("--name", arguments.name), ("--size", arguments.size)]
    words += [("--widths", ",".join(map(str, settings.shape.widths)))]
    words += [("--latent-width", arguments.latent_width), ("--epochs", arguments.epochs)]
    words += [("--seed", arguments.seed), ("--batch", arguments.batch), ("--rate", f"{arguments.rate:g}")]
    words += [("--loss", f"{name}={weight:g}") for name, weight in settings.losses]
    words += [("--no-mirror", True)] * arguments.no_mirror
    files = [arguments.data]
    if arguments.features is not None:
        words.append(("--features", arguments.features))
        files.append(arguments.features)
    shape = settings.shape
    network = [settings.name, shape.size_px, shape.latent_width, list(shape.widths)]
    network += [settings.seed, settings.batch, settings.mirrored, [list(loss) for loss in settings.losses]]
    return {"command": command_line("generator", words), "data": digests(files), "network": network}
