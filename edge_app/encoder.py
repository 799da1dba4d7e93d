"""``Encoder``: a measurement in, logits out; the TFLite runtime behind it."""

from typing import Protocol

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from lsi.attributes import AttributeLogits
from lsi.bundle import Bundle
from lsi.errors import BundleError, GoldenVectorError, ShapeMismatchError
from lsi.measurement import Measurement


class Encoder(Protocol):
    """What turns a measurement into logits."""

    def encode(self, measurement: Measurement) -> AttributeLogits:
        """Logits for one measurement.

        Raises:
            ShapeMismatchError: The measurement was not taken with the encoder's masks.
        """
        ...


class TfliteEncoder:
    """The bundle's model on ai-edge-litert, one thread.

    Raises:
        BundleError: The runtime cannot load the model.
        ShapeMismatchError: Its tensors are not those that the manifest promises.
        GoldenVectorError: It runs, and answers wrongly. A known cause is an old runtime
            that reads per-channel weights with one scale.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._schema = bundle.attributes
        self._pattern_digest = bundle.patterns.digest
        self._d = bundle.manifest.d
        try:
            self._interpreter = Interpreter(model_content=bundle.model, num_threads=1)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as cause:
            found = f"The model of {bundle!r} does not load on this runtime."
            raise BundleError(found, hint="export the bundle for this runtime.") from cause
        self._input = self._only_tensor(self._interpreter.get_input_details(), self._d)
        self._output = self._only_tensor(self._interpreter.get_output_details(), len(self._schema) + 1)
        self._check_golden(bundle)

    def encode(self, measurement: Measurement) -> AttributeLogits:
        """Logits for one measurement; see :class:`Encoder`."""
        if len(measurement.values) != self._d:
            found = f"Measurement of {len(measurement.values)} masks for a model of {self._d}."
            raise ShapeMismatchError(found, hint="load the masks of the model's own bundle.")
        if measurement.pattern_digest != self._pattern_digest:
            found = "The measurement was not taken with the masks of this bundle."
            raise ShapeMismatchError(found, hint="load the masks of the model's own bundle.")
        return AttributeLogits(self._invoke(measurement.values), self._schema)

    def _invoke(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        self._interpreter.set_tensor(self._input, values[np.newaxis])
        self._interpreter.invoke()
        logits: NDArray[np.float32] = self._interpreter.get_tensor(self._output)[0]
        return logits

    def _only_tensor(self, details: list[dict[str, object]], width: int) -> int:
        shapes = [(np.dtype(str(np.dtype(d["dtype"]))), tuple(np.ravel(d["shape"]))) for d in details]  # type: ignore[call-overload]
        if shapes != [(np.dtype(np.float32), (1, width))]:
            found = f"The model has tensors {shapes}, expected one float32 of shape (1, {width})."
            raise ShapeMismatchError(found, hint="export the bundle again.")
        return int(str(details[0]["index"]))

    def _check_golden(self, bundle: Bundle) -> None:
        golden = bundle.golden
        answers = np.stack([self._invoke(values) for values in golden.inputs])
        error = float(np.max(np.abs(answers - golden.logits)))
        if not error <= golden.tolerance:
            found = f"Golden vectors differ by {error:.3g}, allowed is {golden.tolerance:.3g}."
            raise GoldenVectorError(found, hint="the runtime that the bundle was exported for.")
