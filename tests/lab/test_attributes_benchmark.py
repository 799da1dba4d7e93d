"""How the figures of the default bundle follow from what was drawn."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

pytest.importorskip("torch", reason="the forward model needs PyTorch (lsi-host[train])")

from benchmarks.attributes import _calibration, _cost

LABELS = np.where(np.random.default_rng(0).random((400, 2)) < (0.25, 0.5), 1, -1)
BENCH: Any = cast("Any", SimpleNamespace(faces=SimpleNamespace(attributes=LABELS)))


def test_a_loss_is_the_mean_over_draws_and_stands_beside_its_spread() -> None:
    figure = _cost(BENCH, "dim_points", np.array([85.0, 86.0]), np.array([86.5]), 0.9)
    assert figure.value == pytest.approx(1.0)
    assert figure.holds is False
    assert figure.beside["spread"] == pytest.approx(0.5)
    assert figure.beside["draws"] == 2
    yes = (LABELS > 0).mean(axis=0)
    assert figure.beside["majority"] == pytest.approx(100 * np.maximum(yes, 1 - yes).mean())
    assert _cost(BENCH, "dim_points", np.array([86.0]), np.array([86.5]), 0.5).holds


def test_the_loss_of_the_same_draw_is_taken_draw_by_draw() -> None:
    figure = _cost(BENCH, "int8_points", np.array([85.0, 86.0]), np.array([85.2, 86.2]), None)
    assert figure.beside["spread"] == pytest.approx(0.0, abs=1e-9)
    assert (figure.goal, figure.holds) == (None, None)


def test_the_calibration_error_stands_beside_that_of_exact_probabilities() -> None:
    sure = np.where(LABELS > 0, 3.0, -3.0)
    logits = np.hstack((sure, np.zeros((400, 1))))
    ece, skill = _calibration(BENCH, [logits, -logits])
    always_right = 1 / (1 + np.exp(3))
    assert ece.value == pytest.approx((always_right + 1 - always_right) / 2, abs=1e-6)
    assert 0 < ece.beside["floor"] < ece.beside["exact_95"] < 0.05
    assert ece.holds is False
    assert skill.value < 0
