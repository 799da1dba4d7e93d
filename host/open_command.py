"""``lsi open``: open sealed latents that were kept as files, one envelope each."""

import argparse
import os
import sys
from pathlib import Path
from typing import Final

import numpy as np

from host.opener import OpenedLatent
from host.opener_arguments import add_opener_arguments, opener_of
from lsi.errors import ConfigError, LsiError, SealError
from lsi.sealing import MAX_SEALED_BYTES
from lsi.whole_file import whole_file

PRIVATE: Final = 0o600
HELP: Final = "open sealed latents that were kept as files"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare arguments."""
    parser.description = (
        "Opens envelopes and tells of each what it is. What is inside is as good as a picture of a person: "
        "it is written only where --out says so, for its owner alone."
    )
    parser.epilog = "Example: lsi open *.sealed --key host.key --device hall1=hall1.pub --out latents.npz"
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    add_opener_arguments(parser, required=True)
    parser.add_argument("--out", type=Path, metavar="FILE.npz", help="where the latents go (mode 0600)")


def run(arguments: argparse.Namespace) -> int:
    """Open; the exit code is that of the first file that could not be opened."""
    opener = opener_of(arguments)
    opened, code = [], 0
    for path in arguments.files:
        try:
            latent = opener.open(_content(path))
        except LsiError as error:
            print(f"{path}: {error}", file=sys.stderr)
            code = code or error.exit_code
            continue
        opened.append(latent)
        header = latent.header
        print(f"{path}: {header.device_id} {header.stream} #{header.seq} {header.ts} {header.shape}")
    if arguments.out is not None and opened:
        _write(arguments.out, opened)
    return code


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_SEALED_BYTES + 1)
    except OSError as cause:
        raise SealError(
            f"{path} cannot be read ({cause.strerror}).", hint="a file with one envelope."
        ) from cause


def _write(path: Path, opened: list[OpenedLatent]) -> None:
    shapes = {latent.header.shape for latent in opened}
    if len(shapes) > 1:
        raise ConfigError(
            f"Latents of {len(shapes)} shapes do not fit into one file.", hint="one shape at a time."
        )
    try:
        with whole_file(path) as file:
            os.fchmod(file.fileno(), PRIVATE)
            np.savez(
                file,
                latents=np.stack([latent.values for latent in opened]),
                device_id=np.array([latent.header.device_id for latent in opened]),
                stream=np.array([latent.header.stream for latent in opened]),
                seq=np.array([latent.header.seq for latent in opened]),
                ts=np.array([latent.header.ts for latent in opened]),
            )
    except OSError as cause:
        raise ConfigError(
            f"{path} cannot be written ({cause.strerror}).", hint="a folder of yours."
        ) from cause
