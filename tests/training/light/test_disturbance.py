"""Laws that disturbances of scene and rig have to keep."""

import math
from dataclasses import fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch", reason="the forward model needs PyTorch (lsi-host[train])")

import torch

from lsi.errors import ConfigError
from tests.training.light.test_forward_model import DETECTOR, SENSOR
from training.data_sets.augmentation import Motion
from training.light.detectors import IdealDetector
from training.light.disturbance import (
    Disturbance,
    DisturbanceRange,
    _bank_at,
    _interpolation,
    disturbed,
    disturbed_scans,
    measured_in_use,
    randomly_disturbed,
)
from training.light.forward_model import Detector, TwoArms, arm_light, measure

STILL = DisturbanceRange(0, 0, 0, 0, 0, 0, 0)
EVERYTHING = Disturbance(2, 0.1, 5, 2, 0.3, 0.02, 0.5, 0.1, 0.05, 0.02)
SIZE = 32
B, D = 6, 5
ONE_PX = 64 / SIZE
"""A pixel of these fields, in the mask pixels of a field of 64."""


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _scenes(seed: int = 1) -> torch.Tensor:
    coarse = torch.rand(B, 1, 6, 6, generator=_generator(seed))
    return 0.1 + 0.5 * torch.nn.functional.interpolate(coarse, size=(SIZE, SIZE), mode="bilinear")[:, 0]


def _masks(seed: int = 2) -> torch.Tensor:
    return (torch.rand(D, SIZE, SIZE, generator=_generator(seed)) < 0.5).float()


def _clean(scenes: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    return measure(scenes, masks, DETECTOR, torch.full((len(scenes),), SENSOR.power_nw), None)


def _disturbed(disturbance: Disturbance, seed: int = 0) -> torch.Tensor:
    return disturbed(_scenes(), _masks(), DETECTOR, None, disturbance, _generator(seed))


def _strength(name: str) -> float:
    return {"turn_deg": 5.0, "shift_px": 2.0, "motion_px": 2.0, "offset_counts": 5.0}.get(name, 0.1)


def _random(limits: DisturbanceRange, seed: int = 0) -> torch.Tensor:
    """In bright light and with thousands of samples: nearly noise-free."""
    detector = Detector(SENSOR, 100_000_000, averaged=True)
    power_nw = torch.full((B,), SENSOR.power_nw)
    return randomly_disturbed(_scenes(), _masks(), detector, power_nw, limits, _generator(seed))


@given(seed=st.integers(0, 1000))
@settings(max_examples=10)
def test_no_disturbance_is_exactly_the_still_scene(seed: int) -> None:
    assert torch.equal(_disturbed(Disturbance(), seed), _clean(_scenes(), _masks()))


def test_the_range_of_no_disturbance_is_the_still_scene() -> None:
    assert torch.allclose(_random(STILL), _clean(_scenes(), _masks()), atol=1e-6)


@pytest.mark.parametrize("name", [field.name for field in fields(Disturbance) if field.name != "light_drift"])
def test_each_disturbance_changes_a_noise_free_measurement_unless_the_ratio_cancels_it(name: str) -> None:
    change = (_disturbed(Disturbance(**{name: _strength(name)})) - _clean(_scenes(), _masks())).abs().max()
    assert (change < 1e-6) if name == "gain" else (change > 1e-4)


@given(gain=st.floats(0, 0.9), drift=st.floats(0, 0.9))
@settings(max_examples=20)
def test_gain_and_drift_cancel_in_the_ratio(gain: float, drift: float) -> None:
    changed = _disturbed(Disturbance(gain=gain, light_drift=drift))
    assert torch.allclose(changed, _clean(_scenes(), _masks()), atol=2e-6)


@given(light=st.floats(0.2, 1.5))
@settings(max_examples=10)
def test_measurements_do_not_change_with_the_brightness_of_the_scene(light: float) -> None:
    everything = Disturbance(2, 0.1, 5, 2, 0.3, 0.02, 0.0, 0.1, 0.05, 0.02)
    changed = disturbed(light * _scenes(), _masks(), DETECTOR, None, everything, _generator())
    assert torch.allclose(changed, _disturbed(everything), atol=5e-6)


@given(shift=st.floats(0, 8), motion=st.floats(0, 6), turn=st.floats(0, 30), scale=st.floats(0, 0.3))
@settings(max_examples=15)
def test_the_opposite_masks_turn_the_sign(shift: float, motion: float, turn: float, scale: float) -> None:
    moved = Disturbance(shift_px=shift, motion_px=motion, turn_deg=turn, scale=scale)
    opposite = disturbed(_scenes(), 1 - _masks(), DETECTOR, None, moved, _generator())
    assert torch.allclose(opposite, -_disturbed(moved), atol=2e-5)


def test_the_opposite_masks_turn_the_sign_between_dead_mirrors() -> None:
    dead = Disturbance(dead_mirrors=0.2)
    opposite = disturbed(_scenes(), 1 - _masks(), DETECTOR, None, dead, _generator())
    assert torch.allclose(opposite, -_disturbed(dead), atol=2e-6)


@pytest.mark.parametrize("detector", [DETECTOR, IdealDetector(1e6)])
def test_training_without_noise_measures_dark_scenes_as_the_figures_without_noise_do(
    detector: TwoArms,
) -> None:
    scenes, masks = _scenes(), _masks()
    ratios = measured_in_use(scenes, masks, detector, None, DisturbanceRange(), _generator())
    dark = measured_in_use(0.02 * scenes, masks, detector, None, DisturbanceRange(), _generator())
    assert torch.allclose(dark, ratios, atol=1e-5)
    assert torch.equal(dark, disturbed(0.02 * scenes, masks, detector, None, Disturbance(), _generator()))


def test_the_power_of_a_noise_free_measurement_is_the_nominal_one() -> None:
    stale = Disturbance(offset_counts=3.0)
    power_nw = torch.full((B,), SENSOR.power_nw)
    silent = Detector(SENSOR, 100_000_000, averaged=True)
    noisy = disturbed(_scenes(), _masks(), silent, power_nw, stale, _generator())
    assert torch.allclose(noisy, _disturbed(stale), atol=1e-5)


class Recorder:
    """A detector without noise that keeps the light it was given."""

    nominal_power = 1.0
    least_counts = 0.0

    def __init__(self) -> None:
        self.light = torch.zeros(0)

    def most_power(self, light: torch.Tensor) -> torch.Tensor:
        return torch.full((len(light),), math.inf)

    def read(
        self, light: torch.Tensor, power: torch.Tensor, _: torch.Generator | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        self.light = light.detach()
        return 1e6 * light * power[:, None, None], torch.zeros(len(light), dtype=torch.bool)


def _light(disturbance: Disturbance, scenes: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    detector = Recorder()
    disturbed(scenes, masks, detector, None, disturbance, _generator())
    return detector.light


def _random_light(limits: DisturbanceRange, scenes: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    detector = Recorder()
    randomly_disturbed(scenes, masks, detector, torch.ones(len(scenes)), limits, _generator())
    return detector.light


def test_light_is_linear_in_the_scene() -> None:
    first, second = _scenes(1), _scenes(5)
    mixed = _light(EVERYTHING, 0.3 * first + 0.7 * second, _masks())
    parts = 0.3 * _light(EVERYTHING, first, _masks()) + 0.7 * _light(EVERYTHING, second, _masks())
    assert torch.allclose(mixed, parts, atol=1e-6)


def test_drift_is_a_ramp_from_the_first_mask_to_the_last() -> None:
    light = _light(Disturbance(light_drift=0.2), torch.full((B, SIZE, SIZE), 0.5), torch.ones(D, SIZE, SIZE))
    change = light[..., 0] / 0.5 - 1
    ramp = 0.2 * torch.arange(D) / (D - 1)
    assert torch.allclose(change.abs(), ramp.expand(B, D), atol=1e-6)
    assert {-1.0, 1.0} == set(change[:, -1].sign().tolist())


def test_random_drift_and_gain_stay_in_their_range() -> None:
    scenes, masks = torch.full((400, 4, 4), 0.5), torch.ones(3, 4, 4)
    limits = DisturbanceRange(0, 0.3, 0, 0, 0.1, 0, 0)
    light = _random_light(limits, scenes, masks)[..., 0] / 0.5
    gain, drift = light[:, 0] - 1, light[:, -1] / light[:, 0] - 1
    assert 0.29 < float(gain.abs().max()) <= 0.3 + 1e-5
    assert 0.095 < float(drift.abs().max()) <= 0.1 + 1e-5
    assert abs(float(gain.mean())) < 0.03
    assert torch.allclose(light[:, 1], (light[:, 0] + light[:, 2]) / 2, atol=1e-5)


def test_imbalance_is_the_relative_difference_of_the_arms() -> None:
    light = _light(Disturbance(arm_imbalance=0.04), _scenes(), _masks()) / arm_light(_scenes(), _masks())
    assert torch.allclose((light[..., 0] - light[..., 1]).abs(), torch.full((B, D), 0.04), atol=1e-5)
    assert torch.allclose(light.mean(dim=-1), torch.ones(B, D), atol=1e-5)


def test_random_imbalance_leaves_the_sum_of_both_gains() -> None:
    scenes, masks = torch.full((400, 4, 4), 0.5), torch.zeros(2, 4, 4)
    masks[:, :2] = 1
    light = _random_light(DisturbanceRange(0, 0, 0.1, 0, 0, 0, 0), scenes, masks)[:, 0] / 0.25
    lean = light[:, 0] - light[:, 1]
    assert 0.095 < float(lean.max()) <= 0.1 + 1e-5
    assert -0.1 - 1e-5 <= float(lean.min()) < -0.095
    assert torch.allclose(light.sum(dim=1), torch.full((400,), 2.0), atol=1e-5)


def test_a_stale_dark_reference_adds_its_counts_to_each_arm() -> None:
    y, both = _clean(_scenes(), _masks()), arm_light(_scenes(), _masks()).sum(dim=-1)
    counts = both * SENSOR.power_nw * SENSOR.counts_per_nw
    offset = 3.0
    shown = _disturbed(Disturbance(offset_counts=offset))
    either = [(plus, minus) for plus in (-offset, offset) for minus in (-offset, offset)]
    sums = torch.stack([(y * counts + plus - minus) / (counts + plus + minus) for plus, minus in either])
    assert ((sums - shown).abs().amin(dim=0) < 1e-6).all()


def test_motion_of_a_uniform_field_changes_nothing() -> None:
    uniform = torch.full((B, SIZE, SIZE), 0.4)
    moved = disturbed(uniform, _masks(), DETECTOR, None, Disturbance(2, 0.1, 5, 4), _generator())
    assert torch.allclose(moved, _clean(uniform, _masks()), atol=1e-5)
    limits = DisturbanceRange(4, 0, 0, 0, 0, 0, 0)
    swept = _random_light(limits, uniform, _masks())
    assert torch.allclose(swept, arm_light(uniform, _masks()), atol=1e-6)


def test_the_middle_of_a_scan_sees_the_scene_in_its_place() -> None:
    moved = _disturbed(Disturbance(motion_px=2.0)) - _clean(_scenes(), _masks())
    assert float(moved[:, D // 2].abs().max()) < 1e-5
    assert (moved[:, [0, -1]].abs().amax(dim=1) > 1e-4).all()


def test_the_ends_of_a_scan_see_the_ends_of_the_path() -> None:
    ramp = (torch.arange(SIZE) / SIZE).expand(B, SIZE, SIZE)
    masks = torch.zeros(D, SIZE, SIZE)
    masks[:, SIZE // 2, SIZE // 2] = 1
    place = _light(Disturbance(motion_px=4 * ONE_PX), ramp, masks)[..., 0] * SIZE * SIZE * SIZE
    steps = place.diff(dim=1)
    assert torch.allclose(steps, steps.mean(dim=1, keepdim=True).expand_as(steps), atol=1e-2)
    # Five masks: their middles are four fifths of the path apart. The ramp shows its part across.
    assert float((place[:, -1] - place[:, 0]).abs().max()) <= 4 * 0.8 + 1e-2
    assert float((place[:, -1] - place[:, 0]).abs().max()) > 1.0


@pytest.mark.parametrize("motion_px", [2.0, 4.0])
def test_random_motion_reaches_the_ends_of_its_path(motion_px: float) -> None:
    ramp = (torch.arange(64) / 64)[None, None].expand(400, 64, 64) + torch.arange(64)[:, None] / 64
    masks = torch.zeros(D, 64, 64)
    masks[:, 32, 32] = 1
    place = _random_light(DisturbanceRange(motion_px, 0, 0, 0, 0, 0, 0), ramp, masks)[..., 0] * 64**3
    path = (place[:, -1] - place[:, 0]) / 0.8
    _, turn = torch.rand(2, generator=_after_strengths(400)).tolist()
    along = math.cos(math.pi * turn) + math.sin(math.pi * turn)
    assert float(path.abs().max()) == pytest.approx(motion_px * abs(along), rel=0.02)
    assert torch.allclose(place[:, D // 2], torch.full((400,), 64.0), atol=1e-2)


def _after_strengths(count: int) -> torch.Generator:
    generator = _generator()
    torch.rand(7, count, 1, generator=generator)
    return generator


def test_masks_between_two_moved_pictures_are_close_to_a_picture_of_their_own() -> None:
    smooth, masks = _scenes(), _masks()
    few = _light(Disturbance(motion_px=2.0), smooth, masks)
    fine = _light(Disturbance(motion_px=2.0), smooth, masks.repeat_interleave(40, dim=0))
    # Of 40 repeats the two in the middle stand next to the middle of the one exposure.
    middle = fine.unflatten(1, (D, 40))[:, :, 19:21].mean(dim=2)  # type: ignore[no-untyped-call]  # torch
    assert torch.allclose(few, middle, atol=2e-4)


@given(across=st.floats(-6, 6), down=st.floats(-6, 6))
@settings(max_examples=25)
def test_moving_the_masks_is_moving_the_scene(across: float, down: float) -> None:
    shift = torch.tensor([[across, down]]).expand(B, 2) / 64
    ones = torch.ones(B)
    moved = Motion(shift, torch.zeros(B), ones, ones).applied(_scenes(), "reflection")
    by_masks = arm_light(_scenes(), _bank_at(_masks(), across, down))[..., 0]
    assert torch.allclose(by_masks, arm_light(moved, _masks())[..., 0], atol=2e-6)


def test_interpolation_is_exact_at_the_knots_and_for_parabolas() -> None:
    knots = [-1.0, 0.0, 1.0]
    place = torch.tensor([[-1.0, 0.0, 1.0, 0.3]])
    weights = _interpolation(place, knots)
    assert torch.allclose(weights[0, :, :3], torch.eye(3))
    parabola = torch.tensor([3 * knot**2 - knot + 2 for knot in knots])
    assert torch.allclose((weights[0] * parabola[:, None]).sum(dim=0), 3 * place[0] ** 2 - place[0] + 2)


def test_jitter_mixes_towards_the_pattern_before() -> None:
    before = torch.cat((torch.ones(1, SIZE, SIZE), _masks()[:-1]))
    expected = 0.9 * arm_light(_scenes(), _masks()) + 0.1 * arm_light(_scenes(), before)
    assert torch.allclose(_light(Disturbance(jitter=0.1), _scenes(), _masks()), expected, atol=1e-6)


def test_random_jitter_mixes_each_scene_by_its_own_share() -> None:
    limits = DisturbanceRange(0, 0, 0, 0, 0, 0, 0.1)
    clean = arm_light(_scenes(), _masks())
    before = arm_light(_scenes(), torch.cat((torch.ones(1, SIZE, SIZE), _masks()[:-1])))
    share = (_random_light(limits, _scenes(), _masks()) - clean) / (before - clean)
    assert ((share > -1e-3) & (share < 0.1 + 1e-3)).all()
    assert torch.allclose(share, share[:, :1, :1].expand_as(share), atol=2e-3)
    assert float(share[:, 0, 0].std()) > 0.005


def test_dead_mirrors_change_only_what_they_cover() -> None:
    dead = Disturbance(dead_mirrors=0.3)
    lit = torch.zeros(B * SIZE, SIZE, SIZE)
    lit[torch.arange(B * SIZE), torch.arange(B * SIZE) % SIZE, torch.arange(B * SIZE) // SIZE] = 1
    light, still = _light(dead, lit, _masks()) * SIZE**2, arm_light(lit, _masks()) * SIZE**2
    alive = torch.isclose(light, still, atol=1e-5).flatten(1).all(dim=1)
    gone = (light.abs() < 1e-5).flatten(1).all(dim=1)
    assert (alive | gone).all()
    assert 0.15 < float(gone.float().mean()) < 0.45


def test_half_of_the_dead_mirrors_are_stuck_to_each_arm() -> None:
    """Drift lets them through: their light has changed since the dark reference was read."""
    scenes, masks = torch.ones(B, SIZE, SIZE), torch.zeros(2, SIZE, SIZE)
    light = _light(Disturbance(dead_mirrors=0.4, light_drift=0.5), scenes, masks)
    stuck_on = light[:, -1, 0].abs() / 0.5
    assert torch.allclose(stuck_on, torch.full((B,), 0.2), atol=0.04)


def test_what_stuck_mirrors_send_is_in_the_dark_reference() -> None:
    light = _light(Disturbance(dead_mirrors=0.3), torch.ones(B, SIZE, SIZE), _masks())
    assert torch.allclose(light.sum(dim=-1), torch.full((B, D), 0.7), atol=0.06)


def test_more_dead_mirrors_are_the_same_ones_and_others() -> None:
    def total(share: float) -> torch.Tensor:
        scenes = torch.eye(SIZE * SIZE).unflatten(1, (SIZE, SIZE))  # type: ignore[no-untyped-call]  # torch
        return _light(Disturbance(dead_mirrors=share), scenes, _masks()).sum(dim=-1)[:, 0] * SIZE**2

    few, many = total(0.1), total(0.2)
    assert (many <= few + 1e-5).all()
    assert float(many.sum()) < float(few.sum()) - 1


def test_random_dead_mirrors_are_those_of_one_device() -> None:
    limits = DisturbanceRange(0, 0, 0, 0, 0, 0.9, 0)
    light = _random_light(limits, torch.ones(B, SIZE, SIZE), _masks())
    assert torch.allclose(light, light[:1].expand_as(light))
    assert float(light.sum(dim=-1).max()) < 0.99


def test_directions_do_not_depend_on_strengths() -> None:
    first, second = (_disturbed(Disturbance(arm_imbalance=part, gain=0.1 * part)) for part in (0.01, 0.02))
    clean = _clean(_scenes(), _masks())
    assert torch.allclose(second - clean, 2 * (first - clean), atol=2e-4)


def test_saturated_and_dark_scans_are_marked() -> None:
    scenes = torch.stack([torch.full((SIZE, SIZE), level) for level in (0.001, 0.3, 1.0)])
    power_nw = torch.full((3,), 300.0)
    scans = disturbed_scans(scenes, _masks(), DETECTOR, power_nw, Disturbance(gain=0.1), _generator())
    assert (scans.too_dark.tolist(), scans.saturated.tolist()) == ([True, False, False], [False, False, True])
    assert repr(scans) == "Scans(3 of d = 5, 2 dropped)"


@pytest.mark.parametrize(
    ("name", "strength"),
    [("gain", 1.0), ("jitter", 1.1), ("dead_mirrors", -0.1), ("motion_px", math.inf), ("gain", math.nan)],
)
def test_impossible_strengths_are_refused(name: str, strength: float) -> None:
    for kind in (Disturbance, DisturbanceRange):
        with pytest.raises(ConfigError, match=name) as caught:
            kind(**{name: strength})
        assert caught.value.hint
