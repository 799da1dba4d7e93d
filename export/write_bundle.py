"""Checkpoint to bundle: same checkpoint, same date, same bytes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from export.model_card import model_card
from export.parity import Labelled, Parity, labelled_parity, parity
from export.parity_report import PARITY, ParityReport
from export.tflite_writer import Interval, float_model, int8_model
from lsi.attributes import ATTR_LITE, AttributeSchema
from lsi.bundle import (
    ATTRIBUTES,
    CALIBRATION,
    CARD,
    GOLDEN,
    MASKS,
    MODEL,
    POLICY,
    GoldenVectors,
    golden_json,
    write_bundle,
)
from lsi.disclosure import PayloadMode
from lsi.errors import ConfigError
from lsi.latent import LatentForm
from lsi.manifest import BundleManifest, FileEntry, canonical_json, content_id_of
from lsi.patterns import PatternSet
from lsi.whole_file import whole_file
from training.attributes.checkpoint import Checkpoint

GOLDEN_ROWS: Final = 16
GOLDEN_SEED: Final = 16
PARITY_ROWS: Final = 4096
PARITY_SEED: Final = 17
TOLERANCE_MARGIN: Final = 1.5
"""int8 kernels round differently from processor to processor, by about the error of the quantization
itself; a runtime that misreads the weights is off by whole logits."""
FLOAT_TOLERANCE: Final = 1e-3


@dataclass(frozen=True, slots=True)
class Identity:
    """What the manifest says beyond the content. ``created`` is YYYY-MM-DD."""

    name: str
    version: str
    created: str


@dataclass(frozen=True, slots=True, repr=False)
class Exported:
    """A bundle's bytes, how far its model is from float, and what it costs."""

    content: bytes
    manifest: BundleManifest
    report: ParityReport


def export_bundle(
    checkpoint: Checkpoint, identity: Identity, *, is_float: bool = False, labelled: Labelled | None = None
) -> Exported:
    """The bundle of ``checkpoint``, with an int8 model or a float32 one.

    Raises:
        DataError: ``labelled`` measurements that do not fit the model.
    """
    model = tflite_of(checkpoint, is_float=is_float)
    measured = _parity(checkpoint, model)
    tolerance = FLOAT_TOLERANCE if is_float else TOLERANCE_MARGIN * measured.largest_error
    inputs = inputs_in_range(checkpoint, GOLDEN_ROWS, GOLDEN_SEED)
    golden = GoldenVectors(inputs, checkpoint.read_out.logits(inputs), float(np.float32(tolerance)))
    schema = checkpoint.attributes
    documents = {
        CALIBRATION: {
            "measurement_low": checkpoint.measurement_low.tolist(),
            "measurement_high": checkpoint.measurement_high.tolist(),
        },
        ATTRIBUTES: attributes_document(schema),
        POLICY: {"mode": mode_of(schema), "attributes": list(schema.names)},
    }
    files = {name: canonical_json(document) for name, document in documents.items()}
    files |= {MASKS: checkpoint.patterns.packed(), MODEL: model, GOLDEN: golden_json(golden)}
    files[CARD] = model_card(
        checkpoint, identity.name, identity.version, measured, is_float=is_float
    ).encode()
    compared = None if labelled is None else labelled_parity(checkpoint.read_out, model, *labelled)
    report = ParityReport.of(measured, model, compared)
    files[PARITY] = report.encode()
    manifest = manifest_of(checkpoint.patterns, identity, files, mode_of(checkpoint.attributes))
    return Exported(write_bundle(manifest, files), manifest, report)


def mode_of(schema: AttributeSchema) -> PayloadMode:
    """The narrowest payload mode that has room for all the attributes."""
    return PayloadMode.ATTR_LITE if set(schema.names) <= ATTR_LITE else PayloadMode.ATTR


def attributes_document(schema: AttributeSchema) -> dict[str, Any]:
    """Content of the member ``attributes.json``. A bundle that always answers has no field ``abstain``."""
    document: dict[str, Any] = {
        "names": list(schema.names),
        "thresholds": list(schema.thresholds),
        "presence_threshold": schema.presence_threshold,
    }
    return document | ({"abstain": [list(band) for band in schema.abstain]} if schema.abstain else {})


def tflite_of(checkpoint: Checkpoint, *, is_float: bool) -> bytes:
    """The TFLite file of a checkpoint's read-out.

    The int8 ranges are the true ones over the scenes of the training and over random inputs like
    the golden ones. Without the latter, golden vectors could be clipped and would say little.
    """
    if is_float:
        return float_model(checkpoint.read_out)
    activations = checkpoint.read_out.activations(_random_inputs(checkpoint))
    ranges = zip(activations, checkpoint.activation_low, checkpoint.activation_high, strict=True)
    intervals = [
        Interval(min(float(low), float(values.min())), max(float(high), float(values.max())))
        for values, low, high in ranges
    ]
    return int8_model(checkpoint.read_out, intervals)


def inputs_in_range(checkpoint: Checkpoint, rows: int, seed: int) -> NDArray[np.float32]:
    """Random inputs (rows, d) that belong to no scene, within the calibrated range.

    Each number is drawn on its own, normal with the mean and spread of its mask. Drawn evenly
    over the range they would lie so far out that the int8 code would have to be coarser for them.
    """
    read_out = checkpoint.read_out
    drawn = np.random.default_rng(seed).standard_normal((rows, read_out.d)) / read_out.scale + read_out.mean
    inputs: NDArray[np.float32] = np.clip(
        drawn.astype(np.float32), checkpoint.measurement_low, checkpoint.measurement_high
    )
    return inputs


def save_new(content: bytes, path: Path, *, replaces: bool) -> None:
    """Write ``path`` in one step.

    Raises:
        ConfigError: The file is there already and ``replaces`` is false, or the folder is missing.
    """
    if path.exists() and not replaces:
        raise ConfigError(f"{path} exists.", hint="another name, or --force to replace it.")
    if not path.parent.is_dir():
        raise ConfigError(f"There is no folder {path.parent}.", hint="make it first, or name another.")
    with whole_file(path) as file:
        file.write(content)


def _random_inputs(checkpoint: Checkpoint) -> NDArray[np.float32]:
    """The golden inputs and many more of their kind."""
    golden = inputs_in_range(checkpoint, GOLDEN_ROWS, GOLDEN_SEED)
    return np.concatenate((golden, inputs_in_range(checkpoint, PARITY_ROWS, PARITY_SEED)))


def _parity(checkpoint: Checkpoint, model: bytes) -> Parity:
    thresholds = (*checkpoint.attributes.thresholds, checkpoint.attributes.presence_threshold)
    return parity(checkpoint.read_out, model, _random_inputs(checkpoint), thresholds)


def manifest_of(
    patterns: PatternSet,
    identity: Identity,
    files: dict[str, bytes],
    mode: PayloadMode,
    latent: LatentForm | None = None,
) -> BundleManifest:
    """The manifest of an unsigned bundle with ``files``, for two arms and linear light."""
    entries = {name: FileEntry.of(content) for name, content in files.items()}
    d, height, width = patterns.shape
    return BundleManifest(
        name=identity.name,
        version=identity.version,
        content_id=content_id_of(entries),
        created=identity.created,
        expires=None,
        security_epoch=0,
        compatible=("two-arm",),
        mode=mode,
        d=d,
        height=height,
        width=width,
        arms=2,
        scene_transfer="linear",
        signature=None,
        files=entries,
        latent=latent,
    )
