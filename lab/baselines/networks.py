"""Learned reconstruction: Fourier masks with a U-Net, and an unrolled network whose masks learn with it.

``forward`` of each takes fields (B, H, W) of linear luminance to pictures (B, H, W) as a screen codes them,
through masks, detector and noise.
"""

from typing import Final

import torch
from torch import Tensor, nn

from lab.baselines.grey import screen
from lab.baselines.optics import fourier_masks, operator, told
from lab.baselines.unet import UNet
from training.light.forward_model import TwoArms, measure
from training.mask_banks.masks import MaskLayer

WIDTHS: Final = (16, 32, 64, 64)
"""Of the Fourier method's U-Net, from half the picture's size down to a sixteenth of it."""
STAGES: Final = 3
STAGE_WIDTHS: Final = (8, 16, 32)
"""Of the U-Net of each stage; no two stages share weights."""
_RIDGE: Final = 1e-2
"""On the squared singular values of the operator, 1 for masks that have nothing in common."""


class FourierNet(nn.Module):
    """The role of FSI-DL: dithered Fourier masks, the linear picture, then a U-Net that mends it.

    ``level`` is the mean light of the training fields: a ratio of arms does not tell it.
    """

    shown: Tensor

    def __init__(self, d: int, size_px: int, level: float, detector: TwoArms) -> None:
        super().__init__()
        self.detector, self.level = detector, level
        self.register_buffer("shown", torch.tensor(fourier_masks(d, size_px), dtype=torch.float32))
        self.network = UNet(WIDTHS)

    def forward(self, fields: Tensor, generator: torch.Generator) -> Tensor:
        """Pictures (B, H, W)."""
        seen = _told(fields, self.shown, self.detector, generator)
        scene = least_norm(operator(self.shown), seen).view_as(fields)
        picture: Tensor = self.network(screen(self.level * scene.clamp_min(0))[:, None])[:, 0]
        return picture


class UnrolledNet(nn.Module):
    """The role of SAUNet, adapted by us: masks of 1 or 8 bits and an unrolled solver of ``STAGES`` stages.

    A stage is a step down the data's gradient, of a length that is learned, and a U-Net in place of the
    prior's proximal map. SAUNet measures with separable real matrices and quantises nothing; on a DMD neither
    is possible. Here the masks are any 1-bit (or 8-bit) ones, trained straight through with the network. A
    mask of 8 bits is shown as 8 patterns, so that bank takes 8 times as long at the same d; its light is
    counted as that of one.
    """

    def __init__(self, d: int, size_px: int, level: float, detector: TwoArms, bits: int) -> None:
        super().__init__()
        self.detector, self.level = detector, level
        start = torch.Generator().manual_seed(torch.initial_seed())
        self.masks = MaskLayer(d, start, size_px, bits=bits)
        self.steps = nn.Parameter(torch.ones(STAGES))
        self.stages = nn.ModuleList(UNet(STAGE_WIDTHS) for _ in range(STAGES))

    def forward(self, fields: Tensor, generator: torch.Generator) -> Tensor:
        """Pictures (B, H, W)."""
        masks = self.masks()
        seen = _told(fields, masks, self.detector, generator)
        matrix, seen = _unit(operator(masks), seen)
        scene = least_norm(matrix, seen)
        for step, stage in zip(self.steps, self.stages, strict=True):
            scene = nearer(scene, matrix, seen, step)
            scene = stage(scene.view_as(fields)[:, None]).flatten(1)
        return screen(self.level * scene).view_as(fields)


def least_norm(matrix: Tensor, seen: Tensor) -> Tensor:
    """The scenes (B, P) of least norm that agree with what was ``seen`` (B, d + 1), but for a small ridge."""
    gram = matrix @ matrix.T + _RIDGE * torch.eye(len(matrix))
    found: Tensor = torch.linalg.solve(gram, seen.T).T @ matrix
    return found


def nearer(scene: Tensor, matrix: Tensor, seen: Tensor, step: Tensor) -> Tensor:
    """A step down the gradient of half the squared difference to what was seen."""
    return scene - step * (scene @ matrix.T - seen) @ matrix


def _told(fields: Tensor, masks: Tensor, detector: TwoArms, generator: torch.Generator) -> Tensor:
    power = torch.full((len(fields),), detector.nominal_power)
    return told(measure(fields, masks, detector, power, generator), fields[0].numel())


def _unit(matrix: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """Both over the operator's largest singular value, so that a step of length 1 converges."""
    fixed = matrix.detach()
    largest = torch.linalg.matrix_norm(fixed @ fixed.T, 2).sqrt()
    return matrix / largest, seen / largest
