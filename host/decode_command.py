"""``lsi decode``: latents to pictures, marked as generated."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

from host.latent_manifest import latent_manifest
from lsi.errors import ConfigError
from lsi.whole_file import whole_file

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from host.decoder.decoder import Decoder
    from host.decoder.heads_file import Heads
    from lsi.latent import LatentSpace

HELP: Final = "make pictures of latents with their generator; every picture is marked as generated"
EXAMPLE: Final = "Example: lsi decode latents.npz --generator faces64.npz -o decoded/ --sheet"
MOST_SHEET: Final = 4096
HEADS_FILE: Final = "heads.npz"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``lsi decode``."""
    parser.epilog = EXAMPLE
    add = parser.add_argument
    add(
        "latents",
        type=Path,
        help="of 'lsi open', or .npz with offsets (n, L, D) and the digest of their space",
    )
    add(
        "--bundle", type=Path, metavar="FILE", help="for a file of 'lsi open': the bundle that the device ran"
    )
    add("--generator", type=Path, required=True, metavar="FILE", help="of 'lsi train generator', or a .toml")
    add("-o", "--output", type=Path, required=True, metavar="FOLDER", help="folder to write into")
    add("--sheet", action="store_true", help="one contact sheet instead of a file for each latent")
    add("--heads", type=Path, metavar="FILE", help="of 'lsi lab heads': writes heads.npz beside the pictures")
    add("--first", type=int, metavar="N", help="only the first N latents")


def run(arguments: argparse.Namespace) -> int:
    """Decode batch by batch, write PNG files, say how many.

    Raises:
        ConfigError: PyTorch is missing, or the folder holds such files already.
        DataError: Latents or generator cannot be used.
        ShapeMismatchError: The latents or the heads belong to another generator.
    """
    if arguments.first is not None and arguments.first < 1:
        raise ConfigError(f"--first is {arguments.first}.", hint="1 or more.")
    try:
        from host.decoder.open_decoder import open_decoder  # noqa: PLC0415 - needs PyTorch
    except ImportError as cause:
        found = "Decoding needs PyTorch, which is not installed."
        raise ConfigError(found, hint="pip install 'lsi-host[train]'.") from cause
    from host.decoder.generated_picture import contact_sheet, maker_of, marked_png  # noqa: PLC0415 - needs Pillow
    from host.decoder.latent_file import load_latents  # noqa: PLC0415 - same

    bundle = None if arguments.bundle is None else latent_manifest(arguments.bundle)
    maker = "" if bundle is None else maker_of(bundle)
    batch = load_latents(arguments.latents, None if bundle is None else bundle.latent)
    decoder = open_decoder(arguments.generator)
    offsets = batch.for_space(decoder.space)[: arguments.first]
    heads = None if arguments.heads is None else _heads(arguments.heads, decoder.space)
    _check_free(arguments, len(offsets))
    pictures = decoder.pictures(offsets)
    arguments.output.mkdir(parents=True, exist_ok=True)
    if heads is not None:
        _write_heads(arguments.output / HEADS_FILE, heads, decoder, offsets)
    name = arguments.latents.name
    if arguments.sheet:
        _write(arguments.output / "sheet.png", contact_sheet(pictures, decoder.space, name, maker))
    else:
        for index, picture in enumerate(pictures):
            content = marked_png(picture, decoder.space, f"{name}, row {index}", maker)
            _write(arguments.output / _name(index), content)
    count = f"{len(pictures)} pictures of {decoder.size_px} px in {arguments.output}"
    print(f"{count}; made by a generator, no evidence")
    return 0


def _heads(path: Path, space: "LatentSpace") -> "Heads":
    from host.decoder.heads_file import load_heads  # noqa: PLC0415 - needs PyTorch

    heads = load_heads(path)
    heads.check(space)
    return heads


def _write_heads(path: Path, heads: "Heads", decoder: "Decoder", offsets: "NDArray[np.float32]") -> None:
    """Write ``landmarks`` (n, P, 2) in a frame of ``frame_px``, ``classes`` (n, R, R) and their names.

    As image-equivalent as the pictures.
    """
    import numpy as np  # noqa: PLC0415 - `lsi --help` stays light

    found = {"landmarks": heads.points(offsets), "classes": heads.pixels(decoder, offsets)}
    arrays = {name: values for name, values in found.items() if values is not None}
    frame = {"frame_px": np.array(heads.frame_px), "class_names": np.array(heads.classes)}
    with whole_file(path) as file:
        np.savez(file, allow_pickle=False, **arrays, **frame)


def _name(index: int) -> str:
    return f"generated-{index:05}.png"


def _check_free(arguments: argparse.Namespace, count: int) -> None:
    """Nothing is overwritten."""
    if arguments.sheet and count > MOST_SHEET:
        raise ConfigError(f"{count} pictures are too many for one sheet.", hint=f"--first {MOST_SHEET}.")
    names = [HEADS_FILE] * (arguments.heads is not None)
    names += ["sheet.png"] if arguments.sheet else [_name(index) for index in range(count)]
    taken = [name for name in names if (arguments.output / name).exists()]
    if taken:
        raise ConfigError(f"{arguments.output} holds {taken[0]} already.", hint="another folder.")


def _write(path: Path, content: bytes) -> None:
    with whole_file(path) as file:
        file.write(content)
