"""``Decoder``: latent offsets in, pictures out; whatever generator stands behind it."""

from pathlib import Path
from typing import Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from host.decoder.generator_file import GeneratorFile, load_generator
from host.decoder.synthesis import Synthesis
from host.decoder.weights import load_weights
from lsi.latent import LatentSpace

SHOWN_AT_ONCE: Final = 64

Codes = NDArray[np.uint8]


class Decoder(Protocol):
    """A generator as far as decoding needs it."""

    @property
    def space(self) -> LatentSpace:
        """The latent space; its digest says which offsets it can decode."""
        ...

    @property
    def size_px(self) -> int:
        """Height and width R of its pictures."""
        ...

    def pictures(self, offsets: NDArray[np.float32]) -> Codes:
        """Pictures (n, R, R, 3) uint8 sRGB of offsets (n, L, D), batch by batch.

        Raises:
            ShapeMismatchError: Offsets of another shape.
        """
        ...

    def features(self, offsets: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """The tapped features (n, C, h, w) of offsets, coarse to fine, for heads."""
        ...


class OwnDecoder:
    """The synthesis network of ``lsi train generator``, on CUDA where there is one.

    Raises:
        DataError: The weights are those of another network; ``source`` names the file in the message.
    """

    def __init__(self, generator: GeneratorFile, source: str = "the generator") -> None:
        self.space = generator.space
        self.size_px = generator.shape.size_px
        self.network = Synthesis(generator.shape)
        load_weights(self.network, generator.synthesis, source)
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network.to(self._device).eval().requires_grad_(requires_grad=False)

    def __repr__(self) -> str:
        return f"OwnDecoder({self.space!r}, {self.size_px} px)"

    def pictures(self, offsets: NDArray[np.float32]) -> Codes:
        """Pictures of offsets; see :class:`Decoder`."""
        return np.concatenate([codes_of(self._tapped(batch)[0]) for batch in self._batches(offsets)])

    def features(self, offsets: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Features after each size, 4 px first; see :class:`Decoder`."""
        found = [self._tapped(batch)[1] for batch in self._batches(offsets)]
        return [torch.cat(maps).cpu().numpy() for maps in zip(*found, strict=True)]

    def _batches(self, offsets: NDArray[np.float32]) -> tuple[torch.Tensor, ...]:
        latents = torch.tensor(self.space.latents(offsets), device=self._device)
        return torch.split(latents, SHOWN_AT_ONCE)

    @torch.no_grad()
    def _tapped(self, latents: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        found: tuple[torch.Tensor, list[torch.Tensor]] = self.network.tapped(latents)
        return found


def codes_of(pictures: torch.Tensor) -> Codes:
    """Codes (n, R, R, 3) of pictures (n, 3, R, R) in -1..1; what lies outside is clipped."""
    scaled = ((pictures + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    codes: Codes = scaled.permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return codes


def own_decoder(path: Path) -> OwnDecoder:
    """The decoder in a file of ``lsi train generator``.

    Raises:
        DataError: No such file, or not a whole generator.
    """
    return OwnDecoder(load_generator(path), str(path))
