"""A trained generator as one ``.npz`` without pickle: latent space, synthesis, and what training left beside.

Weights are float16 in the file (7 million of them fit 16 MiB) and float32 in memory.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from host.decoder.synthesis import SynthesisShape
from lsi.latent import LatentSpace
from lsi.npz_file import META, meta_of, npz_arrays, says_of_itself
from lsi.whole_file import whole_file

FORMAT: Final = "lsi.generator/1"
SYNTHESIS: Final = "synthesis."
ENCODER: Final = "encoder."
_MEAN: Final = "mean"
_HINT: Final = "a file written by 'lsi train generator'."

Weights = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True, repr=False)
class GeneratorFile:
    """What a generator's file holds.

    ``synthesis`` and ``encoder`` are weights by their names in the networks; the encoder (pictures to
    latents, the teacher of the measurement encoder) is ``training.generator.picture_encoder``, with
    ``encoder_widths``. ``record`` is JSON: command, data, figures, memorisation check.
    """

    space: LatentSpace
    shape: SynthesisShape
    synthesis: Weights
    encoder: Weights
    encoder_widths: tuple[int, ...]
    record: Mapping[str, Any]

    def __post_init__(self) -> None:
        wanted = (self.shape.layers, self.shape.latent_width)
        if self.space.mean.shape != wanted:
            message = f"a mean latent of {self.space.mean.shape} for a synthesis that reads {wanted}"
            raise ValueError(message)

    def __repr__(self) -> str:
        return f"GeneratorFile({self.space!r}, {self.shape.size_px} px)"


def save_generator(generator: GeneratorFile, path: Path) -> None:
    """Write ``path`` in one step."""
    meta = {
        "format": FORMAT,
        "name": generator.space.name,
        "size_px": generator.shape.size_px,
        "latent_width": generator.shape.latent_width,
        "widths": list(generator.shape.widths),
        "encoder_widths": list(generator.encoder_widths),
        "record": dict(generator.record),
    }
    arrays: dict[str, NDArray[Any]] = {
        META: np.array(json.dumps(meta, sort_keys=True)),
        _MEAN: generator.space.mean,
    }
    for prefix, weights in ((SYNTHESIS, generator.synthesis), (ENCODER, generator.encoder)):
        arrays |= {prefix + name: values.astype(np.float16) for name, values in weights.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def load_generator(path: Path) -> GeneratorFile:
    """Read a generator. Nothing in it is executed.

    Raises:
        DataError: No such file, not a generator, or parts that do not fit together.
    """
    with npz_arrays(path, "generator", "is not a usable generator", _HINT) as arrays:
        return _from_arrays(dict(arrays))


def is_generator(path: Path) -> bool:
    """Whether ``path`` says of itself that it is a generator of ours."""
    return says_of_itself(path, "format", FORMAT)


def _from_arrays(arrays: Mapping[str, NDArray[Any]]) -> GeneratorFile:
    meta = meta_of(arrays, FORMAT)
    widths = tuple(int(width) for width in meta["widths"])
    shape = SynthesisShape(int(meta["size_px"]), int(meta["latent_width"]), widths)
    return GeneratorFile(
        space=LatentSpace(str(meta["name"]), arrays[_MEAN]),
        shape=shape,
        synthesis=_weights(arrays, SYNTHESIS),
        encoder=_weights(arrays, ENCODER),
        encoder_widths=tuple(int(width) for width in meta["encoder_widths"]),
        record=meta["record"],
    )


def _weights(arrays: Mapping[str, NDArray[Any]], prefix: str) -> Weights:
    found = {
        name.removeprefix(prefix): values.astype(np.float32)
        for name, values in arrays.items()
        if name.startswith(prefix)
    }
    if not all(np.isfinite(values).all() for values in found.values()):
        message = f"weights of {prefix[:-1]} that are not finite"
        raise ValueError(message)
    return found
