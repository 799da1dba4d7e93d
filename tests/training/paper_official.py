"""Documents in the form of the official checkpoints; tensors repeat one number and take no room."""

from typing import Any

import torch

from training.paper.paper_weights import expected_encoder_shapes


def official_document(d: int) -> dict[str, Any]:
    """What ``torch.save`` of the official code is given: no landmarks, no segmentation."""
    encoder = {name: torch.tensor(0.01).expand(shape) for name, shape in expected_encoder_shapes(d).items()}
    return {
        "mask": {"weight": torch.tensor(0.7).expand(d, 256**2)},
        "latent_camera": encoder,
        "latent_avg": torch.tensor(0.1).expand(1, 512),
        "cls": {"weight": torch.tensor(0.2).expand(40, 9216), "bias": torch.tensor(0.3).expand(40)},
        "landmarks": None,
        "segmentation": None,
        "opts": {"encoding_size": d, "bits": 1, "clip_w": "clamp", "quantizing_strategy": "detach"},
    }
