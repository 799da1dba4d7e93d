import numpy as np
import pytest

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
