import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsi.attributes import AttributeLogits, AttributeSchema

SCHEMA = AttributeSchema(("Smiling", "Eyeglasses"), (0.5, -1.0), 0.25)


def logits(*values: float) -> AttributeLogits:
    return AttributeLogits(np.array(values, np.float32), SCHEMA)


def test_a_logit_at_its_threshold_means_yes() -> None:
    assert logits(0.5, -1.0, 0.25).decisions() == {"Smiling": True, "Eyeglasses": True}
    assert logits(0.5, -1.0, 0.25).presence


def test_a_logit_below_its_threshold_means_no() -> None:
    assert logits(0.49, -1.01, 0.24).decisions() == {"Smiling": False, "Eyeglasses": False}
    assert not logits(0.49, -1.01, 0.24).presence


def test_presence_is_the_last_output() -> None:
    assert logits(9, 9, -9).presence is False


def test_a_missing_output_is_refused() -> None:
    with pytest.raises(ValueError, match="logits must be float32"):
        logits(0.5, -1.0)


def test_logits_are_not_shown() -> None:
    assert repr(logits(0.123, 0, 0)) == "AttributeLogits(shape=(3,))"


BANDS = AttributeSchema(("Smiling", "Eyeglasses"), (0.5, -1.0), 0.25, ((0.25, 1.0), (-1.0, -1.0)))


@pytest.mark.parametrize(
    ("value", "answer"), [(0.24, False), (0.25, None), (0.5, None), (0.99, None), (1.0, True)]
)
def test_a_logit_in_the_band_is_too_close_to_call(value: float, answer: bool | None) -> None:
    decided = AttributeLogits(np.array([value, 0, 0], np.float32), BANDS).decisions()
    assert decided == {"Smiling": answer, "Eyeglasses": True}


def test_an_empty_band_always_answers() -> None:
    decided = AttributeLogits(np.array([9, -1, 0], np.float32), BANDS).decisions()
    assert decided["Eyeglasses"] is True


@given(st.floats(-20, 20, width=32), st.floats(-5, 5), st.floats(0, 5), st.floats(0, 5))
def test_outside_its_band_an_attribute_is_answered_as_without_one(
    value: float, threshold: float, below: float, above: float
) -> None:
    plain = AttributeSchema(("A",), (threshold,), 0.0)
    banded = AttributeSchema(("A",), (threshold,), 0.0, ((threshold - below, threshold + above),))
    values = np.array([value, 0], np.float32)
    found, expected = (AttributeLogits(values, schema).decisions()["A"] for schema in (banded, plain))
    inside = threshold - below <= float(values[0]) < threshold + above
    assert found is (None if inside else expected)


@pytest.mark.parametrize(
    "abstain",
    [
        ((0.25, 1.0),),
        ((0.25, 1.0), (-2.0, -1.5)),
        ((0.6, 1.0), (-2.0, 0.0)),
        ((0.25, 0.4), (-2.0, 0.0)),
        ((float("-inf"), 1.0), (-2.0, 0.0)),
        ((0.25, float("inf")), (-2.0, 0.0)),
        ((float("nan"), 1.0), (-2.0, 0.0)),
        ((0.25, float("nan")), (-2.0, 0.0)),
    ],
)
def test_bands_that_do_not_hold_their_thresholds_are_refused(
    abstain: tuple[tuple[float, float], ...],
) -> None:
    with pytest.raises(ValueError, match="abstain"):
        AttributeSchema(("Smiling", "Eyeglasses"), (0.5, -1.0), 0.25, abstain)


@pytest.mark.parametrize(
    ("threshold", "presence"), [(float("nan"), 0.0), (float("inf"), 0.0), (0.0, float("nan"))]
)
def test_thresholds_that_are_no_numbers_are_refused(threshold: float, presence: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        AttributeSchema(("Smiling",), (threshold,), presence)
