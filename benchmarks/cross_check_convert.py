"""One half of ``benchmarks.cross_check``: PyTorch to TFLite by litert-torch, in an environment of its own.

    python -m benchmarks.cross_check_convert FOLDER

Reads ``paper.npz`` and ``latent.npz`` there, each if there is one, and writes ``*.theirs.tflite``.
"""

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

import litert_torch
import torch
from torch import Tensor, nn

from training.latent.latent_checkpoint import load_latent_checkpoint
from training.latent.latent_encoder import LatentEncoder
from training.paper.paper_encoder import PaperEncoder
from training.paper.paper_weights import load_paper_weights


class _WithHead(nn.Module):
    """The paper's encoder and the linear head on its flattened offset."""

    def __init__(self, encoder: PaperEncoder, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.encoder, self.weight, self.bias = encoder, nn.Parameter(weight), nn.Parameter(bias)

    def forward(self, measurement: Tensor) -> tuple[Tensor, Tensor]:
        offset = self.encoder(measurement)
        return offset, nn.functional.linear(offset.flatten(1), self.weight, self.bias)


def paper(path: Path) -> tuple[nn.Module, int]:
    """The network in ``path`` and its number of masks."""
    weights = load_paper_weights(path)
    head = torch.tensor(weights.head_weight), torch.tensor(weights.head_bias)
    return _WithHead(PaperEncoder.from_weights(weights), *head), weights.d


def latent(path: Path) -> tuple[nn.Module, int]:
    """The network in ``path`` and its number of masks."""
    checkpoint = load_latent_checkpoint(path)
    encoder = LatentEncoder(checkpoint.shape)
    encoder.load_state_dict({name: torch.tensor(each) for name, each in checkpoint.encoder.items()})
    return encoder, checkpoint.shape.d


if __name__ == "__main__":
    folder, told = Path(sys.argv[1]), {"litert_torch": version("litert-torch"), "torch": version("torch")}
    for name, load in (("paper", paper), ("latent", latent)):
        if (folder / f"{name}.npz").exists():
            module, d = load(folder / f"{name}.npz")
            began_s = time.process_time()
            edge = litert_torch.convert(module.eval(), (torch.zeros(1, d),))
            edge.export(str(folder / f"{name}.theirs.tflite"))
            told[f"{name}_cpu_s"] = str(time.process_time() - began_s)
    print(json.dumps(told))
