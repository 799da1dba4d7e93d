import stat
from pathlib import Path

import pytest

from lab.bundles import shipped_bundle
from lab.signed_copy import signed_copy
from lsi.bundle import open_bundle
from lsi.errors import BundleError
from lsi.key_files import read_public_key
from lsi.trust import check_signature


def test_a_copy_is_signed_with_a_key_of_its_own_and_the_original_stays(tmp_path: Path) -> None:
    before = shipped_bundle().read_bytes()
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, two = (signed_copy(shipped_bundle(), tmp_path / name) for name in "ab")
    key = read_public_key(one.public_key)
    assert check_signature(open_bundle(one.bundle), [key]) == key
    assert one.key_name == key.name != two.key_name
    assert shipped_bundle().read_bytes() == before


def test_nobody_else_can_read_the_secret_key_and_it_lies_in_the_folder_only(tmp_path: Path) -> None:
    signed_copy(shipped_bundle(), tmp_path)
    assert stat.S_IMODE((tmp_path / "throwaway.key").stat().st_mode) == 0o600
    names = {"throwaway.key", "throwaway.pub", shipped_bundle().name}
    assert {path.name for path in tmp_path.rglob("*")} == names


def test_nothing_is_written_for_what_is_no_bundle(tmp_path: Path) -> None:
    (tmp_path / "b.lsib").write_bytes(b"no bundle")
    folder = tmp_path / "out"
    folder.mkdir()
    with pytest.raises(BundleError):
        signed_copy(tmp_path / "b.lsib", folder)
    assert list(folder.iterdir()) == []
