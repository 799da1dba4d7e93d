"""The TFLite runtime behind ``Encoder``, with the shipped bundle."""

from dataclasses import replace

import numpy as np
import pytest

from edge_app.inference.encoder import TfliteEncoder
from lab.bundles import FLOAT_TWIN, SHIPPED, shipped_bundle
from lsi.attributes import AttributeSchema
from lsi.bundle import Bundle, GoldenVectors, read_bundle
from lsi.errors import BundleError, GoldenVectorError, ShapeMismatchError
from lsi.measurement import Measurement


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return read_bundle(shipped_bundle())


def measurement(bundle: Bundle, row: int = 0, digest: str | None = None) -> Measurement:
    return Measurement(bundle.golden.inputs[row], digest or bundle.patterns.digest, 0, 0)


@pytest.mark.parametrize("name", [SHIPPED, FLOAT_TWIN])
def test_golden_vectors_are_reproduced_on_this_runtime(name: str) -> None:
    bundle = read_bundle(shipped_bundle(name))
    encoder = TfliteEncoder(bundle)
    for row, expected in enumerate(bundle.golden.logits):
        logits = encoder.encode(measurement(bundle, row)).values
        assert np.abs(logits - expected).max() <= bundle.golden.tolerance


def test_logits_belong_to_the_schema_of_the_bundle(bundle: Bundle) -> None:
    logits = TfliteEncoder(bundle).encode(measurement(bundle))
    assert logits.schema == bundle.attributes
    assert logits.values.shape == (len(bundle.attributes) + 1,)


def test_a_measurement_of_another_length_is_refused(bundle: Bundle) -> None:
    short = Measurement(np.zeros(3, np.float32), bundle.patterns.digest, 0, 0)
    with pytest.raises(ShapeMismatchError, match="3 masks for a model of 16"):
        TfliteEncoder(bundle).encode(short)


def test_a_measurement_with_other_masks_is_refused(bundle: Bundle) -> None:
    with pytest.raises(ShapeMismatchError, match="not taken with the masks"):
        TfliteEncoder(bundle).encode(measurement(bundle, digest="0" * 64))


def test_a_model_that_answers_wrongly_is_refused_at_load(bundle: Bundle) -> None:
    golden = bundle.golden
    shifted = GoldenVectors(
        golden.inputs, golden.logits + 2 * np.float32(golden.tolerance) + 1, golden.tolerance
    )
    with pytest.raises(GoldenVectorError, match="Golden vectors differ by"):
        TfliteEncoder(replace(bundle, golden=shifted))


def test_a_model_that_answers_nothing_sensible_is_refused(bundle: Bundle) -> None:
    golden = bundle.golden
    broken = GoldenVectors(golden.inputs, np.full_like(golden.logits, np.nan), golden.tolerance)
    with pytest.raises(GoldenVectorError):
        TfliteEncoder(replace(bundle, golden=broken))


@pytest.mark.parametrize("model", [b"", b"no model at all", b"\0" * 64])
def test_a_file_that_is_no_model_is_refused(bundle: Bundle, model: bytes) -> None:
    with pytest.raises(BundleError, match="does not load"):
        TfliteEncoder(replace(bundle, model=model))


def test_a_model_with_other_outputs_than_attributes_is_refused(bundle: Bundle) -> None:
    one = AttributeSchema(("Smiling",), (0.0,), 0.0)
    with pytest.raises(ShapeMismatchError, match=r"shape \(1, 2\)"):
        TfliteEncoder(replace(bundle, attributes=one))


def test_a_model_for_another_number_of_masks_is_refused(bundle: Bundle) -> None:
    with pytest.raises(ShapeMismatchError, match=r"shape \(1, 8\)"):
        TfliteEncoder(replace(bundle, manifest=replace(bundle.manifest, d=8)))
