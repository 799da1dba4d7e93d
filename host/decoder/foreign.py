"""Generators of other makers, exported by their owner: a network in ONNX or TorchScript and a description.

The description is TOML, beside the network::

    [generator]
    name = "owners-faces"
    network = "synthesis.onnx"     # .onnx, or .ts / .pt for TorchScript
    layers = 18
    width = 512
    size_px = 256
    mean = "w_avg.npy"             # (width,) or (layers, width) float32
    input = "latents"              # name of the input (n, layers, width); TorchScript ignores it
    picture = "picture"            # output (n, 3, size, size) in -1..1; the first one of TorchScript
    taps = ["l4", "l9"]            # outputs (n, C, h, w) for heads, coarse to fine; may be left out

Both formats are programs. Load only what you exported or trust: TorchScript may do whatever PyTorch can.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from host.decoder.decoder import SHOWN_AT_ONCE, codes_of
from lsi.errors import ConfigError, DataError, ShapeMismatchError
from lsi.latent import LatentSpace
from lsi.schema import check
from lsi.toml_file import read_toml

_HINT: Final = "docs/how-to/bring-your-own-generator.md."
_COLOURS: Final = 3

Network = Callable[[NDArray[np.float32]], list[NDArray[np.float32]]]
"""Latents (n, L, D) to the picture and the taps, in the order of the description."""


@dataclass(frozen=True, slots=True, repr=False)
class ForeignGenerator:
    """A description whose parts are there. ``picture`` and ``taps`` are names of the network's outputs."""

    space: LatentSpace
    network: Path
    size_px: int
    source: str
    picture: str
    taps: tuple[str, ...]


def read_foreign(path: Path) -> ForeignGenerator:
    """Read a description and the mean latent that it names.

    Raises:
        ConfigError: No such file, not TOML, or it breaks the schema of generators.
        DataError: No mean latent.
        ShapeMismatchError: The mean latent has another shape than layers and width say.
    """
    document = read_toml(path, "Description of a generator", error=ConfigError, hint=_HINT)
    check(document, "generator", error=ConfigError, source=str(path))
    fields = document["generator"]
    shape = (int(fields["layers"]), int(fields["width"]))
    return ForeignGenerator(
        space=LatentSpace(str(fields["name"]), _mean(path.parent / fields["mean"], shape)),
        network=path.parent / fields["network"],
        size_px=int(fields["size_px"]),
        source=str(fields.get("input", "latents")),
        picture=str(fields.get("picture", "picture")),
        taps=tuple(fields.get("taps", ())),
    )


class ForeignDecoder:
    """An owner's generator as a ``Decoder``. One latent is decoded at once, to see that it fits.

    Raises:
        ConfigError: The runtime is missing.
        DataError: The network cannot be loaded.
        ShapeMismatchError: It has other inputs or outputs than the description says.
    """

    def __init__(self, generator: ForeignGenerator) -> None:
        self.space, self.size_px = generator.space, generator.size_px
        self._name, self._taps = generator.network.name, generator.taps
        is_onnx = generator.network.suffix == ".onnx"
        self._run = _onnx(generator) if is_onnx else _script(generator)
        self._tapped(np.zeros((1, *self.space.mean.shape), np.float32))

    def __repr__(self) -> str:
        return f"ForeignDecoder({self.space!r}, {self.size_px} px)"

    def pictures(self, offsets: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Pictures (n, R, R, 3) of offsets (n, L, D)."""
        found = [codes_of(torch.tensor(self._tapped(batch)[0])) for batch in self._batches(offsets)]
        return np.concatenate(found)

    def features(self, offsets: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """The declared taps, in their order."""
        found = [self._tapped(batch)[1:] for batch in self._batches(offsets)]
        return [np.concatenate(maps) for maps in zip(*found, strict=True)]

    def _batches(self, offsets: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        self.space.latents(offsets[:1])  # its check of the shape, before anything is computed
        return [offsets[start : start + SHOWN_AT_ONCE] for start in range(0, len(offsets), SHOWN_AT_ONCE)]

    def _tapped(self, offsets: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        latents = self.space.latents(offsets)
        try:
            found = self._run(latents)
        except (RuntimeError, ValueError, TypeError) as cause:
            message = f"{self._name} does not take latents of shape {latents.shape} ({type(cause).__name__})."
            raise ShapeMismatchError(message, hint=_HINT) from cause
        wanted = (len(offsets), _COLOURS, self.size_px, self.size_px)
        if len(found) != 1 + len(self._taps) or found[0].shape != wanted:
            shapes = [each.shape for each in found]
            message = f"{self._name} gives {shapes}, not a picture {wanted} and {len(self._taps)} taps."
            raise ShapeMismatchError(message, hint=_HINT)
        return found


def foreign_decoder(path: Path) -> ForeignDecoder:
    """The decoder that a description names; see :class:`ForeignDecoder`."""
    return ForeignDecoder(read_foreign(path))


def _mean(path: Path, shape: tuple[int, int]) -> NDArray[np.float32]:
    try:
        mean = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as cause:
        raise DataError(f"No mean latent at {path} ({type(cause).__name__}).", hint=_HINT) from cause
    if not isinstance(mean, np.ndarray) or mean.shape not in {shape, shape[1:]} or mean.dtype.kind != "f":
        given = f"{mean.dtype} of shape {mean.shape}" if isinstance(mean, np.ndarray) else "no array"
        found = f"{path} holds {given}; a mean latent has {shape} or {shape[1:]}."
        raise ShapeMismatchError(found, hint=_HINT)
    return np.ascontiguousarray(np.broadcast_to(mean, shape), np.float32)


def _onnx(generator: ForeignGenerator) -> Network:
    try:
        import onnxruntime  # noqa: PLC0415 - an extra of its own
    except ImportError as cause:
        found = "An ONNX generator needs onnxruntime, which is not installed."
        raise ConfigError(found, hint="pip install 'lsi-host[onnx]'.") from cause
    try:
        session = onnxruntime.InferenceSession(generator.network)
    except Exception as cause:  # onnxruntime has an exception class for every kind of bad file
        found = f"{generator.network} is not a network that onnxruntime can load ({type(cause).__name__})."
        raise DataError(found, hint=_HINT) from cause
    outputs = [generator.picture, *generator.taps]
    names = [[each.name for each in side] for side in (session.get_inputs(), session.get_outputs())]
    _check_names(generator, *names)

    def run(latents: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        try:
            found: list[NDArray[np.float32]] = session.run(outputs, {generator.source: latents})
        except Exception as cause:  # same
            raise ValueError(type(cause).__name__) from cause
        return found

    return run


def _check_names(generator: ForeignGenerator, inputs: list[str], outputs: list[str]) -> None:
    missing = sorted({generator.picture, *generator.taps} - set(outputs))
    if inputs != [generator.source] or missing:
        found = f"{generator.network.name} has inputs {inputs} and outputs {outputs}; declared are "
        found += f"{generator.source}, and {generator.picture} with taps {list(generator.taps)}."
        raise ShapeMismatchError(found, hint=_HINT)


def _script(generator: ForeignGenerator) -> Network:
    try:
        with warnings.catch_warnings():
            # PyTorch wants new exports to be torch.export's; the files that owners have are these.
            warnings.simplefilter("ignore", DeprecationWarning)
            load: Any = torch.jit.load  # torch has no type for it
            network = load(str(generator.network), map_location="cpu").eval()
    except (RuntimeError, ValueError, OSError) as cause:
        found = f"{generator.network} is not a TorchScript network ({type(cause).__name__})."
        raise DataError(found, hint=_HINT) from cause

    @torch.no_grad()
    def run(latents: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        found = network(torch.tensor(latents))
        parts = [found] if isinstance(found, torch.Tensor) else list(found)
        return [part.float().numpy() for part in parts]

    return run
