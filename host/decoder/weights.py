"""Weights between numpy and a PyTorch network, names and shapes compared before anything is copied."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lsi.errors import DataError


def load_weights(network: nn.Module, weights: Mapping[str, NDArray[np.float32]], source: str) -> None:
    """Copy ``weights`` into ``network``.

    Raises:
        DataError: A weight is missing, surplus, or of another shape; the first three are named.
    """
    wanted = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    given = {name: tuple(values.shape) for name, values in weights.items()}
    wrong = [
        f"{name} is {given.get(name, 'missing')}, not {wanted.get(name, 'known')}"
        for name in sorted(set(wanted) | set(given))
        if wanted.get(name) != given.get(name)
    ]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""  # noqa: PLR2004 - three are shown
        found = f"{source}: weights of another network: {'; '.join(wrong[:3])}{more}."
        raise DataError(found, hint="the file that belongs to this network, whole.")
    network.load_state_dict({name: torch.tensor(values) for name, values in weights.items()})


def weights_of(network: nn.Module) -> dict[str, NDArray[np.float32]]:
    """Every weight and statistic of ``network`` by name."""
    found: dict[str, NDArray[Any]] = {}
    for name, value in network.state_dict().items():
        found[name] = value.detach().cpu().float().numpy()
    return found
