"""Kinds of scenes by which presence is judged."""

import pytest

pytest.importorskip("torch", reason="scenes need PyTorch (lsi-host[train])")

import torch

from training.data_sets.presence_scenes import KINDS, Kind, present_faces, scenes_of

SIZE = 64
BY_NAME = {kind.name.split()[0] + kind.name.split()[-1]: kind for kind in KINDS}


def _faces(count: int) -> torch.Tensor:
    return 0.1 + 0.8 * torch.rand(count, SIZE, SIZE, generator=torch.Generator().manual_seed(3))


def _spots(count: int) -> torch.Tensor:
    scenes = torch.zeros(count, SIZE, SIZE)
    scenes[:, 31:33, 31:33] = 1.0
    return scenes


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("count", [1, 6, 7, 8])
def test_every_kind_gives_one_scene_per_face_or_picture(kind: Kind, count: int) -> None:
    faces, others = _faces(count), _faces(3)
    scenes = scenes_of(kind, faces, others)
    assert scenes.shape == (3 if kind.name.startswith("pictures") else count, SIZE, SIZE)
    assert bool((scenes >= 0).all())
    assert torch.equal(scenes, scenes_of(kind, faces, others))


def test_faces_too_near_or_far_are_shown_but_are_not_in_the_headline() -> None:
    assert [kind.name for kind in KINDS if not kind.counts] == ["faces too near or too far"]


def test_present_faces_are_within_4_mirrors_of_their_place() -> None:
    moved = present_faces(_spots(300))
    place = torch.arange(SIZE) + 0.5 - SIZE / 2
    total = moved.sum(dim=(1, 2))
    x = (moved.sum(dim=1) * place).sum(dim=1) / total
    y = (moved.sum(dim=2) * place).sum(dim=1) / total
    assert float(x.abs().max()) < 4.2
    assert float(y.abs().max()) < 4.2
    assert float(x.abs().max()) > 3.5
    # Uniform: as many in each quarter of the way.
    assert 0.3 < float((x.abs() < 2).float().mean()) < 0.7


def test_flat_fields_are_uniform_or_slope() -> None:
    fields = scenes_of(BY_NAME["flatfields"], _faces(40), _faces(2))
    # A plane has no second difference, save where it is clipped at the darkest or brightest light.
    bend = torch.diff(fields, n=2, dim=1).abs()
    assert float((bend > 1e-4).float().mean()) < 0.03
    assert 10 <= int((fields.std(dim=(1, 2)) < 1e-6).sum()) <= 30


def test_half_of_the_textures_have_the_spectrum_of_a_picture_and_none_its_shape() -> None:
    pictures = 0.4 + 0.02 * torch.randn(5, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    scenes = scenes_of(BY_NAME["texturestextures"], _faces(40), pictures)
    spectra = torch.fft.rfft2(scenes).abs()
    expected = torch.fft.rfft2(pictures[torch.arange(40) % 5]).abs()
    same = (spectra - expected).abs().amax(dim=(1, 2)) < 1e-2
    assert int(same.sum()) == 20
    likeness = (scenes - 0.4).flatten(1) * (pictures[torch.arange(40) % 5] - 0.4).flatten(1)
    scale = (scenes[same] - 0.4).flatten(1).norm(dim=1) * 0.02 * SIZE
    assert float((likeness.sum(dim=1)[same] / scale).abs().max()) < 0.2
