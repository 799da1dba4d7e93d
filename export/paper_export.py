"""The paper's weights to a TFLite file: every pass in its order, then the writer."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from export.paper_batching import with_batched_styles
from export.paper_passes import (
    Pass,
    with_attributes_only,
    with_centred_norms,
    with_folded_norms,
    with_merged_shifts,
    with_pushed_biases,
    with_shared_steps,
    with_stacked_linears,
    without_dead_attention,
)
from export.paper_plain import LOGITS, OFFSET, plain_program
from export.paper_program import Program
from export.paper_static import static_model
from export.paper_tflite import Recipe, tflite_model
from lsi.errors import ConfigError, DataError
from training.paper.paper_weights import HEAD_ATTRIBUTES, PaperWeights
from training.read_outs.read_out import Dense

PASSES: Final[tuple[Pass, ...]] = (
    without_dead_attention,
    with_folded_norms,
    with_merged_shifts,
    with_pushed_biases,
    with_centred_norms,
    with_shared_steps,
    with_stacked_linears,
    with_batched_styles,
)
"""In this order: biases can be pushed only once norms are folded, styles batched only once stacked."""


def paper_model(
    weights: PaperWeights, recipe: Recipe = Recipe.INT8, attributes: Sequence[str] | None = None
) -> bytes:
    """The TFLite file of the paper's encoder.

    Its outputs are the offset (1, 18, 512) and, with a head, 40 logits (1, 40) in the order of
    ``HEAD_ATTRIBUTES``. With ``attributes`` it has one output, their logits in the order given, and
    holds no latent that could be read.

    Raises:
        ConfigError: ``attributes`` without a head, empty, repeated, or unknown to it.
        BundleError: The file has a form that some runtime computes wrongly.
    """
    return tflite_model(_program(weights, attributes), recipe)


def static_paper_model(
    weights: PaperWeights, measurements: NDArray[np.float32], attributes: Sequence[str] | None = None
) -> bytes:
    """Like :func:`paper_model`, in static int8 with the ranges that ``measurements`` (n, d) give.

    Raises:
        ConfigError: As :func:`paper_model`.
        DataError: Measurements of another shape, none, or not finite.
        BundleError: As :func:`paper_model`.
    """
    if measurements.ndim != 2 or measurements.shape[1] != weights.d or not len(measurements):  # noqa: PLR2004 - (n, d)
        found = f"Measurements of shape {measurements.shape} for an encoder of {weights.d} masks."
        raise DataError(found, hint=f"measurements (n, {weights.d}).")
    if not np.isfinite(measurements).all():
        raise DataError("The measurements hold numbers that are not finite.", hint="record them again.")
    return static_model(_program(weights, attributes), measurements)


def plain_encoder(weights: PaperWeights) -> Program:
    """The encoder and head of ``weights`` as the official code computes them."""
    head = None
    if weights.head_weight is not None and weights.head_bias is not None:
        head = Dense(weights.head_weight, weights.head_bias)
    return plain_program(weights.encoder, head)


def simplified(program: Program) -> Program:
    """``program`` after every pass that leaves its outputs alone."""
    for each in PASSES:
        program = each(program)
    return program


def _program(weights: PaperWeights, attributes: Sequence[str] | None) -> Program:
    program = simplified(plain_encoder(weights))
    if attributes is None:
        return program
    return with_attributes_only(_rows(weights, attributes), LOGITS, OFFSET)(program)


def _rows(weights: PaperWeights, attributes: Sequence[str]) -> list[int]:
    hint = "attributes of the head, each once: " + ", ".join(HEAD_ATTRIBUTES)
    if weights.head_weight is None:
        raise ConfigError("These weights have no attribute head.", hint="export the offset.")
    unknown = sorted(set(attributes) - set(HEAD_ATTRIBUTES))
    if unknown or not attributes or len(set(attributes)) < len(attributes):
        found = f"The head cannot be cut to {list(attributes)}" + (
            f": unknown {unknown}." if unknown else "."
        )
        raise ConfigError(found, hint=hint)
    return [HEAD_ATTRIBUTES.index(name) for name in attributes]
