"""Linear heads on offsets."""

import numpy as np
import pytest

from host.decoder.linear_head import LinearHead
from training.latent.latent_heads import fit_head


def test_a_linear_relation_is_found_and_the_scale_of_inputs_does_not_matter() -> None:
    generator = np.random.default_rng(0)
    offsets = generator.normal(size=(500, 2, 3)).astype(np.float32) * [1e-3, 1, 1e3]
    weights = generator.normal(size=(6, 2)) / np.tile([1e-3, 1, 1e3], 2)[:, None]
    targets = offsets.reshape(500, -1) @ weights + [3, -1]
    found = fit_head(offsets, targets, penalty=1e-6).predict(offsets)
    assert np.allclose(found, targets, atol=1e-3)


def test_a_constant_input_does_no_harm() -> None:
    offsets = np.ones((10, 1, 2), np.float32)
    head = fit_head(offsets, np.arange(10.0)[:, None])
    assert np.allclose(head.predict(offsets), 4.5)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="offsets"):
        fit_head(np.zeros((3, 1, 2)), np.zeros((2, 1)))
    with pytest.raises(ValueError, match="offsets"):
        fit_head(np.zeros((0, 1, 2)), np.zeros((0, 1)))
    one = np.ones(2, np.float32)
    with pytest.raises(ValueError, match="scale"):
        LinearHead(one, np.ones(3, np.float32), np.ones((2, 1), np.float32), np.ones(1, np.float32))
