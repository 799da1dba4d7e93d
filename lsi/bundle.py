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
from lsi.errors import BundleError, BundleNotFoundError, DigestMismatchError, ShapeMismatchError
from lsi.frozen import frozen_array
from lsi.manifest import (
    MANIFEST,
    MANIFEST_DIGEST,
    MANIFEST_SIGNATURE,
    OF_MANIFEST,
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
class GoldenOffsets:
    """The float model's offsets for the first of the golden inputs. Shape: ``values`` (m, L, D) float32."""

    values: NDArray[np.float32]
    tolerance: float

    def __post_init__(self) -> None:
        shape = (None, None, None)
        object.__setattr__(self, "values", frozen_array("golden offsets", self.values, np.float32, shape))


@dataclass(frozen=True, slots=True, repr=False)
class GoldenVectors:
    """Inputs drawn at random in the calibrated range, and the float model's answers.

    Shape: ``inputs`` (n, d), ``logits`` (n, K + 1), both float32. A runtime passes when
    no logit differs by more than ``tolerance``. int8 kernels are not bit-exact between
    processors, so nothing here is compared by hash. ``offsets`` are those of a latent bundle.
    """

    inputs: NDArray[np.float32]
    logits: NDArray[np.float32]
    tolerance: float
    offsets: GoldenOffsets | None = None

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
    out, and in a latent bundle the offset (1, L, D) too. ``allowed`` are the attributes that its
    policy lets out.
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


@dataclass(frozen=True, slots=True, repr=False)
class BundleFile:
    """A bundle whose members are the ones that its manifest names.

    Only the manifest has been interpreted so far. That is where a signature is checked:
    before anything else is believed. ``source`` is where it came from, for messages.
    """

    source: Path
    manifest: BundleManifest
    members: Mapping[str, bytes]

    def __repr__(self) -> str:
        return f"BundleFile({self.source.name}, {len(self.members)} members)"

    @property
    def signed(self) -> bytes:
        """What a signature of this bundle covers: the bytes of the manifest."""
        return self.members[MANIFEST]

    @property
    def signature(self) -> bytes | None:
        """Content of ``manifest.json.minisig``; ``None`` in an unsigned bundle."""
        return self.members.get(MANIFEST_SIGNATURE)

    @property
    def files(self) -> dict[str, bytes]:
        """All members but the manifest's own."""
        return {name: content for name, content in self.members.items() if name not in OF_MANIFEST}


def open_bundle(path: Path) -> BundleFile:
    """Read the bundle at ``path`` and hold its bytes to its manifest.

    Raises:
        BundleNotFoundError: No readable file there.
        DigestMismatchError: The bytes are not the ones the manifest names.
        BundleError: Anything else that makes it unusable.
    """
    try:
        with path.open("rb") as file:
            archive = file.read(MAX_ARCHIVE_BYTES + 1)
    except OSError as cause:
        found = f"No readable bundle at {path} ({cause.strerror})."
        raise BundleNotFoundError(found, hint="name a .lsib file; bundles/ holds one.") from cause
    return open_archive(archive, path)


def open_archive(archive: bytes, source: Path) -> BundleFile:
    """Hold the bytes of a bundle to its manifest; see :func:`open_bundle`."""
    members = unpack(archive, source.name)
    manifest = parse_manifest(members, source.name)
    missing = sorted(REQUIRED - set(members))
    if missing:
        raise BundleError(f"{source.name} lacks {', '.join(missing)}.", hint="export it again.")
    if list(members) != _in_order(members):
        found = f"{source.name}: the members are not in the order of a bundle."
        raise DigestMismatchError(found, hint="copy or export the file again.")
    return BundleFile(source, manifest, members)


def contents_of(file: BundleFile) -> Bundle:
    """What the members of a bundle say. No signature is checked here.

    Raises:
        ShapeMismatchError: Masks, attributes, policy, range and golden vectors do not fit
            together, or a member is not what its name promises.
    """
    try:
        return _from_members(file.manifest, file.members)
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as cause:
        if isinstance(cause, BundleError):
            raise
        found = f"{file.source.name}: {type(cause).__name__}: {cause}."
        raise ShapeMismatchError(found, hint="export it again with the tools of this version.") from cause


def read_bundle(path: Path) -> Bundle:
    """The bundle at ``path``, whoever signed it. Nothing in it is executed.

    A device asks for a signature first (``edge_app.bundles.admission``).

    Raises:
        BundleError: See :func:`open_bundle` and :func:`contents_of`.
    """
    return contents_of(open_bundle(path))


def parse_bundle(archive: bytes, source: str) -> Bundle:
    """Check the bytes of a bundle; see :func:`read_bundle`."""
    return contents_of(open_archive(archive, Path(source)))


def write_bundle(
    manifest: BundleManifest, files: Mapping[str, bytes], signature: bytes | None = None
) -> bytes:
    """The bytes of a bundle.

    Args:
        manifest: Its field ``signature`` names a member exactly when one is given.
        files: All members but the manifest's own.
        signature: Content of ``manifest.json.minisig``.

    Raises:
        ValueError: ``manifest.signature`` and ``signature`` contradict each other.
    """
    if (manifest.signature is None) != (signature is None):
        message = f"the manifest names the signature {manifest.signature}, given is {signature!r}"
        raise ValueError(message)
    document = manifest.to_json()
    members = {MANIFEST: document, MANIFEST_DIGEST: manifest_digest(document), **files}
    if signature is not None:
        members[MANIFEST_SIGNATURE] = signature
    return pack({name: members[name] for name in _in_order(members)})


def _in_order(members: Mapping[str, bytes]) -> list[str]:
    """The manifest, its digest, its signature, then the rest by name."""
    head = (MANIFEST, MANIFEST_DIGEST, MANIFEST_SIGNATURE)
    return [name for name in head if name in members] + sorted(set(members) - OF_MANIFEST)


def golden_json(golden: GoldenVectors) -> bytes:
    """Content of the member ``golden.json``."""
    document = {
        "inputs": golden.inputs.tolist(),
        "logits": golden.logits.tolist(),
        "tolerance": golden.tolerance,
    }
    if golden.offsets is not None:
        document |= {"offsets": golden.offsets.values.tolist(), "offset_tolerance": golden.offsets.tolerance}
    return canonical_json(document)


def _from_members(manifest: BundleManifest, members: Mapping[str, bytes]) -> Bundle:
    shape = (manifest.d, manifest.height, manifest.width)
    attributes = _attributes(json.loads(members[ATTRIBUTES]))
    policy = json.loads(members[POLICY])
    _check_mode(manifest, policy)
    bundle = Bundle(
        manifest=manifest,
        patterns=PatternSet.from_packed(members[MASKS], shape),
        model=members[MODEL],
        attributes=attributes,
        allowed=frozenset(_names(policy["attributes"])),
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
    _check_offsets(bundle)
    unknown = sorted(bundle.allowed - set(bundle.attributes.names))
    if unknown:
        found = f"policy allows attributes that the model does not have: {', '.join(unknown)}."
        raise ShapeMismatchError(found, hint="export the bundle again.")


def _check_mode(manifest: BundleManifest, policy: Mapping[str, Any]) -> None:
    if policy.get("mode", manifest.mode) != manifest.mode:
        found = f"the manifest says mode '{manifest.mode}', policy.json another."
        raise ShapeMismatchError(found, hint="export the bundle again.")


def _check_offsets(bundle: Bundle) -> None:
    latent, golden = bundle.manifest.latent, bundle.golden
    wanted = None if latent is None else latent.shape
    found = None if golden.offsets is None else golden.offsets.values.shape[1:]
    if found != wanted:
        message = f"golden offsets of {found}, and a manifest that says {wanted}."
        raise ShapeMismatchError(message, hint="export the bundle again.")
    if golden.offsets is not None and len(golden.offsets.values) > len(golden.inputs):
        raise ShapeMismatchError("more golden offsets than inputs.", hint="export the bundle again.")


def _attributes(document: Mapping[str, Any]) -> AttributeSchema:
    return AttributeSchema(
        names=_names(document["names"]),
        thresholds=tuple(float(value) for value in document["thresholds"]),
        presence_threshold=float(document["presence_threshold"]),
        abstain=tuple((float(low), float(high)) for low, high in document.get("abstain", [])),
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
        offsets=_golden_offsets(document),
    )


def _golden_offsets(document: Mapping[str, Any]) -> GoldenOffsets | None:
    if "offsets" not in document:
        return None
    values = np.array(document["offsets"], np.float32)
    return GoldenOffsets(values, float(document["offset_tolerance"]))
