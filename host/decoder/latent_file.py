"""Latent offsets in a file: ``.npz`` with ``offsets`` (n, L, D) float32 and the digest of their space.

``lsi open`` writes ``latents`` instead and no space: an envelope names its bundle, and the bundle the space.
Image-equivalent: keep such a file as one would keep the pictures.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lsi.errors import DataError, ShapeMismatchError
from lsi.frozen import frozen_array
from lsi.latent import LatentForm, LatentOffset, LatentSpace
from lsi.npz_file import DAMAGED_NPZ
from lsi.whole_file import whole_file

_HINT: Final = "a .npz with offsets (n, L, D) float32 and space, the digest of their latent space."


@dataclass(frozen=True, slots=True, repr=False)
class LatentBatch:
    """Offsets of one latent space. Shape: ``offsets`` (n, L, D) float32, finite."""

    offsets: NDArray[np.float32]
    space: str

    def __post_init__(self) -> None:
        frozen = frozen_array("offsets", self.offsets, np.float32, (None, None, None))
        if not np.isfinite(frozen).all():
            message = "offsets must be finite"
            raise ValueError(message)
        object.__setattr__(self, "offsets", frozen)

    @classmethod
    def of(cls, offsets: list[LatentOffset]) -> "LatentBatch":
        """Offsets of devices that share one latent space.

        Raises:
            ShapeMismatchError: None, or of several spaces.
        """
        spaces = {offset.form.digest for offset in offsets}
        if len(spaces) != 1:
            found = f"{len(offsets)} offsets of {len(spaces)} latent spaces."
            raise ShapeMismatchError(found, hint="decode the offsets of one space at a time.")
        return cls(np.stack([offset.values for offset in offsets]), spaces.pop())

    def for_space(self, space: LatentSpace) -> NDArray[np.float32]:
        """The offsets, if they belong to ``space``.

        Raises:
            ShapeMismatchError: They belong to another generator.
        """
        if self.space != space.form.digest:
            found = f"The offsets belong to the latent space {self.space[:16]}, the generator is {space!r}."
            raise ShapeMismatchError(found, hint="the generator that the bundle was trained for.")
        return self.offsets

    def __repr__(self) -> str:
        return f"LatentBatch(shape={self.offsets.shape}, space={self.space[:8]})"


def save_latents(batch: LatentBatch, path: Path) -> None:
    """Write ``path`` in one step."""
    with whole_file(path) as file:
        np.savez(file, allow_pickle=False, offsets=batch.offsets, space=np.array(batch.space))


def load_latents(path: Path, opened_of: LatentForm | None = None) -> LatentBatch:
    """Read offsets. Nothing in the file is executed.

    Args:
        path: The file.
        opened_of: The latent space of the bundle that made them, for a file of ``lsi open``.

    Raises:
        DataError: No such file, it holds something else, or it does not say its space and nobody did.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            if "latents" not in archive:
                return LatentBatch(archive["offsets"], str(archive["space"]))
            latents = archive["latents"]
        if opened_of is not None:
            return LatentBatch(latents, opened_of.digest)
    except OSError as cause:
        found = f"No readable latents at {path} ({cause.strerror or 'not a .npz'})."
        raise DataError(found, hint=_HINT) from cause
    except DAMAGED_NPZ as cause:
        raise DataError(f"{path} holds no latents ({type(cause).__name__}: {cause}).", hint=_HINT) from cause
    hint = "--bundle, and the bundle that the device ran."
    raise DataError(f"{path} does not say which latent space it belongs to.", hint=hint)
