"""Float against file."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from export.parity import labelled_parity, parity, read_labelled, run_model
from export.tflite_writer import float_model
from lsi.errors import DataError
from tests.training.tiny import measurements_for, random_read_out
from training.read_outs.read_out import Dense


def test_a_faithful_file_has_no_error() -> None:
    weights = random_read_out()
    found = parity(weights, float_model(weights), measurements_for(weights, 50), (0.0, 0.0, 0.0))
    assert found.rows == 50
    assert found.largest_error < 1e-4
    assert found.sign_agreement == 1.0
    assert found.nrmse < 1e-5
    assert found.cosine == pytest.approx(1.0, abs=1e-6)


def test_errors_are_those_of_the_logits() -> None:
    weights = random_read_out()
    last = weights.layers[-1]
    shifted = replace(
        weights,
        layers=(*weights.layers[:-1], Dense(last.weights, last.bias + np.array([0, 0, 3], np.float32))),
    )
    found = parity(weights, float_model(shifted), measurements_for(weights, 50), (0.0, 0.0, 0.0))
    assert found.largest_error == pytest.approx(3.0, abs=1e-3)
    assert found.mean_error == pytest.approx(1.0, abs=1e-3)
    spread = weights.logits(measurements_for(weights, 50)).std()
    assert found.nrmse == pytest.approx(np.sqrt(3.0) / spread, rel=1e-3)


def test_opposite_logits_have_the_cosine_of_minus_one() -> None:
    weights = random_read_out()
    last = weights.layers[-1]
    negated = replace(weights, layers=(*weights.layers[:-1], Dense(-last.weights, -last.bias)))
    found = parity(weights, float_model(negated), measurements_for(weights, 50), (0.0, 0.0, 0.0))
    assert found.cosine == pytest.approx(-1.0, abs=1e-5)


def test_agreement_is_counted_at_the_thresholds() -> None:
    weights = random_read_out()
    inputs = measurements_for(weights, 51)
    logits = weights.logits(inputs)
    last = weights.layers[-1]
    negated = replace(weights, layers=(*weights.layers[:-1], Dense(-last.weights, -last.bias)))
    middle = np.median(logits, axis=0)
    found = parity(weights, float_model(negated), inputs, tuple(middle))
    expected = ((logits >= middle) == (-logits >= middle)).mean()
    assert found.sign_agreement == pytest.approx(expected)


def test_auc_before_and_after_is_that_of_the_labels() -> None:
    weights = random_read_out()
    inputs = measurements_for(weights, 80)
    logits = weights.logits(inputs)
    labels = logits[:, :2] > np.median(logits[:, :2], axis=0)
    last = weights.layers[-1]
    negated = replace(weights, layers=(*weights.layers[:-1], Dense(-last.weights, -last.bias)))
    found = labelled_parity(weights, float_model(negated), inputs, labels)
    assert (found.auc_float, found.auc_exported) == (1.0, 0.0)


def test_rows_are_run_one_by_one_in_order() -> None:
    weights = random_read_out()
    inputs = measurements_for(weights, 7)
    backwards = run_model(float_model(weights), inputs[::-1].copy())
    assert np.array_equal(backwards[::-1], run_model(float_model(weights), inputs))


def test_labels_of_another_shape_are_refused() -> None:
    weights = random_read_out()
    inputs = measurements_for(weights, 8)
    with pytest.raises(DataError, match=r"\(8, 3\)"):
        labelled_parity(weights, float_model(weights), inputs, np.ones((8, 3), bool))


def test_labelled_measurements_are_read_as_yes_and_no(tmp_path: Path) -> None:
    path = tmp_path / "labelled.npz"
    np.savez(path, measurements=np.ones((3, 2)), labels=np.array([[1], [-1], [1]], np.int8))
    measurements, labels = read_labelled(path)
    assert measurements.dtype == np.float32
    assert labels.tolist() == [[True], [False], [True]]


@pytest.mark.parametrize("content", [b"", b"rubbish", None])
def test_what_holds_no_labelled_measurements_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "labelled.npz"
    if content is None:
        np.savez(path, measurements=np.ones((3, 2)))
    else:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"labelled\.npz"):
        read_labelled(path)


def test_a_missing_file_of_labelled_measurements_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.npz"):
        read_labelled(tmp_path / "absent.npz")
