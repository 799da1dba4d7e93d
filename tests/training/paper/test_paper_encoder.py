"""The paper's encoder in PyTorch."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="the encoder needs PyTorch (lsi-host[train])")

import torch

from tests.training.paper_golden import (
    GOLDEN_D,
    TOLERANCE,
    check_answers,
    golden_measurements,
    golden_weights,
    official_arrays,
)
from tests.training.paper_tiny import D, patterned_weights
from training.paper.paper_encoder import PaperEncoder
from training.paper.paper_forward import paper_logits
from training.paper.paper_weights import expected_encoder_shapes


@pytest.mark.parametrize("d", [4, 64, 512])
def test_the_state_dict_has_the_official_names_and_shapes(d: int) -> None:
    with torch.device("meta"):
        encoder = PaperEncoder(d)
    found = {name: tuple(tensor.shape) for name, tensor in encoder.state_dict().items()}
    assert found == expected_encoder_shapes(d)


@pytest.mark.parametrize("d", GOLDEN_D)
def test_offsets_and_logits_are_those_of_the_official_arithmetic(d: int) -> None:
    weights = golden_weights(d)
    encoder = PaperEncoder.from_weights(weights)
    measurements = torch.from_numpy(golden_measurements(d)[:2])
    with torch.no_grad():
        single = encoder(measurements).numpy()
        double = encoder.double()(measurements.double()).numpy()
    check_answers(d, double, paper_logits(weights, double))
    assert single.dtype == np.float32
    # Float32 through 14 layers: 9e-6 was the largest of all golden measurements.
    assert np.abs(single - double).max() < 1e-4


@pytest.mark.parametrize("d", GOLDEN_D)
def test_all_official_numbers_are_met_where_the_files_are_at_hand(d: int) -> None:
    official, weights = official_arrays(d), golden_weights(d)
    encoder = PaperEncoder.from_weights(weights).double()
    with torch.no_grad():
        offset = encoder(torch.from_numpy(official["measurement"]).double()).numpy()
    np.testing.assert_allclose(offset, official["offset"], rtol=0, atol=TOLERANCE)


def test_it_trains_everything_but_queries_and_keys() -> None:
    encoder = PaperEncoder.from_weights(patterned_weights())
    encoder(torch.linspace(0, 1, 2 * D).reshape(2, D)).square().sum().backward()
    gradients = {name: parameter.grad for name, parameter in encoder.named_parameters()}
    for name, gradient in gradients.items():
        assert gradient is not None, name
        used = gradient[256:] if name.endswith("to_qkv.weight") else gradient
        assert used.abs().sum() > 0, name
        if name.endswith("to_qkv.weight"):
            assert not gradient[:256].any(), name


def test_it_has_a_copy_of_the_weights() -> None:
    weights = patterned_weights()
    encoder = PaperEncoder.from_weights(weights)
    with torch.no_grad():
        encoder.get_parameter("out.layers.0.fn.sgu.bias").add_(1)
    expected = weights.encoder["out.layers.0.fn.sgu.bias"] + 1
    assert np.array_equal(encoder.state_dict()["out.layers.0.fn.sgu.bias"].numpy(), expected)


def test_a_fresh_encoder_starts_with_gates_that_are_open() -> None:
    encoder = PaperEncoder(D)
    for name in ("proj_input_0_glp", "proj_input_1_glp", "out"):
        weight = encoder.get_parameter(f"{name}.layers.0.fn.sgu.weight")
        assert 0 < float(weight.detach().abs().max()) <= 1e-3 / weight.shape[-1]
        assert bool((encoder.get_parameter(f"{name}.layers.0.fn.sgu.bias") == 1).all())


def test_a_number_of_masks_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="3 masks"):
        PaperEncoder(3)
