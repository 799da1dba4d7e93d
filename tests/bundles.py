"""A small bundle made of nothing real, for tests of everything that handles bundles."""

from collections.abc import Mapping
from typing import Any

import numpy as np

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
from lsi.manifest import BundleManifest, FileEntry, canonical_json, content_id_of
from lsi.patterns import PatternSet

NAMES = ("Smiling", "Eyeglasses")
D = 3


def small_patterns() -> PatternSet:
    return PatternSet(np.random.default_rng(7).random((D, 8, 8)) < 0.5)


def small_files(**changes: bytes) -> dict[str, bytes]:
    """Members of a consistent bundle of 3 masks; ``changes`` replace members by stem."""
    inputs = np.random.default_rng(8).random((2, D)).astype(np.float32)
    golden = GoldenVectors(inputs, np.zeros((2, len(NAMES) + 1), np.float32), 0.1)
    files = {
        MASKS: small_patterns().packed(),
        MODEL: b"no model",
        CALIBRATION: canonical_json({"measurement_low": [-1, -1, -1], "measurement_high": [1, 1, 1]}),
        ATTRIBUTES: canonical_json({"names": NAMES, "thresholds": [0, 1], "presence_threshold": 0}),
        POLICY: canonical_json({"mode": "attr-lite", "attributes": NAMES}),
        GOLDEN: golden_json(golden),
        CARD: b"# Card\n",
    }
    by_stem = {name.split(".")[0]: name for name in files}
    return {**files, **{by_stem[stem]: content for stem, content in changes.items()}}


def small_manifest(files: Mapping[str, bytes], **changes: Any) -> BundleManifest:  # noqa: ANN401 - any field
    entries = {name: FileEntry.of(content) for name, content in files.items()}
    fields: dict[str, Any] = {
        "name": "small",
        "version": "1.2.3",
        "content_id": content_id_of(entries),
        "created": "2026-01-01",
        "expires": None,
        "security_epoch": 0,
        "compatible": ("two-arm",),
        "mode": "attr-lite",
        "d": D,
        "height": 8,
        "width": 8,
        "arms": 2,
        "scene_transfer": "linear",
        "signature": None,
        "files": entries,
    }
    return BundleManifest(**{**fields, **changes})


def small_bundle(**changes: bytes) -> bytes:
    files = small_files(**changes)
    return write_bundle(small_manifest(files), files)
