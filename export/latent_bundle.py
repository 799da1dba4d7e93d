"""Latent checkpoint to latent bundle: same checkpoint, same date, same bytes.

The model's outputs are the offset and the logits of the attributes. Its bundle may run in narrower modes
too; only mode ``latent`` lets a sealed offset out.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from export.latent_card import latent_card
from export.latent_program import latent_program
from export.paper_program import results
from export.paper_tflite import Recipe, tflite_model
from export.write_bundle import (
    FLOAT_TOLERANCE,
    GOLDEN_SEED,
    TOLERANCE_MARGIN,
    Identity,
    attributes_document,
    manifest_of,
)
from lsi.bundle import (
    ATTRIBUTES,
    CALIBRATION,
    CARD,
    GOLDEN,
    MASKS,
    MODEL,
    POLICY,
    GoldenOffsets,
    GoldenVectors,
    golden_json,
    write_bundle,
)
from lsi.disclosure import PayloadMode
from lsi.manifest import BundleManifest, canonical_json
from training.latent.latent_checkpoint import LatentCheckpoint

GOLDEN_ROWS: Final = 8
OFFSET_ROWS: Final = 2
"""Golden offsets are long: two of them tell a wrong runtime as well as many."""
PARITY_ROWS: Final = 64


@dataclass(frozen=True, slots=True)
class LatentParity:
    """How far the TFLite file is from the float model on random inputs.

    ``offset_error`` is the largest error of an offset, ``offset_rms`` the root mean square one in units of
    the offsets' own; ``logit_error`` the largest of a logit.
    """

    rows: int
    offset_error: float
    offset_rms: float
    logit_error: float


@dataclass(frozen=True, slots=True, repr=False)
class ExportedLatent:
    """A latent bundle's bytes, and how far its model is from float."""

    content: bytes
    manifest: BundleManifest
    parity: LatentParity


def export_latent_bundle(
    checkpoint: LatentCheckpoint, identity: Identity, *, is_float: bool = False
) -> ExportedLatent:
    """The bundle of a latent checkpoint, with dynamic int8 weights or in float32.

    Raises:
        BundleError: The file has a form that some runtime computes wrongly.
    """
    program = latent_program(checkpoint.encoder, checkpoint.shape)
    model = tflite_model(program, Recipe.FLOAT32 if is_float else Recipe.INT8)
    inputs = _inputs(checkpoint, PARITY_ROWS)
    offsets, logits = (each.astype(np.float32) for each in results(program, inputs))
    wanted = (offsets[:, 0], logits[:, 0])
    measured = _parity(model, inputs, *wanted)
    golden = _golden(inputs, *wanted, None if is_float else measured)
    schema = checkpoint.attributes
    documents = {
        CALIBRATION: {
            "measurement_low": checkpoint.measurement_low.tolist(),
            "measurement_high": checkpoint.measurement_high.tolist(),
        },
        ATTRIBUTES: attributes_document(schema),
        POLICY: {"mode": PayloadMode.LATENT, "attributes": list(schema.names)},
    }
    files = {name: canonical_json(document) for name, document in documents.items()}
    files |= {MASKS: checkpoint.patterns.packed(), MODEL: model, GOLDEN: golden_json(golden)}
    files[CARD] = latent_card(checkpoint, identity, measured).encode()
    manifest = manifest_of(checkpoint.patterns, identity, files, PayloadMode.LATENT, checkpoint.space)
    return ExportedLatent(write_bundle(manifest, files), manifest, measured)


def run_latent_model(
    model: bytes, inputs: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Offsets (n, L, D) and logits (n, K + 1) that the TFLite file gives for ``inputs`` (n, d)."""
    interpreter = Interpreter(model_content=model, num_threads=1)
    interpreter.allocate_tensors()
    source = interpreter.get_input_details()[0]["index"]
    sinks = [each["index"] for each in interpreter.get_output_details()]
    rows: list[list[NDArray[np.float32]]] = []
    for row in inputs:
        interpreter.set_tensor(source, row[None, :])
        interpreter.invoke()
        rows.append([interpreter.get_tensor(sink)[0].copy() for sink in sinks])
    return np.stack([row[0] for row in rows]), np.stack([row[1] for row in rows])


def _inputs(checkpoint: LatentCheckpoint, rows: int) -> NDArray[np.float32]:
    """Random inputs that belong to no scene, within the calibrated range; see ``export.write_bundle``."""
    weights = checkpoint.encoder
    mean = weights["standardise.running_mean"]
    spread = np.sqrt(weights["standardise.running_var"])
    drawn = np.random.default_rng(GOLDEN_SEED).standard_normal((rows, checkpoint.shape.d)) * spread + mean
    inputs: NDArray[np.float32] = np.clip(
        drawn.astype(np.float32), checkpoint.measurement_low, checkpoint.measurement_high
    )
    return inputs


def _parity(
    model: bytes, inputs: NDArray[np.float32], offsets: NDArray[np.float32], logits: NDArray[np.float32]
) -> LatentParity:
    found_offsets, found_logits = run_latent_model(model, inputs)
    error = found_offsets - offsets
    return LatentParity(
        rows=len(inputs),
        offset_error=float(np.abs(error).max()),
        offset_rms=float(np.sqrt(np.square(error).mean() / np.square(offsets).mean())),
        logit_error=float(np.abs(found_logits - logits).max()),
    )


def _golden(
    inputs: NDArray[np.float32],
    offsets: NDArray[np.float32],
    logits: NDArray[np.float32],
    measured: LatentParity | None,
) -> GoldenVectors:
    """Golden vectors; the tolerance leaves room for runtimes that round otherwise."""
    errors = (0.0, 0.0) if measured is None else (measured.offset_error, measured.logit_error)
    of_offset, of_logit = (
        max(FLOAT_TOLERANCE, float(np.float32(TOLERANCE_MARGIN * each))) for each in errors
    )
    golden_offsets = GoldenOffsets(offsets[:OFFSET_ROWS], of_offset)
    return GoldenVectors(inputs[:GOLDEN_ROWS], logits[:GOLDEN_ROWS], of_logit, golden_offsets)
