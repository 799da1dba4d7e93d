"""The named detectors of the figures."""

import math

import numpy as np
import pytest

pytest.importorskip("torch", reason="the forward model needs PyTorch (lsi-host[train])")

import torch

from lsi.errors import ConfigError
from training.light.detectors import AD7383_4, IdealDetector
from training.light.forward_model import Detector, measure, scan_light

MANY = 20_000


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(11)


def test_the_noise_of_the_ideal_detector_is_that_of_its_photons() -> None:
    light = torch.tensor([0.3, 0.1]).expand(MANY, 1, 2)
    counts, clipped = IdealDetector(1e4).read(light, torch.full((MANY,), 1e4), _generator())
    assert counts.mean(dim=(0, 1)).tolist() == pytest.approx([3000, 1000], rel=2e-3)
    assert counts.var(dim=0)[0].tolist() == pytest.approx([3000, 1000], rel=0.04)
    assert torch.equal(counts, counts.round())
    assert not clipped.any()


def test_an_open_mask_on_a_white_scene_detects_all_photons() -> None:
    detector = IdealDetector(1e4)
    white, open_mask = torch.ones(1, 8, 8), torch.ones(1, 8, 8)
    scans = scan_light(torch.tensor([[[1.0, 0.0]]]), detector, torch.full((1,), 1e4), None)
    assert scans.measurements.tolist() == [[1.0]]
    assert not scans.dropped.any()
    assert measure(white, open_mask, detector, torch.full((1,), 1e4), _generator()).tolist() == [[1.0]]


def test_the_ratio_of_ideal_arms_has_the_noise_of_a_coin_per_photon() -> None:
    half = torch.zeros(1, 8, 8)
    half[:, :4] = 1
    scenes = torch.full((MANY, 8, 8), 0.4)
    y = measure(scenes, half, IdealDetector(1e3), torch.full((MANY,), 1e3), _generator())
    assert float(y.std()) == pytest.approx(1 / math.sqrt(400), rel=0.03)


def test_the_ideal_detector_has_no_noise_without_a_generator_and_never_dims() -> None:
    light = torch.rand(3, 2, 2, generator=_generator())
    counts, _ = IdealDetector(50.0).read(light, torch.full((3,), 1e12), None)
    assert torch.allclose(counts, light * 1e12)
    assert torch.isinf(IdealDetector(50.0).most_power(light)).all()


def test_the_gradient_of_poisson_light_is_that_of_a_normal_one() -> None:
    light = torch.full((MANY, 1, 2), 0.2, requires_grad=True)
    counts, _ = IdealDetector(100.0).read(light, torch.full((MANY,), 100.0), _generator())
    (slope,) = torch.autograd.grad(counts.sum(), light, retain_graph=True)
    assert float(slope.mean()) == pytest.approx(100.0, rel=0.01)
    (spread,) = torch.autograd.grad((counts - 20).square().sum(), light)
    # Mean and variance both grow with the light; of (n - 20)**2 at the mean only the variance does.
    assert float(spread.mean()) == pytest.approx(100.0, rel=0.2)


def test_darkness_has_a_finite_gradient() -> None:
    light = torch.zeros(2, 1, 2, requires_grad=True)
    y = measure_of_darkness(light)
    (slope,) = torch.autograd.grad(y.sum(), light)
    assert torch.isfinite(slope).all()


def measure_of_darkness(light: torch.Tensor) -> torch.Tensor:
    return scan_light(light, IdealDetector(10.0), torch.full((2,), 10.0), _generator()).measurements


@pytest.mark.parametrize("photons", [0.0, -1.0, math.inf, math.nan])
def test_a_number_that_is_no_light_is_refused(photons: float) -> None:
    with pytest.raises(ConfigError, match="photons") as caught:
        IdealDetector(photons)
    assert caught.value.hint


def test_the_ad7383_4_dithers_its_steps() -> None:
    averaged = Detector(AD7383_4.sensor, AD7383_4.samples, averaged=True)
    light, power_nw = torch.full((MANY // 4, 1, 2), 0.2), torch.full((MANY // 4,), 10.0)
    exact, drawn = (each.net_counts(light, power_nw, _generator()) for each in (AD7383_4, averaged))
    assert float(drawn.std() / exact.std()) == pytest.approx(1.0, abs=0.04)


def test_the_ad7383_4_reads_a_bright_face_at_a_microwatt_without_clipping() -> None:
    light = torch.full((1, 1, 2), 0.25)
    assert not scan_light(light, AD7383_4, torch.full((1,), 1000.0), _generator()).dropped.any()


def test_the_noise_floor_of_the_ad7383_4_is_that_of_its_parts() -> None:
    sensor = AD7383_4.sensor
    johnson_v = math.sqrt(4 * 1.380649e-23 * 298.0 * 10e6 * math.pi / 2 * 8000.0)
    shot_v = math.sqrt(2 * 1.602e-19 * 0.3e-9 * math.pi / 2 * 8000.0) * 10e6
    expected = math.sqrt(4 * johnson_v**2 + 4 * shot_v**2 + 42e-6**2)
    assert float(sensor.noise_v(np.array(0.0))) == pytest.approx(expected, rel=1e-3)
