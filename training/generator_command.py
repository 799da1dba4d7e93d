"""``lsi train generator``: a style autoencoder; one file with encoder, synthesis and mean latent."""

import argparse
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lsi.errors import ConfigError, TrainingError
from training.attributes_command import SAVE_EVERY_S, now_and_then, print_line
from training.command_parts import (
    check_limits,
    command_line,
    digests,
    named_weights,
    require_torch,
    whole_numbers,
)

if TYPE_CHECKING:
    from training.generator import GeneratorCourse, GeneratorLesson
    from training.generator_settings import GeneratorSettings
    from training.unfinished import Unfinished

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
    parser.add_argument("--epochs", type=int, default=20, help="passes over the pictures (default 20)")
    parser.add_argument(
        "--minutes", type=float, metavar="N", help="stop after so long, to go on another time"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of everything random (default 0)")
    parser.add_argument("--batch", type=int, default=16, help="pictures per step (default 16)")
    parser.add_argument("--rate", type=float, default=2e-3, help="learning rate (default 0.002)")
    parser.add_argument("--threads", type=int, default=2, help="threads of PyTorch (default 2)")
    parser.add_argument("--fresh", action="store_true", help="do not go on with an interrupted run")


def run(arguments: argparse.Namespace) -> int:
    """Train, print what it will take and one line now and then, write the generator.

    Raises:
        ConfigError: PyTorch is missing, an argument is out of range, or the network would be too large.
        DataError: A data file cannot be used, or the disk is full.
        TrainingError: The loss is no longer a number; the last good state is written.
    """
    _check(arguments)
    require_torch()
    import torch  # noqa: PLC0415 - `lsi --help` works without PyTorch

    from training.generator import GeneratorCourse  # noqa: PLC0415 - same
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
        _resume(arguments, course, unfinished)
        _train(arguments, course, unfinished, record)
    return 0


def device_line(kind: str, threads: int) -> str:
    """Where it runs; without a GPU, what to expect."""
    if kind == "cuda":
        return "training on CUDA"
    return (
        f"no GPU: training on {threads} CPU thread(s); the first line below says how long it will take. "
        "--minutes stops it earlier, --preset small and fewer --epochs make it shorter."
    )


def _check(arguments: argparse.Namespace) -> None:
    limits: dict[str, tuple[float, float]] = {"epochs": (1, 100_000), "threads": (1, 64), "batch": (1, 4096)}
    limits |= {"seed": (0, 2**31 - 1), "rate": (1e-7, 1.0), "latent_width": (4, 1024)}
    check_limits(arguments, limits)
    if arguments.minutes is not None:
        check_limits(arguments, {"minutes": (0, 1e6)})


def _settings(arguments: argparse.Namespace, device: str) -> "GeneratorSettings":
    from host.decoder.synthesis import SynthesisShape  # noqa: PLC0415 - needs PyTorch
    from training.generator_settings import (  # noqa: PLC0415 - same
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
    losses |= named_weights("--loss", arguments.loss, tuple(losses))
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
    from training.data import open_data  # noqa: PLC0415 - `lsi --help` stays light
    from training.feature_network import load_feature_network  # noqa: PLC0415 - needs PyTorch
    from training.generator import GeneratorLesson  # noqa: PLC0415 - same
    from training.whole_picture import pictures_of  # noqa: PLC0415 - same

    features = None if arguments.features is None else load_feature_network(arguments.features)
    data = open_data(arguments.data, "train")
    pictures = pictures_of(data, settings.shape.size_px)
    return GeneratorLesson(pictures, data.attributes, features)


def _resume(arguments: argparse.Namespace, course: "GeneratorCourse", unfinished: "Unfinished") -> None:
    if arguments.fresh:
        unfinished.remove()
    state = unfinished.load()
    if state is not None:
        course.restore(state)
        print_line(f"going on after step {course.step} ({unfinished.path.name})")


def _train(
    arguments: argparse.Namespace,
    course: "GeneratorCourse",
    unfinished: "Unfinished",
    record: Mapping[str, Any],
) -> None:
    """To the end, or as long as was allowed; what is written is always the last good state."""
    from training.generator import train_generator  # noqa: PLC0415 - needs PyTorch

    keeper = _Keeper(now_and_then(unfinished.save, SAVE_EVERY_S, time.monotonic), arguments.minutes)
    try:
        train_generator(course, print_line, keeper)
    except (TrainingError, _TimeIsUp, KeyboardInterrupt) as cause:
        if keeper.state is not None:
            course.restore(keeper.state)
            unfinished.save(keeper.state)
            _write(arguments, course, record)
        if not isinstance(cause, _TimeIsUp):
            raise
        print_line(f"time is up after step {course.step} of {course.steps}; the same command goes on")
        return
    _write(arguments, course, record)
    unfinished.remove()


def _write(arguments: argparse.Namespace, course: "GeneratorCourse", record: Mapping[str, Any]) -> None:
    from host.decoder.generator_file import save_generator  # noqa: PLC0415 - needs PyTorch

    whole = {**record, "steps": course.step, "of_steps": course.steps}
    save_generator(course.result(whole), arguments.output)
    print_line(f"wrote {arguments.output} after step {course.step} of {course.steps}")


class _TimeIsUp(Exception):  # noqa: N818 - not an error
    """The minutes that were allowed are over."""


class _Keeper:
    """Keeps the last good state in memory and now and then on the disk; ends the run when its time is up."""

    def __init__(self, save: Callable[[dict[str, Any]], None], minutes: float | None) -> None:
        self.state: dict[str, Any] | None = None
        self._save = save
        self._until_s = None if minutes is None else time.monotonic() + 60 * minutes

    def __call__(self, state: dict[str, Any]) -> None:
        self.state = state
        self._save(state)
        if self._until_s is not None and time.monotonic() >= self._until_s:
            raise _TimeIsUp


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
