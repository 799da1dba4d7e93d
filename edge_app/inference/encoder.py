"""``Encoder``: a measurement in, logits out; the TFLite runtime behind it."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge_app.inference.tflite_model import TfliteModel
from lsi.attributes import AttributeLogits
from lsi.bundle import Bundle
from lsi.errors import GoldenVectorError, ShapeMismatchError
from lsi.latent import LatentOffset
from lsi.measurement import Measurement


class Encoder(Protocol):
    """What turns a measurement into logits."""

    def encode(self, measurement: Measurement) -> AttributeLogits:
        """Logits for one measurement.

        Raises:
            ShapeMismatchError: The measurement was not taken with the encoder's masks.
        """
        ...

    def encode_latent(self, measurement: Measurement) -> tuple[AttributeLogits, LatentOffset]:
        """Logits and latent offset of one measurement. The offset is image-equivalent: seal it.

        Raises:
            ShapeMismatchError: As :meth:`encode`; or the bundle is not a latent one.
        """
        ...


class TfliteEncoder:
    """The bundle's model, held to its golden vectors.

    Args:
        bundle: What the model belongs to.
        model: The model where it is loaded already.

    Raises:
        BundleError: The runtime cannot load the model.
        ShapeMismatchError: Its tensors are not those that the manifest promises.
        GoldenVectorError: It runs, and answers wrongly. A known cause is an old runtime
            that reads per-channel weights with one scale.
    """

    def __init__(self, bundle: Bundle, model: TfliteModel | None = None) -> None:
        self._schema = bundle.attributes
        self._pattern_digest = bundle.patterns.digest
        self._d = bundle.manifest.d
        self._latent = bundle.manifest.latent
        self._model = model or TfliteModel(bundle)
        _check_golden(self._model, bundle)

    def encode(self, measurement: Measurement) -> AttributeLogits:
        """Logits for one measurement; see :class:`Encoder`."""
        if len(measurement.values) != self._d:
            found = f"Measurement of {len(measurement.values)} masks for a model of {self._d}."
            raise ShapeMismatchError(found, hint="load the masks of the model's own bundle.")
        if measurement.pattern_digest != self._pattern_digest:
            found = "The measurement was not taken with the masks of this bundle."
            raise ShapeMismatchError(found, hint="load the masks of the model's own bundle.")
        return AttributeLogits(self._model.answer(measurement.values), self._schema)

    def encode_latent(self, measurement: Measurement) -> tuple[AttributeLogits, LatentOffset]:
        """Logits and latent offset of one measurement; see :class:`Encoder`."""
        if self._latent is None:
            found = "This bundle gives attributes and no latent."
            raise ShapeMismatchError(found, hint="a bundle that 'lsi export' made of a latent checkpoint.")
        logits = self.encode(measurement)
        return logits, LatentOffset(self._model.last_offset(), self._latent)


def _check_golden(model: TfliteModel, bundle: Bundle) -> None:
    golden = bundle.golden
    answers = np.stack([model.answer(values) for values in golden.inputs])
    _check_error("vectors", answers, golden.logits, golden.tolerance)
    if golden.offsets is not None:
        found = []
        for values in golden.inputs[: len(golden.offsets.values)]:
            model.answer(values)
            found.append(model.last_offset())
        _check_error("offsets", np.stack(found), golden.offsets.values, golden.offsets.tolerance)


def _check_error(
    name: str, found: NDArray[np.float32], wanted: NDArray[np.float32], tolerance: float
) -> None:
    error = float(np.max(np.abs(found - wanted)))
    if not error <= tolerance:
        message = f"Golden {name} differ by {error:.3g}, allowed is {tolerance:.3g}."
        raise GoldenVectorError(message, hint="the runtime that the bundle was exported for.")
