"""What a bundle has to pass at load: the order of the checks, and every way to tamper with it."""

import datetime as dt
import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_app.bundles.admission import Check, Terms, admit, check_compatible
from edge_app.settings.trust_settings import TrustSettings
from firmware.boards.board import find_board
from lab.signed_copy import SignedCopy
from lsi.archive import pack, unpack
from lsi.bundle import MASKS, MODEL, BundleFile, open_archive, open_bundle, write_bundle
from lsi.disclosure import PayloadMode
from lsi.errors import (
    AppConfigError,
    BundleError,
    DigestMismatchError,
    GoldenVectorError,
    KeyFileError,
    MaskRankError,
    ShapeMismatchError,
    SignatureMismatchError,
    UnsignedBundleError,
    UntrustedKeyError,
)
from lsi.key_files import read_public_key, write_key_pair
from lsi.manifest import (
    MANIFEST,
    MANIFEST_DIGEST,
    MANIFEST_SIGNATURE,
    FileEntry,
    canonical_json,
    content_id_of,
    manifest_digest,
)
from lsi.minisign import SecretKey
from lsi.patterns import PatternSet
from lsi.trust import sign_bundle
from tests.bundles import small_files, small_manifest

BOARD = find_board("sim-mcp3208")
TODAY = dt.date(2026, 6, 1)
KEY = SecretKey(b"12345678", bytes(range(32)))
STRANGER = SecretKey(b"87654321", bytes(32))
TERMS = Terms(
    (KEY.public_key,), allow_unsigned=False, provides=BOARD.provides, mode=PayloadMode.ATTR_LITE, today=TODAY
)
Members = dict[str, bytes]


@pytest.fixture(scope="module")
def members(signed: SignedCopy) -> Members:
    """The shipped bundle's members, signed with ``KEY``."""
    return unpack(sign_bundle(open_bundle(signed.bundle), KEY), "b")


def of_small(**manifest: object) -> bytes:
    """A signed bundle that has no model to run."""
    files = small_files()
    unsigned = write_bundle(small_manifest(files, **manifest), files)
    return sign_bundle(open_archive(unsigned, Path("small.lsib")), KEY)


def checks_passed(path: Path, terms: Terms = TERMS) -> tuple[list[Check], BundleError | None]:
    passed: list[Check] = []
    try:
        admit(path, terms, lambda check, _: passed.append(check))
    except BundleError as error:
        return passed, error
    return passed, None


def saved(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "b.lsib"
    path.write_bytes(content)
    return path


def redone(members: Members, **fields: object) -> Members:
    """The manifest with other fields and a digest that fits; the signature stays the old one."""
    manifest = canonical_json({**json.loads(members[MANIFEST]), **fields})
    return {**members, MANIFEST: manifest, MANIFEST_DIGEST: manifest_digest(manifest)}


def resigned(members: Members, **fields: object) -> Members:
    """The same with a good signature by a trusted key."""
    changed = redone(members, **fields)
    document = json.loads(changed[MANIFEST])
    comment = f"lsi bundle {document['name']} {document['version']} {document['content_id']}"
    signature = KEY.sign(changed[MANIFEST], comment)
    return {**changed, MANIFEST_SIGNATURE: signature.to_text("signature of an lsi bundle")}


def flipped(name: str) -> Callable[[Members], Members]:
    def flip(members: Members) -> Members:
        content = bytearray(members[name])
        content[len(content) // 2] ^= 1
        return {**members, name: bytes(content)}

    return flip


def swapped(members: Members) -> Members:
    return {**members, MASKS: members[MODEL], MODEL: members[MASKS]}


def without(name: str) -> Callable[[Members], Members]:
    return lambda members: {key: content for key, content in members.items() if key != name}


def with_other_masks(members: Members) -> Members:
    """A forger's best: masks, their digest, content id and the manifest's digest all fit."""
    masks = bytes(255 - byte for byte in members[MASKS])
    files = {name: FileEntry(**entry) for name, entry in json.loads(members[MANIFEST])["files"].items()}
    files[MASKS] = FileEntry.of(masks)
    listed = {name: {"size": entry.size, "sha256": entry.sha256} for name, entry in files.items()}
    return redone({**members, MASKS: masks}, files=listed, content_id=content_id_of(files))


def with_signature_of_another(members: Members) -> Members:
    return {**members, MANIFEST_SIGNATURE: unpack(of_small(), "small")[MANIFEST_SIGNATURE]}


def signed_by_a_stranger(members: Members) -> Members:
    file = open_archive(pack(members), Path("b.lsib"))
    return unpack(sign_bundle(file, STRANGER), "b")


def in_signature(before: bytes, after: bytes) -> Callable[[Members], Members]:
    def edit(members: Members) -> Members:
        assert members[MANIFEST_SIGNATURE].count(before) == 1
        return {**members, MANIFEST_SIGNATURE: members[MANIFEST_SIGNATURE].replace(before, after)}

    return edit


def stripped(members: Members) -> Members:
    return without(MANIFEST_SIGNATURE)(redone(members, signature=None))


def reordered(members: Members) -> Members:
    return dict(reversed(members.items()))


# "RUQxMjM0NTY3OI" is base64 of "ED", the key id "12345678" and 4 bits of the signature.
TAMPERED: list[tuple[str, Callable[[Members], Members], type[BundleError], str]] = [
    (
        "masks flipped",
        flipped(MASKS),
        DigestMismatchError,
        r"not as the manifest says: masks\.bin .changed.\.",
    ),
    ("model flipped", flipped(MODEL), DigestMismatchError, r"says: encoder\.tflite .changed.\."),
    (
        "attributes flipped",
        flipped("attributes.json"),
        DigestMismatchError,
        r"says: attributes\.json .changed.\.",
    ),
    (
        "calibration flipped",
        flipped("calibration.json"),
        DigestMismatchError,
        r"says: calibration\.json .changed.\.",
    ),
    ("golden flipped", flipped("golden.json"), DigestMismatchError, r"says: golden\.json .changed.\."),
    ("policy flipped", flipped("policy.json"), DigestMismatchError, r"says: policy\.json .changed.\."),
    ("card flipped", flipped("MODEL_CARD.md"), DigestMismatchError, r"says: MODEL_CARD\.md .changed.\."),
    ("manifest flipped", flipped(MANIFEST), DigestMismatchError, r"is not the file that .*sha256 names"),
    ("swapped members", swapped, DigestMismatchError, r"encoder\.tflite .changed., masks\.bin .changed.\."),
    ("extra member", lambda m: {**m, "x.bin": b""}, DigestMismatchError, r"says: x\.bin .surplus.\."),
    ("missing member", without("policy.json"), DigestMismatchError, r"policy\.json .missing.\."),
    ("other order", reordered, DigestMismatchError, "not in the order"),
    ("manifest edited", lambda m: redone(m, security_epoch=9), SignatureMismatchError, "is not this content"),
    ("masks replaced", with_other_masks, SignatureMismatchError, "one of 'lsi bundle attr-lite-16 "),
    ("another's signature", with_signature_of_another, SignatureMismatchError, "one of 'lsi bundle small "),
    ("unknown key", signed_by_a_stranger, UntrustedKeyError, f"with key {STRANGER.public_key.name}"),
    (
        "trusted comment edited",
        in_signature(b"comment: lsi bundle a", b"comment: lsi bundle b"),
        SignatureMismatchError,
        "did not sign this trusted comment",
    ),
    (
        "untrusted comment edited",
        in_signature(b"untrusted comment: sig", b"untrusted comment: Sig"),
        SignatureMismatchError,
        "is not written in canonical form",
    ),
    (
        "key id edited",
        in_signature(b"RUQxMjM0NTY3O", b"RUQxMjM0NTY2O"),
        UntrustedKeyError,
        "with key 3836363534333231",
    ),
    ("older algorithm", in_signature(b"RUQx", b"RWQx"), SignatureMismatchError, "not prehashed Ed25519"),
    (
        "truncated signature",
        lambda m: {**m, MANIFEST_SIGNATURE: m[MANIFEST_SIGNATURE][:-9]},
        SignatureMismatchError,
        "no 64 bytes in base64",
    ),
    (
        "no signature at all",
        lambda m: {**m, MANIFEST_SIGNATURE: b""},
        SignatureMismatchError,
        "not 4 lines of text",
    ),
    (
        "field denies the signature",
        lambda m: redone(m, signature=None),
        SignatureMismatchError,
        "says unsigned, and .* is there",
    ),
    (
        "field names a signature that is gone",
        without(MANIFEST_SIGNATURE),
        SignatureMismatchError,
        "says signed by .*, and .* is missing",
    ),
    (
        "field names another member",
        lambda m: resigned(m, signature=MASKS),
        BundleError,
        r"signature: 'masks\.bin' is not one of",
    ),
    ("signature taken off", stripped, UnsignedBundleError, "is not signed"),
    (
        "older format",
        lambda m: resigned(m, format="lsi.bundle/0"),
        BundleError,
        r"format: 'lsi\.bundle/1' was expected",
    ),
]


@pytest.mark.parametrize(
    ("tamper", "error", "reason"),
    [row[1:] for row in TAMPERED],
    ids=[row[0] for row in TAMPERED],
)
def test_a_tampered_bundle_is_refused_with_its_own_reason(
    members: Members,
    tmp_path: Path,
    tamper: Callable[[Members], Members],
    error: type[BundleError],
    reason: str,
) -> None:
    with pytest.raises(error, match=reason) as refused:
        admit(saved(tmp_path, pack(tamper(dict(members)))), TERMS)
    assert type(refused.value) is error
    assert refused.value.hint


def test_no_two_ways_to_tamper_are_refused_for_one_reason() -> None:
    reasons = [row[3] for row in TAMPERED]
    assert len(reasons) == len(set(reasons)) >= 12


def test_the_same_bundle_untouched_passes_every_check_in_order(members: Members, tmp_path: Path) -> None:
    assert checks_passed(saved(tmp_path, pack(members))) == (list(Check), None)
    assert checks_passed(saved(tmp_path, pack(resigned(members)))) == (list(Check), None)


def signed_with(changes: dict[str, bytes], **manifest: object) -> bytes:
    files = small_files(**changes)
    content = write_bundle(small_manifest(files, **manifest), files)
    return sign_bundle(open_archive(content, Path("small.lsib")), KEY)


@pytest.mark.parametrize(
    ("content", "failing", "error"),
    [
        (lambda: b"no bundle", Check.ARCHIVE, BundleError),
        (
            lambda: sign_bundle(open_archive(of_small(), Path("s")), STRANGER),
            Check.SIGNATURE,
            UntrustedKeyError,
        ),
        (lambda: of_small(compatible=("one-arm",)), Check.BOARD, ShapeMismatchError),
        (lambda: signed_with({"masks": b"12"}), Check.MASKS, ShapeMismatchError),
        (lambda: of_small(expires="2026-99-99"), Check.EXPIRY, BundleError),
        (of_small, Check.MODEL, BundleError),
    ],
)
def test_each_check_ends_the_load_before_the_next(
    tmp_path: Path, content: Callable[[], bytes], failing: Check, error: type[BundleError]
) -> None:
    order = list(Check)
    passed, refused = checks_passed(saved(tmp_path, content()))
    assert passed == order[: order.index(failing)]
    assert isinstance(refused, error)


def test_golden_vectors_come_last(members: Members, tmp_path: Path) -> None:
    golden = json.loads(members["golden.json"])
    golden["logits"] = [[value + 100 for value in row] for row in golden["logits"]]
    files = {name: content for name, content in members.items() if not name.startswith("manifest")}
    files["golden.json"] = canonical_json(golden)
    file: BundleFile = open_archive(pack(members), Path("b.lsib"))
    entries = {name: FileEntry.of(content) for name, content in files.items()}
    manifest = replace(file.manifest, files=entries, content_id=content_id_of(entries), signature=None)
    content = sign_bundle(open_archive(write_bundle(manifest, files), Path("b.lsib")), KEY)
    passed, refused = checks_passed(saved(tmp_path, content))
    assert passed == list(Check)[:-1]
    assert isinstance(refused, GoldenVectorError)


def test_nothing_of_an_untrusted_bundle_is_interpreted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_app.bundles.admission.contents_of", None)
    files = small_files()
    path = saved(tmp_path, write_bundle(small_manifest(files), files))
    with pytest.raises(UnsignedBundleError):
        admit(path, TERMS)


def many_masks(d: int, mode: str) -> bytes:
    masks = PatternSet(np.random.default_rng(5).random((d, 8, 16)) < 0.5)
    bounds = canonical_json({"measurement_low": [-1] * d, "measurement_high": [1] * d})
    golden = canonical_json({"inputs": [[0] * d], "logits": [[0] * 3], "tolerance": 1})
    policy = canonical_json({"attributes": ["Smiling", "Eyeglasses"], "mode": mode})
    changes = {"masks": masks.packed(), "calibration": bounds, "golden": golden, "policy": policy}
    return signed_with(changes, d=d, width=16, mode=mode)


@pytest.mark.parametrize(
    ("d", "says", "device", "is_refused"),
    [
        (64, "attr-lite", "attr-lite", False),
        (65, "attr-lite", "attr-lite", True),
        (65, "attr", "attr-lite", True),
        (65, "attr-lite", "latent", True),
        (65, "attr", "attr", False),
    ],
)
def test_masks_see_no_more_than_bundle_and_device_allow(
    tmp_path: Path, d: int, says: str, device: str, is_refused: bool
) -> None:
    terms = replace(TERMS, mode=PayloadMode(device))
    passed, error = checks_passed(saved(tmp_path, many_masks(d, says)), terms)
    assert isinstance(error, MaskRankError) is is_refused
    assert (Check.MASKS in passed) is not is_refused


@pytest.mark.parametrize(("expires", "warns"), [("2026-05-31", True), ("2026-06-01", False), (None, False)])
def test_an_expired_bundle_only_warns(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, expires: str | None, warns: bool
) -> None:
    with caplog.at_level(logging.WARNING):
        passed, _ = checks_passed(saved(tmp_path, of_small(expires=expires)))
    assert Check.EXPIRY in passed
    assert ("has expired on" in caplog.text) is warns


def test_an_unsigned_bundle_passes_where_that_is_allowed_and_a_strangers_does_not(tmp_path: Path) -> None:
    files = small_files()
    unsigned = write_bundle(small_manifest(files), files)
    terms = replace(TERMS, allow_unsigned=True)
    assert Check.SIGNATURE in checks_passed(saved(tmp_path, unsigned), terms)[0]
    stranger = sign_bundle(open_archive(unsigned, Path("s")), STRANGER)
    assert isinstance(checks_passed(saved(tmp_path, stranger), terms)[1], UntrustedKeyError)


def test_unsigned_bundles_are_for_simulated_boards_only() -> None:
    settings = TrustSettings(allow_unsigned=True)
    assert Terms.of(settings, BOARD, PayloadMode.ATTR_LITE, TODAY).allow_unsigned
    real = replace(BOARD, name="mine", simulation=None)
    with pytest.raises(AppConfigError, match="board 'mine' is not simulated"):
        Terms.of(settings, real, PayloadMode.ATTR_LITE, TODAY)
    assert Terms.of(TrustSettings(), real, PayloadMode.ATTR_LITE, TODAY).trusted == ()


def test_terms_hold_the_keys_that_the_configuration_names(tmp_path: Path) -> None:
    paths = [write_key_pair(key, tmp_path / str(index))[1] for index, key in enumerate((KEY, STRANGER))]
    terms = Terms.of(TrustSettings(tuple(paths)), BOARD, PayloadMode.ATTR_LITE, TODAY)
    assert terms.trusted == (KEY.public_key, STRANGER.public_key) == tuple(map(read_public_key, paths))
    with pytest.raises(KeyFileError, match=r"gone\.pub"):
        Terms.of(TrustSettings((tmp_path / "gone.pub",)), BOARD, PayloadMode.ATTR_LITE, TODAY)


def test_a_bundle_for_another_kind_of_board_is_refused() -> None:
    with pytest.raises(ShapeMismatchError, match="provides two-arm; this one provides one-arm"):
        check_compatible(small_manifest(small_files()), frozenset({"one-arm"}))
