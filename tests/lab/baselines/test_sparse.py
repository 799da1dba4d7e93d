"""Classical reconstruction finds the kind of scene that it believes in."""

import numpy as np
import pytest
import torch

pytest.importorskip("pylops", reason="the baselines need pylops (lsi-host[bench])")
pytest.importorskip("pywt", reason="the baselines need PyWavelets (lsi-host[bench])")

from lab.baselines import sparse
from lab.baselines.optics import operator
from lab.baselines.sparse import Solve, fewest_wavelets, learn_sparse, least_variation
from training.light.detectors import AD7383_4
from training.mask_banks.baseline_masks import hadamard_masks, normalised

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


def _boxes(rows: int) -> Floats:
    """A light box on a dark ground each."""
    random, fields = np.random.default_rng(1), np.full((rows, 64, 64), 0.1, np.float32)
    for field in fields:
        top, left = random.integers(4, 28, 2)
        field[top : top + 24, left : left + 24] = 0.8
    return fields


def _error(found: Floats, fields: Floats) -> float:
    return float(np.square(found - normalised(fields)).mean())


def test_least_variation_beats_the_least_norm_on_boxes() -> None:
    fields, matrix = _boxes(6), operator(torch.tensor(hadamard_masks(100, 64), dtype=torch.float32))
    seen = torch.tensor(normalised(fields).reshape(6, -1)) @ matrix.T
    linear = (seen @ matrix).numpy().reshape(fields.shape)
    found = least_variation(matrix, seen, 0.1)
    assert _error(found.numpy().reshape(fields.shape), fields) < 0.6 * _error(linear, fields)
    assert (found @ matrix.T).numpy() == pytest.approx(seen.numpy(), abs=0.5)  # it agrees with the scan


def test_few_wavelets_are_found_and_a_large_weight_leaves_the_mean() -> None:
    fields, matrix = _boxes(5), operator(torch.tensor(hadamard_masks(200, 64), dtype=torch.float32))
    seen = torch.tensor(normalised(fields).reshape(5, -1)) @ matrix.T
    found = fewest_wavelets(matrix, seen, 0.003).numpy().reshape(fields.shape)
    linear = (seen @ matrix).numpy().reshape(fields.shape)
    assert _error(found, fields) < 1.05 * _error(linear, fields)
    assert (fewest_wavelets(matrix, seen, 1e3).numpy() == 1).all()
    # One scene alone is what it is in company.
    alone = fewest_wavelets(matrix, seen[:1], 0.003).numpy().reshape(1, 64, 64)
    assert alone == pytest.approx(found[:1], abs=1e-4)


@pytest.mark.parametrize("solve", [least_variation, fewest_wavelets])
def test_scenes_come_back_at_the_light_of_the_training_scenes(solve: Solve) -> None:
    fields = _boxes(20)
    reconstruct = learn_sparse(solve, fields, 60, AD7383_4)
    found = reconstruct(fields[:4])
    assert found.shape == (4, 64, 64)
    assert found.mean() == pytest.approx(fields.mean(), rel=0.05)
    darker = reconstruct(fields[:4] / np.float32(2))  # ratios do not tell the light
    assert darker.mean() == pytest.approx(found.mean(), rel=0.05)
    assert _error(found / fields.mean(), fields[:4]) < 0.5 * _error(np.ones_like(found), fields[:4])


def test_the_weight_with_the_least_error_on_training_scenes_is_taken() -> None:
    fields, asked = _boxes(8), []

    def solve(_matrix: torch.Tensor, seen: torch.Tensor, weight: float) -> torch.Tensor:
        asked.append(weight)
        truth = torch.tensor(normalised(fields).reshape(8, -1))[: len(seen)]
        return truth + abs(weight - 0.1)

    reconstruct = learn_sparse(solve, fields, 5, AD7383_4)
    assert asked == list(sparse.WEIGHTS)
    reconstruct(fields)
    assert asked[-1] == 0.1
