"""What a training batch is made of."""

import pytest

pytest.importorskip("torch", reason="batches need PyTorch (lsi-host[train])")

import torch

from training.data_sets.augmentation import Jitter
from training.data_sets.batches import SceneSource

STILL = Jitter(0.0, 0.0, 0.0)


def _source() -> SceneSource:
    faces, others = torch.full((10, 32, 32), 0.25), torch.full((10, 32, 32), 0.75)
    faces += 0.01 * torch.arange(10)[:, None, None]
    return SceneSource(faces, others, STILL, torch.Generator().manual_seed(0))


def test_the_chosen_faces_come_first_and_in_order() -> None:
    batch = _source().batch(torch.tensor([3, 1]), 1, 10)
    assert batch.scenes.shape == (13, 32, 32)
    assert batch.scenes[:3, 16, 16].tolist() == pytest.approx([0.28, 0.26, 0.28])
    assert (batch.rows.tolist(), batch.near) == ([3, 1, 3], 2)


def test_faces_far_from_their_place_are_moved_more_than_those_in_it() -> None:
    source = _source()
    source.faces = torch.zeros(200, 32, 32)
    source.faces[:, 10:12, 20:22] = 1.0
    scenes = source.batch(torch.arange(200), 200, 10).scenes
    either_way = torch.maximum(scenes[:400], scenes[:400].flip(-1))[:, 10:12, 20:22].mean(dim=(1, 2))
    assert float(either_way[:200].min()) > 0.99
    assert float(either_way[200:].mean()) < 0.7


def test_half_of_the_negatives_are_other_scenes() -> None:
    negatives = _source().negatives(80)
    assert torch.allclose(negatives[:40], torch.tensor(0.75), atol=1e-4)


def test_the_other_negatives_are_made_from_faces_or_empty() -> None:
    shifted, turned, missized, hidden, empty = _source().negatives(80)[40:].reshape(5, 8, 32, 32)
    assert bool((shifted.std(dim=(1, 2)) > 0.01).all())
    assert bool((turned.std(dim=(1, 2)) < 0.001).all())
    assert float(missized[:, 16, 16].max()) < 0.4
    assert bool((hidden.std(dim=(1, 2)) > 0.01).all())
    assert int((empty.std(dim=(1, 2)) < 1e-6).sum()) == 2


def test_no_scene_is_lost_when_the_count_does_not_divide() -> None:
    assert len(_source().negatives(13)) == 13


def test_fewer_negatives_than_kinds_are_refused() -> None:
    with pytest.raises(ValueError, match="one of each kind"):
        _source().negatives(9)
