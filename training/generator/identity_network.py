"""An owner's recognition network as a loss: who is on a decoded picture should be who was before the sensor.

TorchScript, because a loss needs gradients. It is a program: load only what you exported or trust. A network
that trained must not measure the result; its digest stands in the checkpoint, and ``lsi evaluate-latent``
refuses it.
"""

import warnings
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from lsi.errors import DataError

_HINT: Final = (
    "TorchScript: pictures (n, 3, R, R) in -1..1 to embeddings (n, E), without gradient of its own."
)
_EMBEDDING_AXES: Final = 2


class IdentityNetwork:
    """Pictures (B, 3, R, R) in -1..1 to embeddings (B, E) of length 1. Its weights are never trained.

    Raises:
        DataError: Not a TorchScript network, or it gives something else for pictures of ``size_px``.
    """

    def __init__(self, path: Path, size_px: int) -> None:
        self._network = _loaded(path)
        shape = self._shape(size_px, path)
        if len(shape) != _EMBEDDING_AXES or shape[0] != 1:
            raise DataError(f"{path.name} gives {shape} for one picture of {size_px} px.", hint=_HINT)

    def __repr__(self) -> str:
        return "IdentityNetwork()"

    def distance(self, made: Tensor, wanted: Tensor) -> Tensor:
        """Mean of 1 - cosine between embeddings of the same rows; 0 for equal ones, 2 at most."""
        with torch.no_grad():
            target = self._network(wanted)
        return 1 - functional.cosine_similarity(self._network(made), target, dim=1).mean()

    def _shape(self, size_px: int, path: Path) -> tuple[int, ...]:
        try:
            with torch.no_grad():
                return tuple(self._network(torch.zeros(1, 3, size_px, size_px)).shape)
        except (RuntimeError, ValueError, TypeError, AttributeError) as cause:
            found = f"{path.name} does not take pictures of {size_px} px ({type(cause).__name__})."
            raise DataError(found, hint=_HINT) from cause


def _loaded(path: Path) -> nn.Module:
    try:
        with warnings.catch_warnings():
            # PyTorch wants new exports to be torch.export's; the files that owners have are these.
            warnings.simplefilter("ignore", DeprecationWarning)
            load: Any = torch.jit.load  # torch has no type for it
            default = torch.get_default_device()
            network: nn.Module = load(str(path), map_location=default).eval()
    except (RuntimeError, ValueError, OSError) as cause:
        raise DataError(
            f"{path} is not a TorchScript network ({type(cause).__name__}).", hint=_HINT
        ) from cause
    for parameter in network.parameters():  # scripted networks have no requires_grad_
        parameter.requires_grad = False
    return network
