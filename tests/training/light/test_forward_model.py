"""Laws of physics that the forward model has to keep."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from firmware.acquisition.correction import LOW_LIGHT_COUNTS as DEVICE_COUNTS
from firmware.acquisition.correction import LOW_LIGHT_SIGMAS as DEVICE_SIGMAS
from lsi.errors import ConfigError
from lsi.sensor import SensorModel

pytest.importorskip("torch", reason="the forward model needs PyTorch (lsi-host[train])")

import torch

from training.light.forward_model import (
    LOW_LIGHT_COUNTS,
    LOW_LIGHT_SIGMAS,
    Detector,
    arm_light,
    measure,
    quantise,
    random_power_nw,
    ratio_of_arms,
    scan_light,
)

SENSOR = SensorModel(
    adc_bits=12,
    vref_v=3.3,
    responsivity_a_per_w=0.3,
    transimpedance_ohm=10e6,
    voltage_gain=8.0,
    bandwidth_hz=8_000.0,
    temperature_k=298.0,
    read_noise_v=0.35e-3,
    offset_v=0.1,
    stray_nw=1.0,
    power_nw=100.0,
)
DETECTOR = Detector(SENSOR, 8)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


@pytest.fixture
def scenes(generator: torch.Generator) -> torch.Tensor:
    return 0.1 + 0.5 * torch.rand(6, 16, 16, generator=generator)


@pytest.fixture
def masks(generator: torch.Generator) -> torch.Tensor:
    return (torch.rand(5, 16, 16, generator=generator) < 0.5).float()


def _power(count: int, power_nw: float = 100.0) -> torch.Tensor:
    return torch.full((count,), power_nw)


def test_optics_are_linear_in_light(scenes: torch.Tensor, masks: torch.Tensor) -> None:
    mixed = arm_light(0.3 * scenes[:3] + 0.7 * scenes[3:], masks)
    parts = 0.3 * arm_light(scenes[:3], masks) + 0.7 * arm_light(scenes[3:], masks)
    assert torch.allclose(mixed, parts, atol=1e-6)


def test_arms_are_complementary(scenes: torch.Tensor, masks: torch.Tensor) -> None:
    both = arm_light(scenes, masks).sum(dim=-1)
    assert torch.allclose(both, scenes.mean(dim=(1, 2))[:, None].expand_as(both), atol=1e-6)


def test_the_opposite_mask_swaps_the_arms(scenes: torch.Tensor, masks: torch.Tensor) -> None:
    assert torch.allclose(arm_light(scenes, 1 - masks).flip(-1), arm_light(scenes, masks), atol=1e-6)


def test_an_open_mask_sends_everything_to_arm_plus(scenes: torch.Tensor) -> None:
    light = arm_light(scenes, torch.ones(1, 16, 16))[:, 0]
    assert torch.allclose(light[:, 0], scenes.mean(dim=(1, 2)), atol=1e-6)
    assert light[:, 1].abs().max() < 1e-6


def test_the_ratio_does_not_change_with_illumination(scenes: torch.Tensor, masks: torch.Tensor) -> None:
    dim = measure(0.3 * scenes, masks, DETECTOR, _power(6, 50.0), None)
    assert torch.allclose(dim, measure(scenes, masks, DETECTOR, _power(6), None), atol=1e-5)


def test_the_ratio_is_that_of_the_arms(scenes: torch.Tensor, masks: torch.Tensor) -> None:
    plus, minus = arm_light(scenes, masks).unbind(-1)
    clean = measure(scenes, masks, DETECTOR, _power(6), None)
    assert torch.allclose(clean, (plus - minus) / (plus + minus), atol=1e-5)


@pytest.mark.parametrize(("offset_v", "stray_nw"), [(0.05, 0.0), (0.4, 5.0)])
def test_offset_and_stray_light_are_subtracted(
    scenes: torch.Tensor, masks: torch.Tensor, offset_v: float, stray_nw: float
) -> None:
    detector = Detector(replace(SENSOR, offset_v=offset_v, stray_nw=stray_nw), 4096)
    noisy = measure(scenes, masks, detector, _power(6), torch.Generator().manual_seed(1))
    assert torch.allclose(noisy, measure(scenes, masks, DETECTOR, _power(6), None), atol=2e-3)


def test_all_masks_of_a_scan_share_the_error_of_their_dark_reference(generator: torch.Generator) -> None:
    light = torch.full((4000, 2, 2), 1e-6)
    counts = DETECTOR.net_counts(light, _power(4000), generator)
    first, second = counts[:, 0, 0], counts[:, 1, 0]
    # Dark and light carry equal variance here, so half of it is common to both masks.
    assert float(torch.corrcoef(torch.stack((first, second)))[0, 1]) == pytest.approx(0.5, abs=0.06)


def test_scans_have_dark_references_of_their_own(generator: torch.Generator) -> None:
    counts = DETECTOR.net_counts(torch.full((4000, 1, 2), 1e-6), _power(4000), generator)[:, 0, 0]
    assert abs(float(torch.corrcoef(torch.stack((counts[::2], counts[1::2])))[0, 1])) < 0.08


@pytest.mark.parametrize("power_nw", [20.0, 100.0])
def test_noise_is_that_of_the_sensor_model(power_nw: float, generator: torch.Generator) -> None:
    light = torch.full((4000, 1, 2), 0.4)
    counts = DETECTOR.net_counts(light, _power(4000, power_nw), generator)[:, 0, 0]
    shown, dark = (float(SENSOR.noise_v(np.array(p))) * SENSOR.counts_per_v for p in (0.4 * power_nw, 0.0))
    # One code of 1 / sqrt(12) for each conversion comes on top.
    expected = np.sqrt((shown**2 + dark**2 + 2 / 12) / 8)
    assert float(counts.std()) == pytest.approx(expected, rel=0.06)


def test_the_mean_has_no_offset_from_rounding_down(generator: torch.Generator) -> None:
    light = torch.full((4000, 1, 2), 0.2)
    counts = DETECTOR.net_counts(light, _power(4000), generator).mean()
    assert float(counts) == pytest.approx(20.0 * SENSOR.counts_per_nw, abs=0.05)


def test_more_samples_mean_less_noise(generator: torch.Generator) -> None:
    light = torch.full((4000, 1, 2), 0.2)
    few = Detector(SENSOR, 2).net_counts(light, _power(4000), generator).std()
    many = Detector(SENSOR, 32).net_counts(light, _power(4000), generator).std()
    assert float(few / many) == pytest.approx(4.0, rel=0.1)


def test_light_that_would_saturate_is_dimmed(generator: torch.Generator) -> None:
    bright = torch.ones(1, 16, 16)
    open_mask = torch.ones(1, 16, 16)
    y = measure(bright, open_mask, DETECTOR, _power(1, 10_000.0), generator)
    assert float(y) == pytest.approx(1.0, abs=0.01)
    most_nw = DETECTOR.most_power_nw(arm_light(bright, open_mask))
    assert float(SENSOR.volts(most_nw.double().numpy())[0]) == pytest.approx(0.95 * SENSOR.vref_v, rel=1e-5)


def test_quantising_gives_whole_codes_within_range() -> None:
    codes = quantise(torch.tensor([-3.0, 2.7, 9.999, 5000.0]), 4095)
    assert codes.tolist() == [0.0, 2.0, 9.0, 4095.0]


def test_quantising_passes_the_gradient() -> None:
    counts = torch.tensor([2.7, 9.2], requires_grad=True)
    (gradient,) = torch.autograd.grad(quantise(counts, 4095), counts, torch.tensor([1.0, -2.0]))
    assert gradient.tolist() == [1.0, -2.0]


def test_darkness_gives_finite_ratios() -> None:
    assert torch.isfinite(ratio_of_arms(torch.zeros(1, 3, 2))).all()


def test_powers_are_spread_over_all_decades(generator: torch.Generator) -> None:
    powers = random_power_nw(4000, (20.0, 500.0), generator)
    assert float(powers.min()) >= 20.0
    assert float(powers.max()) <= 500.0
    assert float(powers.median()) == pytest.approx(100.0, rel=0.1)


def test_the_noise_depends_on_the_seed_alone(scenes: torch.Tensor, masks: torch.Tensor) -> None:
    first, again, other = (
        measure(scenes, masks, DETECTOR, _power(6), torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_no_samples_at_all_are_refused() -> None:
    with pytest.raises(ConfigError, match="samples"):
        Detector(SENSOR, 0)


@pytest.mark.parametrize("read_noise_v", [0.2e-3, 0.4e-3])
@pytest.mark.parametrize("light", [1e-6, 0.21, 0.73])
def test_the_averaged_detector_has_the_mean_and_variance_of_the_exact_one(
    read_noise_v: float, light: float
) -> None:
    """The quieter of the two has 0.52 codes in the dark, just above the bound."""
    sensor = replace(SENSOR, read_noise_v=read_noise_v)
    parts, power_nw = torch.full((20_000, 1, 2), light), _power(20_000)
    exact, averaged = (
        Detector(sensor, 4, averaged).net_counts(parts, power_nw, torch.Generator().manual_seed(5))
        for averaged in (False, True)
    )
    deviation = float(exact.std())
    assert float(averaged.mean()) == pytest.approx(float(exact.mean()), abs=0.03 * deviation)
    # Four standard errors of a variance from 40 000 values are 2.8 %; twice that for a ratio, roughly.
    assert float(averaged.var() / exact.var()) == pytest.approx(1.0, abs=0.045)


def test_the_averaged_detector_shares_its_dark_reference_too(generator: torch.Generator) -> None:
    light = torch.full((4000, 2, 2), 1e-6)
    counts = Detector(SENSOR, 8, averaged=True).net_counts(light, _power(4000), generator)
    first, second = counts[:, 0, 0], counts[:, 1, 0]
    assert float(torch.corrcoef(torch.stack((first, second)))[0, 1]) == pytest.approx(0.5, abs=0.06)


def test_rounding_without_dither_is_not_averaged() -> None:
    quiet = replace(SENSOR, read_noise_v=0.0, voltage_gain=4.0)
    with pytest.raises(ConfigError, match=r"0\.\d\d codes") as caught:
        Detector(quiet, 8, averaged=True)
    assert "averaged=False" in caught.value.hint
    Detector(quiet, 8)


def test_a_scan_without_dimming_saturates_where_the_converter_ends(generator: torch.Generator) -> None:
    light = torch.tensor([0.5, 0.99, 1.01, 1.5])[:, None, None].expand(4, 3, 2)
    top_nw = (SENSOR.vref_v - 0.1) / SENSOR.vref_v * 4096 / SENSOR.counts_per_nw - SENSOR.stray_nw
    expected = [False, False, True, True]
    for detector, noise in ((DETECTOR, generator), (DETECTOR, None)):
        scans = scan_light(light, detector, _power(4, top_nw), noise)
        assert scans.saturated.tolist() == expected
        assert not scans.too_dark.any()
        assert scans.dropped.tolist() == expected


def test_a_converter_at_zero_drops_the_scan(generator: torch.Generator) -> None:
    sunk = Detector(replace(SENSOR, offset_v=0.0, stray_nw=0.0), 8)
    assert scan_light(torch.full((1, 2, 2), 0.4), sunk, _power(1), generator).saturated.all()


def test_darkness_is_refused_by_the_rule_of_the_device(generator: torch.Generator) -> None:
    assert (LOW_LIGHT_SIGMAS, LOW_LIGHT_COUNTS) == (DEVICE_SIGMAS, DEVICE_COUNTS)
    counts = Detector(SENSOR, 8).net_counts(torch.zeros(8000, 1, 2), _power(8000), generator)
    # The device's own estimate leaves no difference between noise of mask and dark.
    assert DETECTOR.least_counts == pytest.approx(20 * float(counts.sum(dim=-1).std()), rel=0.05)
    enough = DETECTOR.least_counts / SENSOR.counts_per_nw / 100
    light = torch.tensor([0.9, 1.1])[:, None, None].expand(2, 3, 2) * enough / 2
    assert scan_light(light, DETECTOR, _power(2), None).too_dark.tolist() == [True, False]


def test_a_scan_of_enough_light_is_the_measurement(scenes: torch.Tensor, masks: torch.Tensor) -> None:
    made: Any = (DETECTOR, _power(6), torch.Generator().manual_seed(1))
    again: Any = (DETECTOR, _power(6), torch.Generator().manual_seed(1))
    scans = scan_light(arm_light(scenes, masks), *made)
    assert torch.equal(scans.measurements, measure(scenes, masks, *again))
    assert repr(scans) == "Scans(6 of d = 5, 0 dropped)"
