import os
from pathlib import Path

import pytest

from lsi.whole_file import whole_file


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    return path


def test_the_new_content_stands_under_the_name_and_nothing_beside_it(old: Path) -> None:
    with whole_file(old) as file:
        file.write(b"new")
        assert old.read_bytes() == b"old"
    assert [(path.name, path.read_bytes()) for path in old.parent.iterdir()] == [("a.bin", b"new")]


def write_until_the_disk_is_full(path: Path) -> None:
    with whole_file(path) as file:
        file.write(b"half")
        raise OSError(28, "No space left on device")


def test_an_error_half_way_keeps_the_old_content_and_leaves_nothing(old: Path) -> None:
    with pytest.raises(OSError, match="No space"):
        write_until_the_disk_is_full(old)
    assert [(path.name, path.read_bytes()) for path in old.parent.iterdir()] == [("a.bin", b"old")]


def test_the_content_is_on_the_disk_before_the_name_changes(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def synced(number: int) -> None:
        order.append("fsync")
        fsync(number)

    def replaced(self: Path, target: Path) -> Path:
        order.append("replace")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", replaced)
    with whole_file(old) as file:
        file.write(b"new")
    assert order == ["fsync", "replace"]
