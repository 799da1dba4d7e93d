import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsi.archive import MAX_ARCHIVE_BYTES, pack, unpack
from lsi.errors import BundleError, DigestMismatchError

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,20}", fullmatch=True)


@given(st.dictionaries(NAMES, st.binary(max_size=2000), max_size=5))
def test_what_is_packed_is_unpacked_in_the_same_order(members: dict[str, bytes]) -> None:
    unpacked = unpack(pack(members), "x")
    assert list(unpacked.items()) == list(members.items())


@given(st.binary(max_size=3000))
def test_any_bytes_are_read_or_refused_with_a_bundle_error(archive: bytes) -> None:
    try:
        members = unpack(archive, "x")
    except BundleError:
        return
    assert pack(members) == archive


@given(st.data())
def test_one_flipped_byte_anywhere_is_refused_or_changes_a_member(data: st.DataObject) -> None:
    members = {"a.json": b"{}" * 20, "b.bin": bytes(range(256))}
    archive = bytearray(pack(members))
    place = data.draw(st.integers(0, len(archive) - 1))
    archive[place] ^= data.draw(st.integers(1, 255))
    try:
        unpacked = unpack(bytes(archive), "x")
    except BundleError:
        return
    assert unpacked != members


def test_a_flip_in_the_padding_behind_a_member_is_refused() -> None:
    archive = bytearray(pack({"a": b"1"}))
    archive[512 + 100] ^= 1
    with pytest.raises(DigestMismatchError, match="canonical"):
        unpack(bytes(archive), "x")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE])
def test_links_folders_and_pipes_are_refused(kind: bytes) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        header = tarfile.TarInfo("a")
        header.type = kind
        header.linkname = "/etc/passwd"
        tar.addfile(header)
    with pytest.raises(BundleError, match="member"):
        unpack(buffer.getvalue(), "x")


@pytest.mark.parametrize("name", ["../a", "/a", "a/b", ".a", ""])
def test_names_that_could_leave_the_folder_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="members named"):
        pack({name: b""})


def test_an_archive_over_the_size_limit_is_not_looked_into() -> None:
    with pytest.raises(BundleError, match="at most"):
        unpack(bytes(MAX_ARCHIVE_BYTES + 1), "x")
