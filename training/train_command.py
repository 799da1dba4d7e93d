"""``lsi train attributes``: masks and read-out from data files, one checkpoint out."""

import argparse
import hashlib
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lsi.errors import BoardConfigError, ConfigError
from lsi.measurement import SAMPLES_PER_BLOCK
from lsi.patterns import PatternSet
from lsi.schema import check
from lsi.sensor import SensorModel
from lsi.toml_file import read_toml

if TYPE_CHECKING:
    from training.assess import Assessment
    from training.checkpoint import Checkpoint
    from training.data import DataFile
    from training.train import Settings, Trained

HELP: str = "train masks and read-out"
ATTRIBUTES: Final = ("Smiling", "Mouth_Slightly_Open", "Eyeglasses", "Wearing_Hat")
"""The attributes of mode attr-lite in output order."""
THRESHOLDS: Final = "attributes: best balanced accuracy on val tune; presence: 2 % of val tune faces rejected"
EXAMPLE: Final = (
    "example: lsi train attributes --data train.npz --nonfaces nonfaces_train.npz --val val.npz "
    "--nonfaces-val nonfaces_val.npz --board hardware/boards/sim-mcp3208.toml -o checkpoints/lite16.npz"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lsi train`` to its parser."""
    parser.epilog = EXAMPLE
    parser.add_argument("product", choices=["attributes"], help="what to train")
    for option, text in _FILES.items():
        parser.add_argument(option, type=Path, required=True, metavar="FILE", help=text)
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="CHECKPOINT", help="file to write"
    )
    parser.add_argument("--d", type=int, default=16, help="number of masks, 4 to 64 (default 16)")
    parser.add_argument("--epochs", type=int, default=50, help="passes over the faces (default 50)")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything random (default 0)")
    parser.add_argument("--threads", type=int, default=2, help="threads of PyTorch (default 2)")


_FILES: Final = {
    "--data": "faces with attributes, to train on",
    "--nonfaces": "pictures without a face, to train on",
    "--val": "faces of other people, for thresholds and figures",
    "--nonfaces-val": "other pictures without a face, for figures",
    "--board": "board file (TOML) whose sensor is trained for",
}


def run(arguments: argparse.Namespace) -> int:
    """Train, print one line per epoch and the figures, write the checkpoint.

    Raises:
        ConfigError: PyTorch is missing, an argument is out of range, or an attribute is not in the data.
        BoardConfigError: The board file cannot be used.
        DataError: A data file cannot be used.
    """
    _check_arguments(arguments)
    sensor, samples = read_sensor(arguments.board)
    _require_torch()
    import torch  # noqa: PLC0415 - `lsi --help` works without PyTorch

    from training.assess import assess  # noqa: PLC0415 - same
    from training.checkpoint import save_checkpoint  # noqa: PLC0415 - same
    from training.data import open_data  # noqa: PLC0415 - same
    from training.forward_model import Detector  # noqa: PLC0415 - same
    from training.train import Settings, train  # noqa: PLC0415 - same

    torch.set_num_threads(arguments.threads)
    detector = Detector(sensor, samples)
    files = {
        name: open_data(getattr(arguments, name)) for name in ("data", "nonfaces", "val", "nonfaces_val")
    }
    faces = files["data"].faces(_with_auxiliary(files["data"]))
    settings = Settings(arguments.d, arguments.epochs, arguments.seed, len(ATTRIBUTES))
    trained = train(faces, files["nonfaces"].faces(), detector, settings, _print_line)
    found = assess(trained, files["val"].faces(ATTRIBUTES), files["nonfaces_val"].faces(), detector)
    record = _record(arguments, settings, detector.sensor, samples, found)
    save_checkpoint(_checkpoint(trained, found, record), arguments.output)
    print("\n".join(figure_lines(found)))
    print(f"wrote {arguments.output}")
    return 0


def read_sensor(board: Path) -> tuple[SensorModel, int]:
    """Sensor and samples per mask and arm of a board file.

    Raises:
        BoardConfigError: No such file, not TOML, or it breaks the schema of board files.
    """
    hint = "a file like hardware/boards/sim-mcp3208.toml."
    document = read_toml(board, "Board file", error=BoardConfigError, hint=hint)
    check(document, "board", error=BoardConfigError, source=str(board))
    return SensorModel(**document["sensor"]), SAMPLES_PER_BLOCK * document["scan"]["blocks_per_pattern"]


def figure_lines(found: "Assessment") -> list[str]:
    """The figures on *report* as a table for people."""
    lines = [f"{'val report':42} {'AUC':>6} {'bal. acc.':>9} {'accuracy':>8} {'majority':>8}"]
    lines += [
        f"{each.name:42} {each.auc:6.4f} {each.balanced_accuracy:9.3f} "
        f"{each.accuracy:8.3f} {each.majority:8.3f}"
        for each in found.attributes
    ]
    lines.append(
        f"{'macro':42} {found.macro_auc:6.4f} (without noise {found.macro_auc_noise_free:.4f}, chance 0.5)"
    )
    lines += [
        f"{each.against:42} {each.auc:6.4f} {each.false_accepts:9.3f} taken for a face"
        for each in found.presence
    ]
    lines.append(f"{'faces turned away':42} {found.false_rejects:16.3f}")
    return lines


def _check_arguments(arguments: argparse.Namespace) -> None:
    limits = {"d": (4, 64), "epochs": (1, 10_000), "threads": (1, 64), "seed": (0, 2**32 - 1)}
    for name, (low, high) in limits.items():
        value = getattr(arguments, name)
        if not low <= value <= high:
            raise ConfigError(f"--{name} is {value}.", hint=f"a whole number in {low}..{high}.")


def _require_torch() -> None:
    try:
        import torch  # noqa: F401, PLC0415 - only whether it is there
    except ImportError as cause:
        found = "Training needs PyTorch, which is not installed."
        raise ConfigError(found, hint="pip install 'lsi-host[train]'.") from cause


def _with_auxiliary(data: "DataFile") -> tuple[str, ...]:
    """The product's attributes, then the others of the file."""
    return ATTRIBUTES + tuple(name for name in data.attribute_names if name not in ATTRIBUTES)


def _print_line(line: str) -> None:
    print(line, flush=True)


def _record(
    arguments: argparse.Namespace,
    settings: "Settings",
    sensor: SensorModel,
    samples: int,
    found: "Assessment",
) -> dict[str, Any]:
    """How the checkpoint came about. File names without folders, so that it says nothing of the machine."""
    files = {option: getattr(arguments, option[2:].replace("-", "_")) for option in _FILES}
    return {
        "command": _command(arguments, files),
        "data": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files.values()},
        "sensor": asdict(sensor),
        "samples": samples,
        "settings": asdict(settings),
        "thresholds": THRESHOLDS,
        "figures": found.to_record(),
    }


def _command(arguments: argparse.Namespace, files: dict[str, Path]) -> str:
    words = ["lsi", "train", "attributes"]
    for option, path in files.items():
        words += [option, path.name]
    words += ["-o", arguments.output.name]
    for name in ("d", "epochs", "seed", "threads"):
        words += [f"--{name}", str(getattr(arguments, name))]
    return shlex.join(words)


def _checkpoint(trained: "Trained", found: "Assessment", record: dict[str, Any]) -> "Checkpoint":
    from training.checkpoint import Checkpoint  # noqa: PLC0415 - `lsi --help` stays light

    return Checkpoint(
        patterns=PatternSet(trained.masks),
        read_out=trained.read_out,
        attributes=found.schema,
        measurement_low=trained.measurement_range[0],
        measurement_high=trained.measurement_range[1],
        activation_low=trained.activation_range[0],
        activation_high=trained.activation_range[1],
        record=record,
    )
