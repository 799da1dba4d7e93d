import os
import stat
from pathlib import Path

import pytest

from lsi.errors import KeyFileError
from lsi.key_files import read_public_key, read_secret_key, write_key_pair
from lsi.minisign import SecretKey

KEY = SecretKey(b"12345678", bytes(range(32)))


def test_a_pair_is_written_and_read_back_and_only_its_owner_may_read_the_secret(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        secret, public = write_key_pair(KEY, tmp_path / "owner")
    finally:
        os.umask(before)
    assert (secret.name, public.name) == ("owner.key", "owner.pub")
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert stat.S_IMODE(public.stat().st_mode) == 0o644
    assert read_secret_key(secret) == KEY
    assert read_public_key(public) == KEY.public_key


def test_a_dot_in_the_name_stays(tmp_path: Path) -> None:
    secret, _ = write_key_pair(KEY, tmp_path / "owner.2026")
    assert secret.name == "owner.2026.key"


@pytest.mark.parametrize("name", ["owner.key", "owner.pub"])
def test_a_key_is_never_overwritten_and_nothing_else_is_written(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"precious")
    with pytest.raises(KeyFileError, match="never overwritten"):
        write_key_pair(KEY, tmp_path / "owner")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == b"precious"


def test_a_key_that_appears_in_between_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "owner.key").write_bytes(b"precious")
    monkeypatch.setattr(Path, "exists", lambda _: False)
    with pytest.raises(KeyFileError, match="File exists"):
        write_key_pair(KEY, tmp_path / "owner")
    assert (tmp_path / "owner.key").read_bytes() == b"precious"


def test_a_link_to_nowhere_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "owner.key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KeyFileError, match="never overwritten"):
        write_key_pair(KEY, tmp_path / "owner")
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match=r"gone/owner\.key cannot be written"):
        write_key_pair(KEY, tmp_path / "gone" / "owner")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o644])
def test_a_secret_key_that_is_open_to_others_is_not_read(tmp_path: Path, mode: int) -> None:
    secret, _ = write_key_pair(KEY, tmp_path / "owner")
    secret.chmod(mode)
    with pytest.raises(KeyFileError, match="open to others") as refused:
        read_secret_key(secret)
    assert refused.value.hint == f"chmod 600 {secret}"


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    for read in (read_secret_key, read_public_key):
        with pytest.raises(KeyFileError, match=r"gone\.pub cannot be read"):
            read(tmp_path / "gone.pub")


def test_an_endless_file_is_not_read_to_its_end() -> None:
    with pytest.raises(KeyFileError, match="longer than"):
        read_public_key(Path("/dev/zero"))
