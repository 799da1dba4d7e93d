"""Signing a bundle and believing a signature, on a bundle made of nothing real."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsi.archive import pack, unpack
from lsi.bundle import BundleFile, open_archive, write_bundle
from lsi.errors import BundleError, SignatureMismatchError, UnsignedBundleError, UntrustedKeyError
from lsi.manifest import MANIFEST, MANIFEST_DIGEST, MANIFEST_SIGNATURE
from lsi.minisign import SecretKey
from lsi.trust import check_signature, sign_bundle, sign_command, signature_of
from tests.bundles import small_bundle, small_files, small_manifest

SOURCE = Path("/srv/my bundles/small.lsib")
KEY = SecretKey(b"12345678", bytes(range(32)))
OTHER = SecretKey(b"87654321", bytes(32))


def unsigned() -> BundleFile:
    return open_archive(small_bundle(), SOURCE)


def signed(key: SecretKey = KEY) -> BundleFile:
    return open_archive(sign_bundle(unsigned(), key), SOURCE)


def test_a_signed_bundle_is_believed_by_who_trusts_the_key() -> None:
    trusted = [OTHER.public_key, KEY.public_key]
    assert check_signature(signed(), trusted) == KEY.public_key


def test_signing_changes_the_field_signature_and_nothing_else() -> None:
    before, after = unsigned(), signed()
    assert before.manifest.signature is None
    assert after.manifest == replace(before.manifest, signature=MANIFEST_SIGNATURE)
    assert after.manifest.content_id == before.manifest.content_id
    assert after.files == before.files
    assert list(after.members)[:3] == [MANIFEST, MANIFEST_DIGEST, MANIFEST_SIGNATURE]


def test_signing_again_gives_the_same_bytes_and_another_key_the_same_manifest() -> None:
    assert sign_bundle(signed(), KEY) == sign_bundle(unsigned(), KEY)
    again = open_archive(sign_bundle(signed(), OTHER), SOURCE)
    assert again.signed == signed().signed
    assert check_signature(again, [OTHER.public_key]) == OTHER.public_key


def test_the_trusted_comment_names_the_bundle() -> None:
    signature = signature_of(signed())
    assert signature is not None
    assert signature.trusted_comment == f"lsi bundle small 1.2.3 {unsigned().manifest.content_id}"


def test_an_unsigned_bundle_is_refused_with_the_command_that_signs_it() -> None:
    assert signature_of(unsigned()) is None
    with pytest.raises(UnsignedBundleError, match=r"^small\.lsib is not signed") as refused:
        check_signature(unsigned(), [KEY.public_key])
    assert refused.value.hint == "lsi bundle sign '/srv/my bundles/small.lsib' --key owner.key"


@pytest.mark.parametrize("trusted", [[], [OTHER]])
def test_an_unknown_key_is_refused_with_its_name_and_the_command(trusted: list[SecretKey]) -> None:
    with pytest.raises(UntrustedKeyError, match=f"signed with key {KEY.public_key.name}") as refused:
        check_signature(signed(), [key.public_key for key in trusted])
    assert refused.value.hint == sign_command(SOURCE)


def test_a_key_that_only_shares_the_id_is_not_believed() -> None:
    impostor = SecretKey(KEY.key_id, bytes(32))
    with pytest.raises(SignatureMismatchError, match="did not sign"):
        check_signature(signed(impostor), [KEY.public_key])


def test_a_comment_that_tells_of_another_bundle_is_refused() -> None:
    file = signed()
    lying = KEY.sign(file.signed, "lsi bundle small 9.9.9").to_text("signature of an lsi bundle")
    content = write_bundle(file.manifest, file.files, lying)
    with pytest.raises(
        SignatureMismatchError, match=r"one of 'lsi bundle small 9\.9\.9', not of 'lsi bundle small 1\.2\.3 "
    ):
        check_signature(open_archive(content, SOURCE), [KEY.public_key])


@given(st.data())
@settings(max_examples=150)
def test_any_flipped_byte_of_the_signature_is_refused(data: st.DataObject) -> None:
    """The untrusted comment and the line ends are no exception."""
    members = unpack(sign_bundle(unsigned(), KEY), "small")
    content = bytearray(members[MANIFEST_SIGNATURE])
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    changed = open_archive(pack({**members, MANIFEST_SIGNATURE: bytes(content)}), SOURCE)
    with pytest.raises((SignatureMismatchError, UntrustedKeyError)):
        check_signature(changed, [KEY.public_key])


def test_a_manifest_that_contradicts_its_signature_is_not_written() -> None:
    files = small_files()
    with pytest.raises(ValueError, match="names the signature None"):
        write_bundle(small_manifest(files), files, b"x")
    with pytest.raises(ValueError, match="given is None"):
        write_bundle(small_manifest(files, signature=MANIFEST_SIGNATURE), files)


def test_a_name_that_breaks_the_comment_into_two_lines_is_not_signed() -> None:
    files = small_files()
    with pytest.raises(BundleError, match="does not match"):
        open_archive(write_bundle(small_manifest(files, name="small\n"), files), SOURCE)
    file = open_archive(write_bundle(small_manifest(files), files), SOURCE)
    with pytest.raises(BundleError, match="in one line"):
        sign_bundle(replace(file, manifest=replace(file.manifest, name="small\n")), KEY)


def test_minisign_verifies_the_members_of_a_signed_bundle(minisign_path: str, tmp_path: Path) -> None:
    for name, content in signed().members.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "owner.pub").write_bytes(KEY.public_key.to_text())
    command = [minisign_path, "-V", "-p", "owner.pub", "-m", MANIFEST]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert "lsi bundle small 1.2.3 " in said
