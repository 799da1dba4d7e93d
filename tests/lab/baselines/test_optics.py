"""Masks of the baselines and the operator that they share."""

import numpy as np
import pytest
import torch

from lab.baselines.optics import fourier_masks, measured, operator, told
from training.light.detectors import AD7383_4, IdealDetector
from training.mask_banks.baseline_masks import hadamard_masks, normalised, ratios, signed_of


def _fields(rows: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(0).random((rows, 16, 16), np.float32) * 0.8 + 0.1


def test_the_operator_gives_what_two_arms_measure_without_noise() -> None:
    fields, masks = _fields(3), fourier_masks(7, 16)
    scenes = torch.tensor(normalised(fields).reshape(3, -1))
    seen = scenes @ operator(torch.tensor(masks, dtype=torch.float32)).T
    wanted = told(torch.tensor(ratios(fields, signed_of(masks))), 256)
    assert seen.numpy() == pytest.approx(wanted.numpy(), abs=1e-4)


def test_rows_of_hadamard_masks_are_orthonormal_with_the_constant() -> None:
    matrix = operator(torch.tensor(hadamard_masks(20, 16), dtype=torch.float32))
    assert (matrix @ matrix.T).numpy() == pytest.approx(np.eye(21), abs=1e-5)


def test_measuring_has_noise_and_takes_the_same_scan_twice() -> None:
    fields, masks = _fields(4), torch.tensor(hadamard_masks(9, 16), dtype=torch.float32)
    true = ratios(fields, signed_of(hadamard_masks(9, 16)))
    first, second = (measured(fields, masks, AD7383_4).numpy() for _ in range(2))
    assert (first == second).all()
    assert 0 < np.abs(first - true).max() < 0.02
    assert np.abs(measured(fields, masks, IdealDetector(1e3)).numpy() - true).max() > 0.02


def test_fourier_masks_are_halftones_of_the_lowest_waves() -> None:
    masks = fourier_masks(24, 32)
    assert masks.shape == (24, 32, 32)
    assert len({mask.tobytes() for mask in masks}) == 24
    assert masks.mean(axis=(1, 2)) == pytest.approx(0.5, abs=0.03)
    spectrum = np.abs(np.fft.fft2(signed_of(masks)))
    for number, power in enumerate(spectrum):
        row, column = np.unravel_index(power.argmax(), power.shape)
        length = np.hypot(min(row, 32 - row), min(column, 32 - column))
        assert length <= 3, number  # 12 waves: none longer than (3, 0)
    pairs = signed_of(masks).reshape(12, 2, -1)
    assert np.abs((pairs[:, 0] * pairs[:, 1]).mean(axis=1)).max() < 0.1  # cosine and sine


def test_as_many_fourier_masks_as_a_bank_can_have() -> None:
    assert len(fourier_masks(512, 64)) == 512
    assert (fourier_masks(3, 64) == fourier_masks(512, 64)[:3]).all()
