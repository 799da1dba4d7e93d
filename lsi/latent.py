"""The latent space of a generator, and points in it as a device gives them: offsets from its mean.

Nothing here knows a generator. L layers of D numbers each steer one layer of it, coarse to fine.
"""

import re
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lsi.errors import ShapeMismatchError
from lsi.frozen import digest_of, frozen_array

MOST_LAYERS: Final = 64
MOST_WIDTH: Final = 1024
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,47}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class LatentForm:
    """What a bundle or a payload says of a latent space: all but its numbers.

    ``digest`` is that of the :class:`LatentSpace`; offsets mean something to that generator only.

    Raises:
        ValueError: A name outside ``[a-z0-9-]``, a size out of its range, or no SHA-256.
    """

    name: str
    layers: int
    width: int
    digest: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or not _DIGEST.fullmatch(self.digest):
            message = f"a latent space needs a name like {_NAME.pattern} and a SHA-256, found {self.name!r}"
            raise ValueError(message)
        if not (1 <= self.layers <= MOST_LAYERS and 1 <= self.width <= MOST_WIDTH):
            message = f"a latent has 1..{MOST_LAYERS} x 1..{MOST_WIDTH} numbers, found {self.shape}"
            raise ValueError(message)

    @property
    def shape(self) -> tuple[int, int]:
        """(L, D)."""
        return self.layers, self.width


@dataclass(frozen=True, slots=True, repr=False)
class LatentSpace:
    """Where a generator's latents lie. Shape: ``mean`` (L, D) float32, finite."""

    name: str
    mean: NDArray[np.float32]

    def __post_init__(self) -> None:
        mean = _finite("mean latent", self.mean, (None, None))
        object.__setattr__(self, "mean", mean)
        _ = self.form  # its checks of name and size

    @property
    def form(self) -> LatentForm:
        """Name, size and digest of this space."""
        layers, width = self.mean.shape
        parts = (self.name.encode(), f"{layers} x {width}".encode(), self.mean.astype("<f4").tobytes())
        return LatentForm(self.name, layers, width, digest_of(*parts))

    def latents(self, offsets: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mean plus ``offsets`` (n, L, D): what the generator reads.

        Raises:
            ShapeMismatchError: Offsets of another shape.
        """
        if offsets.shape[1:] != self.mean.shape:
            found = f"Offsets of shape {offsets.shape} do not fit the latent space {self!r}."
            raise ShapeMismatchError(found, hint="the generator that the encoder was trained for.")
        moved: NDArray[np.float32] = self.mean + offsets
        return moved

    def __repr__(self) -> str:
        layers, width = self.mean.shape
        return f"LatentSpace({self.name}, {layers} x {width}, digest={self.form.digest[:8]})"


@dataclass(frozen=True, slots=True, repr=False)
class LatentOffset:
    """One point as the encoder gives it. Image-equivalent for whoever holds the generator.

    Shape: ``values`` (L, D) float32, finite, of the form's size.
    """

    values: NDArray[np.float32]
    form: LatentForm

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", _finite("latent offset", self.values, self.form.shape))

    def __repr__(self) -> str:
        return f"LatentOffset({self.form.name}, {self.form.layers} x {self.form.width})"


def _finite(name: str, values: NDArray[np.float32], shape: tuple[int | None, ...]) -> NDArray[np.float32]:
    frozen = frozen_array(name, values, np.float32, shape)
    if not np.isfinite(frozen).all():
        message = f"{name} must be finite"
        raise ValueError(message)
    return frozen
