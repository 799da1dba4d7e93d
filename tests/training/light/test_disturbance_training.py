"""What training asks of disturbances: gradients that are slopes, and chance that repeats."""

from collections.abc import Callable
from dataclasses import fields

import pytest

pytest.importorskip("torch", reason="the forward model needs PyTorch (lsi-host[train])")

import torch

from tests.training.light.test_disturbance import (
    EVERYTHING,
    SIZE,
    B,
    D,
    _generator,
    _masks,
    _scenes,
    _strength,
)
from tests.training.light.test_forward_model import DETECTOR, SENSOR
from training.light.detectors import IdealDetector
from training.light.disturbance import Disturbance, DisturbanceRange, disturbed, randomly_disturbed
from training.light.forward_model import Detector, TwoArms


def _evaluated(masks: torch.Tensor, detector: TwoArms, power: torch.Tensor, seed: int) -> torch.Tensor:
    return disturbed(_scenes(), masks, detector, power, EVERYTHING, _generator(seed))


def _trained(masks: torch.Tensor, detector: TwoArms, power: torch.Tensor, seed: int) -> torch.Tensor:
    return randomly_disturbed(_scenes(), masks, detector, power, DisturbanceRange(), _generator(seed))


Measured = Callable[[torch.Tensor, TwoArms, torch.Tensor, int], torch.Tensor]


@pytest.mark.parametrize("detector", [DETECTOR, Detector(SENSOR, 8, averaged=True), IdealDetector(1e4)])
@pytest.mark.parametrize("measured", [_evaluated, _trained])
def test_the_gradient_reaches_the_masks(detector: TwoArms, measured: Measured) -> None:
    masks = _masks().requires_grad_()
    power = torch.full((B,), detector.nominal_power)
    (slope,) = torch.autograd.grad(measured(masks, detector, power, 0).square().sum(), masks)
    assert torch.isfinite(slope).all()
    assert (slope.flatten(1).abs().amax(dim=1) > 0).all()


@pytest.mark.parametrize("name", [field.name for field in fields(Disturbance)])
def test_the_gradient_through_each_disturbance_is_the_slope(name: str) -> None:
    masks = (0.2 + 0.6 * torch.rand(D, SIZE, SIZE, generator=_generator(4))).requires_grad_()
    step = torch.randn(masks.shape, generator=_generator(7))

    def total(shown: torch.Tensor) -> torch.Tensor:
        given = (_scenes(), shown, DETECTOR, None, Disturbance(**{name: _strength(name)}))
        return disturbed(*given, _generator()).square().sum()

    (slope,) = torch.autograd.grad(total(masks), masks)
    with torch.no_grad():
        ends = [float(total(masks + part * step)) for part in (-0.05, 0.05)]
    assert float((slope * step).sum()) == pytest.approx((ends[1] - ends[0]) / 0.1, rel=5e-3)


@pytest.mark.parametrize("measured", [_evaluated, _trained])
def test_the_same_generator_gives_the_same_measurements(measured: Measured) -> None:
    first, again, other = (measured(_masks(), DETECTOR, torch.full((B,), 100.0), seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
