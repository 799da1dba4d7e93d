"""Moved faces and hard negatives."""

import math

import pytest

pytest.importorskip("torch", reason="augmentation needs PyTorch (lsi-host[train])")

import torch

from training.data_sets.augmentation import (
    Jitter,
    any_view,
    displaced,
    hidden,
    jittered,
    missized,
    plain_fields,
    turned,
    widely_jittered,
)

SIZE = 64


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _spots(count: int) -> torch.Tensor:
    """Bright spots right of and above the centre, on black."""
    scenes = torch.zeros(count, SIZE, SIZE)
    scenes[:, 20:24, 40:44] = 1.0
    return scenes


def _centres(scenes: torch.Tensor) -> torch.Tensor:
    """Mean place (B, 2) of the light in parts of the field from the centre, x first."""
    place = (torch.arange(SIZE) + 0.5) / SIZE - 0.5
    total = scenes.sum(dim=(1, 2))
    x = (scenes.sum(dim=1) * place).sum(dim=1) / total
    y = (scenes.sum(dim=2) * place).sum(dim=1) / total
    return torch.stack((x, y), dim=1)


def test_without_jitter_a_face_is_only_mirrored() -> None:
    scenes = _spots(40)
    still = jittered(scenes, Jitter(0.0, 0.0, 0.0), _generator())
    mirrored = torch.tensor([torch.allclose(scene, scenes[0].flip(-1), atol=1e-4) for scene in still])
    same = torch.tensor([torch.allclose(scene, scenes[0], atol=1e-4) for scene in still])
    assert bool((mirrored ^ same).all())
    assert 8 < int(mirrored.sum()) < 32


def test_turn_and_scale_spread_with_the_shift() -> None:
    assert Jitter.by_shift(Jitter().shift) == Jitter()
    wider = Jitter.by_shift(2 * Jitter().shift)
    assert (wider.turn_rad, wider.scale) == pytest.approx((2 * Jitter().turn_rad, 2 * Jitter().scale))


def test_jitter_shifts_by_its_standard_deviation() -> None:
    moved = _centres(jittered(_spots(2000), Jitter(2 / SIZE, 0.0, 0.0), _generator()))
    down = moved[:, 1] - _centres(_spots(1))[0, 1]
    assert float(down.mean()) == pytest.approx(0.0, abs=2e-3)
    assert float(down.std()) == pytest.approx(2 / SIZE, rel=0.1)


def test_jitter_turns_by_its_standard_deviation() -> None:
    x, y = _centres(jittered(_spots(2000), Jitter(0.0, 0.1, 0.0), _generator())).unbind(dim=1)
    before = _centres(_spots(1))[0]
    turn = torch.atan2(y, x.abs()) - torch.atan2(before[1], before[0])
    assert float(turn.std()) == pytest.approx(0.1, rel=0.1)


def test_jitter_scales_by_its_standard_deviation() -> None:
    reach = _centres(jittered(_spots(2000), Jitter(0.0, 0.0, 0.1), _generator())).norm(dim=1)
    relative = reach / _centres(_spots(1)).norm()
    assert float(relative.std()) == pytest.approx(0.1, rel=0.15)


def test_a_wide_face_stays_within_four_of_64_mirrors_and_a_tenth_of_its_size_and_ten_degrees() -> None:
    x, y = _centres(widely_jittered(_spots(3000), _generator())).unbind(dim=1)
    before = _centres(_spots(1))[0]
    reach = torch.hypot(x.abs() - before[0].abs(), y - before[1])
    own = float(before.norm()) * (0.1 + math.radians(10))
    assert 4 / SIZE * 0.8 < float(reach.max()) < 4 / SIZE + own + 0.01


def test_a_displaced_face_is_a_quarter_of_the_field_away_or_more() -> None:
    centred = torch.zeros(400, SIZE, SIZE)
    centred[:, 31:33, 31:33] = 1.0
    moved = displaced(centred, torch.zeros_like(centred), _generator())
    visible = moved.sum(dim=(1, 2)) > 3.9
    reach = _centres(moved[visible]).norm(dim=1)
    assert float(reach.min()) >= 0.25 - 0.01
    assert float(reach.max()) <= 0.60 + 0.01


def test_what_a_displaced_face_uncovers_shows_the_background() -> None:
    faces, background = torch.full((50, SIZE, SIZE), 0.2), torch.full((50, SIZE, SIZE), 0.8)
    share = (displaced(faces, background, _generator()) > 0.5).float().mean(dim=(1, 2))
    assert float(share.min()) > 0.2
    assert float(share.max()) < 1.0


def test_a_turned_face_is_turned_by_45_degrees_or_more() -> None:
    x, y = _centres(turned(_spots(500), _generator())).unbind(dim=1)
    before = _centres(_spots(1))[0]
    turn = torch.atan2(y, x) - torch.atan2(before[1], before[0])
    turn = torch.atan2(turn.sin(), turn.cos()).abs()
    assert float(turn.min()) >= math.radians(45) - 0.02
    assert float(turn.max()) > math.radians(170)


def test_a_missized_face_is_much_too_near_or_much_too_far() -> None:
    reach = _centres(missized(_spots(400), torch.zeros(400, SIZE, SIZE), _generator())).norm(dim=1)
    scale = reach / _centres(_spots(1)).norm()
    assert bool(((scale < 0.72) | (scale > 1.43)).all())
    assert 120 < int((scale > 1).sum()) < 280


def test_a_small_face_is_surrounded_by_the_background() -> None:
    faces, background = torch.full((60, SIZE, SIZE), 0.2), torch.full((60, SIZE, SIZE), 0.8)
    corners = missized(faces, background, _generator())[:, 2, 2]
    assert sorted({round(float(corner), 3) for corner in corners}) == [0.2, 0.8]


def test_at_least_half_of_a_hidden_face_is_covered_with_the_cover() -> None:
    faces, covers = torch.full((300, SIZE, SIZE), 0.2), torch.full((300, SIZE, SIZE), 0.9)
    scenes = hidden(faces, covers, _generator())
    share = (scenes == 0.9).float().mean(dim=(1, 2))
    assert float(share.min()) > 0.45
    assert float(share.max()) < 0.92
    assert bool(((scenes == 0.2) | (scenes == 0.9)).all())


def test_plain_fields_are_never_black_and_never_brighter_than_white() -> None:
    fields = plain_fields(200, SIZE, _generator())
    assert float(fields.min()) > 0
    assert float(fields.max()) <= 1


def test_a_quarter_of_the_plain_fields_is_uniform() -> None:
    flat = plain_fields(200, SIZE, _generator()).std(dim=(1, 2)) < 1e-6
    assert int(flat.sum()) == 50


def test_any_view_shows_all_four_sides_up() -> None:
    scenes = torch.zeros(400, SIZE, SIZE)
    scenes[:, : SIZE // 2] = 1.0
    views = any_view(scenes, _generator())
    top = views[:, :20].mean(dim=(1, 2)) - views[:, -20:].mean(dim=(1, 2))
    left = views[:, :, :20].mean(dim=(1, 2)) - views[:, :, -20:].mean(dim=(1, 2))
    for part in (top > 0.5, top < -0.5, left > 0.5, left < -0.5):
        assert int(part.sum()) > 40


@pytest.mark.parametrize("make", [any_view, turned])
def test_the_same_seed_gives_the_same_scenes(make: object) -> None:
    assert callable(make)
    scenes = torch.rand(5, SIZE, SIZE, generator=_generator(9))
    assert torch.equal(make(scenes, _generator(1)), make(scenes, _generator(1)))
    assert not torch.equal(make(scenes, _generator(1)), make(scenes, _generator(2)))
