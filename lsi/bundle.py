"""The bundle: masks, model, attributes, policy and proof in one file (ADR 0004)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lsi.archive import MAX_ARCHIVE_BYTES, pack, unpack
from lsi.attributes import AttributeSchema
from lsi.errors import BundleError, BundleNotFoundError, ShapeMismatchError
from lsi.frozen import frozen_array
from lsi.manifest import (
    MANIFEST,
    MANIFEST_DIGEST,
    BundleManifest,
    canonical_json,
    manifest_digest,
    parse_manifest,
)
from lsi.patterns import PatternSet

MASKS: Final = "masks.bin"
MODEL: Final = "encoder.tflite"
CALIBRATION: Final = "calibration.json"
ATTRIBUTES: Final = "attributes.json"
POLICY: Final = "policy.json"
GOLDEN: Final = "golden.json"
CARD: Final = "MODEL_CARD.md"
REQUIRED: Final = frozenset({MASKS, MODEL, CALIBRATION, ATTRIBUTES, POLICY, GOLDEN, CARD})


@dataclass(frozen=True, slots=True, repr=False)
class GoldenVectors:
    """Inputs drawn at random in the calibrated range, and the float model's answers.

    Shape: ``inputs`` (n, d), ``logits`` (n, K + 1), both float32. A runtime passes when
    no logit differs by more than ``tolerance``. int8 kernels are not bit-exact between
    processors, so nothing here is compared by hash.
    """

    inputs: NDArray[np.float32]
    logits: NDArray[np.float32]
    tolerance: float

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "inputs", frozen_array("golden inputs", self.inputs, np.float32, (None, None))
        )
        shape = (len(self.inputs), None)
        object.__setattr__(self, "logits", frozen_array("golden logits", self.logits, np.float32, shape))


@dataclass(frozen=True, slots=True, repr=False)
class MeasurementRange:
    """Lowest and highest value per mask that the training saw. Shape: (d,) float32 each."""

    low: NDArray[np.float32]
    high: NDArray[np.float32]


@dataclass(frozen=True, slots=True, repr=False)
class Bundle:
    """A bundle whose digests and shapes have been checked.

    ``model`` is a TFLite file: float32 measurement (1, d) in, float32 logits (1, K + 1)
    out. ``allowed`` are the attributes that its policy lets out.
    """

    manifest: BundleManifest
    patterns: PatternSet
    model: bytes
    attributes: AttributeSchema
    allowed: frozenset[str]
    measurement_range: MeasurementRange
    golden: GoldenVectors
    card: str

    def __repr__(self) -> str:
        return f"Bundle({self.manifest.name} {self.manifest.version} {self.manifest.short_id})"


def read_bundle(path: Path) -> Bundle:
    """Read and check the bundle at ``path``. Nothing in it is executed.

    Raises:
        BundleNotFoundError: No readable file there.
        DigestMismatchError: The bytes are not the ones the manifest names.
        ShapeMismatchError: Masks, model, attributes and range do not fit together.
        BundleError: Anything else that makes it unusable.
    """
    try:
        with path.open("rb") as file:
            archive = file.read(MAX_ARCHIVE_BYTES + 1)
    except OSError as cause:
        found = f"No readable bundle at {path} ({cause.strerror})."
        raise BundleNotFoundError(found, hint="name a .lsib file; bundles/ holds one.") from cause
    return parse_bundle(archive, path.name)


def parse_bundle(archive: bytes, source: str) -> Bundle:
    """Check the bytes of a bundle; see :func:`read_bundle`."""
    members = unpack(archive, source)
    manifest = parse_manifest(members, source)
    missing = sorted(REQUIRED - set(members))
    if missing:
        raise BundleError(f"{source} lacks {', '.join(missing)}.", hint="export it again.")
    try:
        bundle = _from_members(manifest, members)
    except (ValueError, KeyError, TypeError) as cause:
        if isinstance(cause, BundleError):
            raise
        found = f"{source}: {type(cause).__name__}: {cause}."
        raise ShapeMismatchError(found, hint="export it again with the tools of this version.") from cause
    return bundle


def write_bundle(manifest: BundleManifest, files: Mapping[str, bytes]) -> bytes:
    """The bytes of a bundle. ``files`` are all members but the manifest's own two."""
    document = manifest.to_json()
    head = {MANIFEST: document, MANIFEST_DIGEST: manifest_digest(document)}
    return pack({**head, **{name: files[name] for name in sorted(files)}})


def golden_json(golden: GoldenVectors) -> bytes:
    """Content of the member ``golden.json``."""
    document = {
        "inputs": golden.inputs.tolist(),
        "logits": golden.logits.tolist(),
        "tolerance": golden.tolerance,
    }
    return canonical_json(document)


def _from_members(manifest: BundleManifest, members: Mapping[str, bytes]) -> Bundle:
    shape = (manifest.d, manifest.height, manifest.width)
    attributes = _attributes(json.loads(members[ATTRIBUTES]))
    bundle = Bundle(
        manifest=manifest,
        patterns=PatternSet.from_packed(members[MASKS], shape),
        model=members[MODEL],
        attributes=attributes,
        allowed=frozenset(_names(json.loads(members[POLICY])["attributes"])),
        measurement_range=_range(json.loads(members[CALIBRATION]), manifest.d),
        golden=_golden(json.loads(members[GOLDEN])),
        card=members[CARD].decode(),
    )
    _check_shapes(bundle)
    return bundle


def _check_shapes(bundle: Bundle) -> None:
    d, outputs = bundle.manifest.d, len(bundle.attributes) + 1
    if bundle.golden.inputs.shape[1] != d or bundle.golden.logits.shape[1] != outputs:
        found = f"golden vectors do not have {d} inputs and {outputs} outputs."
        raise ShapeMismatchError(found, hint="export the bundle again.")
    unknown = sorted(bundle.allowed - set(bundle.attributes.names))
    if unknown:
        found = f"policy allows attributes that the model does not have: {', '.join(unknown)}."
        raise ShapeMismatchError(found, hint="export the bundle again.")


def _attributes(document: Mapping[str, Any]) -> AttributeSchema:
    return AttributeSchema(
        names=_names(document["names"]),
        thresholds=tuple(float(value) for value in document["thresholds"]),
        presence_threshold=float(document["presence_threshold"]),
    )


def _names(values: list[Any]) -> tuple[str, ...]:
    return tuple(str(value) for value in values)


def _range(document: Mapping[str, Any], d: int) -> MeasurementRange:
    low = np.array(document["measurement_low"], np.float32)
    high = np.array(document["measurement_high"], np.float32)
    return MeasurementRange(
        frozen_array("measurement_low", low, np.float32, (d,)),
        frozen_array("measurement_high", high, np.float32, (d,)),
    )


def _golden(document: Mapping[str, Any]) -> GoldenVectors:
    return GoldenVectors(
        inputs=np.array(document["inputs"], np.float32),
        logits=np.array(document["logits"], np.float32),
        tolerance=float(document["tolerance"]),
    )
