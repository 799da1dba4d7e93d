"""``lsi open``: open sealed latents that were kept as files, one envelope each."""

import argparse
import os
import sys
from pathlib import Path
from typing import Final

import numpy as np

from host.opener import OpenedLatent, Opener
from lsi.errors import ConfigError, LsiError, SealError
from lsi.host_keys import read_host_secret_key
from lsi.key_files import read_public_key
from lsi.minisign import PublicKey
from lsi.sealing import MAX_SEALED_BYTES
from lsi.topics import DEVICE_ID
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
    parser.add_argument("--key", action="append", required=True, type=Path, help="secret key of the host")
    parser.add_argument(
        "--device", action="append", required=True, metavar="ID=FILE", help="public key file of a device"
    )
    parser.add_argument("--out", type=Path, metavar="FILE.npz", help="where the latents go (mode 0600)")


def run(arguments: argparse.Namespace) -> int:
    """Open; the exit code is that of the first file that could not be opened."""
    devices = dict(map(_device, arguments.device))
    opener = Opener([read_host_secret_key(path) for path in arguments.key], devices)
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


def _device(text: str) -> tuple[str, PublicKey]:
    device_id, _, path = text.partition("=")
    if not DEVICE_ID.fullmatch(device_id) or not path:
        raise ConfigError(f"--device {text[:80]!r} names no device and key.", hint="--device hall1=hall1.pub")
    return device_id, read_public_key(Path(path))


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
