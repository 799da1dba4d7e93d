"""The numpy read-out: the float reference of every export."""

import numpy as np
import pytest

from training.read_outs.read_out import Dense, ReadOutWeights


def _weights() -> ReadOutWeights:
    first = Dense(np.array([[1, 2], [-1, 0]], np.float32), np.array([0.5, 0], np.float32))
    last = Dense(np.array([[1, -3]], np.float32), np.array([-10], np.float32))
    return ReadOutWeights(np.array([1, 2], np.float32), np.array([2, 4], np.float32), (first, last))


def test_logits_are_standardised_then_dense_with_relu_between() -> None:
    # (y - mean) * scale = (2, 4); first layer (10.5, -2) -> ReLU (10.5, 0); last 10.5 - 10.
    assert _weights().logits(np.array([[2, 3]], np.float32)).tolist() == [[0.5]]


def test_the_last_layer_has_no_relu() -> None:
    assert _weights().logits(np.array([[1, 2]], np.float32)).tolist() == [[-9.5]]


def test_every_activation_is_returned() -> None:
    found = _weights().activations(np.array([[2, 3]], np.float32))
    assert [each.tolist() for each in found] == [[[2, 4]], [[10.5, 0]], [[0.5]]]


def test_parameters_are_weights_and_biases() -> None:
    assert _weights().parameters == 4 + 2 + 2 + 1


def test_layers_that_do_not_follow_one_another_are_refused() -> None:
    first, last = _weights().layers
    with pytest.raises(ValueError, match="follow"):
        ReadOutWeights(np.zeros(2, np.float32), np.ones(2, np.float32), (first, first, last, last))


def test_a_scale_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="scale"):
        ReadOutWeights(np.zeros(2, np.float32), np.ones(3, np.float32), _weights().layers)
