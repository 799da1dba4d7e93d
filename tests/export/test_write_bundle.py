"""Checkpoint to bundle."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from export.parity import run_model
from export.tflite_writer import weight_affine
from export.write_bundle import Identity, export_bundle, save_new
from lsi.archive import unpack
from lsi.bundle import Bundle, parse_bundle
from lsi.errors import BundleError, ConfigError
from tests.training.tiny import NAMES, tiny_checkpoint
from training.read_outs.read_out import Dense

IDENTITY = Identity("attr-lite-6", "1.2.3", "2026-01-31")


@pytest.fixture(scope="module")
def content() -> bytes:
    return export_bundle(tiny_checkpoint(), IDENTITY).content


@pytest.fixture(scope="module")
def bundle(content: bytes) -> Bundle:
    return parse_bundle(content, "tiny.lsib")


def test_the_devices_reader_accepts_it(bundle: Bundle) -> None:
    assert bundle.patterns == tiny_checkpoint().patterns
    assert bundle.attributes == tiny_checkpoint().attributes
    assert bundle.allowed == frozenset(NAMES)


def test_the_manifest_says_what_it_is(bundle: Bundle) -> None:
    manifest = bundle.manifest
    assert (manifest.name, manifest.version, manifest.created) == ("attr-lite-6", "1.2.3", "2026-01-31")
    assert (manifest.mode, manifest.arms, manifest.scene_transfer) == ("attr-lite", 2, "linear")
    assert (manifest.d, manifest.height, manifest.width) == (6, 64, 64)
    assert (manifest.security_epoch, manifest.expires, manifest.signature) == (0, None, None)
    assert manifest.compatible == ("two-arm",)


def test_the_policy_names_the_mode_and_every_attribute(content: bytes) -> None:
    policy = json.loads(unpack(content, "tiny.lsib")["policy.json"])
    assert policy == {"mode": "attr-lite", "attributes": list(NAMES)}


def test_attributes_beyond_the_lite_ones_need_the_wider_mode() -> None:
    tiny = tiny_checkpoint()
    young = replace(tiny, attributes=replace(tiny.attributes, names=("Smiling", "Young")))
    content = export_bundle(young, Identity("young", "0.1.0", "2026-11-22")).content
    assert parse_bundle(content, "young").manifest.mode == "attr"


def test_bands_in_which_to_abstain_travel_with_the_bundle() -> None:
    checkpoint = tiny_checkpoint()
    schema = replace(checkpoint.attributes, abstain=((0.0, 0.5), (-2.0, -1.5)))
    exported = export_bundle(replace(checkpoint, attributes=schema), IDENTITY)
    read = parse_bundle(exported.content, "tiny.lsib")
    assert read.attributes == schema
    assert "left open" in read.card


def test_a_bundle_that_always_answers_has_no_bands(content: bytes) -> None:
    document = json.loads(unpack(content, "tiny.lsib")["attributes.json"])
    assert sorted(document) == ["names", "presence_threshold", "thresholds"]


def test_the_same_checkpoint_gives_the_same_bytes(content: bytes) -> None:
    assert export_bundle(tiny_checkpoint(), IDENTITY).content == content


def test_the_date_changes_the_manifest_but_not_the_content_id(bundle: Bundle) -> None:
    later = export_bundle(tiny_checkpoint(), replace(IDENTITY, created="2026-02-01"))
    assert later.manifest.content_id == bundle.manifest.content_id
    assert later.manifest.created == "2026-02-01"


def test_golden_logits_are_those_of_the_float_model(bundle: Bundle) -> None:
    expected = tiny_checkpoint().read_out.logits(bundle.golden.inputs)
    assert np.array_equal(bundle.golden.logits, expected)


def test_golden_inputs_are_spread_like_each_masks_measurements_and_stay_in_range(bundle: Bundle) -> None:
    inputs, span = bundle.golden.inputs, bundle.measurement_range
    assert inputs.shape == (16, 6)
    assert (inputs >= span.low).all()
    assert (inputs <= span.high).all()
    standard = (inputs - tiny_checkpoint().read_out.mean) * tiny_checkpoint().read_out.scale
    # 16 draws: the spread is known to 18 %, the mean to a quarter of a spread.
    assert standard.std(axis=0) == pytest.approx(np.ones(6), abs=0.55)
    assert standard.mean(axis=0) == pytest.approx(np.zeros(6), abs=0.75)


def test_the_stored_model_passes_its_golden_vectors(bundle: Bundle) -> None:
    error = np.abs(run_model(bundle.model, bundle.golden.inputs) - bundle.golden.logits)
    assert error.max() <= bundle.golden.tolerance


def test_a_model_that_reads_one_scale_for_all_rows_fails_its_golden_vectors(bundle: Bundle) -> None:
    # What a runtime does with weights per row that it does not know: the first scale for all of them.
    weights = tiny_checkpoint().read_out
    wrong = []
    for layer in weights.layers:
        scales = weight_affine(layer.weights).scales
        wrong.append(Dense(layer.weights * (scales[0] / scales)[:, None], layer.bias))
    error = np.abs(replace(weights, layers=tuple(wrong)).logits(bundle.golden.inputs) - bundle.golden.logits)
    assert error.max() > 3 * bundle.golden.tolerance


def test_int8_is_smaller_than_float(content: bytes) -> None:
    exported = export_bundle(tiny_checkpoint(), IDENTITY, is_float=True)
    floats = parse_bundle(exported.content, "tiny.lsib")
    assert floats.golden.tolerance < 0.01
    assert exported.report.parity.largest_error < 1e-3
    assert floats.model != parse_bundle(content, "tiny.lsib").model


def test_a_name_that_the_manifest_does_not_allow_is_refused() -> None:
    exported = export_bundle(tiny_checkpoint(), replace(IDENTITY, name="Not A Name"))
    with pytest.raises(BundleError, match="name"):
        parse_bundle(exported.content, "tiny.lsib")


def test_the_card_carries_figures_and_terms(bundle: Bundle) -> None:
    assert bundle.card.startswith("# attr-lite-6 1.2.3")
    assert "non-commercial" in bundle.card
    assert "None were recorded" in bundle.card


def test_an_existing_file_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "there.lsib"
    path.write_bytes(b"old")
    with pytest.raises(ConfigError, match="--force"):
        save_new(b"new", path, replaces=False)
    assert path.read_bytes() == b"old"


def test_force_replaces_it_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "there.lsib"
    path.write_bytes(b"old")
    save_new(b"new", path, replaces=True)
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "there.lsib"
    path.write_bytes(b"old")

    def refused(self: Path, target: Path) -> Path:
        raise PermissionError(13, "Permission denied", str(self), None, str(target))

    monkeypatch.setattr(Path, "replace", refused)
    with pytest.raises(PermissionError):
        save_new(b"new", path, replaces=True)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        save_new(b"new", tmp_path / "nowhere" / "new.lsib", replaces=False)
