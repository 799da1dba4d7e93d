"""Baselines that learn: they do learn, from light with noise, and their masks can be shown."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lab.baselines.grey import light_of_screen
from lab.baselines.lessons import Budget, teach
from lab.baselines.methods import METHODS
from lab.baselines.networks import FourierNet, UnrolledNet, least_norm, nearer
from lab.baselines.optics import operator
from lab.baselines.unet import UNet
from lsi.errors import ConfigError, TrainingError
from training.light.detectors import AD7383_4
from training.mask_banks.baseline_masks import hadamard_masks

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


def _spots(rows: int, size_px: int = 16) -> Floats:
    """One soft spot somewhere in each."""
    random = np.random.default_rng(2)
    y, x = np.mgrid[:size_px, :size_px]
    at = random.uniform(4, size_px - 4, (rows, 2, 1, 1))
    spots = np.exp(-((y - at[:, 0]) ** 2 + (x - at[:, 1]) ** 2) / 10)
    light: Floats = (0.05 + 0.8 * spots).astype(np.float32)
    return light


def test_an_untrained_u_net_changes_nothing() -> None:
    picture = torch.rand(2, 1, 16, 16)
    network = UNet((4, 8, 8))
    assert torch.equal(network(picture), picture)
    nn.init.ones_(network.last.weight)
    assert network(picture).shape == picture.shape
    assert not torch.equal(network(picture), picture)


def test_the_scene_of_least_norm_agrees_with_the_scan() -> None:
    matrix = operator(torch.tensor(hadamard_masks(30, 16), dtype=torch.float32))
    seen = torch.rand(3, 31)
    scenes = least_norm(matrix, seen)
    assert (scenes @ matrix.T).numpy() == pytest.approx(seen.numpy(), rel=0.02)
    assert scenes.norm() <= seen.norm() * 1.001


def test_a_step_brings_a_scene_nearer_to_the_scan() -> None:
    matrix = operator(torch.tensor(hadamard_masks(30, 16), dtype=torch.float32))
    scene, seen = torch.rand(3, 256), torch.rand(3, 31)
    moved = nearer(scene, matrix, seen, torch.tensor(0.5))
    before, after = ((each @ matrix.T - seen).norm() for each in (scene, moved))
    assert float(after) == pytest.approx(0.5 * float(before), rel=1e-3)  # orthonormal rows


def test_before_it_learns_the_fourier_method_shows_the_linear_picture() -> None:
    fields = torch.tensor(_spots(3))
    network = FourierNet(60, 16, float(fields.mean()), AD7383_4).eval()
    picture = network(fields, torch.Generator().manual_seed(0)).detach()
    error = float((light_of_screen(picture) - fields).square().mean())
    assert error < 0.5 * float(fields.var())


@pytest.mark.parametrize("method", ["fourier-unet", "unrolled-1bit", "unrolled-8bit"])
def test_learning_brings_pictures_nearer_and_repeats_itself(method: str) -> None:
    fields = _spots(120)
    told: list[str] = []
    few, many = (
        METHODS[method](fields[20:], 12, AD7383_4, Budget(steps, 8), told.append) for steps in (10, 50)
    )
    errors = [float(np.abs(found(fields[:20]) - fields[:20]).mean()) for found in (few, many)]
    trivial = float(np.abs(fields[20:].mean(axis=0) - fields[:20]).mean())
    assert errors[1] < 0.8 * errors[0]
    assert errors[1] < trivial
    assert "step 50/50" in told[-1]
    again = METHODS[method](fields[20:], 12, AD7383_4, Budget(10, 8), told.append)
    assert (again(fields[:20]) == few(fields[:20])).all()


@pytest.mark.parametrize(("bits", "levels"), [(1, 2), (8, 256)])
def test_masks_learn_and_keep_to_their_levels(bits: int, levels: int) -> None:
    fields = _spots(40)
    network = UnrolledNet(6, 16, float(fields.mean()), AD7383_4, bits)
    before = network.masks().detach().clone()
    teach(network, fields, Budget(20, 8), lambda _line: None)
    after = network.masks().detach()
    assert not torch.equal(before, after)
    codes = after * (levels - 1)
    assert torch.equal(codes.round(), codes) if bits == 1 else torch.allclose(codes.round(), codes, atol=1e-3)
    assert (len(after.unique()) == 2) == (bits == 1)


def test_a_loss_that_is_no_number_stops_with_a_reason() -> None:
    class Broken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.tensor(float("nan")))

        def forward(self, fields: Tensor, _generator: torch.Generator) -> Tensor:
            return fields * self.weight

    with pytest.raises(TrainingError, match="no longer a number"):
        teach(Broken(), _spots(8), Budget(10, 4), lambda _line: None)


def test_a_budget_too_small_is_refused() -> None:
    for steps, batch in ((9, 16), (100, 1)):
        with pytest.raises(ConfigError, match="at least 10 steps of 2"):
            Budget(steps, batch)
