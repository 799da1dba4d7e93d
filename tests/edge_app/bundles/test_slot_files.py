"""One contract for the disk and for the simulated one; and what only a real disk has: owners and modes."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_app.bundles.slot_files import DiskFiles, Files, lay_down, put, unfinished_of
from lab.power_cut import SimulatedDisk

Content = dict[str, bytes]


def on_disk(folder: Path) -> Content:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def simulated(disk: SimulatedDisk) -> Callable[[Path], Content]:
    return lambda folder: {path.name: disk.contents[path] for path in disk.contents if path.parent == folder}


@pytest.fixture(params=["disk", "simulated"])
def disk(request: pytest.FixtureRequest) -> tuple[Files, Callable[[Path], Content]]:
    if request.param == "disk":
        return DiskFiles(), on_disk
    made = SimulatedDisk()
    return made, simulated(made)


Disk = tuple[Files, Callable[[Path], Content]]


def test_what_is_put_is_there_whole(disk: Disk, tmp_path: Path) -> None:
    files, contents = disk
    files.make_folder(tmp_path / "bundles")
    path = tmp_path / "bundles" / "x"
    assert files.read(path) is None
    for content in (b"", b"one", bytes(200_000)):
        put(files, path, content)
        assert files.read(path) == content
        assert contents(path.parent) == {"x": content}
    assert files.names(path.parent) == ["x"]


def test_what_is_laid_down_has_no_name_yet_and_replaces_an_older_try(disk: Disk, tmp_path: Path) -> None:
    files, contents = disk
    files.make_folder(tmp_path / "bundles")
    path = tmp_path / "bundles" / "x"
    lay_down(files, path, b"half of it")
    lay_down(files, path, b"all")
    assert files.read(path) is None
    assert contents(path.parent) == {"x.new": b"all"}
    files.rename(unfinished_of(path), path)
    files.unlink(path)
    files.unlink(path)
    assert files.names(path.parent) == []


def test_a_file_that_is_there_is_not_created(disk: Disk, tmp_path: Path) -> None:
    files, _ = disk
    files.make_folder(tmp_path / "bundles")
    put(files, tmp_path / "bundles" / "x", b"one")
    with pytest.raises(FileExistsError), files.create(tmp_path / "bundles" / "x"):
        pass


def test_folder_and_files_are_their_owners_alone(tmp_path: Path) -> None:
    files = DiskFiles()
    files.make_folder(tmp_path / "bundles")
    files.make_folder(tmp_path / "bundles")
    put(files, tmp_path / "bundles" / "x", b"one")
    assert (tmp_path / "bundles").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "bundles" / "x").stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of others")
def test_what_root_makes_belongs_to_the_owner_of_the_folder(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    os.chown(state, 4711, 4712)
    DiskFiles().make_folder(state / "bundles")
    put(DiskFiles(), state / "bundles" / "x", b"one")
    for path in (state / "bundles", state / "bundles" / "x"):
        assert (path.stat().st_uid, path.stat().st_gid) == (4711, 4712)


def test_no_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"old")
    (tmp_path / "x.new").symlink_to(tmp_path / "victim")
    put(DiskFiles(), tmp_path / "x", b"new")
    assert (tmp_path / "victim").read_bytes() == b"old"
    assert (tmp_path / "x").read_bytes() == b"new"
