from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsi.archive import pack, unpack
from lsi.bundle import REQUIRED, open_archive, parse_bundle, read_bundle, write_bundle
from lsi.errors import BundleError, BundleNotFoundError, DigestMismatchError, ShapeMismatchError
from lsi.manifest import MANIFEST, MANIFEST_DIGEST, canonical_json, manifest_digest
from tests.bundles import NAMES, small_bundle, small_files, small_manifest, small_patterns


def test_a_bundle_is_read_back_as_it_was_written() -> None:
    bundle = parse_bundle(small_bundle(), "small")
    assert bundle.patterns == small_patterns()
    assert bundle.attributes.names == NAMES
    assert bundle.attributes.thresholds == (0.0, 1.0)
    assert bundle.allowed == set(NAMES)
    assert bundle.model == b"no model"
    assert bundle.golden.inputs.shape == (2, 3)
    assert bundle.manifest.short_id == bundle.manifest.content_id[:8]


@given(st.data())
@settings(max_examples=200)
def test_any_flipped_byte_of_any_member_is_refused(data: st.DataObject) -> None:
    members = unpack(small_bundle(), "small")
    name = data.draw(st.sampled_from(sorted(members)))
    content = bytearray(members[name])
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(DigestMismatchError) as refused:
        parse_bundle(pack({**members, name: bytes(content)}), "small")
    named = MANIFEST if name in {MANIFEST, MANIFEST_DIGEST} else name
    assert named in str(refused.value)


@pytest.mark.parametrize("name", sorted(REQUIRED))
def test_a_missing_member_is_named(name: str) -> None:
    members = unpack(small_bundle(), "small")
    del members[name]
    with pytest.raises(DigestMismatchError, match=name):
        parse_bundle(pack(members), "small")


def test_members_in_another_order_are_refused() -> None:
    members = unpack(small_bundle(), "small")
    with pytest.raises(DigestMismatchError, match="not in the order of a bundle"):
        parse_bundle(pack(dict(reversed(members.items()))), "small")


def test_a_manifest_with_blanks_is_refused_even_with_its_own_digest() -> None:
    members = unpack(small_bundle(), "small")
    manifest = members[MANIFEST].replace(b":", b": ", 1)
    changed = {**members, MANIFEST: manifest, MANIFEST_DIGEST: manifest_digest(manifest)}
    with pytest.raises(DigestMismatchError, match="canonical form"):
        parse_bundle(pack(changed), "small")


def test_a_manifest_nested_without_end_is_refused() -> None:
    members = unpack(small_bundle(), "small")
    manifest = b"[" * 100_000
    changed = {**members, MANIFEST: manifest, MANIFEST_DIGEST: manifest_digest(manifest)}
    with pytest.raises(BundleError, match="is not JSON"):
        parse_bundle(pack(changed), "small")


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"inputs": [[1' + b"0" * 400 + b"]]}"])
def test_numbers_and_nesting_beyond_bounds_are_refused(content: bytes) -> None:
    with pytest.raises(ShapeMismatchError):
        parse_bundle(small_bundle(golden=content), "small")


def test_a_bundle_file_shows_no_content() -> None:
    assert repr(open_archive(small_bundle(), Path("a/small.lsib"))) == "BundleFile(small.lsib, 9 members)"


def test_a_surplus_member_is_refused() -> None:
    members = unpack(small_bundle(), "small")
    with pytest.raises(DigestMismatchError, match=r"extra\.bin"):
        parse_bundle(pack({**members, "extra.bin": b"1"}), "small")


def test_a_bundle_that_lacks_a_file_by_its_own_manifest_is_refused() -> None:
    files = small_files()
    del files["golden.json"]
    with pytest.raises(BundleError, match=r"lacks golden\.json"):
        parse_bundle(write_bundle(small_manifest(files), files), "small")


def test_a_content_id_of_other_files_is_refused() -> None:
    files = small_files()
    with pytest.raises(DigestMismatchError, match="content_id"):
        parse_bundle(write_bundle(small_manifest(files, content_id="0" * 64), files), "small")


def test_the_card_may_change_without_a_new_content_id() -> None:
    one, two = small_manifest(small_files()), small_manifest(small_files(MODEL_CARD=b"other"))
    assert one.content_id == two.content_id
    assert small_manifest(small_files(encoder=b"other")).content_id != one.content_id


@pytest.mark.parametrize(
    ("field", "value"), [("d", 4), ("d", 0), ("d", 513), ("arms", 3), ("mode", "raw"), ("version", "1")]
)
def test_a_manifest_that_does_not_fit_is_refused(field: str, value: object) -> None:
    files = small_files()
    with pytest.raises(BundleError):
        parse_bundle(write_bundle(small_manifest(files, **{field: value}), files), "small")


def test_an_unknown_manifest_key_is_named() -> None:
    files = small_files()
    manifest = small_manifest(files).to_json().replace(b'"arms":2', b'"arms":2,"colour":1')
    members = unpack(write_bundle(small_manifest(files), files), "small")
    digest = manifest_digest(manifest)
    with pytest.raises(BundleError, match="unknown key 'colour'"):
        parse_bundle(pack({**members, MANIFEST: manifest, MANIFEST_DIGEST: digest}), "small")


@pytest.mark.parametrize(
    "document",
    [
        {"names": ["A", "A"], "thresholds": [0, 0], "presence_threshold": 0},
        {"names": ["A"], "thresholds": [0, 0], "presence_threshold": 0},
        {"names": ["a b"], "thresholds": [0], "presence_threshold": 0},
        {"names": [], "thresholds": [], "presence_threshold": 0},
        {"names": ["A", "B"]},
        {"names": ["A"], "thresholds": [0], "presence_threshold": 0, "abstain": [[-1, 1], [-1, 1]]},
        {"names": ["A"], "thresholds": [0], "presence_threshold": 0, "abstain": [[1, 2]]},
        {"names": ["A"], "thresholds": [0], "presence_threshold": 0, "abstain": [[0]]},
        {"names": ["A"], "thresholds": [0], "presence_threshold": 0, "abstain": [0, 0]},
        {"names": ["A"], "thresholds": [0], "presence_threshold": 0, "abstain": None},
        {"names": ["A"], "thresholds": [0], "presence_threshold": 0, "abstain": [["low", "high"]]},
        [],
    ],
)
def test_attributes_that_make_no_sense_are_refused(document: object) -> None:
    with pytest.raises(ShapeMismatchError):
        parse_bundle(small_bundle(attributes=canonical_json(document)), "small")


def test_bands_in_which_to_abstain_are_read_and_may_be_absent() -> None:
    document = {"names": NAMES, "thresholds": [0, 1], "presence_threshold": 0, "abstain": [[-0.5, 1], [1, 1]]}
    bundle = parse_bundle(small_bundle(attributes=canonical_json(document)), "small")
    assert bundle.attributes.abstain == ((-0.5, 1.0), (1.0, 1.0))
    assert parse_bundle(small_bundle(), "small").attributes.abstain == ()


@pytest.mark.parametrize("bound", [b"NaN", b"Infinity", b"1e999"])
def test_a_band_without_finite_bounds_is_refused(bound: bytes) -> None:
    document = b'{"names":["A"],"thresholds":[0],"presence_threshold":0,"abstain":[[-1,' + bound + b"]]}"
    with pytest.raises(ShapeMismatchError, match="abstains must be finite"):
        parse_bundle(small_bundle(attributes=document), "small")


def test_a_policy_for_attributes_the_model_lacks_is_refused() -> None:
    with pytest.raises(ShapeMismatchError, match="Wearing_Hat"):
        parse_bundle(small_bundle(policy=canonical_json({"attributes": ["Wearing_Hat"]})), "small")


@given(st.binary(max_size=300))
def test_any_golden_file_is_read_or_refused(golden: bytes) -> None:
    with pytest.raises(BundleError):
        parse_bundle(small_bundle(golden=golden), "small")


def test_a_missing_bundle_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(BundleNotFoundError, match=r"nothing\.lsib"):
        read_bundle(tmp_path / "nothing.lsib")


def test_a_bundle_shows_no_values() -> None:
    bundle = parse_bundle(small_bundle(), "small")
    assert repr(bundle) == f"Bundle(small 1.2.3 {bundle.manifest.short_id})"
    assert "0." not in repr(bundle.golden)


def test_bundle_arrays_cannot_be_written_to() -> None:
    bundle = parse_bundle(small_bundle(), "small")
    for array in (bundle.golden.inputs, bundle.measurement_range.low, bundle.patterns.masks):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = np.zeros(1, array.dtype)


def test_a_manifest_that_tells_another_mode_than_the_policy_is_refused() -> None:
    files = small_files(policy=canonical_json({"mode": "attr", "attributes": ["Smiling"]}))
    with pytest.raises(ShapeMismatchError, match=r"policy\.json another"):
        parse_bundle(write_bundle(small_manifest(files), files), "small")
