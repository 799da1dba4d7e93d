"""A TFLite file on the installed runtime: loaded, and its tensors held to the manifest."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge_app.inference.tflite_interpreter import Interpreter
from lsi.bundle import Bundle
from lsi.errors import BundleError, ShapeMismatchError

_INT8: Final = np.iinfo(np.int8)
OUTPUT_CHANNELS: Final = 0
"""The dimension of weights along which FULLY_CONNECTED and CONV_2D have a scale each; along another one the
answer would be wrong without a word (TFLite's 8-bit quantization specification)."""
_KNOWN_DTYPES: Final = frozenset({"float32", "int8", "int32"})
"""int8 weights and activations, int32 biases and shapes; anything else was not made by us."""
_EXPORT_AGAIN: Final = "export the bundle again."

Details = Mapping[str, Any]
"""One tensor as the runtime describes it."""


class TfliteModel:
    """The bundle's model on one thread, not yet held to its golden vectors.

    Raises:
        BundleError: The runtime cannot load the model.
        ShapeMismatchError: Its tensors are not those that the manifest promises, or a
            quantized one has scales or zero points that int8 arithmetic cannot have.
    """

    def __init__(self, bundle: Bundle) -> None:
        try:
            self._interpreter = Interpreter(model_content=bundle.model, num_threads=1)
            # Before memory is allocated: afterwards kernels add tensors of their own.
            tensors = self._interpreter.get_tensor_details()
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as cause:
            found = f"The model of {bundle!r} does not load on this runtime."
            raise BundleError(found, hint="export the bundle for this runtime.") from cause
        source: set[tuple[int, ...]] = {(1, bundle.manifest.d)}
        logits = (1, len(bundle.attributes) + 1)
        latent = bundle.manifest.latent
        self._latent_shape = None if latent is None else (1, *latent.shape)
        sinks: set[tuple[int, ...]] = {logits} | ({self._latent_shape} if self._latent_shape else set())
        self._input = _float_tensors(self._interpreter.get_input_details(), source)[1, bundle.manifest.d]
        self._outputs = _float_tensors(self._interpreter.get_output_details(), sinks)
        self._output = self._outputs[logits]
        for tensor in tensors:
            _check_quantization(tensor)

    def answer(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits (K + 1,) for one measurement (d,)."""
        self._interpreter.set_tensor(self._input, values[np.newaxis])
        self._interpreter.invoke()
        logits: NDArray[np.float32] = self._interpreter.get_tensor(self._output)[0]
        return logits

    def last_offset(self) -> NDArray[np.float32]:
        """The offset (L, D) that belongs to the last :meth:`answer`.

        Raises:
            ShapeMismatchError: The model has no such output: its bundle is not a latent one.
        """
        if self._latent_shape is None:
            raise ShapeMismatchError("This bundle's model has no latent output.", hint="a latent bundle.")
        offset: NDArray[np.float32] = self._interpreter.get_tensor(self._outputs[self._latent_shape])[0]
        return offset


def _float_tensors(details: list[Details], wanted: set[tuple[int, ...]]) -> dict[tuple[int, ...], int]:
    """Index of each tensor by its shape; exactly the ``wanted`` ones, all float32."""
    shapes = [(np.dtype(tensor["dtype"]), tuple(map(int, tensor["shape"]))) for tensor in details]
    is_float = all(dtype == np.float32 for dtype, _ in shapes)
    if not is_float or sorted(shape for _, shape in shapes) != sorted(wanted):
        names = " and ".join(map(str, sorted(wanted)))
        found = f"The model has tensors {shapes}, expected float32 of shape {names}."
        raise ShapeMismatchError(found, hint=_EXPORT_AGAIN)
    return {shape: int(tensor["index"]) for (_, shape), tensor in zip(shapes, details, strict=True)}


def _check_quantization(tensor: Details) -> None:
    dtype = np.dtype(tensor["dtype"]).name
    quantization = tensor["quantization_parameters"]
    scales, zero_points = quantization["scales"], quantization["zero_points"]
    if dtype not in _KNOWN_DTYPES:
        reason = f"type {dtype}"
    elif dtype == "int8" and len(scales) == 0:
        reason = "int8 without a scale"
    elif not np.all(np.isfinite(scales) & (scales > 0)):
        reason = "a scale that is not positive"
    elif len(zero_points) != len(scales) or not np.all(
        (zero_points >= _INT8.min) & (zero_points <= _INT8.max)
    ):
        reason = "a zero point outside int8"
    elif len(scales) > 1 and quantization["quantized_dimension"] != OUTPUT_CHANNELS:
        reason = f"scales along dimension {quantization['quantized_dimension']}"
    elif len(scales) > 1 and len(scales) != tensor["shape"][OUTPUT_CHANNELS]:
        reason = f"{len(scales)} scales for shape {tuple(map(int, tensor['shape']))}"
    else:
        return
    raise ShapeMismatchError(f"Tensor {tensor['name']!r} of the model has {reason}.", hint=_EXPORT_AGAIN)
