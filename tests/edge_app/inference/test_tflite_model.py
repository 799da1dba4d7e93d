"""Tensors that are not what our export writes are refused before anything is computed."""

from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from edge_app.inference.tflite_model import TfliteModel
from lab.bundles import shipped_bundle
from lsi.bundle import Bundle, read_bundle
from lsi.errors import ShapeMismatchError

FLOATS = np.array([0.5], np.float32)
ZERO = np.array([0], np.int32)
INT8_WEIGHTS = "weights_1"


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return read_bundle(shipped_bundle())


def test_the_shipped_model_answers_with_one_logit_per_attribute_and_presence(bundle: Bundle) -> None:
    answer = TfliteModel(bundle).answer(bundle.golden.inputs[0])
    assert answer.shape == (len(bundle.attributes) + 1,)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"dtype": np.float16}, "type float16"),
        ({"scales": FLOATS[:0], "zero_points": ZERO[:0]}, "int8 without a scale"),
        ({"scales": -FLOATS}, "a scale that is not positive"),
        ({"scales": 0 * FLOATS}, "a scale that is not positive"),
        ({"scales": FLOATS * np.float32(np.inf)}, "a scale that is not positive"),
        ({"scales": FLOATS * np.float32(np.nan)}, "a scale that is not positive"),
        ({"scales": FLOATS, "zero_points": ZERO + 128}, "a zero point outside int8"),
        ({"scales": FLOATS, "zero_points": ZERO - 129}, "a zero point outside int8"),
        ({"zero_points": ZERO[:0]}, "a zero point outside int8"),
        ({"scales": FLOATS.repeat(3), "zero_points": ZERO.repeat(3)}, r"3 scales for shape \(512, 512\)"),
        ({"quantized_dimension": 1}, "scales along dimension 1"),
        ({"quantized_dimension": 7}, "scales along dimension 7"),
    ],
)
def test_a_quantization_that_int8_arithmetic_cannot_have_is_refused(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], reason: str
) -> None:
    original = Interpreter.get_tensor_details

    def changed(interpreter: Interpreter) -> list[dict[str, Any]]:
        details: list[dict[str, Any]] = original(interpreter)
        weights = next(tensor for tensor in details if tensor["name"] == INT8_WEIGHTS)
        if "dtype" in changes:
            weights["dtype"] = changes["dtype"]
        else:
            weights["quantization_parameters"] |= changes
        return details

    monkeypatch.setattr(Interpreter, "get_tensor_details", changed)
    with pytest.raises(ShapeMismatchError, match=reason) as refused:
        TfliteModel(bundle)
    assert repr(INT8_WEIGHTS) in refused.value.found
