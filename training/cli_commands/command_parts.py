"""What the commands of ``lsi train`` share: the board's sensor, PyTorch, limits, how a file came about."""

import argparse
import hashlib
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from lsi.errors import BoardConfigError, ConfigError, DataError
from lsi.schema import check
from lsi.sensor import SensorModel
from lsi.toml_file import read_toml

WEIGHT: Final = re.compile(r"\d{1,6}(\.\d{1,6})?")
"""How a weight of a loss is written."""
MOST_HASHED_BYTES: Final = 1 << 20
"""How much of a file is read at a time to digest it."""

FILES_OF_A_TRAINING: Final = {
    "--data": "pictures with attributes, to train on",
    "--nonfaces": "pictures without a face, to train on",
    "--val": "pictures of other people, for thresholds and figures",
    "--nonfaces-val": "other pictures without a face, for figures",
    "--board": "board file (TOML) whose sensor is trained for",
}
"""Options for what masks are trained and examined with, each with its help."""


def read_sensor(board: Path) -> tuple[SensorModel, int]:
    """Sensor and samples per mask and arm of a board file.

    Raises:
        BoardConfigError: No such file, not TOML, or it breaks the schema of board files.
    """
    hint = "a file like hardware/boards/sim-mcp3208.toml."
    document = read_toml(board, "Board file", error=BoardConfigError, hint=hint)
    check(document, "board", error=BoardConfigError, source=str(board))
    return SensorModel(**document["sensor"]), document["scan"]["samples_per_pattern"]


def require_torch() -> None:
    """Say what to install where PyTorch is missing.

    Raises:
        ConfigError: It is missing.
    """
    try:
        import torch  # noqa: F401, PLC0415 - only whether it is there
    except ImportError as cause:
        found = "Training needs PyTorch, which is not installed."
        raise ConfigError(found, hint="pip install 'lsi-host[train]'.") from cause


def check_limits(arguments: argparse.Namespace, limits: Mapping[str, tuple[float, float]]) -> None:
    """Refuse a number outside its limits.

    Raises:
        ConfigError: With the option, its value and the range.
    """
    for name, (low, high) in limits.items():
        value = getattr(arguments, name)
        if not low <= value <= high:
            option = "--" + name.replace("_", "-")
            raise ConfigError(f"{option} is {value:g}.", hint=f"a number in {low:g}..{high:g}.")


def whole_numbers(option: str, text: str, low: int, high: int) -> list[int]:
    """A list such as "4,16,64".

    Raises:
        ConfigError: Not whole numbers, out of range, or one of them twice.
    """
    hint = f"whole numbers in {low}..{high} with commas between them, each once."
    try:
        numbers = [int(word) for word in text.split(",")]
    except ValueError as cause:
        raise ConfigError(f"{option} is {text!r}.", hint=hint) from cause
    if len(set(numbers)) != len(numbers) or not all(low <= number <= high for number in numbers):
        raise ConfigError(f"{option} is {text!r}.", hint=hint)
    return numbers


def named_weights(option: str, words: Sequence[str], known: Sequence[str]) -> dict[str, float]:
    """Names and weights of a repeated ``NAME=WEIGHT``.

    Raises:
        ConfigError: Another form, or a name that is not ``known``.
    """
    found = {}
    for word in words:
        name, _, weight = word.partition("=")
        if name not in known or not WEIGHT.fullmatch(weight):
            hint = f"NAME=WEIGHT with a name out of {', '.join(sorted(known))}, such as {min(known)}=0.1."
            raise ConfigError(f"{option} is {word!r}.", hint=hint)
        found[name] = float(weight)
    return found


def digests(paths: Sequence[Path]) -> dict[str, str]:
    """SHA-256 of each file by its name without folder; of a folder of pictures, of its lists.

    Raises:
        DataError: A file is not there.
    """
    from training.data_sets.data import open_data  # noqa: PLC0415 - `lsi --help` stays light

    return {path.name: open_data(path).digest() if path.is_dir() else _digest(path) for path in paths}


def command_line(product: str, words: Sequence[tuple[str, object]]) -> str:
    """The command as a person would type it again, paths without folders: it says nothing of the machine."""
    parts = ["lsi", "train", product]
    for option, value in words:
        parts += (
            [option] if value is True else [option, value.name if isinstance(value, Path) else str(value)]
        )
    return shlex.join(parts)


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(MOST_HASHED_BYTES):
                digest.update(block)
    except OSError as cause:
        raise DataError(
            f"No readable file at {path} ({cause.strerror}).", hint="a file that exists."
        ) from cause
    return digest.hexdigest()
