"""A gain and an offset per mask, fitted to labels."""

import numpy as np
import pytest

from tests.training.bench_vectors import measured, start
from tests.training.tiny import D
from training.read_outs.input_map import InputMap, Spread, _Problem, answer_loss, fit_input_map, standardised

COMMON = Spread(common=3.0, offset=0.0, gain=0.0)
EACH = Spread(common=3.0, offset=0.3, gain=0.1)
STAY = Spread(common=0.0, offset=0.0, gain=0.0)
READ_OUT = start().read_out


def some_map() -> InputMap:
    generator = np.random.default_rng(4)
    return InputMap(0.2 * generator.normal(size=D), generator.normal(size=D))


def test_a_folded_read_out_answers_like_the_start_behind_the_map() -> None:
    found, inputs = some_map(), measured(start(), 20).measurements
    moved = found(standardised(READ_OUT, inputs)) / READ_OUT.scale + READ_OUT.mean
    expected = READ_OUT.logits(moved.astype(np.float32))
    assert np.allclose(found.folded(READ_OUT).logits(inputs), expected, atol=2e-4)


def test_the_identity_folds_into_the_same_standardisation() -> None:
    folded = InputMap.identity(D).folded(READ_OUT)
    assert np.array_equal(folded.mean, READ_OUT.mean)
    assert np.array_equal(folded.scale, READ_OUT.scale)


def test_no_layer_is_touched() -> None:
    assert some_map().folded(READ_OUT).layers == READ_OUT.layers


def test_a_common_offset_is_found_and_taken_back() -> None:
    vectors = measured(start(), 400, common=0.05)
    found = fit_input_map(READ_OUT, vectors.measurements, vectors.attributes, COMMON).map
    assert np.allclose(found.offset / READ_OUT.scale, -0.05, atol=0.012)
    assert not found.gain.any()


def test_a_fit_is_never_worse_on_its_own_objective() -> None:
    for seed in range(5):
        vectors = measured(start(), 24, common=0.1, seed=seed)
        problem = _Problem(READ_OUT, standardised(READ_OUT, vectors.measurements), vectors.attributes, EACH)
        found = fit_input_map(READ_OUT, vectors.measurements, vectors.attributes, EACH)
        logits = found.map.folded(READ_OUT).logits(vectors.measurements)[:, :-1] + found.base_rate
        assert answer_loss(logits, vectors.attributes).sum() <= problem.objective(np.zeros(problem.size))


def test_the_slopes_are_those_of_the_network() -> None:
    vectors = measured(start(), 3)
    problem = _Problem(READ_OUT, standardised(READ_OUT, vectors.measurements), vectors.attributes, EACH)
    theta, step = 0.1 * np.random.default_rng(0).normal(size=problem.size), 1e-6
    *hidden, logits = problem._forward(theta)
    for k in range(2):
        numeric = [
            (problem._forward(theta + step * unit)[-1][:, k] - logits[:, k]) / step
            for unit in np.eye(problem.size)
        ]
        assert np.allclose(problem._design(k, hidden), np.transpose(numeric), rtol=1e-3, atol=1e-4)


def test_unknown_labels_do_not_count() -> None:
    vectors = measured(start(), 60, common=0.05)
    labels = vectors.attributes.copy()
    labels[40:] = 0
    wild = vectors.measurements.copy()
    wild[40:] *= 3
    expected = fit_input_map(READ_OUT, vectors.measurements[:40], labels[:40], EACH).map
    found = fit_input_map(READ_OUT, wild, labels, EACH).map
    assert np.abs(expected.offset).max() > 0.1
    # A step is the last by its gain per answer, so both end alike.
    assert np.allclose(found.offset, expected.offset)
    assert np.allclose(found.gain, expected.gain)
    assert answer_loss(np.full((1, 2), 9.0), np.zeros((1, 2), np.int8)).sum() == 0


def test_other_rates_of_answers_move_the_base_rate_and_no_weight() -> None:
    vectors = measured(start(), 600)
    logits = READ_OUT.logits(vectors.measurements)[:, :-1] + 1.5
    answers = np.random.default_rng(1).random(logits.shape) < 1 / (1 + np.exp(-logits))
    labels = np.where(answers, 1, -1).astype(np.int8)
    found = fit_input_map(READ_OUT, vectors.measurements, labels, STAY)
    assert found.base_rate == pytest.approx([1.5, 1.5], abs=0.5)
    assert not found.map.offset.any()


def test_presence_comes_back_with_the_attributes() -> None:
    vectors = measured(start(), 400, common=0.05)
    right = READ_OUT.logits(vectors.measurements - np.float32(0.05))[:, -1]
    found = fit_input_map(READ_OUT, vectors.measurements, vectors.attributes, COMMON)
    error = [
        float(np.abs(each.logits(vectors.measurements)[:, -1] - right).mean())
        for each in (READ_OUT, found.map.folded(READ_OUT))
    ]
    assert error[1] < 0.4 * error[0]
