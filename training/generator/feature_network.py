"""A frozen network whose features say how alike two pictures look: that of ``lsi train teacher``.

It is ours (``--network`` keeps it), trained on labels of attributes, not on anything that measures the
results.
"""

import json
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from host.decoder.weights import load_weights, weights_of
from lsi.errors import DataError
from lsi.npz_file import DAMAGED_NPZ
from lsi.whole_file import whole_file
from training.attributes.teacher import Teacher

FORMAT: Final = "lsi.features/1"
TAPS: Final = (2, 3, 4, 5)
"""Layers of the teacher's body whose outputs are compared: stem and three blocks."""
_EPSILON: Final = 1e-6


class FeatureNetwork(nn.Module):
    """Pictures (B, 3, H, W), about -1..1, to features of unit length at several sizes. Never trained."""

    def __init__(self, teacher: Teacher) -> None:
        super().__init__()
        self.body = nn.ModuleList(list(teacher.body)[: TAPS[-1] + 1])
        self.eval().requires_grad_(requires_grad=False)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """One map (B, C, h, w) per tap; every place has a feature of length 1."""
        found, x = [], pictures
        for index, layer in enumerate(self.body):
            x = layer(x)
            if index in TAPS:
                found.append(x / (x.square().sum(dim=1, keepdim=True) + _EPSILON).sqrt())
        return found

    def train(self, mode: bool = True) -> "FeatureNetwork":  # noqa: FBT001, FBT002 - the signature of torch
        """Statistics of the batch are never used, whatever the network around does."""
        del mode
        super().train(mode=False)
        return self

    def distance(self, made: Tensor, wanted: Tensor) -> Tensor:
        """Mean squared distance of the features (arXiv 1801.03924 without its learned weights)."""
        with torch.no_grad():
            target = self(wanted)
        pairs = zip(self(made), target, strict=True)
        total: Tensor = torch.stack([(a - b).square().sum(dim=1).mean() for a, b in pairs]).sum()
        return total


def save_feature_network(teacher: Teacher, names: tuple[str, ...], path: Path) -> None:
    """Write the teacher's weights in one step, without its labels or any picture."""
    meta = {"format": FORMAT, "names": list(names)}
    weights = {f"weights.{name}": values for name, values in weights_of(teacher).items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        np.savez_compressed(file, allow_pickle=False, meta=np.array(json.dumps(meta)), **weights)


def load_feature_network(path: Path) -> FeatureNetwork:
    """Read a network. Nothing in it is executed.

    Raises:
        DataError: No such file, or not such a network.
    """
    hint = "a file written by 'lsi train teacher --network'."
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            meta = json.loads(str(archive["meta"]))
            weights = {name.removeprefix("weights."): archive[name] for name in archive.files}
            teacher = _teacher(meta, weights, path)
    except DataError:
        raise
    except OSError as cause:
        raise DataError(
            f"No readable network at {path} ({cause.strerror or 'not a .npz'}).", hint=hint
        ) from cause
    except DAMAGED_NPZ as cause:
        raise DataError(f"{path} is not a feature network ({type(cause).__name__}).", hint=hint) from cause
    return FeatureNetwork(teacher)


def _teacher(
    meta: dict[str, object], weights: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]], path: Path
) -> Teacher:
    names = meta["names"]
    if meta["format"] != FORMAT or not isinstance(names, list):
        message = f"format {meta['format']!r}, not {FORMAT!r}"
        raise ValueError(message)
    teacher = Teacher(len(names), 0.0)
    load_weights(teacher, {name: weights[name] for name in weights if name != "meta"}, str(path))
    return teacher
